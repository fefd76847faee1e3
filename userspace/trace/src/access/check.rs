//! Walks compared with what the processor did, while the target runs on.
//!
//! Of a walk just made two instructions are drawn, the second one that accesses memory, and breakpoints armed on both for
//! the thread. When it next comes by the first, its registers are captured as for a sample; when it then comes by the
//! second, again. A walk from the first capture must come to the second instruction, and there to the very addresses
//! that the registers captured there make it access.

use std::os::fd::{AsFd, OwnedFd};

use aya::maps::{Array, MapData};
use waytrace_abi::access::Capture;
use waytrace_hw::breakpoint;
use waytrace_hw::counter::Counter;
use waytrace_walk::{Access, Reason};

use super::emulator::{Emulator, Walk};
use super::memory::Sight;
use super::space::Space;
use crate::Error;
use crate::collect::perf::borrow;
use crate::kernel::{Kernel, sys};
use crate::random::Random;

/// Mean time between two checks.
const PAUSE_NS: u64 = 250_000_000;
/// The first checks come faster, for a short run should have some as well.
const FIRST_CHECKS: u64 = 100;
const FIRST_PAUSE_NS: u64 = 80_000_000;
/// A thread that does not come by in this time is not waited for.
const PATIENCE_NS: u64 = 50_000_000;
/// Hits the second breakpoint is allowed, that of the check among them.
const HITS: u32 = 6;
/// Instructions between the two at most.
const LIMIT: u32 = 100_000;
/// What a check takes from the target: two or a few traps of 15 us, and as much for arming.
pub const COST_NS: f64 = 100_000.0;

/// How checks went.
#[derive(Debug, Default, Clone, Copy)]
pub struct Tally {
    /// Pairs of breakpoints that were armed.
    pub armed: u32,
    /// Walks that came as far as the second instruction, or should have.
    pub compared: u64,
    /// Those that brought what was captured there.
    pub confirmed: u64,
}

/// An instruction a walk came by.
#[derive(Debug, Clone, Copy)]
pub struct Passed {
    /// Its address.
    pub ip: u64,
    /// It accessed memory.
    pub accesses: bool,
}

/// How far a walk came from where the thread passed the first breakpoint.
enum Walked {
    /// To the second, which makes these accesses.
    Reached(Vec<Access>),
    /// To something it cannot follow: it claims nothing.
    Lost,
    /// Nowhere near: the thread will come to the second breakpoint and the walk did not.
    Missed,
}

/// The one check under way, and how those before it went.
pub struct Checks {
    programs: [OwnedFd; 2],
    passed: Array<MapData, u32>,
    under_way: Option<Check>,
    next_ns: u64,
    random: Random,
    tally: Tally,
}

struct Check {
    tid: u32,
    first_ip: u64,
    second_ip: u64,
    walked: Option<Walked>,
    until_ns: u64,
    _breakpoints: [(OwnedFd, Counter); 2],
}

impl Checks {
    /// Loads what checks need.
    ///
    /// # Errors
    /// When the kernel refuses the programs.
    pub fn new(kernel: &mut Kernel) -> Result<Self, Error> {
        let programs = [
            kernel.perf_event_program("access_check_first")?,
            kernel.perf_event_program("access_check_second")?,
        ];
        let passed = kernel.access_check()?;
        let tally = Tally::default();
        Ok(Self { programs, passed, under_way: None, next_ns: 0, random: Random::default(), tally })
    }

    /// Whether the walk from a capture of that time may be checked.
    pub fn is_due(&self, at_ns: u64) -> bool {
        self.under_way.is_none() && at_ns >= self.next_ns
    }

    /// Arms a check of a walk that came by these instructions.
    pub fn begin(&mut self, capture: &Capture, path: &[Passed]) {
        let pause_ns = if self.tally.compared < FIRST_CHECKS { FIRST_PAUSE_NS } else { PAUSE_NS };
        self.next_ns = capture.at_ns + pause_ns / 2 + self.random.below(pause_ns);
        let Some((first_ip, second_ip)) = choose(path, |below| self.random.below(below as u64) as usize)
        else {
            return;
        };
        // Armed in this order, a thread that comes by the first at once is not missed at the second.
        let armed = self.passed.set(0, 0, 0).is_ok().then(|| {
            let second = self.arm(1, capture.tid, second_ip, HITS)?;
            let first = self.arm(0, capture.tid, first_ip, 1)?;
            Ok::<_, Error>([first, second])
        });
        match armed {
            Some(Ok(breakpoints)) => {
                self.tally.armed += 1;
                self.under_way = Some(Check {
                    tid: capture.tid,
                    first_ip,
                    second_ip,
                    walked: None,
                    until_ns: super::now_ns() + PATIENCE_NS,
                    _breakpoints: breakpoints,
                });
            }
            Some(Err(error)) => tracing::debug!(%error, "a walk is not checked"),
            None => {}
        }
    }

