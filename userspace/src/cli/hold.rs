//! Holds a command that waytrace starts, at its first instruction and then at its entry point, where the dynamic loader has
//! mapped its libraries.
//!
//! The breakpoint is in the debug registers: the command's text stays as it is. Source: ptrace(2); SDM vol. 3, 18.2;
//! `struct user` of `sys/user.h`. All of it is done by the thread that started the command, for ptrace knows threads.

use std::io;

/// In the child between fork and exec: asks the kernel to stop it at its exec. Async-signal-safe.
///
/// # Errors
/// Whatever the kernel says.
pub fn trace_me() -> io::Result<()> {
    // SAFETY: PTRACE_TRACEME passes no pointers.
    if unsafe { libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Waits until the child stops.
///
/// # Errors
/// Whatever the kernel says, or that it has ended.
pub fn await_stop(pid: u32) -> io::Result<()> {
    let mut status = 0;
    // SAFETY: `status` is a valid place for the result; the child is ours and not yet waited for.
    let waited = unsafe { libc::waitpid(pid as libc::pid_t, &raw mut status, 0) };
    match waited {
        -1 => Err(io::Error::last_os_error()),
        _ if libc::WIFSTOPPED(status) => Ok(()),
        _ => Err(io::Error::other("it ended while it was to be held")),
    }
}

/// Lets the dynamic loader do its work, and stops the child again at its entry point. False where that cannot be done
/// (no debug registers): then it is still stopped where it was, or has ended.
pub fn run_to_entry(pid: u32) -> bool {
    let Some(entry) = entry_point(pid) else { return false };
    if !debug::break_at(pid, entry) {
        return false;
    }
    // SAFETY: continuing passes no pointers; the child is stopped and traced by this very thread.
    let continued = unsafe { libc::ptrace(libc::PTRACE_CONT, pid as libc::pid_t, 0, 0) } == 0;
    let stopped = continued && await_stop(pid).is_ok();
    debug::clear(pid);
    stopped
}

/// Traces it no longer, and lets it run, or meet a signal first: 0 is none, after SIGSTOP it waits for a SIGCONT.
///
/// # Errors
/// Whatever the kernel says, ESRCH if it has ended.
pub fn release(pid: u32, signal: libc::c_int) -> io::Result<()> {
    // SAFETY: detaching passes no pointers; the child is stopped and traced by this very thread.
    if unsafe { libc::ptrace(libc::PTRACE_DETACH, pid as libc::pid_t, 0, signal) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// `AT_ENTRY` of the auxiliary vector: where the program itself begins.
fn entry_point(pid: u32) -> Option<u64> {
    const AT_ENTRY: u64 = 9;
    let vector = std::fs::read(format!("/proc/{pid}/auxv")).ok()?;
    let words: Vec<u64> =
        vector.chunks_exact(8).filter_map(|word| word.try_into().ok()).map(u64::from_ne_bytes).collect();
    words.chunks_exact(2).find_map(|pair| match pair {
        [AT_ENTRY, entry] => Some(*entry),
        _ => None,
    })
}

#[cfg(target_arch = "x86_64")]
mod debug {
    const ADDRESS: usize = std::mem::offset_of!(libc::user, u_debugreg);
    const CONTROL: usize = ADDRESS + 7 * size_of::<u64>();
    /// DR7: breakpoint 0 enabled for this task, on execution.
    const ENABLE: u64 = 1;

    fn poke(pid: u32, offset: usize, value: u64) -> bool {
        // SAFETY: POKEUSER writes the child's debug registers, at an offset within its `struct user`.
        unsafe { libc::ptrace(libc::PTRACE_POKEUSER, pid as libc::pid_t, offset, value) == 0 }
    }

    pub fn break_at(pid: u32, address: u64) -> bool {
        poke(pid, ADDRESS, address) && poke(pid, CONTROL, ENABLE)
    }

    pub fn clear(pid: u32) {
        // A child that has ended has no registers to clear.
        poke(pid, CONTROL, 0);
        poke(pid, ADDRESS, 0);
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod debug {
    pub fn break_at(_pid: u32, _address: u64) -> bool {
        false
    }

    pub fn clear(_pid: u32) {}
}
