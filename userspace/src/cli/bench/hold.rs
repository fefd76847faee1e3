//! Holds a started command at its entry point, stopped and no longer traced, for another process to attach to.
//!
//! The breakpoint is in the debug registers: its text stays as it is. Source: ptrace(2); SDM vol. 3, 18.2; `struct user`
//! of `sys/user.h`. Where there are no debug registers the command is held at its first instruction instead.

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

/// In its parent: waits for that stop, lets the dynamic loader do its work, and leaves the command stopped. A SIGCONT lets
/// it run.
///
/// # Errors
/// Whatever the kernel says, or that the command has ended.
pub fn at_entry(pid: libc::pid_t) -> io::Result<()> {
    await_stop(pid)?;
    let broken = entry_point(pid).is_some_and(|entry| debug::break_at(pid, entry));
    if broken {
        // SAFETY: continuing passes no pointers; the child is stopped and traced by this very thread.
        if unsafe { libc::ptrace(libc::PTRACE_CONT, pid, 0, 0) } < 0 {
            return Err(io::Error::last_os_error());
        }
        await_stop(pid)?;
        debug::clear(pid);
    }
    // SAFETY: detaching passes no pointers; the child is stopped and traced by this very thread.
    if unsafe { libc::ptrace(libc::PTRACE_DETACH, pid, 0, libc::SIGSTOP) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

fn await_stop(pid: libc::pid_t) -> io::Result<()> {
    let mut status = 0;
    // SAFETY: `status` is a valid place for the result; the child is ours and not yet waited for.
    let waited = unsafe { libc::waitpid(pid, &raw mut status, 0) };
    match waited {
        -1 => Err(io::Error::last_os_error()),
        _ if libc::WIFSTOPPED(status) => Ok(()),
        _ => Err(io::Error::other("it ended before its entry point")),
    }
}

/// `AT_ENTRY` of the auxiliary vector: where the program itself begins.
fn entry_point(pid: libc::pid_t) -> Option<u64> {
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

    fn poke(pid: libc::pid_t, offset: usize, value: u64) -> bool {
        // SAFETY: POKEUSER writes the child's debug registers, at an offset within its `struct user`.
        unsafe { libc::ptrace(libc::PTRACE_POKEUSER, pid, offset, value) == 0 }
    }

    pub fn break_at(pid: libc::pid_t, address: u64) -> bool {
        poke(pid, ADDRESS, address) && poke(pid, CONTROL, ENABLE)
    }

    pub fn clear(pid: libc::pid_t) {
        // A child that has ended has no registers to clear.
        poke(pid, CONTROL, 0);
        poke(pid, ADDRESS, 0);
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod debug {
    pub fn break_at(_pid: libc::pid_t, _address: u64) -> bool {
        false
    }

    pub fn clear(_pid: libc::pid_t) {}
}
