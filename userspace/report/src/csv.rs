//! The time series as one long CSV table: a row per window, thread and metric, then one per phase and metric.
//! `docs/export.md` names the columns.
//!
//! What was not measured has no row; a zero in the file is a measured zero.

pub mod accesses;
pub mod regions;

use std::collections::BTreeMap;
use std::io::Write;

use waytrace_model::allocation::{AllocationWindow, Mode};
use waytrace_model::counter::Unit;
use waytrace_model::detail::{RunDetail, WindowDetail};
use waytrace_model::phase::Phase;

use crate::Error;

/// The header row.
pub const COLUMNS: [&str; 12] = [
    "window",
    "start_ns",
    "end_ns",
    "tid",
    "comm",
    "metric",
    "unit",
    "value",
    "estimated",
    "time_enabled_ns",
    "time_running_ns",
    "phase",
];

/// Writes the header and every row, window by window.
///
/// # Errors
/// [`Error::Write`] when `out` fails.
pub fn write(detail: &RunDetail, out: &mut impl Write) -> Result<(), Error> {
    let mut table = Table { out: csv::Writer::from_writer(out) };
    table.row(&COLUMNS.map(str::to_owned))?;
    let comms: BTreeMap<u32, &str> =
        detail.report.target.threads.iter().map(|thread| (thread.tid, thread.comm.as_str())).collect();
    let mode = detail.report.allocations.as_ref().and_then(|allocations| allocations.mode);
    for window in &detail.windows {
        readings(&mut table, detail, window, &comms)?;
        if let Some(activity) = &window.allocations {
            allocations(&mut table, window, activity, mode.is_some_and(Mode::is_estimate))?;
        }
    }
    for phase in &detail.phases {
        phase_rows(&mut table, detail, phase, &comms)?;
    }
    table.out.flush().map_err(Error::writing("csv"))
}

struct Table<W: Write> {
    out: csv::Writer<W>,
}

impl<W: Write> Table<W> {
    fn row(&mut self, cells: &[String; 12]) -> Result<(), Error> {
        self.out.write_record(cells).map_err(Error::writing("csv"))
    }
}

fn start(window: &WindowDetail) -> [String; 3] {
    let window = window.window;
    [window.index, window.start_ns, window.end_ns].map(|value| value.to_string())
}

fn readings<W: Write>(
    table: &mut Table<W>,
    detail: &RunDetail,
    window: &WindowDetail,
    comms: &BTreeMap<u32, &str>,
) -> Result<(), Error> {
    for reading in &window.readings {
        let event = detail.events.get(usize::from(reading.event));
        let name = event.map_or_else(|| format!("event {}", reading.event), |event| event.name.clone());
        let [index, start_ns, end_ns] = start(window);
        table.row(&[
            index,
            start_ns,
            end_ns,
            reading.tid.to_string(),
            comms.get(&reading.tid).copied().unwrap_or_default().to_owned(),
            name,
            event.map_or(Unit::Count, |event| event.unit).as_str().to_owned(),
            reading.value.to_string(),
            "false".to_owned(),
            reading.time_enabled_ns.to_string(),
            reading.time_running_ns.to_string(),
            String::new(),
        ])?;
    }
    Ok(())
}

/// CPU time of the phase, then what it counted.
fn phase_rows<W: Write>(
    table: &mut Table<W>,
    detail: &RunDetail,
    phase: &Phase,
    comms: &BTreeMap<u32, &str>,
) -> Result<(), Error> {
    let mut row = |metric: String, unit: Unit, value: u64, times: [String; 2]| {
        let [time_enabled_ns, time_running_ns] = times;
        table.row(&[
            String::new(),
            phase.start_ns.to_string(),
            phase.end_ns.to_string(),
            phase.tid.to_string(),
            comms.get(&phase.tid).copied().unwrap_or_default().to_owned(),
            metric,
            unit.as_str().to_owned(),
            value.to_string(),
            "false".to_owned(),
            time_enabled_ns,
            time_running_ns,
            phase.index.to_string(),
        ])
    };
    row("cpu_ns".to_owned(), Unit::Ns, phase.cpu_ns, Default::default())?;
    for reading in &phase.readings {
        let event = detail.events.get(usize::from(reading.event));
        let name = event.map_or_else(|| format!("event {}", reading.event), |event| event.name.clone());
        let times = [reading.time_enabled_ns.to_string(), reading.time_running_ns.to_string()];
        row(name, event.map_or(Unit::Count, |event| event.unit), reading.value, times)?;
    }
    Ok(())
}

fn allocations<W: Write>(
    table: &mut Table<W>,
    window: &WindowDetail,
    activity: &AllocationWindow,
    is_budgeted: bool,
) -> Result<(), Error> {
    let rows = [
        ("alloc_count", "count", activity.alloc_count, is_budgeted),
        ("alloc_bytes", "bytes", activity.alloc_bytes, is_budgeted),
        ("free_count", "count", activity.free_count, is_budgeted),
        ("freed_bytes", "bytes", activity.freed_bytes, is_budgeted),
        ("live_bytes", "bytes", activity.live_bytes.map(|bytes| bytes as f64), false),
        ("mmap_bytes", "bytes", Some(activity.mmap_bytes as f64), false),
        ("munmap_bytes", "bytes", Some(activity.munmap_bytes as f64), false),
        ("probed_ratio", "ratio", Some(activity.probed_ratio), false),
    ];
    for (metric, unit, value, is_estimated) in rows {
        let Some(value) = value else { continue };
        let [index, start_ns, end_ns] = start(window);
        let none = String::new;
        let (metric, unit) = (metric.to_owned(), unit.to_owned());
        let (value, estimated) = (value.to_string(), is_estimated.to_string());
        table.row(&[
            index,
            start_ns,
            end_ns,
            none(),
            none(),
            metric,
            unit,
            value,
            estimated,
            none(),
            none(),
            none(),
        ])?;
    }
    Ok(())
}
