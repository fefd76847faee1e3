//! `waytrace diff`: two runs side by side, or two ranges of a target's history, as rates; or two way sweeps, as curves.

mod accesses;
mod sweeps;

use std::process::ExitCode;

use anyhow::bail;
use waytrace_analysis::diff::{Change, Rates, RunDiff, Side, SiteDiff, SiteStatus, Verdict, compare};
use waytrace_model::counter::Unit;
use waytrace_model::stack::Frame;
use waytrace_model::units::parse_duration_ns;
use waytrace_model::units::{format_bytes, format_count, format_ns};
use waytrace_store::{Recorded, Store};

use super::output::{plain, print, print_json, width};
use super::table::{Table, left, right};
use super::{Outcome, StoreArgs, curves, history};

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A change within the 95 % interval of the two estimates is marked `within`: it may be nothing. `?` marks estimates \
whose interval is not known, `same` less than 1 %, (scaled) an event that counted only part of the time.

Examples:
  waytrace diff last~1 last          the newest run against the one before
  waytrace diff before after --json  every number
  waytrace diff redis-sweep-1 redis-sweep-2
                                     two way sweeps: misses, IPC and working set, share by share of the cache
  waytrace diff redis --since 1h --against 1d
                                     the target's last hour against the same hour a day before

Of a target's history the interval is that of its own fluctuation: the means of ten stretches of each range.")]
pub struct Args {
    /// The base: an id, a name, `last`; of way sweeps a name or `last`; with --since the target.
    #[arg(value_name = "A")]
    a: String,
    /// What is compared to it; not with --since.
    #[arg(value_name = "B", required_unless_present = "since", conflicts_with = "since")]
    b: Option<String>,
    /// Sites to show in the table, and mappings and functions by their accesses.
    #[arg(long, value_name = "N", default_value_t = 20)]
    sites: usize,
    /// Print the whole comparison as JSON.
    #[arg(long)]
    json: bool,
    /// The range of --since is compared with the same range so much earlier [default: its own length].
    #[arg(long, value_name = "TIME", requires = "since", value_parser = parse_duration_ns, help_heading = history::HEADING)]
    against: Option<u64>,
    #[command(flatten)]
    history: history::RangeArgs,
    #[command(flatten)]
    store: StoreArgs,
}

/// Runs the command.
pub fn run(args: &Args) -> Outcome {
    if let Some(range) = args.history.range()? {
        let against = args.against.unwrap_or(range.to_unix_ns - range.from_unix_ns);
        if against == 0 {
            bail!("--against 0 compares the range with itself; say how much earlier: --against 1d");
        }
        history::diff(args.store.db.as_deref(), &args.a, range, against, (args.sites, args.json))?;
        return Ok(ExitCode::SUCCESS);
    }
    let store = Store::open_existing(args.store.db.as_deref())?;
    let b = args.b.as_deref().unwrap_or_default();
    match (store.find_recorded(&args.a)?, store.find_recorded(b)?) {
        (Recorded::Run(a), Recorded::Run(b)) => {
            let diff = compare(&store.report(a)?, &store.report(b)?);
            if args.json {
                print_json(&diff)?;
            } else {
                print(&render(&diff, args.sites, width()))?;
            }
        }
        (Recorded::Sweep(in_a), Recorded::Sweep(in_b)) => {
            let (in_a, in_b) = (curves::report(&store, in_a)?, curves::report(&store, in_b)?);
            sweeps::diff(&in_a, &in_b, args.json)?;
        }
        (Recorded::Run(_), Recorded::Sweep(_)) => bail!(mixed(&args.a, b)),
        (Recorded::Sweep(_), Recorded::Run(_)) => bail!(mixed(b, &args.a)),
    }
    Ok(ExitCode::SUCCESS)
}

fn mixed(run: &str, sweep: &str) -> String {
    format!(
        "`{run}` is a run and `{sweep}` a way sweep, and two of a kind can be compared; `waytrace list` tells what there is"
    )
}

