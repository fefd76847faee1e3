//! The co-runner: a process that fills ways of the cache that the target has not, in a class of its own.
//!
//! Narrowing a mask evicts nothing: lines outside of it go on hitting until somebody else fills their places. The co-runner does,
//! for a moment after a mask was narrowed, or all the time. It walks lines it has not touched for long, page by page at the same
//! offset: these meet in few sets, so that each set is filled several times before the target can come back to it.
//!
//! It listens to its standard input, a letter for each order, and ends with it: it cannot outlive the sweep.

use std::io::{self, Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use waytrace_hw::Root;
use waytrace_hw::affinity::Cpus;
use waytrace_hw::topology::{format_list, parse_list};

use crate::SweepError;

/// The hidden command that waytrace is started again with.
pub const COMMAND: [&str; 2] = ["cache", "corun"];
const READY: u8 = b'r';
const PRESS: u8 = b'p';
const HOLD: u8 = b'h';
const REST: u8 = b's';
const LINE: usize = 64;
const PAGE: usize = 4096;
const HUGE_PAGE: usize = 2 << 20;

/// What a co-runner is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Where it may run.
    pub cpus: Vec<u32>,
    /// Bytes it walks before it comes to the same line again: so many that it is out of the cache by then.
    pub bytes: u64,
    /// Bytes it walks page by page before it goes on to others: those of the ways it fills at once.
    pub window_bytes: u64,
    /// Times it fills each set before it goes on.
    pub rounds: u32,
    /// Bytes it keeps busy between.
    pub hold_bytes: u64,
}

/// One that runs, and ends when this is dropped.
pub trait Corunner {
    /// Its process.
    fn pid(&self) -> u32;

    /// Walks new lines from now on.
    ///
    /// # Errors
    /// It has ended.
    fn press(&mut self) -> Result<(), SweepError>;

    /// Walks the same lines again and again.
    ///
    /// # Errors
    /// It has ended.
    fn hold(&mut self) -> Result<(), SweepError>;

    /// Does nothing.
    ///
    /// # Errors
    /// It has ended.
    fn rest(&mut self) -> Result<(), SweepError>;
}

/// Starts co-runners.
pub trait Corunners {
    /// One of them, at rest.
    ///
    /// # Errors
    /// It does not start.
    fn start(&self, order: &Order) -> Result<Box<dyn Corunner>, SweepError>;
}

/// Co-runners as processes of their own.
#[derive(Debug, Clone)]
pub struct Processes {
    /// waytrace itself.
    pub exe: PathBuf,
    /// The machine they run on.
    pub root: Root,
}

struct Process(Child);

fn failed(what: impl Into<String>) -> impl FnOnce(io::Error) -> SweepError {
    let what = what.into();
    move |source| SweepError::Corunner { what, source }
}

impl Corunners for Processes {
    fn start(&self, order: &Order) -> Result<Box<dyn Corunner>, SweepError> {
        let cpus = format_list(&order.cpus);
        let mut command = Command::new(&self.exe);
        command.args(COMMAND);
        for (option, value) in
            [("--bytes", order.bytes), ("--window", order.window_bytes), ("--hold", order.hold_bytes)]
        {
            command.arg(option).arg(value.to_string());
        }
        if self.root.is_live() {
            command.args(["--cpus", &cpus]);
        }
        // A group of its own: Ctrl-C ends the sweep, and that ends this.
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0);
        let child = command.spawn().map_err(failed("starting the co-runner"))?;
        let mut process = Process(child);
        process.await_ready()?;
        if !self.root.is_live() {
            // The CPUs are the host's, not the machine's: the host is told instead.
            let path = self.root.path("adopt");
            let text = format!("{} {cpus} {}\n", process.pid(), order.rounds);
            write_once(&path, &text).map_err(failed(format!("writing {}", path.display())))?;
        }
        Ok(Box::new(process))
    }
}

fn write_once(path: &Path, text: &str) -> io::Result<()> {
    std::fs::OpenOptions::new().write(true).open(path)?.write_all(text.as_bytes())
}

impl Process {
    fn await_ready(&mut self) -> Result<(), SweepError> {
        let mut said = [0];
        let heard = self.0.stdout.take().map(|mut stdout| stdout.read_exact(&mut said));
        if matches!(heard, Some(Ok(()))) && said == [READY] {
            return Ok(());
        }
        Err(failed("starting the co-runner")(io::Error::other("it ended before it was ready")))
    }

    fn say(&mut self, order: u8) -> Result<(), SweepError> {
        let said = self.0.stdin.as_mut().map_or_else(
            || Err(io::Error::from(io::ErrorKind::BrokenPipe)),
            |stdin| stdin.write_all(&[order]),
        );
        said.map_err(failed("the co-runner has ended"))
    }
}

impl Corunner for Process {
    fn pid(&self) -> u32 {
        self.0.id()
    }

