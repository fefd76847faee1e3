//! Folded stacks: the text FlameGraph, inferno and speedscope read. One line per stack, root first, frames
//! separated by `;`, then a space and the bytes allocated there.

use std::io::Write;

use waytrace_model::access::Access;
use waytrace_model::detail::RunDetail;

use crate::flame::accesses::Weight;
use crate::{Cause, Error, flame};

/// Writes the run's allocation stacks, sorted by line. A run without sites writes nothing.
///
/// # Errors
/// [`Error::Write`] when `out` fails.
pub fn write(detail: &RunDetail, out: &mut impl Write) -> Result<(), Error> {
    for (line, bytes) in flame::lines(&detail.sites) {
        writeln!(out, "{line} {bytes}").map_err(Error::writing("folded"))?;
    }
    Ok(())
}

/// Writes the run's accesses as stacks of function and mapping, sorted by line.
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
    for (line, value) in flame::accesses::lines(detail, accesses, weight)? {
        writeln!(out, "{line} {value}").map_err(Error::writing("folded"))?;
    }
    Ok(())
}
