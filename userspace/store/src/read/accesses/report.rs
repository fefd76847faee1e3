//! The access part of a report: all samples of the run put through the summary.

use std::borrow::Cow;

use rusqlite::Connection;
use waytrace_analysis::access::Summary;
use waytrace_model::access::{Access, AccessTotals, Source};
use waytrace_model::access_report::{AccessReport, Kept};
use waytrace_model::allocation::Site;
use waytrace_model::run::{EndedBy, NumaNode};

use super::super::list::RunRow;
use super::super::row;
use super::{heat, samples};
use crate::codec::quantity;

/// Why a run without an end has gaps.
const UNFINISHED: &str = "the run has no end record (waytrace was killed): samples are those stored, and their source is \
    concluded from them; regions, functions, sites, and what was sampled and not resolved, were not stored";

/// What the samples come to, of a machine with these nodes; `None` where that collector did not run. Every sample is shown to `also`.
pub(in super::super) fn report(
    connection: &Connection,
    run: &RunRow,
    totals: Option<&AccessTotals>,
    (sites, nodes): (&[Site], &[NumaNode]),
    mut also: impl FnMut(&Access),
) -> rusqlite::Result<Option<AccessReport>> {
    if totals.is_none() && run.ended_by != EndedBy::Unfinished {
        return Ok(None);
    }
    let mut summary = Summary::default();
    let mut precise = false;
    samples::each(connection, run.id, |access| {
        summary.add(&access);
        precise |= access.precise.is_some();
        also(&access);
    })?;
    heat::windows(connection, run.id)?.iter().for_each(|window| summary.add_window(window, run.interval_ns));
    heat::each_cell(connection, run.id, |_, cell| summary.add_cell(&cell))?;
    let counted = summary.samples();
    if totals.is_none() && counted == 0 {
        return Ok(None);
    }
    let kept = kept(connection, run)?;
    let of_samples = || of_samples(kept.map_or(counted, |kept| kept.of), precise);
    let totals = totals.map_or_else(|| Cow::Owned(of_samples()), Cow::Borrowed);
    let report = summary.finish(&totals, sites, nodes);
    let kept = kept.map_or(report.kept, |kept| Kept { samples: counted, ..kept });
    Ok(Some(AccessReport { kept, ..report }))
}

/// What the writer noted of all samples there were; `None` of a run from before there was a bound.
fn kept(connection: &Connection, run: &RunRow) -> rusqlite::Result<Option<Kept>> {
    row(connection, run.id, "SELECT * FROM access_kept WHERE run_id = ?1", |row| {
        Ok(Kept {
            samples: quantity(row, "samples")?,
            of: quantity(row, "offered")?,
            factor: quantity(row, "factor")?,
            loads: quantity(row, "loads")?,
            stores: quantity(row, "stores")?,
        })
    })
}

/// What samples tell of themselves.
fn of_samples(samples: u64, precise: bool) -> AccessTotals {
    AccessTotals {
        source: if precise { Source::PmuEvent } else { Source::ForwardWalk },
        rate_hz: None,
        samples,
        kernel_samples: 0,
        resolved: samples,
        unresolved: Default::default(),
        checked: 0,
        confirmed: 0,
        throttled: 0,
        regions: Vec::new(),
        code: Vec::new(),
        footprints: Vec::new(),
        null_reason: Some(UNFINISHED.to_owned()),
    }
}
