//! The target's code: where it comes from, decoded once, kept as basic blocks.

mod blocks;
mod decode;
mod effects;
mod operation;

pub use blocks::Blocks;
pub use decode::decode;
pub use effects::{Effects, flags};
pub use operation::{Address, Base, Operand, Operation, Segment};

/// Code of the target.
pub trait Code {
    /// Where the code at `address` comes from, or nothing if the target can execute nothing there.
    fn origin(&mut self, address: u64) -> Option<Origin>;

    /// Reads code from `address` and gives the number of bytes read: as many as `into` holds or as the mapping has.
    fn read(&mut self, address: u64, into: &mut [u8]) -> usize;
}

/// The identity of code, under which its decoded blocks are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// Part of a file that nobody changes. Blocks are kept for all processes and walks.
    File {
        /// Any number that stands for this file and no other.
        file: u64,
        /// Where in the file the code is, in bytes.
        offset: u64,
    },
    /// Made at run time: blocks are compared with the bytes once a walk.
    Anonymous,
}
