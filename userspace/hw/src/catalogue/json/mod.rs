//! Files of events and metrics in JSON: Intel's perfmon files, old (an array) and new (an object with a header), and the kernel's.
//!
//! All three name the same things alike where they have them, so one reader serves them.

mod entry;
mod fields;
mod file;
mod metric;

pub use entry::Context;
#[cfg(all(target_arch = "x86_64", feature = "intel-tables"))]
pub use fields::words;
pub use file::{Parsed, StandardEvents, parse, standard};
