//! Hardware breakpoints on the execution of an instruction, of one thread, for a limited number of hits.

use perf_event::events::Breakpoint;
use perf_event::{Builder, Counter};

use crate::Error;
use crate::counter::open_error;

/// Opens a breakpoint on the instruction at `address` for thread `tid`. It is stopped: attach a program whose result is
/// not 0, then call [`arm`].
///
/// # Errors
/// [`Error::PerfPermission`], [`Error::EventUnsupported`], [`Error::PerfOpen`] (ENOSPC: all debug registers are taken).
pub fn open_execution(tid: u32, address: u64) -> Result<Counter, Error> {
    let event = Breakpoint::execute(address);
    let built = Builder::new(event)
        .observe_pid(tid as libc::pid_t)
        .any_cpu()
        .sample_period(1)
        .exclude_kernel(true)
        .exclude_hv(true)
        .build();
    built.map_err(|source| open_error(format!("breakpoint at {address:#x} of thread {tid}"), source))
}

/// Starts it for `hits` hits, after which the kernel stops it. This works once: a breakpoint that has stopped itself
/// does not start again on every kernel (seen on 6.18).
///
/// # Errors
/// What the kernel says, ESRCH if the thread has gone.
pub fn arm(breakpoint: &Counter, hits: u32) -> std::io::Result<()> {
    use std::os::fd::AsRawFd;
    let fd = breakpoint.as_raw_fd();
    // SAFETY: an open perf event; the request takes a number.
    let result = unsafe { perf_event_open_sys::ioctls::REFRESH(fd, hits as libc::c_int) };
    if result < 0 { Err(std::io::Error::last_os_error()) } else { Ok(()) }
}
