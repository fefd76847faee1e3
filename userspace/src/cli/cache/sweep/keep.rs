//! Where points go as they come: the store, and a line each on a terminal.

use std::io::IsTerminal as _;

use waytrace_model::sweep::{Settled, SweepEnd, SweepHeader, SweepPoint};
use waytrace_model::units::format_ns;
use waytrace_store::{SeriesId, Store};
use waytrace_sweep::Sink;
use waytrace_sweep::plan::Planned;

use super::super::super::output::say;

/// A sweep in the store.
pub struct Keep<'a> {
    store: &'a Store,
    id: SeriesId,
    is_shown: bool,
    of: Option<u64>,
}

impl<'a> Keep<'a> {
    /// Begins one.
    ///
    /// # Errors
    /// The name is taken, or the store cannot be written.
    pub fn begin(store: &'a Store, header: &SweepHeader) -> waytrace_store::Result<Self> {
        let id = store.begin_sweep(header)?;
        Ok(Self { store, id, is_shown: std::io::stderr().is_terminal(), of: None })
    }

    /// Its id.
    pub fn id(&self) -> SeriesId {
        self.id
    }

    /// Ends it.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn end(&self, end: &SweepEnd) -> waytrace_store::Result<()> {
        self.store.end_sweep(self.id, end)
    }
}

impl Sink for Keep<'_> {
    fn begins(&mut self, _: Planned, _: u64, of: Option<u64>) {
        self.of = of;
    }

    fn point(&mut self, point: &SweepPoint) -> Result<(), String> {
        self.store.add_sweep_point(self.id, point).map_err(|error| error.to_string())?;
        if self.is_shown {
            say(&line(point, self.of));
        }
        Ok(())
    }
}

fn line(point: &SweepPoint, of: Option<u64>) -> String {
    let of = of.map_or_else(String::new, |of| format!("/{of}"));
    let settled = match point.settled {
        Settled::Occupancy | Settled::Rate => "settled in",
        Settled::Not => "NOT settled in",
    };
    let sum = |of: fn(&waytrace_model::sweep::ThreadCounts) -> Option<u64>| {
        point.threads.iter().map(of).sum::<Option<u64>>().map(|sum| sum as f64)
    };
    let ratio = |over: Option<f64>, under: Option<f64>| Some(over? / under.filter(|under| *under > 0.0)?);
    let ipc = ratio(sum(|thread| thread.instructions), sum(|thread| thread.cycles));
    let misses = ratio(sum(|thread| thread.llc_misses), sum(|thread| thread.llc_references));
    let ipc = ipc.map_or_else(String::new, |ipc| format!("  IPC {ipc:.3}"));
    let misses = misses.map_or_else(String::new, |misses| format!("  misses {:.1} %", misses * 100.0));
    let what = if point.reference { "reference, " } else { "" };
    format!(
        "point {}{of}: {what}{} ways, {settled} {}{ipc}{misses}",
        point.position + 1,
        point.ways,
        format_ns(point.settle_ns as f64)
    )
}
