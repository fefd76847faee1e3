//! A sweep in the files of Datamime's profiler, so that what reads those reads these: curves of MPKI and IPC, a row for each number of
//! ways from 1 on and a column for each sweep, the counters of each window, and the frequency of the clock they count in.
//!
//! What that layout cannot hold, and what it has that a sweep does not measure, is returned in words.

use std::collections::{BTreeMap, BTreeSet};

use waytrace_model::sweep::{MissSource, SweepPoint};
use waytrace_model::sweep_curve::SweepReport;

/// Frequency of the time-stamp counter the files claim: a tick of it is a nanosecond, which is what times are known in.
const TSC_MHZ: u32 = 1000;
/// Bytes of a line.
const LINE_BYTES: f64 = 64.0;
/// Columns of the counters.
const COLUMNS: &str = "timestamp,ref_cycles,time_running,time_enabled,local_mem_traffic,l3_occupancy,\
                       UNHALTED_REFERENCE_CYCLES,INST_RETIRED,CPU_CLK_UNHALTED";

/// The files, by name, and what is to be known about them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// Name and content, sorted by name.
    pub files: Vec<(String, String)>,
    /// What is not in them, or not as in those Datamime writes; a sentence each.
    pub notes: Vec<String>,
}

/// The files of a sweep; their names begin with `header`.
///
/// # Errors
/// In words: misses are not known, or no sweep was completed.
pub fn files(report: &SweepReport, header: &str) -> Result<Files, String> {
    let name = &report.sweep.name;
    let source = report.sweep.misses.ok_or_else(|| {
        format!("sweep `{name}` knows no misses, and Datamime's files cannot do without; --json has its other figures")
    })?;
    let sweeps = Sweeps::of(report);
    if sweeps.complete.is_empty() {
        return Err(format!(
            "sweep `{name}` has no sweep with all its numbers of ways, so Datamime's files would be empty; let it complete one"
        ));
    }
    let mut files = vec![("target_configs.yml".to_owned(), format!("tsc_freq_mhz: {TSC_MHZ}\n"))];
    let mut skipped = 0;
    for thread in threads(report) {
        let mpki = sweeps.table(|point| thread.mpki(point, source));
        let ipc = sweeps.table(|point| thread.ipc(point));
        let (Some(mpki), Some(ipc)) = (mpki, ipc) else {
            skipped += 1;
            continue;
        };
        let id = thread.id();
        files.push((format!("{header}_counters_{id}.csv"), thread.counters(&report.points)));
        files.push((format!("{header}_ipc_{id}"), ipc));
        files.push((format!("{header}_mrc_{id}"), mpki));
    }
    if files.len() == 1 {
        return Err(format!(
            "sweep `{name}` has no thread that was counted in a whole sweep; Datamime's files are by thread"
        ));
    }
    files.sort();
    Ok(Files { files, notes: notes(report, &sweeps, skipped, source) })
}

/// The sweeps that have all their numbers of ways, undisturbed.
struct Sweeps<'r> {
    ways: u32,
    complete: Vec<BTreeMap<u32, &'r SweepPoint>>,
    incomplete: usize,
    visited: Vec<u32>,
}

impl<'r> Sweeps<'r> {
    fn of(report: &'r SweepReport) -> Self {
        let mut by_sweep: BTreeMap<u32, BTreeMap<u32, &SweepPoint>> = BTreeMap::new();
        for point in report.points.iter().filter(|point| !point.reference) {
            let own = by_sweep.entry(point.sweep).or_default();
            if !point.disturbed {
                own.insert(point.ways, point);
            }
        }
        let visited = report.sweep.plan.ways.clone();
        let all = by_sweep.len();
        let complete: Vec<_> =
            by_sweep.into_values().filter(|own| visited.iter().all(|ways| own.contains_key(ways))).collect();
        Self { ways: report.sweep.cache.ways.min(64), incomplete: all - complete.len(), complete, visited }
    }

    /// Rows of ways, columns of those sweeps in which the thread has all figures; `None` where it has them in none.
    fn table(&self, figure: impl Fn(&SweepPoint) -> Option<f64>) -> Option<String> {
        let column = |own: &BTreeMap<u32, &SweepPoint>| {
            let known: Option<Vec<(u32, f64)>> =
                self.visited.iter().map(|ways| Some((*ways, figure(own.get(ways)?)?))).collect();
            known.filter(|known| !known.is_empty())
        };
        let columns: Vec<Vec<(u32, f64)>> = self.complete.iter().filter_map(column).collect();
        if columns.is_empty() {
            return None;
        }
        let row = |ways: u32| {
            let cells: Vec<String> =
                columns.iter().map(|known| interpolated(known, ways).to_string()).collect();
            cells.join(" ") + "\n"
        };
        Some((1..=self.ways).map(row).collect())
    }
}

/// Between the numbers of ways measured on a straight line, beyond them as at the nearest.
fn interpolated(known: &[(u32, f64)], ways: u32) -> f64 {
    let after = known.partition_point(|own| own.0 < ways);
    match (after.checked_sub(1).and_then(|at| known.get(at)), known.get(after)) {
        (Some(&(before, low)), Some(&(next, high))) if next > before => {
            low + (high - low) * f64::from(ways - before) / f64::from(next - before)
        }
        (_, Some(&(_, value))) | (Some(&(_, value)), None) => value,
        (None, None) => 0.0,
    }
}

