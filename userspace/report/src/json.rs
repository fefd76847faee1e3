//! The complete run as one JSON document: [`RunDetail`] as it is and its traced allocations, nothing derived and nothing
//! left out.

use std::cell::RefCell;
use std::io::Write;

use serde::{Serialize, Serializer};
use waytrace_model::allocation::TracedAllocation;
use waytrace_model::detail::RunDetail;

use crate::{Cause, Error};

/// Writes the document and a newline.
///
/// # Errors
/// [`Error::Write`] when `out` fails, [`Error::Read`] when `traced` does.
pub fn write<E: Into<Cause>>(
    detail: &RunDetail,
    traced: impl Iterator<Item = Result<TracedAllocation, E>>,
    out: &mut impl Write,
) -> Result<(), Error> {
    let failure = RefCell::new(None);
    let sound = traced.map_while(|one| one.map_err(|error| failure.replace(Some(error))).ok());
    let document = Document { detail, traced: Streamed(RefCell::new(sound)) };
    serde_json::to_writer(&mut *out, &document).map_err(Error::writing("json"))?;
    drop(document);
    if let Some(error) = failure.into_inner() {
        return Err(Error::reading(error));
    }
    writeln!(out).map_err(Error::writing("json"))
}

#[derive(Serialize)]
#[serde(bound = "I: Iterator<Item = TracedAllocation>")]
struct Document<'d, I> {
    #[serde(flatten)]
    detail: &'d RunDetail,
    traced: Streamed<I>,
}

/// An iterator as a list. It can be written once.
struct Streamed<I>(RefCell<I>);

impl<I: Iterator<Item = TracedAllocation>> Serialize for Streamed<I> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(&mut *self.0.borrow_mut())
    }
}
