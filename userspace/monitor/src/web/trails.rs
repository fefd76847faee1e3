//! Short memory of what the live page draws: four numbers of each target in each of the last windows.
//!
//! Whole windows of many targets are too large to be kept for that: three minutes at a second each, of a thousand targets, are hundreds of
//! megabytes, and this is three.

use std::collections::{HashMap, VecDeque};

use waytrace_model::monitor::{HostWindow, Metric, TargetWindow};

/// Windows that are remembered.
pub(super) const LENGTH: usize = 180;

/// Targets that are remembered; the page shows others without their past.
const MOST: usize = 2_000;

/// What is remembered, as a rate where it is an amount. The page knows them by this order.
pub(super) const METRICS: [Metric; 4] = [Metric::Cpu, Metric::Rss, Metric::AllocBytes, Metric::RunQueue];

/// One window of a target; `NAN` where a number is absent.
pub(super) type Point = [f32; METRICS.len()];

const ABSENT: Point = [f32::NAN; METRICS.len()];

/// The past of every target.
#[derive(Default)]
pub(super) struct Trails {
    windows: u64,
    by_target: HashMap<String, Trail>,
}

struct Trail {
    points: VecDeque<Point>,
    last_seen: u64,
}

impl Trails {
    /// Takes a window in.
    pub(super) fn add(&mut self, window: &HostWindow) {
        self.windows += 1;
        for target in &window.targets {
            let is_known = self.by_target.contains_key(&target.target);
            if !is_known && self.by_target.len() >= MOST {
                continue;
            }
            let point = point(target, window.length_ns);
            if let Some(trail) = self.by_target.get_mut(&target.target) {
                trail.push(point);
                trail.last_seen = self.windows;
            } else {
                let trail = Trail { points: VecDeque::from([point]), last_seen: self.windows };
                self.by_target.insert(target.target.clone(), trail);
            }
        }
        let now = self.windows;
        self.by_target.retain(|_, trail| {
            if trail.last_seen != now {
                trail.push(ABSENT);
            }
            now - trail.last_seen < LENGTH as u64
        });
    }

    /// The last `count` points of a target, oldest first; fewer where it is younger.
    pub(super) fn of(&self, target: &str, count: usize) -> impl Iterator<Item = &Point> {
        let points = self.by_target.get(target).map(|trail| &trail.points);
        let skipped = points.map_or(0, |points| points.len().saturating_sub(count));
        points.into_iter().flatten().skip(skipped)
    }
}

impl Trail {
    fn push(&mut self, point: Point) {
        if self.points.len() == LENGTH {
            self.points.pop_front();
        }
        self.points.push_back(point);
    }
}

fn point(target: &TargetWindow, length_ns: u64) -> Point {
    METRICS.map(|metric| target.values.rate(metric, length_ns).map_or(f32::NAN, |value| value as f32))
}

#[cfg(test)]
mod tests {
    use super::*;
    use waytrace_model::monitor::Values;

    fn window(targets: &[(&str, f64)]) -> HostWindow {
        let target = |(name, cpu): &(&str, f64)| TargetWindow {
            target: (*name).to_owned(),
            values: Values::from_iter([(Metric::Cpu, *cpu)]),
            ..TargetWindow::default()
        };
        HostWindow {
            length_ns: 1_000_000_000,
            targets: targets.iter().map(target).collect(),
            ..HostWindow::default()
        }
    }

    fn cpu(trails: &Trails, target: &str) -> Vec<f32> {
        trails.of(target, LENGTH).map(|point| point[0]).collect()
    }

    #[test]
    fn a_gap_is_absent_and_the_dead_are_forgotten() {
        let mut trails = Trails::default();
        trails.add(&window(&[("a", 5.0), ("b", 1.0)]));
        trails.add(&window(&[("b", 2.0)]));
        trails.add(&window(&[("a", 7.0), ("b", 3.0)]));
        let a = cpu(&trails, "a");
        assert_eq!((a[0], a[1].is_nan(), a[2]), (5.0, true, 7.0));
        assert!(trails.of("a", 1).all(|point| point[1].is_nan()), "rss was not measured");
        for _ in 0..LENGTH {
            trails.add(&window(&[("b", 4.0)]));
        }
        assert!(cpu(&trails, "a").is_empty());
        assert_eq!(cpu(&trails, "b"), [4.0; LENGTH]);
    }

    #[test]
    fn targets_beyond_the_bound_have_no_past() {
        let mut trails = Trails::default();
        let names: Vec<_> = (0..=MOST).map(|n| n.to_string()).collect();
        let targets: Vec<_> = names.iter().map(|name| (name.as_str(), 1.0)).collect();
        trails.add(&window(&targets));
        assert_eq!(trails.by_target.len(), MOST);
        assert!(cpu(&trails, &MOST.to_string()).is_empty());
    }
}
