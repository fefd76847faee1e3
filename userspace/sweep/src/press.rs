//! Pressing lines out of ways that the target has no longer.
//!
//! The co-runner gets these ways piece by piece, as few at a time as the cache takes: where it may fill but one way, every fill
//! puts out what is there, however recently the target has used it. How much it has filled is read from its own misses, not
//! guessed from time.

use waytrace_model::cache::WayMask;

use crate::control::Control;
use crate::corunner::Corunner;
use crate::counters::{self, Counters};
use crate::monitors::{self, Sample};
use crate::pace::Pace;
use crate::position::Positions;
use crate::{SweepError, run::Stop};

/// Fills of a piece, against the lines it has: some of them are others' than the walk's.
const EXCESS: f64 = 1.05;
/// Shortest and longest pause between looks.
const PAUSE_NS: (u64, u64) = (500_000, 20_000_000);

/// A co-runner, and what it misses, where that is counted.
pub struct Player {
    pub corunner: Box<dyn Corunner>,
    pub misses: Option<Box<dyn Counters>>,
}

/// Co-runners under way, with what tells how much they have filled.
pub struct Press {
    pub corunners: Vec<Player>,
    pub line_bytes: u64,
    pub way_bytes: u64,
    /// Fills of each set that press a piece out.
    pub rounds: u32,
    /// Bytes all of them fill in a nanosecond, as learnt; 0: not yet.
    pub rate: f64,
    /// Whether they go on between, as `--pressure` wants it.
    pub holds: bool,
}

/// What tells how much was filled.
enum Filled {
    /// Misses of each co-runner.
    Misses(Vec<u64>),
    /// What memory gave them.
    Traffic(Sample),
}

impl Press {
    /// Presses everything out of `ways`, `passes` times. False: it took longer than `until_ns`.
    pub fn out(
        &mut self,
        control: &mut Control,
        positions: &Positions,
        (ways, mask): (WayMask, WayMask),
        passes: u32,
        (pace, until_ns): (&mut dyn Pace, u64),
    ) -> Result<bool, Stop> {
        let pieces = positions.pieces(ways, mask);
        if pieces.is_empty() || self.corunners.is_empty() {
            return Ok(true);
        }
        let mut is_done = true;
        let mut is_begun = false;
        for piece in pieces {
            control.set_corunner(piece)?;
            if !is_begun {
                self.each(|corunner| corunner.press())?;
                is_begun = true;
            }
            let bytes = self.way_bytes * u64::from(self.rounds) * u64::from(passes);
            if !self.fill(control, (bytes as f64 * EXCESS) as u64, pace, until_ns)? {
                is_done = false;
                break;
            }
        }
        self.rest(control, positions, mask)?;
        Ok(is_done)
    }

    /// Back to what they do between.
    pub fn rest(&mut self, control: &mut Control, positions: &Positions, mask: WayMask) -> Result<(), Stop> {
        let left = positions.within(positions.complement(mask)).filter(|_| self.holds);
        match left {
            Some(left) => {
                control.set_corunner(left)?;
                self.each(|corunner| corunner.hold())
            }
            None => self.each(|corunner| corunner.rest()),
        }
    }

    fn each(&mut self, act: impl Fn(&mut dyn Corunner) -> Result<(), SweepError>) -> Result<(), Stop> {
        for player in &mut self.corunners {
            act(player.corunner.as_mut())?;
        }
        Ok(())
    }

    fn fill(
        &mut self,
        control: &Control,
        bytes: u64,
        pace: &mut dyn Pace,
        until_ns: u64,
    ) -> Result<bool, Stop> {
        let before = self.filled(control)?;
        let began = pace.now_ns();
        let mut filled = 0;
        loop {
            let left = (bytes - filled) as f64;
            let guess = if self.rate > 0.0 { left / self.rate } else { 2.0 * PAUSE_NS.0 as f64 };
            let pause = (guess as u64).clamp(PAUSE_NS.0, PAUSE_NS.1);
            if !pace.wait(pause) {
                return Err(Stop::Interrupted);
            }
            let now = self.filled(control)?;
            filled = self.between(control, &before, &now)?;
            let elapsed = pace.now_ns().saturating_sub(began);
            if filled > 0 && elapsed > 0 {
                self.rate = filled as f64 / elapsed as f64;
            }
            if filled >= bytes {
                return Ok(true);
            }
            if pace.now_ns() >= until_ns {
                return Ok(false);
            }
        }
    }

    fn filled(&mut self, control: &Control) -> Result<Filled, Stop> {
        let mut misses = Vec::new();
        for player in &mut self.corunners {
            let Some(counters) = &mut player.misses else { continue };
            misses.extend(counters::total(&counters.read()?).misses);
        }
        if misses.len() == self.corunners.len() {
            return Ok(Filled::Misses(misses));
        }
        match control.corunner_monitor() {
            Some(monitor) => {
                Ok(Filled::Traffic(monitors::read(control.allocation(), monitor, control.ids())?))
            }
            None => Ok(Filled::Traffic(Sample::default())),
        }
    }

    /// Bytes the slowest has filled.
    fn between(&self, control: &Control, before: &Filled, now: &Filled) -> Result<u64, Stop> {
        let none = || SweepError::Counting {
            what: "the co-runner".to_owned(),
            reason: "neither its misses nor its memory traffic are told any more".to_owned(),
        };
        match (before, now) {
            (Filled::Misses(before), Filled::Misses(now)) => {
                let each = now.iter().zip(before).map(|(now, before)| now.saturating_sub(*before));
                Ok(each.min().unwrap_or(0).saturating_mul(self.line_bytes))
            }
            (Filled::Traffic(before), Filled::Traffic(now)) => {
                let bytes = now.traffic_since(before, control.allocation().wrap_bytes()).ok_or_else(none)?;
                Ok(bytes / self.corunners.len().max(1) as u64)
            }
            _ => Err(none().into()),
        }
    }
}

/// Fills of each set that press out what is in a piece of so many ways: one for each, and, where there are several, one more, for a
/// line the target has just used stays once, and another of the co-runner's goes.
pub fn rounds(ways: u32) -> u32 {
    if ways <= 1 { 1 } else { ways + 1 }
}

/// Ways for what is in no class while the target has `mask`: those it has not, or, where these are too few, the smallest mask
/// with as little of the target's as can be.
pub fn for_others(positions: &Positions, mask: WayMask) -> WayMask {
    let left = positions.complement(mask);
    positions.within(left).unwrap_or_else(|| {
        let everywhere = positions.complement(WayMask::default());
        let last = 63_u32.saturating_sub(everywhere.bits().leading_zeros());
        let last = WayMask::from_bits(1_u64.checked_shl(last).unwrap_or(0));
        positions.pieces(last, mask).first().copied().unwrap_or(everywhere)
    })
}

#[cfg(test)]
mod tests {
    use waytrace_model::cache::MaskRules;

    use super::*;

    #[test]
    fn others_get_what_is_left_or_the_least_there_is() {
        for (min_ways, ways, expected) in [(1, 4, 0xff0), (1, 12, 0x800), (2, 11, 0xc00), (2, 12, 0xc00)] {
            let rules = MaskRules { full_mask: WayMask::lowest(12), min_ways, sparse: false };
            let positions = Positions::new(rules, WayMask::default());
            assert_eq!(
                for_others(&positions, WayMask::lowest(ways)).bits(),
                expected,
                "{ways} of {min_ways}"
            );
        }
    }
}
