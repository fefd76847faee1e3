//! What one window counted, all threads and caches together.

use waytrace_model::sweep::{MissSource, SweepPoint, ThreadCounts};

/// Bytes of a cache line, on all machines that divide their caches.
pub(super) const LINE_BYTES: f64 = 64.0;

/// Sums of a window; `None`: not known.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Window {
    pub sweep: u32,
    /// Of what stands below as a pair, the upper and the lower part of a ratio, from threads of which both are known.
    pub ipc: Option<(f64, f64)>,
    pub miss_ratio: Option<(f64, f64)>,
    pub mpki: Option<(f64, f64)>,
    pub occupancy: Option<(f64, f64)>,
    pub bandwidth: Option<(f64, f64)>,
    pub multiplexed: bool,
}

impl Window {
    pub fn of(point: &SweepPoint, misses: Option<MissSource>) -> Self {
        let pair = |upper: Count, lower: Count| sums(&point.threads, upper, lower);
        let bytes = over_caches(point, |cache| cache.total_bytes.or(cache.local_bytes));
        let (miss_ratio, mpki) = match misses {
            None => (None, None),
            Some(MissSource::LlcEvents) => (
                pair(|thread| thread.llc_misses, |thread| thread.llc_references),
                pair(|thread| thread.llc_misses, |thread| thread.instructions),
            ),
            Some(MissSource::MemoryTraffic) => {
                let instructions = pair(|thread| thread.instructions, |thread| thread.instructions);
                (None, bytes.zip(instructions).map(|(bytes, (_, own))| (bytes / LINE_BYTES, own)))
            }
        };
        Self {
            sweep: point.sweep,
            ipc: pair(|thread| thread.instructions, |thread| thread.cycles),
            miss_ratio,
            mpki: mpki.map(|(misses, instructions)| (misses, instructions / 1000.0)),
            occupancy: over_caches(point, |cache| cache.occupancy_bytes).map(|bytes| (bytes, 1.0)),
            bandwidth: bytes.map(|bytes| (bytes, point.window_ns as f64 / 1e9)),
            multiplexed: point.threads.iter().any(|thread| thread.running_ns < thread.enabled_ns),
        }
    }

    /// Whether it tells nothing at all.
    pub fn is_empty(&self) -> bool {
        [self.ipc, self.miss_ratio, self.mpki, self.occupancy, self.bandwidth].iter().all(Option::is_none)
    }
}

type Count = fn(&ThreadCounts) -> Option<u64>;

/// `None` where no thread has both, or the lower one is 0.
fn sums(threads: &[ThreadCounts], upper: Count, lower: Count) -> Option<(f64, f64)> {
    let known = threads.iter().filter_map(|thread| {
        let scale = scale(thread)?;
        Some((upper(thread)? as f64 * scale, lower(thread)? as f64 * scale))
    });
    let sum = known.fold((0.0, 0.0), |sum, own| (sum.0 + own.0, sum.1 + own.1));
    (sum.1 > 0.0).then_some(sum)
}

/// What a count stands for when its event had a counter part of the time; `None` if it never had.
fn scale(thread: &ThreadCounts) -> Option<f64> {
    match (thread.enabled_ns, thread.running_ns) {
        (enabled, running) if running >= enabled => Some(1.0),
        (_, 0) => None,
        (enabled, running) => Some(enabled as f64 / running as f64),
    }
}

/// A sum over all caches, known only where it is of each.
fn over_caches(
    point: &SweepPoint,
    of: impl Fn(&waytrace_model::sweep::CacheMonitor) -> Option<u64>,
) -> Option<f64> {
    let all: Option<Vec<u64>> = point.monitors.iter().map(of).collect();
    all.filter(|all| !all.is_empty()).map(|all| all.iter().map(|own| *own as f64).sum())
}
