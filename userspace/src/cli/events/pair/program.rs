//! A program in its seat: what is started there, watched until it ends, and as an antagonist started again.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use waytrace_hw::Root;
use waytrace_hw::topology::format_list;
use waytrace_model::bench::{Collect, Mode, Placement, Workload};
use waytrace_model::pairing::PairProgram;

use super::guard::Guard;
use crate::cli::bench::command::{Account, Process};
use crate::cli::bench::placement::Placed;
use crate::cli::bench::signals::Signals;

/// What to start, and where.
#[derive(Clone)]
pub struct Seated {
    workload: Workload,
    placed: Placed,
}

impl Seated {
    /// A program on these CPUs.
    ///
    /// # Errors
    /// A CPU that is not there.
    pub fn new(
        root: &Root,
        program: &PairProgram,
        arguments: &[String],
        cpus: &[u32],
        folder: &Path,
    ) -> anyhow::Result<Self> {
        let placement = Placement { cpus: Some(format_list(cpus)), ..Placement::default() };
        let mode = Mode {
            name: program.name.clone(),
            profile: false,
            collect: Collect::default(),
            placement,
            optional: false,
        };
        Ok(Self {
            workload: workload(program, arguments, cpus, folder),
            placed: Placed::resolve(root, &mode)?,
        })
    }

    /// Ended after this time, as people write durations.
    pub fn with_timeout(mut self, timeout: Option<String>) -> Self {
        self.workload.timeout = timeout;
        self
    }

    /// The command line.
    pub fn command(&self) -> String {
        self.workload.command.join(" ")
    }

    /// Starts it.
    ///
    /// # Errors
    /// It cannot be started, or not be placed.
    pub fn start<'g>(&self, guard: &'g Guard) -> anyhow::Result<Running<'g>> {
        let process = Process::start(&self.workload, &self.placed, false)?.sweeping();
        guard.watch(process.pid());
        Ok(Running { process, guard })
    }
}

/// Substitutes what stands for the seat's size and the manifest's directory.
fn workload(program: &PairProgram, arguments: &[String], cpus: &[u32], folder: &Path) -> Workload {
    let threads = cpus.len().to_string();
    let folder = folder.to_string_lossy();
    let filled = |text: &String| text.replace("$NUM_THREADS", &threads).replace("$MANIFEST_DIR", &folder);
    let mut env = std::collections::BTreeMap::new();
    let mut set = |name: &str, value: String| drop(env.insert(name.to_owned(), value));
    if program.openmp {
        let places: Vec<String> = cpus.iter().map(|cpu| format!("{{{cpu}}}")).collect();
        set("OMP_NUM_THREADS", threads.clone());
        set("OMP_PROC_BIND", "true".to_owned());
        set("OMP_PLACES", places.join(","));
    }
    if program.parsec {
        set("PARSEC_CPU_NUM", threads.clone());
        set("PARSEC_CPU_BASE", cpus.first().copied().unwrap_or(0).to_string());
    }
    env.extend(program.env.iter().map(|(name, value)| (name.clone(), filled(value))));
    Workload {
        name: program.name.clone(),
        command: std::iter::once(&program.binary).chain(arguments).map(filled).collect(),
        cwd: Some(filled(&program.working_dir)),
        env,
        timeout: None,
    }
}

/// That a program can be started at all, before any is.
///
/// # Errors
/// Its directory or its file is missing.
pub fn check(program: &PairProgram, folder: &Path) -> anyhow::Result<()> {
    let workload = workload(program, &[], &[], folder);
    let (binary, cwd) = (workload.command.concat(), workload.cwd.unwrap_or_default());
    let name = &program.name;
    ensure!(Path::new(&cwd).is_dir(), "program `{name}`: `working_dir` {cwd} is no directory");
    let path =
        program.env.get("PATH").cloned().map_or_else(|| std::env::var_os("PATH"), |path| Some(path.into()));
    let found = if binary.contains('/') {
        Path::new(&cwd).join(&binary).is_file()
    } else {
        path.is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(&binary).is_file()))
    };
    let mend = "a path is relative to `working_dir`, a mere name is looked up in PATH";
    ensure!(found, "program `{name}`: there is no `{binary}`; {mend}");
    Ok(())
}

/// A started program, killed with its process group when dropped.
pub struct Running<'g> {
    process: Process,
    guard: &'g Guard,
}

impl Running<'_> {
    /// Its account, if it has ended.
    ///
    /// # Errors
    /// Whatever the kernel says.
    pub fn poll(&mut self) -> anyhow::Result<Option<Account>> {
        self.process.poll()
    }

    /// How long to wait at most before looking again.
    pub fn look(&self) -> Duration {
        self.process.look()
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.process.end();
        self.guard.forget(self.process.pid());
    }
}

/// A program beside the measured one, started again whenever it ends.
pub struct Antagonist<'g> {
    seated: Seated,
    guard: &'g Guard,
    running: Running<'g>,
    restarts: u64,
}

