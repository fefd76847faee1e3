//! The target of `budgeted` and `exact`: `pairs.c`, told what to do and read through a page shared with it, so that
//! any interval of a running loop can be measured.

use super::context::Context;
use super::process::Process;
use super::{compile, cpus};
use anyhow::{Context as _, Result, bail};
use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const PAGE_BYTES: u64 = 4096;
const PATIENCE: Duration = Duration::from_secs(30);

/// Fields of `struct board`, each eight bytes.
#[derive(Clone, Copy)]
enum Field {
    Command = 0,
    State = 1,
    Pid = 2,
    Pairs = 3,
    Bytes = 4,
}

/// What the target can be told: the values of `pairs.c`.
#[derive(Clone, Copy)]
enum Order {
    Pause = 0,
    Run = 1,
    Quit = 2,
}

/// What the target is to do.
#[derive(Debug, Clone, Copy, Default)]
pub struct Load {
    /// CPU time between two pairs.
    pub work_ns: u64,
    /// In bursts at this rate; 0: as fast as it goes.
    pub pairs_per_s: u64,
    /// Linked statically.
    pub is_static: bool,
}

/// Where the target stood at one moment. All but the time count from its start.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    pub at_ns: u64,
    pub cpu_ns: u64,
    pub pairs: u64,
    pub bytes: u64,
}

/// What happened between two readings.
#[derive(Debug, Clone, Copy)]
pub struct Interval {
    pub wall_ns: f64,
    pub pairs: f64,
    pub bytes: f64,
    pub cpu_ns_per_pair: f64,
    pub wall_ns_per_pair: f64,
}

impl Reading {
    pub fn to(&self, later: &Self) -> Interval {
        let pairs = (later.pairs - self.pairs) as f64;
        let wall_ns = (later.at_ns - self.at_ns) as f64;
        Interval {
            wall_ns,
            pairs,
            bytes: (later.bytes - self.bytes) as f64,
            cpu_ns_per_pair: (later.cpu_ns - self.cpu_ns) as f64 / pairs,
            wall_ns_per_pair: wall_ns / pairs,
        }
    }
}

/// A running target.
pub struct Pairs {
    /// The program itself or what it was started through.
    process: Process,
    pid: u32,
    board: File,
}

impl Pairs {
    /// Starts the target, paused, on the targets' CPU. `through` is put before its command line; `preload` is a
    /// library whose allocator it is to use.
    pub fn start(context: &Context, load: Load, through: &[&str], preload: Option<&Path>) -> Result<Self> {
        let flags: &[&str] = if load.is_static { &["-static"] } else { &[] };
        let program = compile::program(&source()?, &context.folder, flags)?;
        let (board, board_path) = new_board(context)?;
        let mut words = through.iter().map(Into::into).chain([program.into_os_string()]);
        let mut command = Command::new(words.next().context("an empty command")?);
        command.args(words).arg(&board_path);
        command.args([load.work_ns, load.pairs_per_s].map(|number| number.to_string()));
        command.current_dir(&context.folder);
        if let Some(library) = preload {
            command.env("LD_PRELOAD", library);
        }
        let process = Process::start(&mut command, context.cpus.target)?;
        let mut pairs = Self { process, pid: 0, board };
        pairs.pid = pairs.wait_until(Field::Pid, |pid| pid != 0)? as u32;
        fs::remove_file(&board_path).with_context(|| format!("cannot remove {}", board_path.display()))?;
        Ok(pairs)
    }

    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Lets it work.
    pub fn run(&self) -> Result<()> {
        self.order(Order::Run)
    }

    /// Has it stop working; when this returns it has.
    pub fn pause(&self) -> Result<()> {
        self.order(Order::Pause)
    }

    /// Where it stands.
    pub fn read(&self) -> Result<Reading> {
        let pairs = self.field(Field::Pairs)?;
        Ok(Reading {
            at_ns: cpus::monotonic_ns()?,
            cpu_ns: cpus::process_cpu_ns(self.pid)?,
            pairs,
            bytes: self.field(Field::Bytes)?,
        })
    }

    /// What it does within `length` from now.
    pub fn watch(&self, length: Duration) -> Result<Interval> {
        let start = self.read()?;
        std::thread::sleep(length);
        Ok(start.to(&self.read()?))
    }

    /// Ends it, and whatever it was started through.
    pub fn quit(self) -> Result<()> {
        self.write(Order::Quit)?;
        self.process.finish()?;
        Ok(())
    }

    fn order(&self, order: Order) -> Result<()> {
        self.write(order)?;
        self.wait_until(Field::State, |state| state == order as u64)?;
        Ok(())
    }

    fn write(&self, order: Order) -> Result<()> {
        let bytes = (order as u64).to_ne_bytes();
        self.board
            .write_all_at(&bytes, Field::Command as u64 * 8)
            .context("cannot write to the target's board")
    }

    fn field(&self, field: Field) -> Result<u64> {
        let mut bytes = [0; 8];
        self.board.read_exact_at(&mut bytes, field as u64 * 8).context("cannot read the target's board")?;
        Ok(u64::from_ne_bytes(bytes))
    }

    fn wait_until(&self, field: Field, wanted: impl Fn(u64) -> bool) -> Result<u64> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let value = self.field(field)?;
            if wanted(value) {
                return Ok(value);
            }
            if Instant::now() > deadline {
                bail!("the target does not answer");
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

fn source() -> Result<PathBuf> {
    Ok(crate::workspace::root()?.join("xtask/src/bench/pairs.c"))
}

/// A page of zeroes in a file of its own.
fn new_board(context: &Context) -> Result<(File, PathBuf)> {
    let path = context.folder.join(format!("board-{}", cpus::monotonic_ns()?));
    let board = File::options().read(true).write(true).create_new(true).open(&path);
    let board = board.with_context(|| format!("cannot create {}", path.display()))?;
    board.set_len(PAGE_BYTES).with_context(|| format!("cannot size {}", path.display()))?;
    Ok((board, path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    #[test]
    fn it_does_what_it_is_told_and_says_so() {
        let folder = TempDir::new().unwrap();
        let context = Context::for_tests(folder.path());
        let pairs = Pairs::start(&context, Load { work_ns: 1000, ..Load::default() }, &[], None).unwrap();
        assert_eq!(pairs.read().unwrap().pairs, 0);
        pairs.run().unwrap();
        while pairs.read().unwrap().pairs < 1000 {
            std::thread::sleep(Duration::from_millis(1));
        }
        pairs.pause().unwrap();
        let (one, two) = (pairs.read().unwrap(), pairs.read().unwrap());
        assert_eq!((one.pairs, one.bytes), (two.pairs, two.bytes));
        let mean_bytes = one.bytes as f64 / one.pairs as f64;
        assert!((100.0..190.0).contains(&mean_bytes), "16..271 uniform has 143.5, not {mean_bytes}");
        pairs.quit().unwrap();
    }

    #[test]
    fn an_interval_is_what_lies_between_its_readings() {
        let at = |at_ns, cpu_ns, pairs, bytes| Reading { at_ns, cpu_ns, pairs, bytes };
        let interval = at(100, 10, 5, 50).to(&at(300, 110, 15, 150));
        assert_eq!((interval.pairs, interval.bytes), (10.0, 100.0));
        assert_eq!((interval.cpu_ns_per_pair, interval.wall_ns_per_pair), (10.0, 20.0));
    }
}
