//! The `bpf(2)` and `perf_event_open(2)` calls aya 0.14 has no API for: loading programs for multi-uprobe links
//! and iterators, creating those links, links to perf events with a cookie, and putting perf events into a map.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::path::Path;

use aya_obj::generated::{bpf_attr, bpf_cmd, bpf_insn};
use perf_event_open_sys::bindings::perf_event_attr;
use waytrace_abi::pod::Pod;

use crate::probes::Point;

const PROG_TYPE_KPROBE: u32 = 2;
const PROG_TYPE_TRACING: u32 = 26;
const ATTACH_ITER: u32 = 28;
const ATTACH_PERF_EVENT: u32 = 41;
/// `BPF_TRACE_UPROBE_MULTI`, since Linux 6.6.
pub const ATTACH_UPROBE_MULTI: u32 = 48;
const UPROBE_MULTI_RETURN: u32 = 1;

fn zeroed() -> bpf_attr {
    // SAFETY: `bpf_attr` is a union of integers and arrays of them; the kernel wants unused bytes to be zero.
    unsafe { std::mem::zeroed() }
}

fn bpf(command: bpf_cmd, attr: &mut bpf_attr) -> io::Result<i64> {
    // SAFETY: `attr` is a whole, initialised `bpf_attr`, and every pointer in it was taken from a live borrow by the
    // caller in this module.
    let result = unsafe {
        libc::syscall(libc::SYS_bpf, command as libc::c_long, std::ptr::from_mut(attr), size_of::<bpf_attr>())
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn bpf_fd(command: bpf_cmd, attr: &mut bpf_attr) -> io::Result<OwnedFd> {
    let fd = bpf(command, attr)?;
    // SAFETY: these commands return a new descriptor that nothing else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// Loads a probe program that can be attached to many places by one link. Kernels without such links load it, too: they do not look at what a
/// program of this type is for.
///
/// # Errors
/// What the kernel says.
pub fn load_multi(name: &str, instructions: &[bpf_insn]) -> io::Result<OwnedFd> {
    load(name, instructions, PROG_TYPE_KPROBE, ATTACH_UPROBE_MULTI, 0)
}

/// Loads an iterator; `target_id` is the type number of what it iterates over in the kernel's own type information.
///
/// # Errors
/// What the kernel says.
pub fn load_iterator(name: &str, instructions: &[bpf_insn], target_id: u32) -> io::Result<OwnedFd> {
    load(name, instructions, PROG_TYPE_TRACING, ATTACH_ITER, target_id)
}

fn load(
    name: &str,
    instructions: &[bpf_insn],
    prog_type: u32,
    attach_type: u32,
    attach_btf_id: u32,
) -> io::Result<OwnedFd> {
    let mut attr = zeroed();
    let license = c"Dual MIT/GPL";
    // SAFETY: `__bindgen_anon_3` is the view of the union BPF_PROG_LOAD uses; all of it is zero so far.
    let load = unsafe { &mut attr.__bindgen_anon_3 };
    load.prog_type = prog_type;
    load.expected_attach_type = attach_type;
    load.attach_btf_id = attach_btf_id;
    load.insns = instructions.as_ptr() as u64;
    load.insn_cnt = instructions.len() as u32;
    load.license = license.as_ptr() as u64;
    for (to, from) in load.prog_name.iter_mut().take(15).zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    bpf_fd(bpf_cmd::BPF_PROG_LOAD, &mut attr)
}

/// Attaches an iterator.
///
/// # Errors
/// What the kernel says.
pub fn link_iterator(program: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let mut attr = zeroed();
    // SAFETY: `link_create` is the view of the union BPF_LINK_CREATE uses; all of it is zero so far.
    let link = unsafe { &mut attr.link_create };
    link.__bindgen_anon_1.prog_fd = program.as_raw_fd() as u32;
    link.attach_type = ATTACH_ITER;
    bpf_fd(bpf_cmd::BPF_LINK_CREATE, &mut attr)
}

/// Opens an attached iterator; reading the descriptor runs it once.
///
/// # Errors
/// What the kernel says.
pub fn open_iterator(link: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let mut attr = zeroed();
    attr.iter_create.link_fd = link.as_raw_fd() as u32;
    bpf_fd(bpf_cmd::BPF_ITER_CREATE, &mut attr)
}

/// Attaches a program to points of one file, in one process or (`pid` 0) in all.
///
/// # Errors
/// What the kernel says.
pub fn link_multi(
    program: BorrowedFd<'_>,
    path: &Path,
    points: &[Point],
    pid: u32,
    on_return: bool,
) -> io::Result<OwnedFd> {
    let list = |field: fn(&Point) -> u64| -> Vec<u64> { points.iter().map(field).collect() };
    let (offsets, cookies) = (list(|point| point.offset), list(|point| point.cookie));
    let semaphores = list(|point| point.semaphore);
    let path = CString::new(path.as_os_str().as_encoded_bytes())?;
    let mut attr = zeroed();
    // SAFETY: `link_create` is the view of the union BPF_LINK_CREATE uses; all of it is zero so far.
    let link = unsafe { &mut attr.link_create };
    link.__bindgen_anon_1.prog_fd = program.as_raw_fd() as u32;
    link.attach_type = ATTACH_UPROBE_MULTI;
    // SAFETY: as above, for the nested union.
    let multi = unsafe { &mut link.__bindgen_anon_3.uprobe_multi };
    multi.path = path.as_ptr() as u64;
    multi.offsets = offsets.as_ptr() as u64;
    multi.cookies = cookies.as_ptr() as u64;
    // An offset of 0 is none.
    multi.ref_ctr_offsets = semaphores.as_ptr() as u64;
    multi.cnt = points.len() as u32;
    multi.flags = if on_return { UPROBE_MULTI_RETURN } else { 0 };
    multi.pid = pid;
    bpf_fd(bpf_cmd::BPF_LINK_CREATE, &mut attr)
}

/// Whether the kernel has links to many places (Linux 6.6), asked with a folder in the place of the file: that is `EBADF` to a kernel that has
/// them (`bpf_uprobe_multi_link_attach` in `kernel/trace/bpf_trace.c`), and to others the kind of link is `EINVAL`.
pub fn knows_multi(program: BorrowedFd<'_>) -> bool {
    let nowhere = Point { offset: 0, cookie: 0, semaphore: 0 };
    let refused = link_multi(program, Path::new("/"), &[nowhere], 0, false).err();
    refused.and_then(|error| error.raw_os_error()) == Some(libc::EBADF)
}

/// Attaches a program to a perf event; the handler sees `cookie`.
///
/// # Errors
/// What the kernel says.
pub fn link_perf_event(program: BorrowedFd<'_>, event: BorrowedFd<'_>, cookie: u64) -> io::Result<OwnedFd> {
    let mut attr = zeroed();
    // SAFETY: as in `link_multi`.
    let link = unsafe { &mut attr.link_create };
    link.__bindgen_anon_1.prog_fd = program.as_raw_fd() as u32;
    link.__bindgen_anon_2.target_fd = event.as_raw_fd() as u32;
    link.attach_type = ATTACH_PERF_EVENT;
    link.__bindgen_anon_3.perf_event.bpf_cookie = cookie;
    bpf_fd(bpf_cmd::BPF_LINK_CREATE, &mut attr)
}

/// Puts a perf event into a `PERF_EVENT_ARRAY` map.
///
/// # Errors
/// What the kernel says.
pub fn set_perf_event(map: BorrowedFd<'_>, index: u32, event: BorrowedFd<'_>) -> io::Result<()> {
    let value = event.as_raw_fd();
    let mut attr = zeroed();
    // SAFETY: `__bindgen_anon_2` is the view of the union map element commands use.
    let update = unsafe { &mut attr.__bindgen_anon_2 };
    update.map_fd = map.as_raw_fd() as u32;
    update.key = std::ptr::from_ref(&index) as u64;
    update.__bindgen_anon_1.value = std::ptr::from_ref(&value) as u64;
    bpf(bpf_cmd::BPF_MAP_UPDATE_ELEM, &mut attr).map(drop)
}

/// Reads a whole hash map in batches. An entry that comes or goes meanwhile may or may not be among them.
///
/// # Errors
/// What the kernel says.
pub fn lookup_all<K: Pod, V: Pod>(map: BorrowedFd<'_>) -> io::Result<Vec<(K, V)>> {
    const BATCH: usize = 512;
    let mut all = Vec::new();
    // The kernel keeps its place in as many bytes as a key has, at least four.
    let (mut place, mut next) = (vec![0u8; size_of::<K>().max(4)], vec![0u8; size_of::<K>().max(4)]);
    let mut started = false;
    let mut keys = vec![std::mem::MaybeUninit::<K>::uninit(); BATCH];
    let mut values = vec![std::mem::MaybeUninit::<V>::uninit(); BATCH];
    loop {
        let mut attr = zeroed();
        // SAFETY: `batch` is the view of the union the batch commands use.
        let batch = unsafe { &mut attr.batch };
        batch.in_batch = if started { place.as_ptr() as u64 } else { 0 };
        batch.out_batch = next.as_mut_ptr() as u64;
        batch.keys = keys.as_mut_ptr() as u64;
        batch.values = values.as_mut_ptr() as u64;
        batch.count = BATCH as u32;
        batch.map_fd = map.as_raw_fd() as u32;
        let result = bpf(bpf_cmd::BPF_MAP_LOOKUP_BATCH, &mut attr);
        let done = match result {
            Ok(_) => false,
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => true,
            Err(error) => return Err(error),
        };
        // SAFETY: the kernel wrote the count back into the same view, and filled that many keys and values.
        let count = unsafe { attr.batch.count } as usize;
        for (key, value) in keys.iter().zip(&values).take(count) {
            // SAFETY: as above; `Pod` types take any bits.
            all.push(unsafe { (key.assume_init(), value.assume_init()) });
        }
        if done {
            return Ok(all);
        }
        std::mem::swap(&mut place, &mut next);
        started = true;
    }
}

/// Removes entries of a hash map in batches. One that has gone meanwhile is passed over.
///
/// # Errors
/// What the kernel says.
pub fn delete_all<K: Pod>(map: BorrowedFd<'_>, keys: &[K]) -> io::Result<()> {
    let mut rest = keys;
    while !rest.is_empty() {
        let mut attr = zeroed();
        // SAFETY: `batch` is the view of the union the batch commands use.
        let batch = unsafe { &mut attr.batch };
        batch.keys = rest.as_ptr() as u64;
        batch.count = u32::try_from(rest.len()).unwrap_or(u32::MAX);
        batch.map_fd = map.as_raw_fd() as u32;
        let result = bpf(bpf_cmd::BPF_MAP_DELETE_BATCH, &mut attr);
        // SAFETY: the kernel wrote the number of those removed back into the same view.
        let removed = unsafe { attr.batch.count } as usize;
        let passed = match result {
            Ok(_) => removed,
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => removed + 1,
            Err(error) => return Err(error),
        };
        rest = rest.get(passed.max(1)..).unwrap_or_default();
    }
    Ok(())
}

/// An array map seen through memory. The kernel side may write it at any time.
pub struct View {
    start: *mut libc::c_void,
    bytes: usize,
}

impl View {
    /// Maps the first `bytes` of a mappable array map, for reading.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn new(map: BorrowedFd<'_>, bytes: usize) -> io::Result<Self> {
        let page = 4096;
        let bytes = bytes.next_multiple_of(page);
        // SAFETY: a fresh mapping at an address the kernel chooses; nothing of ours lies there.
        let start = unsafe {
            libc::mmap(std::ptr::null_mut(), bytes, libc::PROT_READ, libc::MAP_SHARED, map.as_raw_fd(), 0)
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Self { start, bytes })
    }

    /// Element `index` of an array of `T`; `None` beyond the end.
    pub fn at<T: Pod>(&self, index: usize) -> Option<T> {
        let within = index.checked_add(1)?.checked_mul(size_of::<T>())? <= self.bytes;
        // SAFETY: within the mapping, which lives as long as `self`; `T: Pod` takes any bits, torn ones included.
        within.then(|| unsafe { self.start.cast::<T>().add(index).read_volatile() })
    }

    /// All of it as words.
    pub fn words(&self) -> impl Iterator<Item = u64> + '_ {
        (0..self.bytes / 8).map_while(|index| self.at(index))
    }
}

impl Drop for View {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, of this length, and no reference into it is left.
        unsafe { libc::munmap(self.start, self.bytes) };
    }
}

