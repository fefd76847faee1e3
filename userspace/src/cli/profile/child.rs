//! A command waytrace starts: held at its first instruction until the probes are in place, and once more at its entry
//! point, when the dynamic loader has mapped its libraries and their addresses are known.

use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus};

use anyhow::Context as _;

use super::super::hold;

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
        unsafe { command.pre_exec(hold::trace_me) };
        let process = command.spawn().with_context(|| format!("cannot start `{program}`"))?;
        let child = Self { process, demo, held: true, status: None };
        hold::await_stop(child.pid()).with_context(|| format!("holding `{program}` at its start"))?;
        Ok(child)
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Lets the dynamic loader do its work, and holds the command again at its entry point. False where that cannot be
    /// done (no debug registers): then it is still held where it was.
    pub fn run_to_entry(&self) -> bool {
        hold::run_to_entry(self.pid())
    }

    /// Lets it run, no longer traced. One that has ended meanwhile is no error.
    pub fn release(&mut self) -> anyhow::Result<()> {
        if !std::mem::take(&mut self.held) {
            return Ok(());
        }
        match hold::release(self.pid(), 0) {
            Err(error) if error.raw_os_error() != Some(libc::ESRCH) => {
                Err(error).context("letting the command run")
            }
            _ => Ok(()),
        }
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