fn render(diff: &RunDiff, sites_max: usize, width: usize) -> String {
    let mut text = format!("A  {}\nB  {}\n", side(&diff.a), side(&diff.b));
    for note in &diff.notes {
        text.push_str(&format!("note: {}\n", plain(note)));
    }
    text.push('\n');
    text.push_str(&rates_table("COUNTER", &diff.counters).render(width));
    if let Some(allocations) = &diff.allocations {
        let mut table = rates_table("ALLOCATIONS", &allocations.rates);
        let absolute =
            [("live_bytes", &allocations.live_bytes), ("peak_live_bytes", &allocations.peak_live_bytes)];
        for (name, change) in absolute {
            table.row(&[vec![format!("{name} (total)")], change_cells(change, Unit::Bytes)].concat());
        }
        text.push('\n');
        text.push_str(&table.render(width));
        text.push_str(&sites(&diff.sites, sites_max, width));
    }
    if let Some(own) = &diff.accesses {
        text.push('\n');
        text.push_str(&accesses::tables(own, sites_max, width));
    }
    text
}

fn side(side: &Side) -> String {
    let mode = side.mode.map_or("no allocations", |mode| mode.as_str());
    let (name, length) = (plain(&side.name), format_ns(side.duration_ns as f64));
    format!("{name} (id {}), {}, {length}, {mode}", side.id, side.started_at)
}

fn rates_table(title: &str, rates: &[Rates]) -> Table {
    let numbers = ["A /S", "B /S", "CHANGE", "A /CPU-S", "B /CPU-S", "CHANGE"].map(right);
    let mut table = Table::new([vec![left(title)], numbers.to_vec()].concat());
    for rate in rates {
        let mark = if rate.multiplexed { " (scaled)" } else { "" };
        let per_cpu = rate.per_cpu_s.map_or_else(Vec::new, |change| change_cells(&change, rate.unit));
        table.row(
            &[vec![format!("{}{mark}", rate.name)], change_cells(&rate.per_s, rate.unit), per_cpu].concat(),
        );
    }
    table
}

/// A, B, and what to make of it.
fn change_cells(change: &Change, unit: Unit) -> Vec<String> {
    let value = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| quantity(value, unit));
    vec![value(change.a), value(change.b), verdict(change)]
}

fn quantity(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Ns => format_ns(value),
        Unit::Bytes => format_bytes(value),
        Unit::Count | Unit::Cycles if value.abs() < 9.995 => format!("{value:.2}"),
        Unit::Count | Unit::Cycles => format_count(value),
    }
}

fn verdict(change: &Change) -> String {
    let percent = change.change_pct.map(percent);
    match (change.verdict, percent) {
        (Verdict::Same, _) => "same".to_owned(),
        (Verdict::WithinInterval, Some(percent)) => format!("{percent} within {}", interval(change)),
        (Verdict::WithinInterval, None) => "within".to_owned(),
        (Verdict::Up | Verdict::Down, Some(percent)) => percent,
        (Verdict::Up | Verdict::Down, None) => "from 0".to_owned(),
        (Verdict::Unknown, Some(percent)) => format!("{percent} ?"),
        (Verdict::Unknown, None) => "-".to_owned(),
    }
}

fn percent(percent: f64) -> String {
    match percent {
        percent if percent.abs() >= 999.5 => format!("x{:.0}", percent / 100.0 + 1.0),
        // Without the sign of what rounds to nothing.
        percent if percent.abs() < 0.05 => "0.0%".to_owned(),
        percent => format!("{percent:+.1}%"),
    }
}

/// The half-width of the interval of the change, in percent of A.
fn interval(change: &Change) -> String {
    let pct = change.interval.zip(change.a).map(|(interval, a)| interval / a * 100.0);
    pct.map_or_else(String::new, |pct| format!("±{pct:.1}%"))
}