/// Opens a uprobe as a perf event: the way of kernels before 6.6. `kind` is the type of the `uprobe` PMU.
///
/// # Errors
/// What the kernel says.
pub fn open_uprobe(
    kind: u32,
    path: &Path,
    point: &Point,
    pid: Option<u32>,
    on_return: bool,
) -> io::Result<OwnedFd> {
    const RETURN_BIT: u64 = 1;
    // events/uprobe's format/ref_ctr_offset: the upper half of `config`.
    const SEMAPHORE_SHIFT: u32 = 32;
    if point.semaphore > u64::from(u32::MAX) {
        return Err(io::Error::new(io::ErrorKind::Unsupported, "a semaphore beyond the file's first 4 GiB"));
    }
    let path = CString::new(path.as_os_str().as_encoded_bytes())?;
    let mut attr = perf_event_attr::default();
    attr.type_ = kind;
    attr.config = if on_return { RETURN_BIT } else { 0 } | point.semaphore << SEMAPHORE_SHIFT;
    attr.config1 = path.as_ptr() as u64;
    attr.config2 = point.offset;
    let (pid, cpu) = pid.map_or((-1, 0), |pid| (pid as libc::c_int, -1));
    open_perf_event(&mut attr, pid, cpu)
}

/// Opens a tracepoint for one CPU and all processes.
///
/// # Errors
/// What the kernel says.
pub fn open_tracepoint(id: u64) -> io::Result<OwnedFd> {
    const TYPE_TRACEPOINT: u32 = 2;
    let mut attr = perf_event_attr::default();
    attr.type_ = TYPE_TRACEPOINT;
    attr.config = id;
    open_perf_event(&mut attr, -1, 0)
}

