//! This very process as the target: its memory as a stopped fork keeps it, because the walk itself allocates, and its
//! code by `/proc/self/maps`.

use std::fs::File;
use std::os::unix::fs::FileExt;

use waytrace_walk::state::Value;
use waytrace_walk::{Code, Memory, Origin, State, Unreadable};

const PAGE: u64 = 4096;
/// Pages kept, found by their number.
const KEPT: usize = 256;
/// Where a walked function returns to: no code is there.
pub const RETURN: u64 = 0x10;

/// Memory of this process as it is when opened, a page at a time.
pub struct OwnMemory {
    child: i32,
    file: File,
    pages: Vec<(u64, [u8; PAGE as usize])>,
}

impl OwnMemory {
    pub fn open() -> Self {
        // SAFETY: the child, which has this thread only, calls nothing but functions that are safe after a fork.
        let child = unsafe { libc::fork() };
        if child == 0 {
            loop {
                // SAFETY: neither has preconditions; the first ends the child with its parent.
                unsafe {
                    libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                    libc::raise(libc::SIGSTOP);
                }
            }
        }
        assert!(child > 0, "fork: {}", std::io::Error::last_os_error());
        // Until it has stopped, `fork` is still at work in it: the heap's locks are taken.
        // SAFETY: the child is ours; a null status is allowed.
        unsafe { libc::waitpid(child, std::ptr::null_mut(), libc::WUNTRACED) };
        let file = File::open(format!("/proc/{child}/mem")).unwrap();
        Self { child, file, pages: vec![(u64::MAX, [0; PAGE as usize]); KEPT] }
    }

    fn page(&mut self, number: u64) -> Result<&[u8; PAGE as usize], Unreadable> {
        let kept = &mut self.pages[number as usize % KEPT];
        if kept.0 != number {
            kept.0 = u64::MAX;
            self.file.read_exact_at(&mut kept.1, number * PAGE).map_err(|_| Unreadable::Unmapped)?;
            kept.0 = number;
        }
        Ok(&kept.1)
    }
}

impl Drop for OwnMemory {
    fn drop(&mut self) {
        // SAFETY: the child is ours and not yet waited for; a null status is allowed.
        unsafe {
            libc::kill(self.child, libc::SIGKILL);
            libc::waitpid(self.child, std::ptr::null_mut(), 0);
        }
    }
}

impl Memory for OwnMemory {
    #[inline]
    fn read(&mut self, address: u64, into: &mut [u8]) -> Result<(), Unreadable> {
        let mut done = 0;
        while done < into.len() {
            let at = address.wrapping_add(done as u64);
            let offset = (at % PAGE) as usize;
            let count = (into.len() - done).min(PAGE as usize - offset);
            into[done..done + count].copy_from_slice(&self.page(at / PAGE)?[offset..offset + count]);
            done += count;
        }
        Ok(())
    }
}

/// Code of this process.
pub struct OwnCode {
    file: File,
    /// Start, end, inode and offset of executable mappings.
    mappings: Vec<(u64, u64, u64, u64)>,
}

impl OwnCode {
    pub fn open() -> Self {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let mut mappings = Vec::new();
        for line in maps.lines() {
            let mut fields = line.split_whitespace();
            let (range, access) = (fields.next().unwrap(), fields.next().unwrap());
            let (offset, inode) = (fields.next().unwrap(), fields.nth(1).unwrap());
            if access.contains('x') {
                let (start, end) = range.split_once('-').unwrap();
                let hex = |text| u64::from_str_radix(text, 16).unwrap();
                mappings.push((hex(start), hex(end), inode.parse().unwrap(), hex(offset)));
            }
        }
        Self { file: File::open("/proc/self/mem").unwrap(), mappings }
    }
}

impl Code for OwnCode {
    fn origin(&mut self, address: u64) -> Option<Origin> {
        let (start, _, inode, offset) =
            self.mappings.iter().find(|(start, end, ..)| (*start..*end).contains(&address))?;
        Some(match inode {
            0 => Origin::Anonymous,
            inode => Origin::File { file: *inode, offset: address - start + offset },
        })
    }

    fn read(&mut self, address: u64, into: &mut [u8]) -> usize {
        let Some((_, end, ..)) =
            self.mappings.iter().find(|(start, end, ..)| (*start..*end).contains(&address))
        else {
            return 0;
        };
        let count = into.len().min((end - address) as usize);
        self.file.read_at(&mut into[..count], address).unwrap_or(0)
    }
}

/// The registers with which `function(arguments…)` begins on a stack of its own, which must stay alive.
pub fn call(function: usize, arguments: [u64; 2], stack: &mut [u64]) -> State {
    let top = stack.len() - 64;
    stack[top] = RETURN;
    let mut general = [0; 16];
    general[7] = arguments[0];
    general[6] = arguments[1];
    general[4] = &raw const stack[top] as u64;
    // The stack's top is 8 below a multiple of 16 where a function begins.
    if general[4] % 16 != 8 {
        stack[top - 1] = RETURN;
        general[4] -= 8;
    }
    let mut state = State::captured(general, function as u64, 0x202);
    // SAFETY: pthread_self has no preconditions.
    state.fs_base = Some(unsafe { libc::pthread_self() });
    state.general[0] = Value::known(0);
    state
}
