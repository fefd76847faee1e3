//! The complete run as one JSON document: [`RunDetail`] as it is, its traced allocations and its sampled accesses, nothing
//! left out.

use std::cell::RefCell;
use std::io::Write;

use serde::{Serialize, Serializer};
use waytrace_model::access::Access;
use waytrace_model::allocation::TracedAllocation;
use waytrace_model::detail::RunDetail;

use crate::{Cause, Error};

/// Writes the document and a newline.
///
/// # Errors
/// [`Error::Write`] when `out` fails, [`Error::Read`] when `traced` does, [`Error::ReadAccesses`] when `accesses` does.
pub fn write<E: Into<Cause>, F: Into<Cause>>(
    detail: &RunDetail,
    traced: impl Iterator<Item = Result<TracedAllocation, E>>,
    accesses: impl Iterator<Item = Result<Access, F>>,
    out: &mut impl Write,
) -> Result<(), Error> {
    let (failure, access_failure) = (RefCell::new(None), RefCell::new(None));
    let traced = traced.map_while(|one| one.map_err(|error| failure.replace(Some(error))).ok());
    let accesses = accesses.map_while(|one| one.map_err(|error| access_failure.replace(Some(error))).ok());
    let (traced, accesses) = (Streamed(RefCell::new(traced)), Streamed(RefCell::new(accesses)));
    let document = Document { detail, traced, accesses };
    serde_json::to_writer(&mut *out, &document).map_err(Error::writing("json"))?;
    drop(document);
    if let Some(error) = failure.into_inner() {
        return Err(Error::reading(error));
    }
    if let Some(error) = access_failure.into_inner() {
        return Err(Error::reading_accesses(error));
    }
    writeln!(out).map_err(Error::writing("json"))
}

#[derive(Serialize)]
#[serde(bound = "I: Iterator<Item = TracedAllocation>, J: Iterator<Item = Access>")]
struct Document<'d, I, J> {
    #[serde(flatten)]
    detail: &'d RunDetail,
    traced: Streamed<I>,
    accesses: Streamed<J>,
}

/// An iterator as a list. It can be written once.
struct Streamed<I>(RefCell<I>);

impl<I: Iterator<Item: Serialize>> Serialize for Streamed<I> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(&mut *self.0.borrow_mut())
    }
}
