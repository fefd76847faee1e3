//! A stand-alone interactive flame graph, by bytes or by accesses, drawn by inferno.

use std::collections::BTreeMap;
use std::io::{self, Write};

use inferno::flamegraph::{self, Options};
use waytrace_model::access::Access;
use waytrace_model::allocation::Mode;
use waytrace_model::detail::RunDetail;
use waytrace_model::units::{format_bytes, format_count};

use crate::flame::accesses::Weight;
use crate::text::plain;
use crate::{Cause, Error, flame};

/// Draws the run's allocation stacks.
///
/// # Errors
/// [`Error::NoStacks`] when the run allocated nothing that was seen, [`Error::Write`] when `out` fails.
pub fn write(detail: &RunDetail, out: &mut impl Write) -> Result<(), Error> {
    let lines = flame::lines(&detail.sites);
    if lines.is_empty() {
        return Err(Error::NoStacks { run: detail.report.run.name.clone() });
    }
    let total: u64 = lines.values().sum();
    let title = format!("Bytes allocated by {}", plain(&detail.report.run.name));
    draw(title, subtitle(detail, total), "bytes", lines, out)
}

/// Draws the run's accesses: functions, and under each the mappings it accessed.
///
/// # Errors
/// [`Error::NoAccesses`] or [`Error::NoLatencies`] when there is nothing of that weight, [`Error::ReadAccesses`] when
/// `accesses` fails, [`Error::Write`] when `out` does.
pub fn accesses<E: Into<Cause>>(
    detail: &RunDetail,
    accesses: impl Iterator<Item = Result<Access, E>>,
    weight: Weight,
    out: &mut impl Write,
) -> Result<(), Error> {
    let lines = flame::accesses::lines(detail, accesses, weight)?;
    let total = lines.values().copied().fold(0, u64::saturating_add);
    let run = plain(&detail.report.run.name);
    let title = match weight {
        Weight::Accesses => format!("Memory accesses of {run}"),
        Weight::Latency => format!("Cycles {run} waited for memory"),
    };
    let bias = detail.report.accesses.as_ref().map(|own| format!("; {}", own.source.as_str()));
    let subtitle =
        format!("{} {} sampled{}", format_count(total as f64), weight.unit(), bias.unwrap_or_default());
    draw(title, subtitle, weight.unit(), lines, out)
}

fn draw(
    title: String,
    subtitle: String,
    unit: &str,
    lines: BTreeMap<String, u64>,
    out: &mut impl Write,
) -> Result<(), Error> {
    let lines: Vec<String> = lines.into_iter().map(|(line, value)| format!("{line} {value}")).collect();
    let mut options = Options::default();
    options.title = title;
    options.subtitle = Some(subtitle);
    options.count_name = unit.to_owned();
    flamegraph::from_lines(&mut options, lines.iter().map(String::as_str), out)
        .map_err(|error| Error::Write { format: "svg", source: io::Error::other(error) })
}

fn subtitle(detail: &RunDetail, total: u64) -> String {
    let mode = detail.report.allocations.as_ref().and_then(|allocations| allocations.mode);
    let bytes = format_bytes(total as f64);
    match mode {
        Some(Mode::Budgeted) => format!("about {bytes}, estimated from sampled windows"),
        Some(Mode::Sampled) => format!("about {bytes}, estimated from the allocator's own samples"),
        _ => bytes,
    }
}
