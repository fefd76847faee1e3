//! The complete run as one JSON document: [`RunDetail`] as it is, nothing derived and nothing left out.

use std::io::Write;

use waytrace_model::detail::RunDetail;

use crate::Error;

/// Writes the document and a newline.
///
/// # Errors
/// [`Error::Write`] when `out` fails.
pub fn write(detail: &RunDetail, out: &mut impl Write) -> Result<(), Error> {
    serde_json::to_writer(&mut *out, detail).map_err(Error::writing("json"))?;
    writeln!(out).map_err(Error::writing("json"))
}