fn open_perf_event(attr: &mut perf_event_attr, pid: libc::c_int, cpu: libc::c_int) -> io::Result<OwnedFd> {
    const FLAG_FD_CLOEXEC: libc::c_ulong = 8;
    attr.size = size_of::<perf_event_attr>() as u32;
    // SAFETY: `attr` is as long as the size it declares, and what it points to outlives the call.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_perf_event_open,
            std::ptr::from_mut(attr),
            pid,
            cpu,
            -1 as libc::c_int,
            FLAG_FD_CLOEXEC,
        )
    };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call returned a new descriptor that nothing else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// A descriptor others wait for and this process makes readable.
///
/// # Errors
/// What the kernel says.
pub fn event_fd() -> io::Result<OwnedFd> {
    // SAFETY: the call takes two numbers.
    let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call returned a new descriptor that nothing else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Makes an event descriptor readable.
pub fn signal_event_fd(fd: BorrowedFd<'_>) {
    let one = 1_u64.to_ne_bytes();
    // SAFETY: eight bytes, as the descriptor asks for. It fails only when it is readable already.
    let _ = unsafe { libc::write(fd.as_raw_fd(), one.as_ptr().cast(), one.len()) };
}

/// Waits until one of them is readable, or for so many milliseconds.
pub fn wait_readable<const N: usize>(fds: [RawFd; N], timeout_ms: libc::c_int) {
    let mut polled = fds.map(|fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 });
    // SAFETY: an array of the length given. An interrupted wait is a short one.
    let _ = unsafe { libc::poll(polled.as_mut_ptr(), polled.len() as libc::nfds_t, timeout_ms) };
}

/// Lets the calling thread run before all others that do not ask for the same.
///
/// # Errors
/// `EPERM` without `CAP_SYS_NICE`.
pub fn run_first() -> io::Result<()> {
    let least = libc::sched_param { sched_priority: 1 };
    // SAFETY: a thread id of 0 is the caller's own; the parameter outlives the call.
    let failed = unsafe {
        libc::sched_setscheduler(0, libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK, &raw const least)
    };
    if failed != 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
