//! The access part of a report: all samples of the run put through the summary.

use rusqlite::Connection;
use waytrace_analysis::access::Summary;
use waytrace_model::access::{Access, AccessTotals, Source};
use waytrace_model::access_report::AccessReport;
use waytrace_model::allocation::Site;
use waytrace_model::run::{EndedBy, NumaNode};

use super::super::list::RunRow;
use super::samples;

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
    Ok(match totals {
        Some(totals) => Some(summary.finish(totals, sites, nodes)),
        None if summary.samples() > 0 => {
            let totals = of_samples(summary.samples(), precise);
            Some(summary.finish(&totals, sites, nodes))
        }
        None => None,
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