    fn arm(&self, program: usize, tid: u32, address: u64, hits: u32) -> Result<(OwnedFd, Counter), Error> {
        let breakpoint = breakpoint::open_execution(tid, address)?;
        let link = sys::link_perf_event(self.programs[program].as_fd(), borrow(&breakpoint), 0)
            .map_err(Error::syscall("attaching the check of walks"))?;
        breakpoint::arm(&breakpoint, hits).map_err(Error::syscall("arming a breakpoint"))?;
        Ok((link, breakpoint))
    }

    /// The thread came by the first breakpoint: walks on from there at once, as from a sample.
    pub fn first(&mut self, capture: &Capture, emulator: &mut Emulator, space: &Space) {
        let Some(check) = self.under_way.as_mut().filter(|check| check.tid == capture.tid) else { return };
        if check.walked.is_some() {
            return;
        }
        let walked = emulator.walk(capture, space, &Sight::ALL, |walk| walk_to(check.second_ip, walk));
        check.walked = Some(match walked {
            Ok(Some(accesses)) => Walked::Reached(accesses),
            Ok(None) => Walked::Missed,
            Err(_) => Walked::Lost,
        });
    }

    /// The thread came by the second after the first. Gives whether the walk did so too; `None` where it claimed nothing, or
    /// the registers captured here do not tell what is accessed: the mask of a masked access is none of them.
    pub fn second(&mut self, capture: &Capture, emulator: &mut Emulator, space: &Space) -> Option<bool> {
        let check = self.under_way.take_if(|check| check.tid == capture.tid)?;
        let agrees = match check.walked? {
            Walked::Reached(accesses) => made_at(capture, emulator, space)? == accesses,
            Walked::Missed => false,
            Walked::Lost => return None,
        };
        if !agrees {
            let [first, second] = [check.first_ip, check.second_ip].map(|ip| format!("{ip:#x}"));
            tracing::debug!(first, second, "a walk went astray");
        }
        self.tally.compared += 1;
        self.tally.confirmed += u64::from(agrees);
        Some(agrees)
    }

    /// Gives up on a thread that does not come by.
    pub fn expire(&mut self, now_ns: u64) {
        self.under_way.take_if(|check| now_ns > check.until_ns);
    }

    /// How all went.
    pub fn finish(self) -> Tally {
        self.tally
    }
}

/// The accesses of the instruction the thread is about to execute.
fn made_at(capture: &Capture, emulator: &mut Emulator, space: &Space) -> Option<Vec<Access>> {
    let made = emulator.walk(capture, space, &[Sight::Process], |mut walk| {
        walk.walker.begin(walk.start);
        let stepped = walk.walker.step(&mut walk.memory, &mut walk.code);
        let accesses = walk.walker.accesses().to_vec();
        // Of an instruction that cannot be finished the accesses are known all the same.
        if accesses.is_empty() { stepped.and(Ok(accesses)) } else { Ok(accesses) }
    });
    made.ok()
}

/// Walks until the instruction at `ip`, and gives the accesses that makes; `None` if the walk does not come by.
fn walk_to(ip: u64, mut walk: Walk<'_>) -> Result<Option<Vec<Access>>, Reason> {
    let walker = walk.walker;
    walker.begin(walk.start);
    for _ in 0..LIMIT {
        let is_there = walker.instructions() > 0 && walker.state().rip == ip;
        let stepped = walker.step(&mut walk.memory, &mut walk.code);
        if is_there && (stepped.is_ok() || !walker.accesses().is_empty()) {
            return Ok(Some(walker.accesses().to_vec()));
        }
        stepped?;
    }
    Ok(None)
}

/// Two instructions of a walk, in order, of which the second accesses memory.
fn choose(path: &[Passed], mut draw: impl FnMut(usize) -> usize) -> Option<(u64, u64)> {
    let accessing: Vec<usize> = (1..path.len()).filter(|&place| path[place].accesses).collect();
    let second = *accessing.get(draw(accessing.len()))?;
    let first = draw(second);
    let (first, second) = (path.get(first)?.ip, path.get(second)?.ip);
    (first != second).then_some((first, second))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_instruction_comes_later_and_accesses_memory() {
        let path: Vec<Passed> = (0..9).map(|n| Passed { ip: 100 + n, accesses: n % 4 == 0 }).collect();
        for n in 0..20 {
            let (first, second) = choose(&path, |below| n % below.max(1)).unwrap();
            assert!(first < second && (second == 104 || second == 108), "{first} {second}");
        }
        assert_eq!(choose(&path[..4], |_| 0), None, "only the first of them accesses memory");
        assert_eq!(choose(&[], |_| 0), None);
        let again = [Passed { ip: 5, accesses: true }; 3];
        assert_eq!(choose(&again, |_| 0), None, "a breakpoint on the same instruction twice");
    }
}
