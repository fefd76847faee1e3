//! One point: mask, press, settle, window.

use waytrace_hw::rdt::RdtError;
use waytrace_model::cache::WayMask;
use waytrace_model::sweep::{Settled, SweepPoint};

use crate::counters::{self, Counts, Reading};
use crate::guard::EARLIEST_NS;
use crate::monitors::{self, Sample};
use crate::pace::Pace;
use crate::plan::Planned;
use crate::press::for_others;
use crate::run::{Running, Stop};
use crate::settle::{Room, Settling, Slice};
use crate::slo::Metrics;

/// Length of the pieces a window is looked at in.
const WINDOW_SLICE_NS: u64 = 50_000_000;
/// Times lines outside the mask are pressed out again, because they are still told to be there.
const RETRIES: u32 = 3;
/// Slices after which that is seen.
const SEEN_AFTER: u32 = 3;

/// Counters and monitors at one time.
struct Look {
    at_ns: u64,
    counts: Reading,
    sample: Sample,
}

/// How a mask took effect.
struct Effect {
    settled: Settled,
    ns: u64,
}

impl Running<'_> {
    /// Takes a point. `Err`: it was not taken.
    pub fn point(
        &mut self,
        planned: Planned,
        (sweep, position): (u32, u64),
        pace: &mut dyn Pace,
    ) -> Result<(SweepPoint, Option<String>), Stop> {
        let mask = self.sweep.positions.mask(planned.ways).unwrap_or(self.sweep.header.cache.full_mask);
        self.follow()?;
        let effect = self.take_effect(mask, pace)?;
        let before = self.look(pace)?;
        let after = self.window(&before, planned, pace)?;
        let counts = counters::since(&after.counts, &before.counts);
        let window_ns = after.at_ns.saturating_sub(before.at_ns);
        if planned.reference {
            self.sweep.guard.set_reference(rate(&counters::total(&counts), window_ns));
        }
        let disturbance = self.sweep.control.disturbance(&self.sweep.target)?;
        let ids = self.sweep.control.ids();
        let point = SweepPoint {
            sweep,
            position,
            ways: planned.ways,
            mask,
            reference: planned.reference,
            at_ns: before.at_ns.saturating_sub(self.began_ns),
            settle_ns: effect.ns,
            settled: effect.settled,
            window_ns,
            threads: counters::threads(&counts),
            monitors: after.sample.since(&before.sample, ids, self.wrap_bytes),
            disturbed: disturbance.is_some(),
        };
        Ok((point, disturbance))
    }

    /// Has the target fetch its lines anew, so that they are under the monitor of its class: by the ones it brought along its
    /// occupancy would be told too low for as long as it does not miss them. One part of the cache after the other.
    pub fn take_over(&mut self, pace: &mut dyn Pace) -> Result<(), Stop> {
        if !self.tells_occupancy {
            return Ok(());
        }
        let until = pace.now_ns().saturating_add(self.sweep.header.plan.settle_cap_ns);
        let positions = self.sweep.positions;
        let all = positions.complement(WayMask::default());
        let half = positions.mask((positions.most() / 2).max(positions.least()));
        let rest = half.and_then(|half| positions.within(positions.complement(half)));
        for mask in [half, rest].into_iter().flatten() {
            self.sweep.control.set_target(mask)?;
            self.mask = Some(mask);
            self.dirty = all.without(mask);
            self.press(mask, 2, pace, until)?;
        }
        Ok(())
    }

    /// Sets a mask and waits until it has its effect, or the longest wait is over.
    fn take_effect(&mut self, mask: WayMask, pace: &mut dyn Pace) -> Result<Effect, Stop> {
        let began = pace.now_ns();
        let until = began.saturating_add(self.sweep.header.plan.settle_cap_ns);
        let first = self.mask.is_none();
        self.sweep.control.set_target(mask)?;
        if self.sweep.header.plan.others_confined {
            let others = for_others(&self.sweep.positions, mask);
            self.sweep.control.set_others(others)?;
        }
        self.dirty = self.dirty.or(self.mask.unwrap_or_default()).without(mask);
        self.mask = Some(mask);
        // What the target brought along is under no monitor of ours: nothing would tell that it is still there.
        let passes = if first || !self.tells_occupancy { 2 } else { 1 };
        let mut is_clean = self.press(mask, passes, pace, until)?;
        let mut settling = Settling::new(self.room(mask));
        let mut slices = 0;
        let mut retries = 0;
        let mut last = self.look(pace)?;
        loop {
            let elapsed = |pace: &dyn Pace| pace.now_ns().saturating_sub(began);
            if pace.now_ns() >= until || !is_clean {
                return Ok(Effect { settled: Settled::Not, ns: elapsed(pace) });
            }
            if !pace.wait(settling.next_ns()) {
                return Err(Stop::Interrupted);
            }
            let now = self.look(pace)?;
            let slice = self.slice(&last, &now);
            if let Some(settled) = settling.push(slice, now.at_ns.saturating_sub(last.at_ns)) {
                return Ok(Effect { settled, ns: elapsed(pace) });
            }
            slices += 1;
            last = now;
            if self.is_above(mask, &slice) && slices >= SEEN_AFTER && retries < RETRIES {
                self.dirty = self.sweep.positions.complement(mask);
                is_clean = self.press(mask, 1, pace, until)?;
                settling = Settling::new(self.room(mask));
                (slices, retries) = (0, retries + 1);
                last = self.look(pace)?;
            }
        }
    }

    /// Threads that are new get the class, and are counted.
    fn follow(&mut self) -> Result<(), Stop> {
        let are_new = self.sweep.control.follow(&self.sweep.target)?;
        if let Some(counters) = self.sweep.counters.as_mut().filter(|_| are_new) {
            counters.follow();
        }
        Ok(())
    }

    fn press(
        &mut self,
        mask: WayMask,
        passes: u32,
        pace: &mut dyn Pace,
        until_ns: u64,
    ) -> Result<bool, Stop> {
        let (control, positions) = (&mut self.sweep.control, &self.sweep.positions);
        let is_done = match self.dirty.is_empty() {
            true => {
                if self.press.holds {
                    self.press.rest(control, positions, mask)?;
                }
                true
            }
            false => self.press.out(control, positions, (self.dirty, mask), passes, (pace, until_ns))?,
        };
        if is_done {
            self.dirty = WayMask::default();
        }
        Ok(is_done)
    }

    /// The window: counted until it is over, looked at under way.
    fn window(&mut self, before: &Look, planned: Planned, pace: &mut dyn Pace) -> Result<Look, Stop> {
        let end = before.at_ns.saturating_add(self.sweep.header.plan.window_ns);
        loop {
            let left = end.saturating_sub(pace.now_ns());
            if !pace.wait(left.min(WINDOW_SLICE_NS)) {
                return Err(Stop::Interrupted);
            }
            let is_over = pace.now_ns() >= end;
            if !is_over && !self.sweep.guard.is_on() {
                if !self.sweep.target.lives() {
                    return Err(Stop::TargetExited);
                }
                continue;
            }
            if is_over {
                self.follow()?;
            }
            let now = self.look(pace)?;
            let ns = now.at_ns.saturating_sub(before.at_ns);
            if is_over || ns >= EARLIEST_NS {
                let metrics = self.metrics(before, &now, ns, planned);
                if let Some(breach) = self.sweep.guard.breach(&metrics, planned.ways) {
                    return Err(Stop::Guard(breach));
                }
            }
            if is_over {
                return Ok(now);
            }
        }
    }

    fn metrics(&self, before: &Look, now: &Look, ns: u64, planned: Planned) -> Metrics {
        let counts = counters::total(&counters::since(&now.counts, &before.counts));
        let traffic = now.sample.traffic_since(&before.sample, self.wrap_bytes);
        let misses = counts.misses.or_else(|| traffic.map(|bytes| bytes / self.sweep.line_bytes.max(1)));
        let per_thousand = |misses: u64| Some(1000.0 * counters::ratio(misses, counts.instructions?)?);
        let rate = rate(&counts, ns);
        // With all ways nothing is taken away: what is slower then is not the sweep's doing.
        let has_fewer = planned.ways < self.sweep.positions.most();
        Metrics {
            ipc: counts.ipc(),
            mpki: misses.and_then(per_thousand),
            miss_ratio: counts.miss_ratio(),
            occupancy_bytes: now.sample.occupancy().map(|bytes| bytes as f64),
            bandwidth_bytes: traffic.map(|bytes| bytes as f64 * 1e9 / ns.max(1) as f64),
            instruction_rate: rate,
            slowdown: self.sweep.guard.slowdown(rate).filter(|_| has_fewer),
        }
    }

    fn look(&mut self, pace: &dyn Pace) -> Result<Look, Stop> {
        let counts = match &mut self.sweep.counters {
            Some(counters) => counters.read()?,
            None => Reading::new(),
        };
        let has_ended = match self.sweep.counters {
            Some(_) => counts.is_empty(),
            None => !self.sweep.target.lives(),
        };
        if has_ended {
            return Err(Stop::TargetExited);
        }
        let at_ns = pace.now_ns();
        let control = &self.sweep.control;
        let sample = match control.target_monitor().filter(|_| self.monitors) {
            Some(monitor) => match monitors::read(control.allocation(), monitor, control.ids()) {
                Ok(sample) => sample,
                Err(RdtError::Unavailable { .. } | RdtError::Unsupported { .. }) => Sample::default(),
                // Its class is gone, which is told when masks are read back.
                Err(error) => return Err(error.into()),
            },
            None => Sample::default(),
        };
        Ok(Look { at_ns, counts, sample })
    }

    fn slice(&self, before: &Look, now: &Look) -> Slice {
        Slice {
            counts: counters::total(&counters::since(&now.counts, &before.counts)),
            occupancy_bytes: now.sample.occupancy(),
            traffic_bytes: now.sample.traffic_since(&before.sample, self.wrap_bytes),
        }
    }

    fn room(&self, mask: WayMask) -> Room {
        let caches = self.sweep.control.ids().len() as u64;
        let bytes = |way: u64| way.saturating_mul(u64::from(mask.ways())).saturating_mul(caches);
        Room { mask_bytes: self.sweep.header.cache.way_bytes.map(bytes), line_bytes: self.sweep.line_bytes }
    }

    fn is_above(&self, mask: WayMask, slice: &Slice) -> bool {
        slice.occupancy_bytes.is_some_and(|held| self.room(mask).is_exceeded_by(held))
    }
}

fn rate(counts: &Counts, ns: u64) -> Option<f64> {
    Some(counts.instructions? as f64 * 1e9 / ns.max(1) as f64)
}
