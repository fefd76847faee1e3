//! `diff TARGET --since … --against …`: a range of a target's history beside the same range earlier.

use std::path::Path;

use waytrace_analysis::diff::history::{HistoryDiff, HistorySide, histories};
use waytrace_analysis::diff::{Change, Verdict};
use waytrace_model::units::format_bytes;
use waytrace_report::history::{quantity, span};
use waytrace_store::Store;

use super::super::output::{plain, print, print_json, width};
use super::super::table::{Table, left, right};
use super::range::Range;

/// Prints the comparison of a range with the one `against` nanoseconds before it.
///
/// # Errors
/// The store's, of either range; or stdout cannot be written.
pub fn diff(
    db: Option<&Path>,
    target: &str,
    range: Range,
    against: u64,
    (sites, json): (usize, bool),
) -> anyhow::Result<()> {
    let store = Store::open_existing(db)?;
    let read = |range: Range| store.target_history(target, range.from_unix_ns, range.to_unix_ns);
    let diff = histories(&read(range.earlier(against))?, &read(range)?);
    if json { print_json(&diff) } else { print(&text(&diff, sites, width())) }
}

fn text(diff: &HistoryDiff, sites: usize, width: usize) -> String {
    let mut text = format!("{}\nA  {}\nB  {}\n", plain(&diff.target), side(&diff.a), side(&diff.b));
    if diff.a.range.step != diff.b.range.step {
        text.push_str(
            "note: the ranges are of different steps; least and most of them cannot be compared, means can\n",
        );
    }
    text.push('\n');
    let columns = vec![left("METRIC"), right("A"), right("B"), right("CHANGE")];
    let mut table = Table::new(columns);
    for one in &diff.metrics {
        table.row(&row(one.metric.name(), &one.change, |value| quantity(one.metric, value)));
    }
    text.push_str(&table.render(width));
    if !diff.sites.is_empty() && sites > 0 {
        text.push('\n');
        let mut table =
            Table::new([right("A"), right("B"), right("CHANGE"), left("ALLOCATION SITE, BYTES/S")].to_vec());
        for one in diff.sites.iter().take(sites) {
            let mut cells = row(&one.name, &one.bytes_per_s, |value| format!("{}/s", format_bytes(value)));
            cells.rotate_left(1);
            table.row(&cells);
        }
        text.push_str(&table.render(width));
    }
    text
}

fn side(side: &HistorySide) -> String {
    format!("{}, {} alerts", span(&side.range, side.range.windows), side.alerts)
}

fn row(name: &str, change: &Change, format: impl Fn(f64) -> String) -> Vec<String> {
    let value = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), &format);
    let pct = change.change_pct.map_or_else(String::new, |pct| format!("{pct:+.1}%"));
    let verdict = match change.verdict {
        Verdict::Up | Verdict::Down => pct,
        Verdict::Same => "same".to_owned(),
        Verdict::WithinInterval => format!("{pct} within"),
        Verdict::Unknown => format!("{pct} ?"),
    };
    vec![name.to_owned(), value(change.a), value(change.b), verdict]
}
