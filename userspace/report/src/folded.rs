//! Folded stacks: the text FlameGraph, inferno and speedscope read. One line per stack, root first, frames
//! separated by `;`, then a space and the bytes allocated there.

use std::io::Write;

use waytrace_model::detail::RunDetail;

use crate::{Error, flame};

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
