//! What a first process has to do before anything else works, and at the end.

use std::ffi::CStr;
use std::fs;
use std::io;

use anyhow::{Context as _, Result};

/// Type and place of each file system.
const MOUNTS: [(&CStr, &CStr); 4] =
    [(c"proc", c"/proc"), (c"sysfs", c"/sys"), (c"devtmpfs", c"/dev"), (c"tmpfs", c"/tmp")];

/// Mounts what the checks read and write. Tracefs comes last, for its place is in sysfs.
///
/// # Errors
/// The first directory that cannot be made, or file system that cannot be mounted.
pub fn prepare() -> Result<()> {
    for (kind, place) in MOUNTS {
        fs::create_dir_all(place.to_str()?).with_context(|| format!("making {place:?}"))?;
        mount(kind, place)?;
    }
    mount(c"tracefs", c"/sys/kernel/tracing")
}

fn mount(kind: &CStr, place: &CStr) -> Result<()> {
    // SAFETY: all strings end with a zero and live through the call; no file system here takes data.
    let result = unsafe { libc::mount(kind.as_ptr(), place.as_ptr(), kind.as_ptr(), 0, std::ptr::null()) };
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()).with_context(|| format!("mounting {kind:?} on {place:?}")),
    }
}

/// Switches the machine off. Returns only where that is refused; the kernel then panics, for it has no first process.
pub fn power_off() {
    // SAFETY: takes a number; nothing here is on a disk that would have to be written first.
    unsafe { libc::reboot(libc::RB_POWER_OFF) };
}

/// General counters and the cycle counter of the PMU together, as the kernel told when it found them (`arm_pmu.c`).
///
/// # Errors
/// The kernel's log cannot be read, or does not tell.
pub fn counters() -> Result<u64> {
    let log = kernel_log().context("reading the kernel's log")?;
    let line =
        log.lines().find(|line| line.contains("PMU driver")).context("the kernel has no PMU driver")?;
    let before = line.split(" counters available").next().context("no number of counters")?;
    let number = before.rsplit(' ').next().context("no number of counters")?;
    number.parse().with_context(|| format!("no number of counters in `{line}`"))
}

fn kernel_log() -> io::Result<String> {
    const READ_ALL: libc::c_int = 3;
    let mut bytes = vec![0u8; 1 << 18];
    let room = libc::c_int::try_from(bytes.len()).unwrap_or(libc::c_int::MAX);
    // SAFETY: writes at most `room` bytes into `bytes`, which is as long.
    let read = unsafe { libc::klogctl(READ_ALL, bytes.as_mut_ptr().cast(), room) };
    let read = usize::try_from(read).map_err(|_| io::Error::last_os_error())?;
    bytes.truncate(read);
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
