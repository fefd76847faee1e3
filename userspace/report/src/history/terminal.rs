//! The history in a terminal: a line for each metric with its course, then sites, regions, alerts and what is missing.

use waytrace_model::monitor::{
    Alert, Fold, Gap, Metric, MetricHistory, RecordingLink, Step, TargetHistory, Unit,
};
use waytrace_model::units::{format_bytes, format_count, format_ns};

use super::course;
use crate::series::plot::spark;
use crate::text::{cells, cut_function, cut_middle, plain, wrap};

/// Columns a course takes at most, and at least.
const COURSE: (usize, usize) = (60, 10);
/// Gaps told one by one.
const GAPS: usize = 6;
/// Processes told one by one.
const PROCESSES: usize = 8;

/// The history as lines of at most `width` columns where that leaves the table whole.
pub fn text(history: &TargetHistory, width: usize) -> String {
    let width = width.max(40);
    let mut lines = wrapped(&format!("{}: {}", history.target, span(&history.range, history.windows)), width);
    lines.extend(wrapped(&watched(history), width));
    lines.push(String::new());
    lines.extend(metrics(history, width));
    lines.extend(sites(history, width));
    lines.extend(regions(history, width));
    lines.extend(processes(history));
    lines.extend(alerts(&history.alerts).iter().flat_map(|line| wrapped(line, width)));
    for (collector, why) in &history.absent {
        lines.extend(wrapped(&format!("not measured: {collector}: {why}"), width));
    }
    lines.iter().map(|line| line.trim_end().to_owned() + "\n").collect()
}

/// From when to when, and by what.
pub fn span(range: &waytrace_model::monitor::RangeInfo, windows: u64) -> String {
    let length = format_ns(range.to_unix_ns.saturating_sub(range.from_unix_ns) as f64);
    let by = match range.step {
        Step::Window => format!("{windows} windows"),
        Step::Minute => format!("{windows} windows, by minutes"),
        Step::Hour => format!("{windows} windows, by hours"),
    };
    format!("{} to {} UTC ({length}), {by}", time(range.from_unix_ns), time(range.to_unix_ns))
}

fn watched(history: &TargetHistory) -> String {
    let covered = format_ns(history.covered_ns as f64);
    let told: Vec<String> = history.gaps.iter().take(GAPS).map(gap).collect();
    let more = history.gaps.len().saturating_sub(GAPS);
    match told.as_slice() {
        [] => format!("watched all of it: {covered} measured"),
        told => {
            let rest = if more > 0 { format!(", and {more} more") } else { String::new() };
            format!("{covered} measured; gaps: {}{rest}", told.join(", "))
        }
    }
}

fn gap(gap: &Gap) -> String {
    let length = format_ns(gap.to_unix_ns.saturating_sub(gap.from_unix_ns) as f64);
    format!("{} for {length} ({})", time(gap.from_unix_ns), gap.why.as_str())
}

/// `2026-01-31 23:59:59` of nanoseconds since the Unix epoch.
pub fn time(unix_ns: u64) -> String {
    let (days, second) = (unix_ns / 86_400_000_000_000, unix_ns / 1_000_000_000 % 86_400);
    // Days from 1 March of year 0, in eras of 400 years, months counted from March.
    let days = days + 719_468;
    let of_era = days % 146_097;
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = days / 146_097 * 400 + year + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60)
}

/// A metric's number as people read it; of amounts per second.
pub fn quantity(metric: Metric, value: f64) -> String {
    let number = match metric.unit() {
        Unit::Bytes => format_bytes(value),
        Unit::Nanoseconds => format_ns(value),
        Unit::Ratio => return format!("{:.1}%", value * 100.0),
        Unit::Count if value.abs() < 10.0 && value.fract() != 0.0 => format!("{value:.2}"),
        Unit::Count => format_count(value),
    };
    if metric.fold() == Fold::Sum { number + "/s" } else { number }
}

fn metrics(history: &TargetHistory, width: usize) -> Vec<String> {
    let mut rows = vec![["METRIC", "MEAN", "MIN", "MAX", "MEASURED"].map(str::to_owned)];
    for one in &history.metrics {
        let numbers = [one.mean, one.min, one.max].map(|value| quantity(one.metric, value));
        let [mean, min, max] = numbers;
        rows.push([one.metric.name().to_owned(), mean, min, max, measured(one, history.covered_ns)]);
    }
    let widths: Vec<usize> =
        (0..5).map(|at| rows.iter().map(|row| cells(&row[at])).max().unwrap_or(0)).collect();
    let room = width.saturating_sub(widths.iter().map(|width| width + 2).sum::<usize>()).min(COURSE.0);
    let line = |(at, row): (usize, &[String; 5])| {
        let mut line = format!("{:<width$}", row[0], width = widths[0]);
        for (cell, width) in row.iter().zip(&widths).skip(1) {
            line.push_str(&format!("  {cell:>width$}"));
        }
        let course = match (room >= COURSE.1, at.checked_sub(1).and_then(|at| history.metrics.get(at))) {
            (false, _) => String::new(),
            (true, None) => "  COURSE".to_owned(),
            (true, Some(one)) => format!("  {}", spark(&course(history, one.metric, room), room)),
        };
        line + &course
    };
    rows.iter().enumerate().map(line).collect()
}

