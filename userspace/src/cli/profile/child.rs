//! A command waytrace starts: held at its first instruction until the probes are in place, and once more at its entry
//! point, when the dynamic loader has mapped its libraries and their addresses are known.

use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus};

use anyhow::Context as _;

/// A started command.
pub struct Child {
    process: std::process::Child,
    /// It is a demonstration and ends with the run.
    demo: bool,
    held: bool,
    status: Option<ExitStatus>,
}

impl Child {
    /// Starts a command and stops it at its first instruction, by asking the kernel to stop it at its exec.
    /// A demonstration prints to stderr, for stdout is left to the results, and ends with the run.
    pub fn start(command: &[String], demo: bool) -> anyhow::Result<Self> {
        let (program, arguments) = command.split_first().context("no command given after --")?;
        let mut command = Command::new(program);
        command.args(arguments);
        if demo {
            command.stdout(io::stderr());
        }
        // SAFETY: the closure runs between fork and exec and makes one system call, which is async-signal-safe.
        unsafe { command.pre_exec(trace_me) };
        let process = command.spawn().with_context(|| format!("cannot start `{program}`"))?;
        let child = Self { process, demo, held: true, status: None };
        child.wait_for_stop().with_context(|| format!("holding `{program}` at its start"))?;
        Ok(child)
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    fn wait_for_stop(&self) -> io::Result<()> {
        let mut status = 0;
        // SAFETY: `status` is a valid place for the result; the child is ours and not yet waited for.
        let waited = unsafe { libc::waitpid(self.pid() as libc::pid_t, &raw mut status, 0) };
        match waited {
            -1 => Err(io::Error::last_os_error()),
            _ if libc::WIFSTOPPED(status) => Ok(()),
            _ => Err(io::Error::other("it ended before its first instruction")),
        }
    }

    /// Lets the dynamic loader do its work, and holds the command again at its entry point. False where that cannot be
    /// done (no debug registers): then it is still held where it was.
    pub fn run_to_entry(&self) -> bool {
        let Some(entry) = entry_point(self.pid()) else { return false };
        if !debug::break_at(self.pid(), entry) {
            return false;
        }
        // SAFETY: continuing passes no pointers; the child is stopped and traced by this very thread.
        let continued = unsafe { libc::ptrace(libc::PTRACE_CONT, self.pid() as libc::pid_t, 0, 0) } == 0;
        let stopped = continued && self.wait_for_stop().is_ok();
        debug::clear(self.pid());
        stopped
    }

    /// Lets it run, no longer traced. One that has ended meanwhile is no error.
    pub fn release(&mut self) -> anyhow::Result<()> {
        if !std::mem::take(&mut self.held) {
            return Ok(());
        }
        // SAFETY: detaching passes no pointers; the child is stopped and traced by this very thread.
        let result = unsafe { libc::ptrace(libc::PTRACE_DETACH, self.pid() as libc::pid_t, 0, 0) };
        let error = io::Error::last_os_error();
        if result < 0 && error.raw_os_error() != Some(libc::ESRCH) {
            return Err(error).context("letting the command run");
        }
        Ok(())
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        if self.status.is_none() {
            self.status = self.process.try_wait().ok().flatten();
        }
        self.status.is_some()
    }

    /// After the run: ends a demonstration, and with `patient` waits for a command that still runs.
    pub fn conclude(&mut self, patient: bool) {
        if self.demo && !self.has_ended() {
            // SAFETY: a signal to a child of ours that has not been waited for, so that its id is still its own.
            unsafe { libc::kill(self.pid() as libc::pid_t, libc::SIGTERM) };
        }
        if self.demo || patient {
            self.status = self.status.or_else(|| self.process.wait().ok());
        }
    }

    /// Its exit code as a shell gives it: 128 and the signal's number if a signal ended it; `None` while it runs.
    pub fn exit_code(&mut self) -> Option<i32> {
        self.has_ended();
        self.status.map(|status| status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0)))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.held {
            // It has not run a single instruction: nothing is lost by ending it with the failed start.
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }
}

fn trace_me() -> io::Result<()> {
    // SAFETY: PTRACE_TRACEME passes no pointers.
    if unsafe { libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// `AT_ENTRY` of the auxiliary vector: where the program itself begins.
fn entry_point(pid: u32) -> Option<u64> {
    const AT_ENTRY: u64 = 9;
    let vector = std::fs::read(format!("/proc/{pid}/auxv")).ok()?;
    let word = |bytes: &[u8]| bytes.first_chunk().map(|word| u64::from_ne_bytes(*word));
    vector
        .chunks_exact(16)
        .find_map(|pair| (word(&pair[..8])? == AT_ENTRY).then(|| word(&pair[8..])).flatten())
}

/// One execution breakpoint in the debug registers of a stopped child: its text stays as it is.
/// Source: SDM vol. 3, 18.2; `struct user` of `sys/user.h`.
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
