//! What is kept of windows: rates for sparklines, and the newest windows whole to step back through. Both are bounded.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use waytrace_model::monitor::{HostWindow, Metric, TargetWindow};

use super::super::source::Facts;

/// Windows a sparkline goes back at most.
pub const DEPTH: usize = 120;
/// Rates of one target in one window there may be in all: 8 MiB of them.
const MOST_POINTS: usize = 1 << 16;
/// What whole windows may take, bytes, by a rough count.
const MOST_BYTES: usize = 8 << 20;

/// A window as it came.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Frame {
    /// Position since `top` started, from 0: a window's own may begin anew when `monitor` does.
    pub number: u64,
    /// The window.
    pub window: HostWindow,
    /// What it does not tell.
    pub facts: Facts,
}

/// Rates of a target in a window, by metric; not a number where absent.
struct Point {
    number: u64,
    rates: [f32; Metric::COUNT],
}

/// What is kept.
#[derive(Default)]
pub struct History {
    points: BTreeMap<String, VecDeque<Point>>,
    frames: VecDeque<Rc<Frame>>,
    bytes: usize,
}

impl History {
    /// Takes the next window.
    pub fn take(&mut self, frame: Frame) -> Rc<Frame> {
        let number = frame.number;
        for target in &frame.window.targets {
            let mut rates = [f32::NAN; Metric::COUNT];
            for (rate, &metric) in rates.iter_mut().zip(Metric::ALL) {
                *rate =
                    target.values.rate(metric, frame.window.length_ns).map_or(f32::NAN, |value| value as f32);
            }
            let points = self.points.entry(target.target.clone()).or_default();
            // Of two targets of one name the first counts.
            if points.back().is_none_or(|point| point.number < number) {
                points.push_back(Point { number, rates });
            }
        }
        self.forget(number);
        let frame = Rc::new(frame);
        self.bytes += size(&frame.window);
        self.frames.push_back(Rc::clone(&frame));
        while self.frames.len() > 1 && (self.bytes > MOST_BYTES || self.frames.len() > DEPTH) {
            self.bytes -= self.frames.pop_front().map_or(0, |frame| size(&frame.window));
        }
        frame
    }

    /// The more targets, the less far back.
    fn forget(&mut self, newest: u64) {
        let depth = (MOST_POINTS / self.points.len().max(1)).clamp(2, DEPTH);
        let oldest = (newest + 1).saturating_sub(depth as u64);
        self.points.retain(|_, points| {
            while points.front().is_some_and(|point| point.number < oldest) {
                points.pop_front();
            }
            !points.is_empty()
        });
    }

    /// Rates of a target in the `count` windows up to and with `number`, oldest first; `None` where there is none.
    pub fn rates(&self, target: &str, metric: Metric, number: u64, count: usize) -> Vec<Option<f64>> {
        let mut rates = vec![None; count];
        let first = (number + 1).saturating_sub(count as u64);
        for point in self.points.get(target).into_iter().flatten() {
            let rate = point.rates[metric.index()];
            if (first..=number).contains(&point.number) && rate.is_finite() {
                // The last place is that of `number`.
                let back = (number - point.number) as usize;
                if let Some(place) = count.checked_sub(back + 1).and_then(|at| rates.get_mut(at)) {
                    *place = Some(f64::from(rate));
                }
            }
        }
        rates
    }

    /// The window before or after one, if it is kept.
    pub fn beside(&self, number: u64, forward: bool) -> Option<&Rc<Frame>> {
        if forward {
            self.frames.iter().find(|frame| frame.number > number)
        } else {
            self.frames.iter().rev().find(|frame| frame.number < number)
        }
    }

    /// The newest window.
    pub fn newest(&self) -> Option<&Rc<Frame>> {
        self.frames.back()
    }

    /// The window of that number, if it is kept.
    pub fn frame(&self, number: u64) -> Option<&Rc<Frame>> {
        self.frames.iter().find(|frame| frame.number == number)
    }

    #[cfg(test)]
    fn count(&self) -> (usize, usize) {
        (self.points.values().map(VecDeque::len).sum(), self.frames.len())
    }
}

/// Bytes a window takes, about.
fn size(window: &HostWindow) -> usize {
    let of_target = |target: &TargetWindow| {
        let threads: usize = target.processes.iter().map(|process| process.threads.len()).sum();
        let sites: usize = target.sites.iter().map(|site| site.name.len() + 64).sum();
        1024 + target.processes.len() * 600
            + threads * 64
            + sites
            + target.sizes.len() * 8
            + target.regions.len() * 96
    };
    512 + window.targets.iter().map(of_target).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use waytrace_model::monitor::Values;

    use super::*;

    fn frame(number: u64, names: impl Iterator<Item = String>) -> Frame {
        let target = |name| TargetWindow {
            target: name,
            values: Values::from_iter([(Metric::Cpu, number as f64 * 2.0)]),
            ..TargetWindow::default()
        };
        let window = HostWindow {
            length_ns: 2_000_000_000,
            targets: names.map(target).collect(),
            ..HostWindow::default()
        };
        Frame { number, window, facts: Facts::default() }
    }

    #[test]
    fn rates_stand_at_the_place_of_their_window() {
        let mut history = History::default();
        for number in 0..10 {
            let names = ["a", "b"].into_iter().filter(|&name| name == "a" || number % 2 == 0);
            history.take(frame(number, names.map(str::to_owned)));
        }
        assert_eq!(history.rates("a", Metric::Cpu, 9, 3), [Some(7.0), Some(8.0), Some(9.0)]);
        assert_eq!(history.rates("b", Metric::Cpu, 9, 3), [None, Some(8.0), None]);
        assert_eq!(
            history.rates("b", Metric::Cpu, 4, 6),
            [None, Some(0.0), None, Some(2.0), None, Some(4.0)]
        );
        assert_eq!(history.rates("c", Metric::Cpu, 9, 2), [None, None]);
        assert_eq!(history.rates("a", Metric::Cpu, 9, 0), []);
    }

    #[test]
    fn memory_is_bounded_however_long_and_wide_it_goes() {
        let mut history = History::default();
        for number in 0..300 {
            history.take(frame(number, std::iter::once("a".to_owned())));
        }
        assert_eq!(history.count(), (DEPTH, DEPTH));
        // Names that never come again.
        for number in 300..340 {
            history.take(frame(number, (0..5000).map(|n| format!("{number}-{n}"))));
            let (points, frames) = history.count();
            assert!(points <= MOST_POINTS + 5000 && frames >= 1, "{points} {frames}");
            assert!(history.bytes <= MOST_BYTES || frames == 1, "{}", history.bytes);
        }
        assert_eq!(history.newest().unwrap().number, 339);
        assert_eq!(history.beside(339, true), None);
    }
}