/// Time a metric was measured, where it is not all.
fn measured(one: &MetricHistory, covered_ns: u64) -> String {
    if one.covered_ns >= covered_ns { "all".to_owned() } else { format_ns(one.covered_ns as f64) }
}

fn sites(history: &TargetHistory, width: usize) -> Vec<String> {
    if history.sites.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![String::new(), format!("{:>12}  {:>12}  ALLOCATION SITE", "BYTES/S", "BYTES")];
    for site in &history.sites {
        let name = site.name.as_deref().map_or_else(|| "(all others)".to_owned(), plain);
        lines.push(format!(
            "{:>12}  {:>12}  {}",
            format_bytes(site.bytes_per_s),
            format_bytes(site.alloc_bytes),
            cut_function(&name, width.saturating_sub(28))
        ));
    }
    lines
}

fn regions(history: &TargetHistory, width: usize) -> Vec<String> {
    if history.regions.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![String::new(), format!("{:>12}  {:>12}  REGION", "ACCESSES", "STORES")];
    for region in &history.regions {
        let name = region.name.as_deref().map_or_else(|| "(all others)".to_owned(), plain);
        lines.push(format!(
            "{:>11.1}%  {:>11.1}%  {}",
            region.share_ratio * 100.0,
            region.store_ratio * 100.0,
            cut_middle(&name, width.saturating_sub(28))
        ));
    }
    lines
}

fn processes(history: &TargetHistory) -> Vec<String> {
    let mut lines = vec![String::new()];
    for one in history.processes.iter().take(PROCESSES) {
        let (first, last) = (time(one.first_seen_unix_ns), time(one.last_seen_unix_ns));
        lines.push(format!("process {} ({}), seen from {first} to {last}", one.pid, plain(&one.comm)));
    }
    let more = history.processes.len().saturating_sub(PROCESSES);
    if more > 0 {
        lines.push(format!("and {more} more processes"));
    }
    lines
}

/// A line for each alert, with its recording.
pub fn alerts(alerts: &[Alert]) -> Vec<String> {
    let line = |alert: &Alert| {
        let until = alert.ended.map_or_else(
            || "holds still".to_owned(),
            |end| {
                format!("held for {}", format_ns(end.at_unix_ns.saturating_sub(alert.began_unix_ns) as f64))
            },
        );
        let of = if alert.target.is_empty() { "the host" } else { &alert.target };
        let recording = match &alert.recording {
            RecordingLink::None => String::new(),
            RecordingLink::Running => "; a recording is under way".to_owned(),
            RecordingLink::Run(name) => format!("; recorded as {name} (waytrace show {name})"),
            RecordingLink::Failed(why) => format!("; not recorded: {why}"),
        };
        let (rule, detail) = (&alert.rule, &alert.detail);
        plain(&format!("alert {rule} of {of} at {}, {until}: {detail}{recording}", time(alert.began_unix_ns)))
    };
    alerts.iter().map(line).collect()
}

fn wrapped(line: &str, width: usize) -> Vec<String> {
    wrap(&plain(line), width)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        // `date -u -d @SECONDS +'%F %T'`
        for (seconds, text) in [
            (0, "1970-01-01 00:00:00"),
            (951_782_400, "2000-02-29 00:00:00"),
            (1_704_067_199, "2023-12-31 23:59:59"),
            (4_107_542_400, "2100-03-01 00:00:00"),
        ] {
            assert_eq!(time(seconds * 1_000_000_000), text);
        }
    }

    #[test]
    fn amounts_are_per_second() {
        assert_eq!(quantity(Metric::Cpu, 2e8), "200ms/s");
        assert_eq!(quantity(Metric::Rss, 1_048_576.0), "1.00MiB");
        assert_eq!(quantity(Metric::Stores, 0.25), "25.0%");
        assert_eq!(quantity(Metric::MajorFaults, 0.25), "0.25/s");
        assert_eq!(quantity(Metric::Threads, 12.0), "12");
    }
}
