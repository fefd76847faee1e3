//! A running workload: started, waiting to be told to go, asked for its truth.

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};

use waytrace_tests::build::{BuildError, Variant};

use super::pipes::Lines;
use super::truth::Truth;

/// How to start a workload.
pub struct Start {
    command: Command,
}

/// A workload, killed when dropped.
pub struct Workload {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Lines,
}

impl Start {
    /// Builds `workloads/<file>`.
    ///
    /// # Errors
    /// Where the machine has no compiler for it: the reason to skip. A workload that does not compile is a failure.
    pub fn plain(file: &str) -> Result<Self, String> {
        Self::variant(file, Variant::Plain)
    }

    /// Builds it in another way.
    ///
    /// # Errors
    /// As [`Self::plain`].
    pub fn variant(file: &str, variant: Variant) -> Result<Self, String> {
        match waytrace_tests::build::workload(file, variant) {
            Ok(path) => Ok(Self::program(&path)),
            Err(error @ BuildError::NoTool { .. }) => Err(error.to_string()),
            Err(error) => panic!("{error}"),
        }
    }

    /// Any program that speaks the protocol.
    pub fn program(path: &Path) -> Self {
        Self { command: Command::new(path) }
    }

    /// The program alone, for others to start.
    pub fn path(&self) -> PathBuf {
        self.command.get_program().into()
    }

    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    pub fn args(mut self, args: &[&str]) -> Self {
        self.command.args(args);
        self
    }

    pub fn preload(mut self, library: &Path) -> Self {
        self.command.env("LD_PRELOAD", library);
        self
    }

    /// Starts it and waits for `ready`.
    pub fn spawn(mut self) -> Workload {
        self.command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = self.command.spawn().unwrap();
        let lines = Lines::of(child.stdout.take().unwrap());
        let mut workload = Workload { stdin: child.stdin.take(), child, lines };
        workload.expect("ready");
        workload
    }
}

impl Workload {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The process's name as the kernel has it.
    pub fn comm(&self) -> String {
        std::fs::read_to_string(format!("/proc/{}/comm", self.pid())).unwrap().trim().to_owned()
    }

    /// Lets it go on: from `ready` to its work, from a step to the next, from `truth` to its end.
    pub fn go(&mut self) {
        self.stdin.as_mut().unwrap().write_all(b"go\n").unwrap();
    }

    /// Waits for a line that begins with `word` and gives back the rest of it.
    pub fn expect(&mut self, word: &str) -> String {
        let line = self.line_where(word, |line| line.split(' ').next() == Some(word));
        line[word.len()..].trim_start().to_owned()
    }

    /// Waits for a line that begins so.
    pub fn line_starting(&mut self, start: &str) -> String {
        self.line_where(start, |line| line.starts_with(start))
    }

    fn line_where(&mut self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let found = self.lines.wait_for(wanted);
        found.unwrap_or_else(|| panic!("no `{what}` from the workload, only {:?}", self.lines.seen))
    }

    /// Waits for the end of the work.
    pub fn truth(&mut self) -> Truth {
        Truth::parse(&self.expect("truth"))
    }

    /// Lets it end and waits for that.
    pub fn quit(mut self) -> ExitStatus {
        self.stdin = None;
        self.child.wait().unwrap()
    }

    /// Ends it at once, and waits for that.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

impl Drop for Workload {
    fn drop(&mut self) {
        // It may have ended; either way nothing is left behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
