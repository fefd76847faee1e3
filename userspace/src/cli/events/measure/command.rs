//! One execution of the command: started in a process group of its own, ended at its timeout, with all it left behind.
//!
//! It reads nothing and its output goes nowhere but stderr, for stdout is left to the result. Ends with waytrace.

use std::io;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{ExitStatus, Stdio};

use anyhow::Context as _;
use tokio::process::{Child, Command};
use waytrace_model::measured::EpochEnd;

/// A started execution. Its group is killed when it is dropped.
pub struct Execution {
    child: Child,
    group: libc::pid_t,
}

impl Execution {
    /// Starts the command.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(command: &[String]) -> anyhow::Result<Self> {
        let (program, arguments) = command.split_first().context("no command given after --")?;
        let mut command = std::process::Command::new(program);
        command.args(arguments).process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let parent = std::process::id();
        // SAFETY: the closure runs between fork and exec, allocates nothing and makes two async-signal-safe system calls.
        unsafe { command.pre_exec(move || die_with(parent)) };
        let child = Command::from(command).spawn().with_context(|| format!("cannot start `{program}`"))?;
        let group = child.id().context("the command has no process id")?.cast_signed();
        Ok(Self { child, group })
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// Whatever the kernel says.
    pub async fn wait(&mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// Ends it and what it started, unless that has left its process group.
    pub fn kill(&self) {
        // SAFETY: a signal passes no pointers. The group's number is its own as long as the child has not been waited for or
        // a member lives; an empty group gives ESRCH.
        unsafe { libc::kill(-self.group, libc::SIGKILL) };
    }
}

impl Drop for Execution {
    fn drop(&mut self) {
        self.kill();
    }
}

/// How an execution ended, and its code as a shell gives it.
pub fn end(status: ExitStatus, timed_out: bool) -> (EpochEnd, i32) {
    match (status.code(), status.signal()) {
        (Some(code), _) => (EpochEnd::Exit, code),
        (None, signal) => {
            (if timed_out { EpochEnd::Timeout } else { EpochEnd::Signal }, 128 + signal.unwrap_or(0))
        }
    }
}

/// In the child: to be killed when waytrace ends in whatever way.
fn die_with(parent: u32) -> io::Result<()> {
    // SAFETY: prctl and getppid take and give numbers only.
    let (result, parent_now) =
        unsafe { (libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL), libc::getppid()) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    // waytrace was gone before the request.
    if parent_now.cast_unsigned() == parent { Ok(()) } else { Err(io::Error::from_raw_os_error(libc::ESRCH)) }
}
