//! Allocations from the samples an allocator hands out itself (`otel_memory`): who offers them, watching them, and what
//! they come to.
//!
//! The probes stay for the whole run: the program does its sampling only while they are there, and a sample costs a trap
//! where each stands for half a megabyte or so. Only where that turns out dearer than the budget are they taken out for a
//! while ([`pace`]). Totals are sums of weights. Which call a sample came from is told by its stack ([`callers`]), for the
//! probe lies somewhere within the allocator.

pub mod callers;
mod depth;
mod pace;
mod totals;
mod watch;

use waytrace_image::process::{self, Mapping};
use waytrace_image::usdt::{self, Samples};

pub use watch::{Budget, Concluded, Watch};

use crate::Error;

/// What reports call this source.
pub const SOURCE: &str = "source: otel_memory (the allocator's own samples)";

/// Where allocations are to be taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Wanted {
    /// The allocator's own samples where every target offers them, and else probes.
    #[default]
    Auto,
    /// Probes on the allocator's functions.
    Probes,
    /// The allocator's own samples, or an error.
    Usdt,
}

/// The samples offered by one process.
pub type Offer = (u32, Samples);

/// What a process offers.
///
/// # Errors
/// When a command's program cannot be read.
pub fn offered(tgid: u32, starting: bool, mappings: &[Mapping]) -> Result<Samples, Error> {
    if !starting {
        return Ok(usdt::find(tgid, mappings));
    }
    let program = process::inspect(tgid)?.exe;
    Ok(usdt::find_for_command(&program, &|name| std::env::var_os(name))?)
}

/// Whether these samples tell of all allocations: of one source only, for numbers of two cannot be added up.
pub fn suffice(offers: &[Offer]) -> bool {
    !offers.is_empty() && offers.iter().all(|(_, samples)| samples.are_offered())
}