    fn press(&mut self) -> Result<(), SweepError> {
        self.say(PRESS)
    }

    fn hold(&mut self) -> Result<(), SweepError> {
        self.say(HOLD)
    }

    fn rest(&mut self) -> Result<(), SweepError> {
        self.say(REST)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It ends with its input; being killed is as good.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a co-runner does, from its beginning to its end.
///
/// # Errors
/// CPUs it may not run on; more memory than there is.
pub fn serve(cpus: Option<&str>, bytes: u64, window_bytes: u64, hold_bytes: u64) -> Result<(), SweepError> {
    if let Some(list) = cpus {
        let kept = Cpus::of(parse_list(list)?);
        let kept =
            kept.map_err(|cpu| failed(format!("CPU {cpu}"))(io::Error::from(io::ErrorKind::InvalidInput)))?;
        kept.apply().map_err(failed(format!("running on CPUs {list}")))?;
    }
    let mut walk = Walk::new(bytes, window_bytes, hold_bytes)?;
    let mut stdout = io::stdout();
    let ready = stdout.write_all(&[READY]).and_then(|()| stdout.flush());
    ready.map_err(failed("telling that the co-runner is ready"))?;
    let mut order = REST;
    loop {
        let timeout = if order == REST { -1 } else { 0 };
        if is_readable(timeout) {
            let mut said = [0];
            match io::stdin().read(&mut said) {
                Ok(1) => order = said[0],
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Ok(()),
            }
        }
        match order {
            PRESS => walk.on(),
            HOLD => walk.again(),
            _ => {}
        }
    }
}

/// Whether something was said, within milliseconds; -1 waits for it.
fn is_readable(timeout_ms: libc::c_int) -> bool {
    let mut fds = libc::pollfd { fd: 0, events: libc::POLLIN, revents: 0 };
    // SAFETY: one structure is given, it is ours and lives through the call.
    unsafe { libc::poll(&raw mut fds, 1, timeout_ms) > 0 }
}

/// Memory under way.
struct Walk {
    memory: Vec<u8>,
    window: usize,
    hold: usize,
    /// Where the window begins, and the offset within its pages that comes next.
    at: usize,
    offset: usize,
}

impl Walk {
    fn new(bytes: u64, window_bytes: u64, hold_bytes: u64) -> Result<Self, SweepError> {
        let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX).max(PAGE);
        let (window, hold) = (size(window_bytes), size(hold_bytes));
        let bytes = size(bytes).max(window).max(hold);
        let mut memory: Vec<u8> = Vec::new();
        let reserved = memory.try_reserve_exact(bytes);
        reserved
            .map_err(|error| failed(format!("{bytes} bytes for the co-runner"))(io::Error::other(error)))?;
        ask_for_huge_pages(&memory);
        // Written, for pages that are only read are all the same one.
        memory.resize(bytes, 1);
        Ok(Self { memory, window, hold, at: 0, offset: 0 })
    }

    /// The next column of lines that were not touched for long.
    fn on(&mut self) {
        let end = self.at.saturating_add(self.window).min(self.memory.len());
        self.column(self.at, end);
        if self.offset == 0 {
            self.at = if end == self.memory.len() { 0 } else { end };
        }
    }

    /// The next column of the lines that are kept busy.
    fn again(&mut self) {
        self.column(0, self.hold);
    }

    fn column(&mut self, from: usize, to: usize) {
        let lines = self.memory.get(from..to).unwrap_or_default().iter().skip(self.offset).step_by(PAGE);
        std::hint::black_box(lines.fold(0_u8, |sum, byte| sum.wrapping_add(*byte)));
        self.offset = (self.offset + LINE) % PAGE;
    }
}

/// Pages of 2 MiB spread evenly over the sets; where there are none, small ones do so by chance.
fn ask_for_huge_pages(memory: &Vec<u8>) {
    let from = memory.as_ptr().addr().next_multiple_of(HUGE_PAGE);
    let to = (memory.as_ptr().addr() + memory.capacity()) / HUGE_PAGE * HUGE_PAGE;
    if to > from {
        let start = memory.as_ptr().wrapping_add(from - memory.as_ptr().addr());
        // SAFETY: the range lies within memory of ours, and the advice changes nothing of what it holds.
        unsafe { libc::madvise(start.cast_mut().cast(), to - from, libc::MADV_HUGEPAGE) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_goes_round_all_its_windows_line_by_line() {
        let mut walk = Walk::new(4 * PAGE as u64, 2 * PAGE as u64, PAGE as u64).unwrap();
        for _ in 0..PAGE / LINE {
            assert_eq!(walk.at, 0);
            walk.on();
        }
        assert_eq!((walk.at, walk.offset), (2 * PAGE, 0));
        (0..PAGE / LINE).for_each(|_| walk.on());
        assert_eq!((walk.at, walk.offset), (0, 0));
        walk.again();
        assert_eq!((walk.at, walk.offset), (0, LINE));
    }
}