impl<'g> Antagonist<'g> {
    /// Starts it.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(seated: Seated, guard: &'g Guard) -> anyhow::Result<Self> {
        let running = seated.start(guard)?;
        Ok(Self { seated, guard, running, restarts: 0 })
    }

    /// Starts it again if it has ended. What went wrong if it did not end well: beside a program that fails again and
    /// again there is nothing to measure.
    ///
    /// # Errors
    /// It cannot be started again.
    pub fn keep(&mut self) -> anyhow::Result<Option<String>> {
        let Some(account) = self.running.poll()? else { return Ok(None) };
        if account.exit_code != 0 {
            let name = &self.seated.workload.name;
            return Ok(Some(format!("antagonist `{name}` failed with exit code {}", account.exit_code)));
        }
        self.running = self.seated.start(self.guard).context("starting the antagonist again")?;
        self.restarts += 1;
        Ok(None)
    }

    /// Lets it run for a while. `None`: somebody asked for the end; else what went wrong, if anything did.
    ///
    /// # Errors
    /// It cannot be started again.
    pub fn warm_up(
        &mut self,
        time: Duration,
        signals: &mut Signals,
    ) -> anyhow::Result<Option<Option<String>>> {
        let from = Instant::now();
        loop {
            if signals.interrupted() {
                return Ok(None);
            }
            if let Some(problem) = self.keep()? {
                return Ok(Some(Some(problem)));
            }
            let left = time.saturating_sub(from.elapsed());
            if left.is_zero() {
                self.restarts = 0;
                return Ok(Some(None));
            }
            signals.wait(left.min(self.running.look()));
        }
    }

    /// How often it was started again since it was warm.
    pub fn restarts(&self) -> u64 {
        self.restarts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(script: &str) -> PairProgram {
        PairProgram {
            name: "p".to_owned(),
            binary: "sh".to_owned(),
            arguments: vec!["-c".to_owned(), script.to_owned()],
            antagonist_arguments: Vec::new(),
            working_dir: "$MANIFEST_DIR".to_owned(),
            env: [("OF".to_owned(), "$NUM_THREADS in $MANIFEST_DIR".to_owned())].into(),
            alone: true,
            openmp: true,
            parsec: true,
        }
    }

    #[test]
    fn the_seat_is_told_in_every_way() {
        let one = workload(
            &program("x $NUM_THREADS"),
            &["$NUM_THREADS$NUM_THREADS".to_owned()],
            &[4, 7],
            Path::new("/m"),
        );
        assert_eq!(one.command, ["sh", "22"]);
        assert_eq!(one.cwd.as_deref(), Some("/m"));
        let told = ["OMP_NUM_THREADS", "OMP_PLACES", "PARSEC_CPU_NUM", "PARSEC_CPU_BASE", "OF"]
            .map(|name| one.env[name].as_str());
        assert_eq!(told, ["2", "{4},{7}", "2", "4", "2 in /m"]);
    }

    #[test]
    fn what_is_not_there_is_named() {
        let check = |binary: &str, dir: &str| {
            let one = PairProgram { binary: binary.to_owned(), working_dir: dir.to_owned(), ..program("") };
            check(&one, Path::new("/usr")).map_err(|error| error.to_string())
        };
        assert_eq!(check("sh", "/"), Ok(()));
        assert!(check("no-such-program-here", "/").unwrap_err().contains("looked up in PATH"));
        assert!(check("./no/such", "/").unwrap_err().contains("`./no/such`"));
        assert!(check("sh", "$MANIFEST_DIR/no/such").unwrap_err().contains("/usr/no/such is no directory"));
    }

    /// It leaves a mark each time it is started: one more than it was started again.
    #[test]
    fn an_antagonist_that_ends_is_started_again_and_counted() {
        let place = tempfile::tempdir().unwrap();
        let mut signals = Signals::block().unwrap();
        let guard = Guard::start().unwrap();
        let again = program("echo >> marks");
        let seated =
            Seated::new(&Root::default(), &again, &again.arguments, &[first_cpu()], place.path()).unwrap();
        let mut antagonist = Antagonist::start(seated, &guard).unwrap();
        while antagonist.restarts() < 3 {
            assert_eq!(antagonist.keep().unwrap(), None);
            signals.wait(antagonist.running.look());
        }
        let marks =
            || std::fs::read_to_string(place.path().join("marks")).unwrap_or_default().lines().count();
        assert!((3..=4).contains(&marks()), "the fourth may not have come to it yet: {}", marks());
        assert_eq!(antagonist.warm_up(Duration::ZERO, &mut signals).unwrap(), Some(None));
        assert_eq!(antagonist.restarts(), 0, "what it did before is not counted");
    }

    #[test]
    fn an_antagonist_that_fails_is_a_problem() {
        let mut signals = Signals::block().unwrap();
        let guard = Guard::start().unwrap();
        let bad = program("exit 3");
        let seated =
            Seated::new(&Root::default(), &bad, &bad.arguments, &[first_cpu()], Path::new("/")).unwrap();
        let mut antagonist = Antagonist::start(seated, &guard).unwrap();
        let problem = antagonist.warm_up(Duration::from_secs(3600), &mut signals).unwrap().unwrap().unwrap();
        assert!(problem.contains("`p` failed with exit code 3"), "{problem}");
    }

    fn first_cpu() -> u32 {
        waytrace_hw::topology::cpus_online(&Root::default()).unwrap()[0]
    }
}
