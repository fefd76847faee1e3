//! The kernel tables a turn fills, emptied for the next.

use waytrace_abi::allocation::{SiteKey, Thread};

use crate::Error;
use crate::kernel::Kernel;

/// Empties them. No probe may be in place.
///
/// # Errors
/// When a table cannot be reached.
pub fn clear(kernel: &mut Kernel) -> Result<(), Error> {
    kernel.clear_live()?;
    kernel.clear_sites()?;
    kernel.clear_table::<SiteKey, u32>("SITE_INDEX")?;
    kernel.clear_table::<SiteKey, u32>("SAMPLED")?;
    kernel.clear_table::<u64, u32>("WRAPPERS")?;
    kernel.clear_table::<u32, Thread>("THREADS")
}