/// Whose file it is: a thread's, or the process' where CPUs were counted.
enum Thread {
    Tid(u32),
    Process(u32),
}

fn threads(report: &SweepReport) -> Vec<Thread> {
    let tids: BTreeSet<u32> =
        report.points.iter().flat_map(|point| &point.threads).map(|thread| thread.tid).collect();
    if tids.contains(&0) || tids.is_empty() {
        return vec![Thread::Process(report.sweep.target.pid)];
    }
    tids.into_iter().map(Thread::Tid).collect()
}

impl Thread {
    fn id(&self) -> u32 {
        let (Self::Tid(id) | Self::Process(id)) = self;
        *id
    }

    fn sum(
        &self,
        point: &SweepPoint,
        of: fn(&waytrace_model::sweep::ThreadCounts) -> Option<u64>,
    ) -> Option<f64> {
        let own = point.threads.iter().filter(|thread| match self {
            Self::Tid(tid) => thread.tid == *tid,
            Self::Process(_) => true,
        });
        let counts: Vec<u64> = own.filter_map(of).collect();
        (!counts.is_empty()).then(|| counts.iter().map(|count| *count as f64).sum())
    }

    fn ipc(&self, point: &SweepPoint) -> Option<f64> {
        let cycles = self.sum(point, |thread| thread.cycles).filter(|cycles| *cycles > 0.0)?;
        Some(self.sum(point, |thread| thread.instructions)? / cycles)
    }

    fn mpki(&self, point: &SweepPoint, source: MissSource) -> Option<f64> {
        let misses = match source {
            MissSource::LlcEvents => self.sum(point, |thread| thread.llc_misses)?,
            MissSource::MemoryTraffic => {
                bytes(point, |cache| cache.total_bytes.or(cache.local_bytes))? / LINE_BYTES
            }
        };
        // Traffic is the whole process', so are then the instructions.
        let instructions = match source {
            MissSource::LlcEvents => self.sum(point, |thread| thread.instructions)?,
            MissSource::MemoryTraffic => Self::Process(0).sum(point, |thread| thread.instructions)?,
        };
        (instructions > 0.0).then(|| misses * 1000.0 / instructions)
    }

    /// A row for each window, also those of no curve.
    fn counters(&self, points: &[SweepPoint]) -> String {
        let (mut text, mut held) = (COLUMNS.to_owned() + "\n", 0.0);
        let cell = |value: Option<f64>| value.map_or_else(|| "nan".to_owned(), |value| value.to_string());
        for point in points {
            let end_ns = point.at_ns.saturating_add(point.window_ns);
            let occupancy = bytes(point, |cache| cache.occupancy_bytes);
            let cells = [
                end_ns.to_string(),
                // Counts over this give rates, so it is the window, without the settling before it.
                point.window_ns.to_string(),
                "nan".to_owned(),
                "nan".to_owned(),
                cell(bytes(point, |cache| cache.local_bytes)),
                cell(occupancy.map(|own| own - held)),
                "nan".to_owned(),
                cell(self.sum(point, |thread| thread.instructions)),
                cell(self.sum(point, |thread| thread.cycles)),
            ];
            text.push_str(&cells.join(","));
            text.push('\n');
            held = occupancy.unwrap_or(held);
        }
        text
    }
}

fn bytes(point: &SweepPoint, of: fn(&waytrace_model::sweep::CacheMonitor) -> Option<u64>) -> Option<f64> {
    let all: Option<Vec<u64>> = point.monitors.iter().map(of).collect();
    all.filter(|all| !all.is_empty()).map(|all| all.iter().map(|own| *own as f64).sum())
}

fn notes(report: &SweepReport, sweeps: &Sweeps<'_>, skipped: usize, source: MissSource) -> Vec<String> {
    let mut notes = Vec::new();
    let mut note = |applies: bool, text: String| {
        if applies {
            notes.push(text);
        }
    };
    note(report.sweep.simulated, "these figures are simulated, which the files cannot say".to_owned());
    note(
        source == MissSource::LlcEvents,
        "MPKI is of the PMU's misses; Datamime's own is of memory traffic, which prefetches raise".to_owned(),
    );
    note(
        source == MissSource::MemoryTraffic && report.points.iter().any(|point| point.threads.len() > 1),
        "memory traffic is known of the whole process, so every thread has the same MPKI".to_owned(),
    );
    note(
        sweeps.visited.len() < sweeps.ways as usize,
        "rows of ways that were not measured are interpolated between those that were".to_owned(),
    );
    note(
        sweeps.ways != 12,
        format!("Datamime's cost model takes caches of 12 ways only; this one has {}", sweeps.ways),
    );
    note(sweeps.complete.len() == 1, "one column: numpy reads it as a vector, not as a table".to_owned());
    note(
        sweeps.incomplete > 0,
        format!("{} sweeps without all their numbers of ways are left out", sweeps.incomplete),
    );
    note(skipped > 0, format!("{skipped} threads without a count in any whole sweep are left out"));
    note(
        true,
        "times are ticks of a clock of 1000 MHz (nanoseconds), unhalted reference cycles were not counted (nan), and bands, misses \
         per reference and how a window settled have no place in these files"
            .to_owned(),
    );
    notes
}
