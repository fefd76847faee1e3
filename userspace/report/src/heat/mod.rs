//! The heat map of time × address, before anybody draws it: which samples are shown, where in a compacted address space
//! they lie, and which mappings and blocks lie there too. The page and the plot are drawn from this.
//!
//! Memory is bounded whatever the run: see [`points::Points`] and [`space::Space`].

pub mod points;
pub mod space;
mod spans;
mod view;

use std::collections::HashMap;

use waytrace_model::access::Access;
use waytrace_model::allocation::TracedAllocation;
use waytrace_model::detail::RunDetail;

use crate::{Cause, Error};
use points::Points;
use space::{Range, Space};
pub use spans::{BlockSpan, RegionSpan};
pub use view::View;

/// A heat map's samples and what lies behind them.
#[derive(Debug)]
pub struct Heat {
    /// The samples, oldest first.
    pub points: Points,
    /// The addresses in use.
    pub space: Space,
    /// Mappings by height, lowest first.
    pub regions: Vec<RegionSpan>,
    /// Traced blocks in view, in the order they were given.
    pub blocks: Vec<BlockSpan>,
    /// Time shown, nanoseconds since the run started.
    pub from_ns: u64,
    /// End of the time shown.
    pub to_ns: u64,
}

impl Heat {
    /// The heat map of `accesses` and of the traced allocations `drawn`, cut to `view`. At most `points_max` samples are
    /// kept. `None` where `view` shows no sample.
    ///
    /// # Errors
    /// [`Error::Read`] when `accesses` fails.
    pub fn of<E: Into<Cause>>(
        detail: &RunDetail,
        drawn: &[TracedAllocation],
        accesses: impl Iterator<Item = Result<Access, E>>,
        view: &View,
        points_max: usize,
    ) -> Result<Option<Self>, Error> {
        let processes = Processes::of(detail);
        let points = Points::of(accesses, |access| processes.of_access(access), view, points_max)?;
        let Some(last_ns) = points.list.last().map(|point| point.at_ns) else { return Ok(None) };
        let to_ns = view.time_max_ns.unwrap_or(u64::MAX).min(detail.report.run.duration_ns.max(last_ns + 1));
        let from_ns = view.time_min_ns.min(to_ns.saturating_sub(1));
        let blocks: Vec<(usize, Range)> = drawn
            .iter()
            .enumerate()
            .filter(|(_, one)| one.from_ns.unwrap_or(0) < to_ns && one.to_ns.unwrap_or(to_ns) > from_ns)
            .filter_map(|(at, one)| {
                let end = one.address.saturating_add(one.size_bytes.max(1));
                Some((
                    at,
                    view.clip(Range { process: processes.of_thread(one.tid), start: one.address, end })?,
                ))
            })
            .collect();
        let used = points.list.iter().map(points::Point::range);
        let used = used.chain(blocks.iter().map(|(_, range)| *range)).collect();
        let mappings: Vec<Range> = detail.regions.iter().map(spans::range).collect();
        let space = Space::of(used, view.block_bits, &mappings);
        Ok(Some(Self {
            regions: spans::regions(detail, &space),
            blocks: spans::blocks(drawn, &blocks, &space, to_ns),
            points,
            space,
            from_ns,
            to_ns,
        }))
    }
}

/// Which process an access belongs to: several have the same addresses, and lie above one another.
struct Processes {
    target: u32,
    by_region: HashMap<u32, u32>,
    by_thread: HashMap<u32, u32>,
}

impl Processes {
    fn of(detail: &RunDetail) -> Self {
        let target = &detail.report.target;
        Self {
            target: target.tgid,
            by_region: detail.regions.iter().map(|region| (region.id, region.tgid)).collect(),
            by_thread: target.threads.iter().map(|thread| (thread.tid, thread.tgid)).collect(),
        }
    }

    fn of_thread(&self, tid: u32) -> u32 {
        self.by_thread.get(&tid).copied().unwrap_or(self.target)
    }

    fn of_access(&self, access: &Access) -> u32 {
        let by_region = access.region.and_then(|region| self.by_region.get(&region));
        by_region.copied().unwrap_or_else(|| self.of_thread(access.tid))
    }
}
