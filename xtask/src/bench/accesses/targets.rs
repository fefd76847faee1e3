//! The programs whose accesses are sampled: those of known truth, and some that everybody has.

use super::super::context::Context;
use super::super::peers;
use super::super::process::Process;
use super::super::servers::Redis;
use super::programs;
use super::truth::Truth;
use anyhow::{Context as _, Result, bail, ensure};
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

/// A program to sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// A file of `tests/workloads` and its pattern: tells what it did.
    Known(&'static str, &'static str),
    /// Looks up rows of a table in memory by a skewed key.
    Sqlite,
    /// Counts up fields of objects chosen by a skewed key.
    Python,
    /// redis-server under redis-benchmark.
    Redis,
    /// gzip, fed with this waytrace over and over.
    Gzip,
}

/// Bytes that gzip is fed before they repeat.
const GZIP_BYTES: usize = 64 << 20;

/// Far longer than a shell takes to become another program.
const PATIENCE: Duration = Duration::from_secs(10);

/// A program started, with address space randomisation off; ended when dropped.
pub struct Target {
    process: Process,
    /// What keeps it busy.
    _load: Option<Process>,
    /// Where a known program counts its rounds.
    rounds_at: Option<u64>,
}

impl Target {
    /// Starts it. A known program waits for [`Self::go`] and then works for so many seconds, 0 for ever; others work
    /// already.
    pub fn start(context: &Context, program: Program, seconds: u64) -> Result<Self> {
        match program {
            Program::Redis => return redis(context),
            Program::Gzip => return gzip(context),
            _ => {}
        }
        let mut command = Command::new("setarch");
        command.arg("-R").args(words(context, program, seconds, None)?).envs(environment(program));
        command.envs(VALGRINDS_OWN);
        let mut process = Process::start(&mut command, context.cpus.target)?;
        let mut rounds_at = None;
        if let Program::Known(..) = program {
            let (line, _) = process.wait_for(|line| line.starts_with("rounds 0x"))?;
            rounds_at = u64::from_str_radix(line.trim_start_matches("rounds 0x"), 16).ok();
        }
        process.wait_for(|line| line.starts_with("ready"))?;
        Ok(Self { process, _load: None, rounds_at })
    }

    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Lets a known program begin; others work already.
    pub fn go(&mut self) -> Result<()> {
        if self.rounds_at.is_none() {
            return Ok(());
        }
        self.process.enter()
    }

    /// Waits until a known program tells what it did.
    pub fn truth(&mut self) -> Result<Truth> {
        Truth::parse(&self.process.wait_for(|line| line.starts_with("truth "))?.0)
    }

    /// Rounds a known program has done so far, read from its memory.
    pub fn rounds(&self) -> Result<u64> {
        let at = self.rounds_at.context("this program counts no rounds")?;
        let path = format!("/proc/{}/mem", self.pid());
        let mut bytes = [0; 8];
        let memory = File::open(&path).with_context(|| format!("cannot open {path}"))?;
        memory.read_exact_at(&mut bytes, at).with_context(|| format!("cannot read {path} at {at:#x}"))?;
        Ok(u64::from_ne_bytes(bytes))
    }

    pub fn maps(&self) -> Result<String> {
        maps(self.pid())
    }

    /// Where the stack began: `startstack` of `/proc/PID/stat` (proc(5)); a name may have blanks and parentheses.
    pub fn stack_start(&self) -> Option<u64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid())).ok()?;
        let start = stat.rsplit_once(") ")?.1.split(' ').nth(25)?.parse().ok()?;
        (start != 0).then_some(start)
    }
}

/// `/proc/PID/maps`.
pub fn maps(pid: u32) -> Result<String> {
    let path = format!("/proc/{pid}/maps");
    fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))
}

/// The command line. With `rounds` it stops after so many, else after `seconds`, 0 for ever.
pub fn words(context: &Context, program: Program, seconds: u64, rounds: Option<u64>) -> Result<Vec<String>> {
    let text = |path: PathBuf| path.to_string_lossy().into_owned();
    Ok(match program {
        Program::Known(file, pattern) => {
            let mut words =
                vec![text(programs::build(context, file)?), pattern.to_owned(), seconds.to_string()];
            words.extend(rounds.map(|rounds| rounds.to_string()));
            words
        }
        Program::Sqlite => {
            let script =
                include_str!("skew.sql").replace("ROUNDS", &rounds.unwrap_or(u64::MAX / 4).to_string());
            let path = written(context, "skew.sql", script.as_bytes())?;
            [distribution("sqlite3"), "-init".to_owned(), text(path), ":memory:".to_owned()].into()
        }
        Program::Python => {
            let path = written(context, "skew.py", include_bytes!("skew.py"))?;
            // Without `site` it starts in a fraction of the time, which matters under valgrind.
            vec![distribution("python3"), "-S".to_owned(), text(path), rounds.unwrap_or_default().to_string()]
        }
        Program::Redis | Program::Gzip => bail!("{program:?} has a load of its own"),
    })
}

