//! What a task ends with.

/// What was checked or run failed.
pub const FAILED: u8 = 1;
/// Something must be installed first.
pub const INCOMPLETE: u8 = 2;
/// The task itself failed.
pub const INTERNAL: u8 = 3;
