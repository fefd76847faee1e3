//! The target's memory as the walk sees it.

mod overlay;

pub use overlay::Overlay;

/// Memory of the target at the moment the walk starts.
pub trait Memory {
    /// Reads `into.len()` (1 to 64) bytes from `address`.
    ///
    /// # Errors
    /// If not all of them can be read; `into` may then hold anything.
    fn read(&mut self, address: u64, into: &mut [u8]) -> Result<(), Unreadable>;
}

/// Why memory could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// The target may hold anything there: the value is unknown and the walk goes on.
    Unknown,
    /// The target has nothing readable there, so that it would fault: the walk ends.
    Unmapped,
}
