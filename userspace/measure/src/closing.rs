//! Closing many counters without waiting for it.
//!
//! The last perf event of a tracepoint to be closed waits for a grace period of RCU and one of RCU tasks trace, 38 ms together
//! on the development machine, and holds a lock of the whole kernel meanwhile: thousands take minutes, however many threads
//! share the work. So a child takes them along and exits. The kernel closes them as it takes the child apart, in its own time;
//! there is no program and no memory left by then.
//!
//! Source: `perf_trace_event_unreg` and `perf_trace_destroy` (`event_mutex`) in `kernel/trace/trace_event_perf.c`.

use std::io;
use std::os::fd::{AsRawFd, RawFd};

/// What the child is called as long as there is something of it.
const NAME: &std::ffi::CStr = c"waytrace-close";

/// Leaves it to the kernel to close these, and returns at once.
///
/// # Errors
/// No child could be made; all are closed now, which has taken its time.
pub fn leave<T: AsRawFd>(counters: Vec<T>) -> io::Result<()> {
    // The last to let go is who waits: the grandchild, which therefore lets go when nobody else has this pipe's end.
    let (begin, last) = io::pipe()?;
    let mut kept: Vec<RawFd> = counters.iter().map(AsRawFd::as_raw_fd).collect();
    kept.push(begin.as_raw_fd());
    kept.sort_unstable();
    let others = others(&kept);
    // SAFETY: the child makes only system calls until it exits, whatever other threads held at the time of the fork.
    match unsafe { libc::fork() } {
        -1 => return Err(io::Error::last_os_error()),
        0 => be_between(&others, begin.as_raw_fd()),
        child => await_it(child)?,
    }
    drop(counters);
    drop(last);
    Ok(())
}

/// Ranges of descriptors that are not among these, which are ascending.
fn others(kept: &[RawFd]) -> Vec<(RawFd, RawFd)> {
    let mut ranges = Vec::with_capacity(kept.len() + 1);
    let mut next = 0;
    for fd in kept {
        if *fd > next {
            ranges.push((next, fd - 1));
        }
        next = fd.saturating_add(1);
    }
    ranges.push((next, RawFd::MAX));
    ranges
}

/// The child: makes the one that takes its time, which so is nobody's child that would have to wait for it.
fn be_between(others: &[(RawFd, RawFd)], begin: RawFd) -> ! {
    // SAFETY: as in `leave`; this process has one thread.
    match unsafe { libc::fork() } {
        // SAFETY: _exit has no preconditions.
        -1 => unsafe { libc::_exit(1) },
        0 => be_last(others, begin),
        // SAFETY: _exit has no preconditions.
        _ => unsafe { libc::_exit(0) },
    }
}

/// The grandchild: lets go of all else first, so that nobody waits for the end of a pipe or the release of a lock.
fn be_last(others: &[(RawFd, RawFd)], begin: RawFd) -> ! {
    // SAFETY: the name is a string that lives for ever.
    unsafe { libc::prctl(libc::PR_SET_NAME, NAME.as_ptr()) };
    for (first, last) in others {
        // SAFETY: close_range touches no memory of this process; nothing here uses these descriptors again.
        unsafe { libc::syscall(libc::SYS_close_range, *first, *last, 0) };
    }
    let mut byte = 0_u8;
    // SAFETY: read writes at most the one byte it is given, which lives through the call. Nobody ever writes one.
    unsafe { libc::read(begin, (&raw mut byte).cast(), 1) };
    // SAFETY: _exit has no preconditions.
    unsafe { libc::_exit(0) }
}

/// Waits for the child, which has only to make the grandchild.
fn await_it(child: libc::pid_t) -> io::Result<()> {
    let mut status = 0;
    // SAFETY: waitpid writes one int, which `status` is, and it lives through the call.
    while unsafe { libc::waitpid(child, &raw mut status, 0) } == -1 {
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    if status == 0 { Ok(()) } else { Err(io::Error::from(io::ErrorKind::OutOfMemory)) }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn what_is_left_behind_is_closed_in_the_end_and_nothing_else_is_held() {
        let (mut left, writer) = io::pipe().unwrap();
        let (mut own, own_writer) = io::pipe().unwrap();
        leave(vec![writer]).unwrap();
        assert_eq!(left.read(&mut [0]).unwrap(), 0);
        drop(own_writer);
        assert_eq!(own.read(&mut [0]).unwrap(), 0);
    }

    #[test]
    fn the_others_are_what_is_between() {
        assert_eq!(others(&[3, 4, 7]), [(0, 2), (5, 6), (8, RawFd::MAX)]);
        assert_eq!(others(&[0]), [(1, RawFd::MAX)]);
        assert_eq!(others(&[]), [(0, RawFd::MAX)]);
    }
}
