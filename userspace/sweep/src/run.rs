//! The sweep from its first change to its last, which is that none is left.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;

use waytrace_hw::Root;
use waytrace_hw::clock::own_cpu_ns;
use waytrace_hw::undo::Watchdog;
use waytrace_model::cache::WayMask;
use waytrace_model::sweep::{EndReason, MissSource, SweepEnd, SweepHeader, SweepPoint};

use crate::SweepError;
use crate::control::Control;
use crate::corunner::{Corunners, Order};
use crate::counters::{self, Counters};
use crate::guard::Guard;
use crate::monitors;
use crate::pace::Pace;
use crate::plan::{Planned, order};
use crate::position::Positions;
use crate::press::{Player, Press};
use crate::target::Target;

/// Who is told how it goes.
pub trait Sink {
    /// A point is about to be taken.
    fn begins(&mut self, planned: Planned, position: u64, of: Option<u64>);

    /// A point was taken.
    ///
    /// # Errors
    /// It cannot be kept, in words: the sweep ends.
    fn point(&mut self, point: &SweepPoint) -> Result<(), String>;
}

/// Why no further point is taken.
#[derive(Debug)]
pub enum Stop {
    Interrupted,
    TargetExited,
    Guard(String),
    Disturbed(String),
    Failed(SweepError),
}

impl<E: Into<SweepError>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// A sweep that can be run.
pub struct Sweep {
    pub(crate) root: Root,
    pub(crate) header: SweepHeader,
    pub(crate) control: Control,
    pub(crate) counters: Option<Box<dyn Counters>>,
    pub(crate) corunners: Box<dyn Corunners>,
    pub(crate) orders: Vec<Order>,
    pub(crate) positions: Positions,
    pub(crate) target: Target,
    /// CPUs that get the class, where only CPUs have classes.
    pub(crate) cpus: Vec<u32>,
    pub(crate) line_bytes: u64,
    pub(crate) guard: Guard,
}

/// A sweep under way.
pub struct Running<'a> {
    pub sweep: &'a mut Sweep,
    pub press: Press,
    /// The target's mask; `None` before the first point.
    pub mask: Option<WayMask>,
    /// Ways outside of it where it may still have lines.
    pub dirty: WayMask,
    pub began_ns: u64,
    pub wrap_bytes: Option<u64>,
    /// Whether monitors can be read at all.
    pub monitors: bool,
    pub tells_occupancy: bool,
}

impl Sweep {
    /// What it is of.
    pub fn header(&self) -> &SweepHeader {
        &self.header
    }

    /// Takes all points, and takes back what was changed for them, however it ends. `exe` is waytrace itself, which watches
    /// for the case that this process is killed; `None`: nobody does.
    pub fn run(mut self, pace: &mut dyn Pace, sink: &mut dyn Sink, exe: Option<&Path>) -> SweepEnd {
        let began_ns = pace.now_ns();
        let cpu_ns = own_cpu_ns();
        let stop = catch_unwind(AssertUnwindSafe(|| match self.watched(exe) {
            Ok(watchdog) => (self.measure(began_ns, pace, sink), watchdog),
            Err(error) => (Err(Stop::Failed(error)), None),
        }));
        let undone = self.control.end(&self.target);
        let (outcome, watchdog) = match stop {
            Ok(stop) => stop,
            // All is as before: the panic may go on.
            Err(panic) => resume_unwind(panic),
        };
        if let Some(watchdog) = watchdog {
            watchdog.dismiss();
        }
        let (reason, detail) = match outcome {
            Ok(()) => (EndReason::Completed, None),
            Err(Stop::Interrupted) => (EndReason::Interrupted, None),
            Err(Stop::Guard(detail)) => (EndReason::Guard, Some(detail)),
            Err(Stop::Disturbed(detail)) => (EndReason::Disturbed, Some(detail)),
            // Whatever failed did so because the target has ended.
            Err(_) if !self.target.lives() => (EndReason::TargetExited, None),
            Err(Stop::TargetExited) => (EndReason::TargetExited, None),
            Err(Stop::Failed(error)) => (EndReason::Failed, Some(error.to_string())),
        };
        SweepEnd {
            reason,
            detail,
            restored: undone.restored,
            left: undone.left,
            own_cpu_ns: own_cpu_ns().saturating_sub(cpu_ns),
            elapsed_ns: pace.now_ns().saturating_sub(began_ns),
        }
    }

