//! `waytrace profile` in a process of its own, attached to a held workload: its CPU time and memory are not the workload's,
//! and every repetition is a run like any other.

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use waytrace_model::bench::{Collect, Mode};

use super::command::die_with;
use super::signals::{self, Signals};

/// How often Ctrl-C is looked for while waytrace attaches.
const LOOK: Duration = Duration::from_millis(50);

/// The attached process.
pub struct Profiler {
    process: Child,
    lines: Receiver<String>,
    last: String,
}

impl Profiler {
    /// Attaches to `pid` and waits until everything is in place. `None`: somebody asked for the end.
    ///
    /// # Errors
    /// What `waytrace profile` says.
    pub fn attach(
        pid: u32,
        mode: &Mode,
        name: &str,
        database: &Path,
        signals: &mut Signals,
    ) -> anyhow::Result<Option<Self>> {
        let mut command = command(&mode.collect, database)?;
        command.args(["--name", name, "--pid", &pid.to_string()]);
        let mut profiler = Self::start(&mut command)?;
        loop {
            match profiler.lines.recv_timeout(LOOK) {
                Ok(line) if line.starts_with("waytrace: attached to ") => return Ok(Some(profiler)),
                Ok(line) => profiler.last = line,
                Err(RecvTimeoutError::Disconnected) => {
                    let problem = profiler.finish()?.unwrap_or_else(|| "it ended without a word".to_owned());
                    bail!("mode `{}`: waytrace cannot attach: {problem}", mode.name);
                }
                Err(RecvTimeoutError::Timeout) if signals.interrupted() => {
                    profiler.interrupt();
                    profiler.finish()?;
                    return Ok(None);
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    fn start(command: &mut Command) -> anyhow::Result<Self> {
        let parent = std::process::id();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).process_group(0);
        let prepare = move || {
            signals::unblock()?;
            // Killed with us it would leave its run without an end.
            die_with(parent, libc::SIGTERM)
        };
        // SAFETY: the closure runs between fork and exec, allocates nothing and makes async-signal-safe system calls.
        unsafe { command.pre_exec(prepare) };
        let mut process = command.spawn().context("starting `waytrace profile`")?;
        let stderr = process.stderr.take().context("its stderr is a pipe")?;
        Ok(Self { process, lines: lines(stderr), last: String::new() })
    }

    fn interrupt(&self) {
        // SAFETY: a signal passes no pointers; the child has not been waited for, so its id is still its own.
        unsafe { libc::kill(self.process.id().cast_signed(), libc::SIGINT) };
    }

    /// Waits for its end, which follows that of the workload; what it complained about if the run is not complete.
    ///
    /// # Errors
    /// Whatever the kernel says.
    pub fn finish(mut self) -> anyhow::Result<Option<String>> {
        for line in &self.lines {
            self.last = line;
        }
        let status = self.process.wait().context("waiting for `waytrace profile`")?;
        let said = self.last.trim_start_matches("waytrace: ").to_owned();
        Ok((!status.success()).then(|| if said.is_empty() { status.to_string() } else { said }))
    }
}

/// Tries a mode on waytrace itself, into a database that goes away: rights, events and ranges, before anything else runs.
///
/// # Errors
/// What `waytrace profile` says.
pub fn trial(mode: &Mode) -> anyhow::Result<()> {
    let folder = std::env::temp_dir().join(format!("waytrace-bench-{}", std::process::id()));
    std::fs::create_dir(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let tried = try_in(&folder, mode);
    let removed = std::fs::remove_dir_all(&folder).with_context(|| format!("removing {}", folder.display()));
    tried.and(removed)
}

fn try_in(folder: &Path, mode: &Mode) -> anyhow::Result<()> {
    let mut command = command(&mode.collect, &folder.join("runs.db"))?;
    command.arg("--").arg(own()?).arg("--version");
    match Profiler::start(&mut command)?.finish()? {
        None => Ok(()),
        Some(problem) => Err(anyhow!("mode `{}`: {problem}", mode.name)),
    }
}

fn own() -> anyhow::Result<PathBuf> {
    std::env::current_exe().context("finding waytrace's own program")
}

fn command(collect: &Collect, database: &Path) -> anyhow::Result<Command> {
    let mut command = Command::new(own()?);
    command.arg("profile").arg("--db").arg(database).args(options(collect));
    command.env_remove("WAYTRACE_LOG");
    Ok(command)
}

/// As they are typed.
fn options(collect: &Collect) -> Vec<String> {
    let freq = collect.freq.map(|freq| freq.to_string());
    let valued = [
        ("collect", collect.collect.as_ref().map(|list| list.join(","))),
        ("events", collect.events.as_ref().map(|list| list.join(","))),
        ("freq", freq),
        ("budget", collect.budget.clone()),
        ("interval", collect.interval.clone()),
    ];
    let valued = valued.into_iter().filter_map(|(name, value)| Some(format!("--{name}={}", value?)));
    let flags = [("--exact", collect.exact), ("--follow-forks", collect.follow_forks)];
    let flags = flags.into_iter().filter(|(_, given)| *given).map(|(flag, _)| flag.to_owned());
    valued.chain(flags).collect()
}

fn lines(stderr: ChildStderr) -> Receiver<String> {
    let (said, lines) = channel();
    std::thread::spawn(move || {
        let texts = BufReader::new(stderr).lines().map_while(Result::ok);
        for line in texts.filter(|line| !line.trim().is_empty()) {
            // Read to its end even when nobody listens: a full pipe would stop it.
            let _ = said.send(line);
        }
    });
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_those_of_profile() {
        let collect = Collect {
            collect: Some(vec!["allocations".to_owned(), "accesses".to_owned()]),
            freq: Some(300.0),
            exact: true,
            ..Collect::default()
        };
        assert_eq!(options(&collect), ["--collect=allocations,accesses", "--freq=300", "--exact"]);
        assert!(options(&Collect::default()).is_empty());
    }
}
