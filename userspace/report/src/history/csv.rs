//! The history as one long table: a row for each step and metric.

use std::io::Write;

use waytrace_model::monitor::{MetricHistory, TargetHistory};

use super::terminal::time;
use crate::Error;

/// Writes the table; docs/history.md describes its columns.
///
/// # Errors
/// [`Error::Write`] when `out` fails.
pub fn csv(history: &TargetHistory, out: &mut impl Write) -> Result<(), Error> {
    let mut writer = csv::Writer::from_writer(out);
    writer
        .write_record([
            "target",
            "start",
            "start_unix_ns",
            "step",
            "length_ns",
            "metric",
            "unit",
            "value",
            "covered_ns",
            "rate",
        ])
        .map_err(Error::writing("csv"))?;
    for point in &history.points {
        for (metric, value) in point.values.iter() {
            let number = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
            writer
                .write_record([
                    history.target.as_str(),
                    &time(point.start_unix_ns),
                    &point.start_unix_ns.to_string(),
                    point.step.as_str(),
                    &point.length_ns.to_string(),
                    metric.name(),
                    MetricHistory::words(metric).0,
                    &value.to_string(),
                    &point.covered_ns(metric).to_string(),
                    &number(point.rate(metric)),
                ])
                .map_err(Error::writing("csv"))?;
        }
    }
    writer.flush().map_err(Error::writing("csv"))
}