/// What makes two runs of a program lay out and order their objects alike, and keep all of them in the heap: mappings
/// have no name by which two processes could be compared.
pub fn environment(program: Program) -> Vec<(&'static str, &'static str)> {
    let in_heap = ("MALLOC_MMAP_THRESHOLD_", "1073741824");
    match program {
        Program::Sqlite => vec![in_heap],
        Program::Python => {
            let own = [("PYTHONHASHSEED", "0"), ("PYTHONMALLOC", "malloc"), ("PYTHONDONTWRITEBYTECODE", "1")];
            own.into_iter().chain([in_heap]).collect()
        }
        _ => Vec::new(),
    }
}

/// What valgrind adds to the environment of what it runs. Programs copy it, and so all of their heap moves by its length.
const VALGRINDS_OWN: [(&str, &str); 4] = [
    ("GLIBCPP_FORCE_NEW", "1"),
    ("GLIBCXX_FORCE_NEW", "1"),
    ("LD_LIBRARY_PATH", "/usr/lib/debug"),
    ("LD_PRELOAD", "/usr/libexec/valgrind/vgpreload_core-amd64-linux.so"),
];

/// The distribution's, where there is one: others may be scripts that start it. By its path, as valgrind calls it.
fn distribution(name: &str) -> String {
    let path = format!("/usr/bin/{name}");
    if Path::new(&path).is_file() { path } else { name.to_owned() }
}

fn written(context: &Context, name: &str, content: &[u8]) -> Result<PathBuf> {
    let path = context.folder.join(name);
    fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

fn redis(context: &Context) -> Result<Target> {
    if let Some(why) = peers::missing("redis-benchmark") {
        bail!(why);
    }
    let Redis { process, socket } = Redis::start(context)?;
    let mut load = Command::new("redis-benchmark");
    load.arg("-s").arg(socket).args(["-t", "set,get", "-q", "-l", "-d", "64", "-r", "100000", "-P", "4"]);
    let load = Process::start(&mut load, context.cpus.tool)?;
    Ok(Target { process, _load: Some(load), rounds_at: None })
}

/// The data come through a named pipe, so that there is no end to them.
fn gzip(context: &Context) -> Result<Target> {
    let unit = fs::read(&context.waytrace)?;
    ensure!(!unit.is_empty(), "{} is empty", context.waytrace.display());
    let data = context.folder.join("gzip-input");
    let mut file = File::create(&data).with_context(|| format!("cannot create {}", data.display()))?;
    for _ in 0..GZIP_BYTES.div_ceil(unit.len()) {
        file.write_all(&unit).with_context(|| format!("cannot write {}", data.display()))?;
    }
    let pipe = context.folder.join("gzip-pipe");
    // One of an earlier call would do as well, but its load may not have ended yet.
    let _ = fs::remove_file(&pipe);
    ensure!(Command::new("mkfifo").arg(&pipe).status()?.success(), "cannot make {}", pipe.display());
    let shell = |script: &str, cpu| {
        let mut command = Command::new("sh");
        command.args(["-c", script, "sh"]).arg(&pipe).arg(&data);
        Process::start(&mut command, cpu)
    };
    let load = shell("while cat \"$2\"; do :; done > \"$1\"", context.cpus.tool)?;
    let process = shell("exec gzip -c < \"$1\" > /dev/null", context.cpus.target)?;
    let comm = format!("/proc/{}/comm", process.pid());
    let deadline = Instant::now() + PATIENCE;
    while fs::read_to_string(&comm).with_context(|| format!("cannot read {comm}"))?.trim() != "gzip" {
        ensure!(Instant::now() < deadline, "the shell does not start gzip");
        thread::sleep(Duration::from_millis(1));
    }
    Ok(Target { process, _load: Some(load), rounds_at: None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    #[test]
    fn a_known_program_waits_works_and_tells() {
        let folder = TempDir::new().unwrap();
        let context = Context::for_tests(folder.path());
        let mut target = Target::start(&context, Program::Known("access_arrays.c", "hotcold"), 1).unwrap();
        let waiting = target.rounds().unwrap();
        target.go().unwrap();
        let truth = target.truth().unwrap();
        assert_eq!(waiting, 0);
        assert!(target.rounds().unwrap() > 0);
        assert!(target.maps().unwrap().contains("[stack]"));
        let names: Vec<_> = truth.regions.iter().map(|region| region.name.as_str()).collect();
        assert_eq!(names, ["hot", "cold"]);
    }

    #[test]
    fn one_that_ends_itself_is_told_its_rounds() {
        let folder = TempDir::new().unwrap();
        let context = Context::for_tests(folder.path());
        let sqlite = words(&context, Program::Sqlite, 0, Some(12)).unwrap();
        assert!(fs::read_to_string(&sqlite[2]).unwrap().contains("+ 12\n"));
        assert_eq!(words(&context, Program::Python, 5, None).unwrap()[3], "0");
        assert!(words(&context, Program::Redis, 0, None).is_err());
    }
}
