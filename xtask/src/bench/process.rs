//! A process that a benchmark started: its lines as they come, its end, and what the kernel says it used.

use super::cpus;
use anyhow::{Context as _, Result, bail};
use std::io::{self, BufRead as _, BufReader, Read, Write as _};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Far beyond what anything here takes.
const PATIENCE: Duration = Duration::from_secs(120);

/// A running process; killed when dropped.
pub struct Process {
    pid: u32,
    name: String,
    started: Instant,
    stdin: Option<ChildStdin>,
    /// Lines of both streams.
    lines: Receiver<String>,
    /// All of standard output, line ends included.
    stdout: Option<JoinHandle<String>>,
    seen: Vec<String>,
    is_reaped: bool,
}

/// What is left of a process.
pub struct Finished {
    pub stdout: String,
    /// Lines of both streams in the order they came.
    pub lines: Vec<String>,
    pub success: bool,
    /// User and system time, that of waited-for children included.
    pub cpu_ns: u64,
    pub peak_rss_bytes: u64,
}

impl Process {
    /// Starts the command on `cpu`, with its streams piped.
    pub fn start(command: &mut Command, cpu: Option<usize>) -> Result<Self> {
        let program = command.get_program().to_string_lossy().into_owned();
        let name = program.rsplit('/').next().unwrap_or_default().to_owned();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let started = Instant::now();
        let mut child =
            cpus::prepare(command, cpu).spawn().with_context(|| format!("cannot start {program}"))?;
        let (sender, lines) = channel();
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let stderr_sender = sender.clone();
        let stdout = thread::spawn(move || out.map(|out| forward(out, &sender)).unwrap_or_default());
        thread::spawn(move || err.map(|err| forward(err, &stderr_sender)));
        let stdin = child.stdin.take();
        Ok(Self {
            pid: child.id(),
            name,
            started,
            stdin,
            lines,
            stdout: Some(stdout),
            seen: Vec::new(),
            is_reaped: false,
        })
    }

    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The next line that `wanted` accepts, and how long after the start it came.
    pub fn wait_for(&mut self, wanted: impl Fn(&str) -> bool) -> Result<(String, Duration)> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.recv_timeout(left) else {
                bail!("{} did not say what it should; it said: {}", self.name, self.seen.join(" | "));
            };
            self.seen.push(line.clone());
            if wanted(&line) {
                return Ok((line, self.started.elapsed()));
            }
        }
    }

    /// Sends an empty line to its standard input.
    pub fn enter(&mut self) -> Result<()> {
        let Some(stdin) = &mut self.stdin else { bail!("{} has no standard input", self.name) };
        writeln!(stdin).with_context(|| format!("{} does not read", self.name))
    }

    /// Ends it as Ctrl-C does.
    pub fn interrupt(&self) {
        self.signal(libc::SIGINT);
    }

    /// Sends a signal.
    pub fn signal(&self, signal: libc::c_int) {
        if !self.is_reaped {
            // SAFETY: passes numbers only; a child that is not yet waited for keeps its pid.
            unsafe { libc::kill(self.pid as libc::pid_t, signal) };
        }
    }

    /// Waits for its end.
    pub fn finish(mut self) -> Result<Finished> {
        self.stdin = None;
        let reader = self.stdout.take();
        let stdout = reader.and_then(|reader| reader.join().ok()).unwrap_or_default();
        let (status, usage) = self.reap()?;
        let time_ns = |time: libc::timeval| time.tv_sec as u64 * 1_000_000_000 + time.tv_usec as u64 * 1000;
        let mut lines = std::mem::take(&mut self.seen);
        lines.extend(self.lines.iter());
        Ok(Finished {
            stdout,
            lines,
            success: libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0,
            cpu_ns: time_ns(usage.ru_utime) + time_ns(usage.ru_stime),
            peak_rss_bytes: usage.ru_maxrss as u64 * 1024,
        })
    }

    fn reap(&mut self) -> Result<(libc::c_int, libc::rusage)> {
        let mut status = 0;
        // SAFETY: a usage is plain numbers, for which all zeroes is a value.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        // SAFETY: both are valid places for the results; the child is ours and not yet waited for.
        let pid = unsafe { libc::wait4(self.pid as libc::pid_t, &raw mut status, 0, &raw mut usage) };
        if pid < 0 {
            return Err(io::Error::last_os_error()).with_context(|| format!("waiting for {}", self.name));
        }
        self.is_reaped = true;
        Ok((status, usage))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.is_reaped {
            self.signal(libc::SIGKILL);
            // The benchmark fails for a reason of its own already.
            let _ = self.reap();
        }
    }
}

impl Finished {
    /// Why it failed: the last line that calls itself an error, else the last line.
    pub fn complaint(&self) -> &str {
        let is_error = |line: &&String| {
            ["error:", "waytrace: "].iter().any(|begin| line.to_lowercase().starts_with(begin))
        };
        let last_line = || self.lines.iter().rev().find(|line| !line.trim().is_empty());
        self.lines.iter().rev().find(is_error).or_else(last_line).map_or("", |line| line.trim())
    }
}

/// Sends lines on as they come; all of them when the stream ends.
fn forward(stream: impl Read, to: &std::sync::mpsc::Sender<String>) -> String {
    let mut all = String::new();
    for line in BufReader::new(stream).lines().map_while(Result::ok) {
        all.push_str(&line);
        all.push('\n');
        // Nobody may listen any more; the stream is read to its end all the same, or its writer would block.
        let _ = to.send(line);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(line: &str) -> Process {
        Process::start(Command::new("sh").args(["-c", line]), None).unwrap()
    }

    #[test]
    fn lines_come_while_it_runs_and_the_rest_at_its_end() {
        let mut process = shell("echo ready >&2; read x; echo done");
        assert_eq!(process.wait_for(|line| line == "ready").unwrap().0, "ready");
        process.enter().unwrap();
        let finished = process.finish().unwrap();
        assert_eq!((finished.stdout.as_str(), finished.success), ("done\n", true));
        assert!(finished.peak_rss_bytes > 100_000);
    }

    #[test]
    fn one_that_says_something_else_is_an_error_that_quotes_it() {
        let mut process = shell("echo oops");
        let error = process.wait_for(|line| line == "ready").unwrap_err();
        assert!(error.to_string().contains("oops"), "{error}");
    }

    #[test]
    fn it_complains_with_its_error_or_else_its_last_words() {
        let complaint = |line| shell(line).finish().unwrap().complaint().to_owned();
        assert_eq!(complaint("echo 'error: no such level'; echo 'Usage: x'; echo"), "error: no such level");
        assert_eq!(complaint("echo one; echo two"), "two");
        assert_eq!(complaint("true"), "");
    }

    #[test]
    fn an_interrupt_ends_it_without_success() {
        let mut process = shell("echo ready; exec sleep 60");
        process.wait_for(|line| line == "ready").unwrap();
        process.interrupt();
        assert!(!process.finish().unwrap().success);
    }
}
