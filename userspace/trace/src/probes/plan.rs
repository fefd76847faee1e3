//! From the allocation functions of a process to the probes of a run.

use std::collections::BTreeMap;
use std::path::PathBuf;

use waytrace_abi::cookie::{Cookie, FreedSize as AbiFreedSize, NO_ARG, Op};
use waytrace_abi::mapping;
use waytrace_image::allocators::{Action, AllocFn, AllocatorMap, FileKey, FreedSize, ProbePoint, Register};
use waytrace_image::system_calls::{Call, FilePlaces, Place};

/// How much every call is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Detail {
    /// Count, size and caller: one trap a call. A call that fails cannot be told from one that succeeds.
    Counts,
    /// Also the block: live bytes, peak, lifetimes. One more trap for each allocation.
    Lifetimes,
    /// Also the stack of every call, by frame pointer.
    Stacks,
}

/// One place to probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    /// Offset in the file.
    pub offset: u64,
    /// What the handler is told.
    pub cookie: u64,
    /// Offset in the file of the counter that tells the program the probe is watched (USDT); 0 if there is none.
    pub semaphore: u64,
}

impl Point {
    /// One without a semaphore.
    pub fn plain(offset: u64, cookie: u64) -> Self {
        Self { offset, cookie, semaphore: 0 }
    }
}

/// All probes of one file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FilePlan {
    /// Path that opens the file from here.
    pub path: PathBuf,
    /// The same file whatever it is called.
    pub key: FileKey,
    /// File name, for messages.
    pub module: String,
    /// Entries of allocating functions.
    pub enters: Vec<Point>,
    /// Returns of allocating functions.
    pub exits: Vec<Point>,
    /// Freeing functions.
    pub frees: Vec<Point>,
    /// Behind system calls that change the address space.
    pub calls: Vec<Point>,
    /// Where the allocator tells of a sampled allocation.
    pub sampled_allocs: Vec<Point>,
    /// Where it tells of the end of one.
    pub sampled_frees: Vec<Point>,
}

impl FilePlan {
    fn lists(&self) -> [&Vec<Point>; 6] {
        let Self { enters, exits, frees, calls, sampled_allocs, sampled_frees, .. } = self;
        [enters, exits, frees, calls, sampled_allocs, sampled_frees]
    }

    fn lists_mut(&mut self) -> [&mut Vec<Point>; 6] {
        let Self { enters, exits, frees, calls, sampled_allocs, sampled_frees, .. } = self;
        [enters, exits, frees, calls, sampled_allocs, sampled_frees]
    }

    fn is_empty(&self) -> bool {
        self.lists().into_iter().all(Vec::is_empty)
    }
}

/// All probes of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// By file.
    pub files: Vec<FilePlan>,
    /// `module:function+offset` of each probe, ` (single-stepped)` where it is expensive.
    pub names: Vec<String>,
}

impl Plan {
    /// The probes for the functions found.
    pub fn new(map: &AllocatorMap, detail: Detail) -> Self {
        let mut files: BTreeMap<FileKeyOrder, FilePlan> = BTreeMap::new();
        let mut names = Vec::with_capacity(map.probes.len());
        for point in &map.probes {
            let file = files.entry(order(point.key)).or_default();
            file.path.clone_from(&point.path);
            file.module.clone_from(&point.module);
            file.key = point.key;
            add(file, point, detail);
            names.push(name(point));
        }
        Self { files: files.into_values().collect(), names }
    }

    /// The probes behind the system calls found.
    pub fn of_calls(found: &[FilePlaces]) -> Self {
        let file = |found: &FilePlaces| FilePlan {
            path: found.path.clone(),
            key: found.key,
            module: found.module.clone(),
            calls: found.places.iter().map(call_point).collect(),
            ..FilePlan::default()
        };
        Self { files: found.iter().map(file).collect(), names: Vec::new() }
    }

    /// Adds another process's probes, and returns them all.
    pub fn merge(&mut self, other: Self) -> Self {
        let all = other.clone();
        self.add_missing(other);
        all
    }

