//! Two way sweeps side by side: a table for each figure with the difference's band, and what is read off.

use anyhow::anyhow;
use waytrace_analysis::diff::Verdict;
use waytrace_analysis::diff::sweeps::{
    Difference, ReadOff, ReadOffChange, ShareChange, SweepDiff, SweepSide, sweeps,
};
use waytrace_model::sweep::MissSource;
use waytrace_model::sweep_curve::{CurveOf, SweepReport};
use waytrace_model::units::format_bytes;
use waytrace_store::time::rfc3339;

use super::super::output::{plain, print, print_json, width};
use super::super::table::{Table, left, right};

/// Prints the comparison of sweep `b` with `a`.
///
/// # Errors
/// They cannot be compared, or stdout cannot be written.
pub fn diff(a: &SweepReport, b: &SweepReport, json: bool) -> anyhow::Result<()> {
    let names = || format!("sweeps `{}` and `{}`", plain(&a.sweep.name), plain(&b.sweep.name));
    let diff = sweeps(a, b).map_err(|unlike| anyhow!("{}: {}", names(), unlike.reason()))?;
    if json { print_json(&diff) } else { print(&text(&diff, width())) }
}

fn text(diff: &SweepDiff, width: usize) -> String {
    let mut text = format!("A  {}\nB  {}\n", side(&diff.a), side(&diff.b));
    for note in &diff.notes {
        text.push_str(&format!("note: {}\n", plain(note)));
    }
    type Figure = fn(&ShareChange) -> Option<Difference>;
    let figures: [(&str, Figure); 3] = [
        ("MISS RATIO", |share| share.miss_ratio),
        (mpki(diff), |share| share.mpki),
        ("IPC", |share| share.ipc),
    ];
    for (name, of) in figures {
        text.push_str(&figure(diff, name, of, width));
    }
    text.push_str(&read_off(diff, width));
    let singles = |count: u64| if count == 1 { "share" } else { "shares" };
    for (count, letter) in
        [(diff.only_a, 'A'), (diff.only_b, 'B')].into_iter().filter(|(count, _)| *count > 0)
    {
        text.push_str(&format!("{count} more {} in {letter} alone\n", singles(count)));
    }
    text
}

fn side(side: &SweepSide) -> String {
    let size = side.way_bytes.map_or_else(String::new, |bytes| format!(" of {}", format_bytes(bytes as f64)));
    let name = plain(&side.name);
    let started_at = rfc3339(side.started_at_unix_ns);
    let comm = plain(&side.comm);
    format!("{name}, {started_at}, {comm} [{}], {} with {} ways{size}", side.pid, side.resource, side.ways)
}

fn mpki(diff: &SweepDiff) -> &'static str {
    if diff.misses == Some(MissSource::MemoryTraffic) { "LINES OF TRAFFIC PER 1000 INSTR." } else { "MPKI" }
}

/// A table of one figure with a sentence of what it comes to; nothing where no share has it.
fn figure(diff: &SweepDiff, name: &str, of: fn(&ShareChange) -> Option<Difference>, width: usize) -> String {
    let rows: Vec<(&ShareChange, Difference)> =
        diff.shares.iter().filter_map(|share| Some((share, of(share)?))).collect();
    if rows.is_empty() {
        return String::new();
    }
    let columns = ["WAYS", "BYTES", "A", "B", "B − A", "95 % BAND"].map(right).to_vec();
    let mut table = Table::new([columns, vec![left(name)]].concat());
    for (share, own) in &rows {
        table.row(&[
            ways(share),
            share.bytes.map_or_else(dash, |bytes| format_bytes(bytes as f64)),
            number(own.a),
            number(own.b),
            format!("{:+.3}", own.difference),
            own.ci95_low
                .zip(own.ci95_high)
                .map_or_else(dash, |(low, high)| format!("{low:+.3} to {high:+.3}")),
            verdict(own),
        ]);
    }
    format!("\n{}{}", table.render(width), summary(name, &rows))
}

fn summary(name: &str, rows: &[(&ShareChange, Difference)]) -> String {
    let judged = rows.iter().filter(|(_, own)| own.verdict != Verdict::Unknown).count();
    if judged == 0 {
        return "no bands: a sweep visited each share once; take --repeats 5\n".to_owned();
    }
    let beyond = rows.iter().filter(|(_, own)| matches!(own.verdict, Verdict::Up | Verdict::Down)).count();
    let chance = if judged >= 10 { "; of 20 that do not differ one may pass for it" } else { "" };
    format!("{name}: beyond chance with {beyond} of {judged} shares{chance}\n")
}

fn ways(share: &ShareChange) -> String {
    let mark = if share.unsettled { "*" } else { "" };
    match (share.ways_a, share.ways_b) {
        (a, b) if a == b => format!("{a}{mark}"),
        (a, b) => format!("{a}/{b}{mark}"),
    }
}

fn verdict(own: &Difference) -> String {
    let percent =
        if own.a == 0.0 { String::new() } else { format!(" {:+.1}%", 100.0 * own.difference / own.a) };
    match own.verdict {
        Verdict::Up => format!("higher{percent}"),
        Verdict::Down => format!("lower{percent}"),
        Verdict::Same => "same".to_owned(),
        Verdict::WithinInterval => "within".to_owned(),
        Verdict::Unknown => "?".to_owned(),
    }
}

fn read_off(diff: &SweepDiff, width: usize) -> String {
    let rows = [
        ("knee", diff.knee),
        ("working set", diff.working_set),
        ("95 % of the best IPC", diff.near_peak_ipc),
    ];
    let rows = rows.iter().filter(|(_, own)| own.a.is_some() || own.b.is_some());
    let mut table = Table::new(vec![left("READ OFF"), right("A"), right("B"), right("CHANGE"), left("")]);
    for (name, own) in rows.clone() {
        let of = own.a.or(own.b).map_or("", |own| of_word(own.of));
        let name = if *name == "knee" { format!("{name} ({of})") } else { (*name).to_owned() };
        table.row(&[name, place(own.a), place(own.b), change(own), range_verdict(own)]);
    }
    if rows.clone().next().is_none() { String::new() } else { format!("\n{}", table.render(width)) }
}

fn of_word(of: CurveOf) -> &'static str {
    match of {
        CurveOf::MissRatio => "miss ratio",
        CurveOf::Mpki => "MPKI",
        CurveOf::Ipc => "IPC",
    }
}

fn place(own: Option<ReadOff>) -> String {
    let Some(own) = own else { return "none".to_owned() };
    let size = own.bytes.map_or_else(String::new, |bytes| format!(", {}", format_bytes(bytes as f64)));
    let range = match own.ways_low.zip(own.ways_high) {
        Some((low, high)) if low < high => format!(" ({low} to {high})"),
        _ => String::new(),
    };
    format!("{} w{range}{size}", own.ways)
}

fn change(own: &ReadOffChange) -> String {
    match (own.difference_ways, own.difference_bytes) {
        (Some(ways), _) => format!("{ways:+} w"),
        (None, Some(bytes)) => {
            let sign = if bytes < 0 { '-' } else { '+' };
            format!("{sign}{}", format_bytes(bytes.unsigned_abs() as f64))
        }
        (None, None) => dash(),
    }
}

fn range_verdict(own: &ReadOffChange) -> String {
    match own.verdict {
        Verdict::Up => "more",
        Verdict::Down => "less",
        Verdict::Same => "same",
        Verdict::WithinInterval => "ranges overlap",
        Verdict::Unknown => "?",
    }
    .to_owned()
}

fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.3}"),
    }
}

fn dash() -> String {
    "-".to_owned()
}