    fn watched(&self, exe: Option<&Path>) -> Result<Option<Watchdog>, SweepError> {
        match (exe, self.control.journal()) {
            (Some(exe), Some(journal)) => Ok(Some(Watchdog::start(journal, exe)?)),
            _ => Ok(None),
        }
    }

    fn measure(&mut self, began_ns: u64, pace: &mut dyn Pace, sink: &mut dyn Sink) -> Result<(), Stop> {
        let mut running = self.begin(began_ns)?;
        running.take_over(pace)?;
        let plan = running.sweep.header.plan.clone();
        let mut position = 0;
        let mut sweep = 0;
        while plan.repeats.is_none_or(|repeats| sweep < repeats) {
            let began = pace.now_ns();
            let points = order(&plan, sweep);
            let of = plan.repeats.map(|repeats| u64::from(repeats) * points.len() as u64);
            for planned in points {
                sink.begins(planned, position, of);
                let (point, disturbance) = running.point(planned, (sweep, position), pace)?;
                sink.point(&point).map_err(SweepError::Sink)?;
                if let Some(disturbance) = disturbance {
                    return Err(Stop::Disturbed(disturbance));
                }
                position += 1;
            }
            sweep = sweep.saturating_add(1);
            let is_last = plan.repeats.is_some_and(|repeats| sweep >= repeats);
            if let (Some(every), false) = (plan.every_ns, is_last) {
                running.pause(began.saturating_add(every), pace)?;
            }
        }
        Ok(())
    }

    /// The first changes: the target's class with all ways, co-runners and their class.
    fn begin(&mut self, began_ns: u64) -> Result<Running<'_>, Stop> {
        let all = self.positions.mask(self.positions.most()).unwrap_or(self.header.cache.full_mask);
        self.control.take_target(&self.target, &self.cpus, all)?;
        if let Some(counters) = &mut self.counters {
            counters.follow();
        }
        let mut corunners = Vec::new();
        for order in &self.orders {
            corunners.push(Player { corunner: self.corunners.start(order)?, misses: None });
        }
        let pids: Vec<u32> = corunners.iter().map(|player| player.corunner.pid()).collect();
        let cpus: Vec<u32> = match self.cpus.is_empty() {
            true => Vec::new(),
            false => self.orders.iter().flat_map(|order| order.cpus.iter().copied()).collect(),
        };
        self.control.take_corunners(&self.target, &pids, &cpus, all)?;
        if self.header.misses == Some(MissSource::LlcEvents) {
            for player in &mut corunners {
                player.misses = Some(counters::open(&self.root, player.corunner.pid())?);
            }
        }
        let sample = match self.control.target_monitor() {
            Some(monitor) => monitors::read(self.control.allocation(), monitor, self.control.ids()).ok(),
            None => None,
        };
        let press = Press {
            corunners,
            line_bytes: self.line_bytes,
            way_bytes: self.header.cache.way_bytes.unwrap_or(0),
            rounds: self.orders.first().map_or(1, |order| order.rounds),
            rate: 0.0,
            holds: self.header.plan.pressure_bytes.is_some(),
        };
        Ok(Running {
            press,
            mask: None,
            dirty: self.positions.complement(WayMask::default()),
            began_ns,
            wrap_bytes: self.control.allocation().wrap_bytes(),
            monitors: sample.is_some(),
            tells_occupancy: sample.is_some_and(|sample| sample.occupancy().is_some()),
            sweep: self,
        })
    }
}

impl Running<'_> {
    /// Waits for the next sweep, with all ways given back.
    fn pause(&mut self, until_ns: u64, pace: &mut dyn Pace) -> Result<(), Stop> {
        // A sweep ends with all ways, so only what is not the target's is to be freed.
        self.sweep.control.free_others()?;
        loop {
            let left = until_ns.saturating_sub(pace.now_ns());
            if left == 0 {
                return Ok(());
            }
            if !pace.wait(left.min(100_000_000)) {
                return Err(Stop::Interrupted);
            }
            if !self.sweep.target.lives() {
                return Err(Stop::TargetExited);
            }
        }
    }
}