    /// Adds the probes that are not there yet, and returns just these.
    pub fn add_missing(&mut self, other: Self) -> Self {
        let mut fresh = Self::default();
        for mut file in other.files {
            if let Some(known) = self.files.iter_mut().find(|known| known.key == file.key) {
                for (ours, theirs) in known.lists_mut().into_iter().zip(file.lists_mut()) {
                    theirs.retain(|point| !ours.contains(point));
                    ours.extend_from_slice(theirs);
                }
            } else {
                self.files.push(file.clone());
            }
            if !file.is_empty() {
                fresh.files.push(file);
            }
        }
        fresh.names = other.names.into_iter().filter(|name| !self.names.contains(name)).collect();
        self.names.extend(fresh.names.iter().cloned());
        fresh
    }

    /// Takes out what could not be placed after all.
    pub fn forget(&mut self, lost: &Self) {
        for file in &lost.files {
            if let Some(known) = self.files.iter_mut().find(|known| known.key == file.key) {
                for (ours, theirs) in known.lists_mut().into_iter().zip(file.lists()) {
                    ours.retain(|point| !theirs.contains(point));
                }
            }
        }
        self.names.retain(|name| !lost.names.contains(name));
    }

    /// Only the allocating functions.
    pub fn allocs(&self) -> Self {
        let mut plan = self.clone();
        plan.files.iter_mut().for_each(|file| file.frees.clear());
        plan
    }

    /// Only the freeing functions.
    pub fn frees(&self) -> Self {
        let mut plan = self.clone();
        plan.files.iter_mut().for_each(|file| {
            file.enters.clear();
            file.exits.clear();
        });
        plan
    }
}

type FileKeyOrder = ((u32, u32), u64);

fn order(key: FileKey) -> FileKeyOrder {
    (key.dev, key.inode)
}

fn call_point(place: &Place) -> Point {
    let kind = match place.call {
        Call::Mmap => mapping::MMAP,
        Call::Munmap => mapping::MUNMAP,
        Call::Mremap => mapping::MREMAP,
        Call::Brk => mapping::BRK,
    };
    Point::plain(place.file_offset, mapping::CallCookie { kind, distance: place.distance }.pack())
}

fn name(point: &ProbePoint) -> String {
    let stepped = if point.single_stepped { " (single-stepped)" } else { "" };
    format!("{}:{}+{:#x}{stepped}", point.module, point.function, point.function_offset)
}

fn add(file: &mut FilePlan, point: &ProbePoint, detail: Detail) {
    let returns = needs_return(point.kind, detail);
    let cookie = cookie(point, returns).pack();
    let entry = Point::plain(point.file_offset, cookie);
    if point.kind.is_free() {
        file.frees.push(entry);
        return;
    }
    file.enters.push(entry);
    if returns {
        file.exits.push(Point::plain(point.return_file_offset(), cookie));
    }
}

/// Plain allocations can be counted on entry. A resize must be seen to return to know whether the block moved, and
/// functions that may call another probed one must be seen to return to know what is nested in them.
pub fn needs_return(kind: AllocFn, detail: Detail) -> bool {
    match kind {
        AllocFn::Malloc | AllocFn::Calloc | AllocFn::New | AllocFn::RustAlloc | AllocFn::RustAllocZeroed => {
            detail >= Detail::Lifetimes
        }
        _ => kind.takes_return(),
    }
}

fn cookie(point: &ProbePoint, returns: bool) -> Cookie {
    let argument = |register: Option<Register>| register.map_or(NO_ARG, Register::number);
    Cookie {
        op: match point.kind.action() {
            Action::Alloc => Op::Alloc,
            Action::AllocOut => Op::AllocOut,
            Action::Realloc => Op::Realloc,
            Action::Free => Op::Free,
        },
        size_arg: argument(point.arguments.size),
        count_arg: argument(point.arguments.count),
        ptr_arg: argument(point.arguments.pointer),
        freed_size: match point.freed_size() {
            FreedSize::Unknown => AbiFreedSize::Unknown,
            FreedSize::GlibcChunk => AbiFreedSize::GlibcChunk,
            FreedSize::SizedArg => AbiFreedSize::Argument,
        },
        return_slot: point.return_slot,
        returns,
    }
}
