//! System calls about capabilities that no crate in the tree wraps.

use std::fs;
use std::io;

/// `CAP_SETPCAP`.
pub const SETPCAP: u8 = 8;
/// `_LINUX_CAPABILITY_VERSION_3`: 64 bits in two halves.
const VERSION_3: u32 = 0x2008_0522;

/// `struct __user_cap_header_struct`.
#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

/// `struct __user_cap_data_struct`: 32 bits of each set.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Half {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// Threads of this process.
pub fn threads() -> usize {
    fs::read_dir("/proc/self/task").map_or(1, Iterator::count)
}

fn get() -> io::Result<[Half; 2]> {
    let mut header = Header { version: VERSION_3, pid: 0 };
    let mut halves = [Half::default(); 2];
    // SAFETY: version 3 writes two halves, which `halves` holds; pid 0 is the calling thread.
    let result = unsafe { libc::syscall(libc::SYS_capget, &raw mut header, halves.as_mut_ptr()) };
    if result == 0 { Ok(halves) } else { Err(io::Error::last_os_error()) }
}

fn joined(low: u32, high: u32) -> u64 {
    u64::from(low) | u64::from(high) << 32
}

/// The permitted set of the calling thread.
pub fn permitted() -> io::Result<u64> {
    let [low, high] = get()?;
    Ok(joined(low.permitted, high.permitted))
}

/// Whether the calling thread can use a capability now.
pub fn is_effective(capability: u8) -> io::Result<bool> {
    let [low, high] = get()?;
    Ok(joined(low.effective, high.effective) & 1 << capability != 0)
}

/// Makes the effective, permitted and inheritable sets of the calling thread these.
pub fn set(keep: u64) -> io::Result<()> {
    let mut header = Header { version: VERSION_3, pid: 0 };
    let half = |bits: u32| Half { effective: bits, permitted: bits, inheritable: bits };
    let halves = [half(keep as u32), half((keep >> 32) as u32)];
    // SAFETY: version 3 reads two halves, which `halves` holds; pid 0 is the calling thread.
    let result = unsafe { libc::syscall(libc::SYS_capset, &raw mut header, halves.as_ptr()) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Takes all but these out of the bounding set.
pub fn bound(keep: u64) -> io::Result<()> {
    for capability in (0..64).filter(|capability| keep & 1 << capability == 0) {
        // The first number the kernel does not know ends the list.
        match prctl(libc::PR_CAPBSET_READ, capability, 0) {
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => break,
            Err(error) => return Err(error),
            Ok(0) => {}
            Ok(_) => drop(prctl(libc::PR_CAPBSET_DROP, capability, 0)?),
        }
    }
    Ok(())
}

/// Makes the ambient set these, which must be permitted and inheritable.
pub fn set_ambient(keep: u64) -> io::Result<()> {
    prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL as u64, 0)?;
    for capability in (0..64).filter(|capability| keep & 1 << capability != 0) {
        prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_RAISE as u64, capability)?;
    }
    Ok(())
}

/// `no_new_privs`, for good.
pub fn no_new_privileges() -> io::Result<()> {
    prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0).map(drop)
}

fn prctl(option: i32, first: u64, second: u64) -> io::Result<i32> {
    // SAFETY: the options used here take numbers and touch no memory.
    let result = unsafe { libc::prctl(option, first, second, 0u64, 0u64) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
