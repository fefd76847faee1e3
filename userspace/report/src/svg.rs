//! A stand-alone interactive flame graph by bytes, drawn by inferno.

use std::io::{self, Write};

use inferno::flamegraph::{self, Options};
use waytrace_model::allocation::Mode;
use waytrace_model::detail::RunDetail;
use waytrace_model::units::format_bytes;

use crate::text::plain;
use crate::{Error, flame};

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
    let lines: Vec<String> = lines.into_iter().map(|(line, bytes)| format!("{line} {bytes}")).collect();
    let mut options = Options::default();
    options.title = format!("Bytes allocated by {}", plain(&detail.report.run.name));
    options.subtitle = Some(subtitle(detail, total));
    options.count_name = "bytes".to_owned();
    flamegraph::from_lines(&mut options, lines.iter().map(String::as_str), out)
        .map_err(|error| Error::Write { format: "svg", source: io::Error::other(error) })
}

fn subtitle(detail: &RunDetail, total: u64) -> String {
    let mode = detail.report.allocations.as_ref().and_then(|allocations| allocations.mode);
    let bytes = format_bytes(total as f64);
    match mode {
        Some(Mode::Budgeted) => format!("about {bytes}, estimated from sampled windows"),
        _ => bytes,
    }
}