fn sites(sites: &[SiteDiff], sites_max: usize, width: usize) -> String {
    let changed = sites.iter().filter(|site| site.status != SiteStatus::Same);
    let numbers = ["A BYTES/S", "B BYTES/S", "CHANGE", "ALLOCS/S"].map(right);
    let mut table = Table::new([vec![left("SITE")], numbers.to_vec(), vec![left("CALLER")]].concat());
    let shown: Vec<&SiteDiff> = changed.clone().take(sites_max).collect();
    for site in &shown {
        let bytes = change_cells(&site.alloc_bytes_per_s, Unit::Bytes);
        let cells = [
            vec![status_word(site.status).to_owned()],
            bytes,
            vec![verdict(&site.alloc_count_per_s), chain(site)],
        ];
        table.row(&cells.concat());
    }
    let mut text =
        if shown.is_empty() { String::new() } else { format!("\n{}", table.render(width.max(200))) };
    let (same, hidden) = (sites.len() - changed.clone().count(), changed.count() - shown.len());
    if hidden > 0 {
        text.push_str(&format!("{hidden} more changed sites; --sites shows more of them\n"));
    }
    if same > 0 {
        text.push_str(&format!("{same} sites are the same\n"));
    }
    text
}

fn status_word(status: SiteStatus) -> &'static str {
    match status {
        SiteStatus::Added => "added",
        SiteStatus::Removed => "removed",
        SiteStatus::Grown => "grown",
        SiteStatus::Shrunk => "shrunk",
        SiteStatus::Same => "same",
        SiteStatus::WithinInterval => "within",
        SiteStatus::Unknown => "unknown",
    }
}

/// The caller and the frames above it.
fn chain(site: &SiteDiff) -> String {
    const FRAMES: usize = 4;
    let mut labels: Vec<String> = site.frames.iter().take(FRAMES).map(|frame| frame.label()).collect();
    if let (Some(label), Some(at)) = (labels.first_mut(), site.frames.first().and_then(source)) {
        label.push_str(&at);
    }
    if site.frames.len() > FRAMES {
        labels.push("…".to_owned());
    }
    if labels.is_empty() { "(no frames)".to_owned() } else { labels.join(" < ") }
}

/// ` (file.c:12)`, where debug information has it.
fn source(frame: &Frame) -> Option<String> {
    let file = frame.file.as_deref()?;
    let name = file.rsplit('/').next().unwrap_or(file);
    Some(frame.line.map_or_else(|| format!(" ({name})"), |line| format!(" ({name}:{line})")))
}

#[cfg(test)]
mod tests {
    use waytrace_analysis::diff::Estimate;

    use super::*;

    fn said(a: Option<f64>, b: Option<f64>, ci95_pct: Option<f64>) -> String {
        let estimate = |value: f64| Estimate::with_interval_pct(value, ci95_pct);
        verdict(&Change::between(a.map(estimate), b.map(estimate)))
    }

    #[test]
    fn a_change_says_how_far_it_can_be_trusted() {
        assert_eq!(said(Some(100.0), Some(150.0), Some(3.0)), "+50.0%");
        assert_eq!(said(Some(100.0), Some(103.0), Some(4.0)), "+3.0% within ±5.7%");
        assert_eq!(said(Some(100.0), Some(103.0), None), "+3.0% ?");
        assert_eq!(said(Some(1000.0), Some(999.9), None), "0.0% ?");
        assert_eq!(said(Some(100.0), Some(100.5), Some(0.0)), "same");
        assert_eq!(said(Some(0.0), Some(5.0), Some(0.0)), "from 0");
        assert_eq!(said(Some(1.0), Some(20.0), Some(0.0)), "x20");
        assert_eq!(said(None, Some(5.0), Some(0.0)), "-");
    }

    #[test]
    fn small_rates_keep_their_decimals() {
        assert_eq!(quantity(0.25, Unit::Count), "0.25");
        assert_eq!(quantity(1234.0, Unit::Count), "1.23k");
        assert_eq!(quantity(800e6, Unit::Ns), "800ms");
    }
}
