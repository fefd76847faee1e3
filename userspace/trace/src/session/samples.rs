//! Whether a run takes the samples of the targets' own allocators.

use waytrace_image::process;

use super::{AllocationMode, Request};
use crate::Error;
use crate::usdt::{self, Offer, Wanted};

/// Blocks tracked at once: each stands for half a megabyte or so, which makes 32 GiB.
pub const MOST_LIVE: u32 = 1 << 16;

/// What the targets offer, where it is to be taken: within a budget, and if all of them do. Who wants to see every call has
/// no use for samples.
///
/// # Errors
/// [`Error::NoSamples`] when they were asked for by name and one target has none.
pub fn offers(request: &Request) -> Result<Option<Vec<Offer>>, Error> {
    let is_budgeted = matches!(request.allocations, Some(AllocationMode::Budgeted { .. }));
    if !is_budgeted || request.alloc_source == Wanted::Probes {
        return Ok(None);
    }
    let of = |&tgid: &u32| {
        let mappings = process::mappings(tgid)?;
        Ok((tgid, usdt::offered(tgid, request.starting, &mappings)?))
    };
    let offers: Result<Vec<Offer>, Error> = request.tgids.iter().map(of).collect();
    match offers {
        Ok(offers) if usdt::suffice(&offers) => Ok(Some(offers)),
        // What cannot be read is said by the search for allocators.
        _ if request.alloc_source == Wanted::Auto => Ok(None),
        Ok(offers) => {
            let lacking = offers.into_iter().find(|(_, samples)| !samples.are_offered());
            let (pid, samples) = lacking.unwrap_or_default();
            Err(Error::NoSamples { pid, notes: samples.notes })
        }
        Err(error) => Err(error),
    }
}
