//! Which processes belong to which target.
//!
//! A [`Selector`] is what a `[[target]]` says of processes; the [`Roster`] keeps who belongs where, from the kernel's news of processes that start,
//! replace themselves and end, and from the list of all tasks once a window, which makes up for news that was lost. What costs a read (executable,
//! control groups) is read when a selector first asks for it, once for each process and once more after it has replaced itself.

mod cgroup;
mod facts;
mod glob;
mod pid_file;
mod roster;
#[cfg(test)]
mod roster_tests;
mod seen;
mod selector;
#[cfg(test)]
mod tests;

pub use facts::ProcessFacts;
pub use glob::Glob;
pub use roster::{Change, Roster};
pub use seen::{Seen, processes};
pub use selector::{Selector, SelectorError};
