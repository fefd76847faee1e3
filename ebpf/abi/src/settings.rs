//! What the user side changes while programs are attached.

use crate::pod::pod;

/// The one element of the `SETTINGS` map.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Settings {
    /// The only target, or 0 if the `TARGETS` map names them: a comparison instead of a look-up.
    pub single_tgid: u32,
    /// The only thread to measure, or 0 for all of the targets'.
    pub only_tid: u32,
    /// Start of the run; readings are kept from then on. 0 before.
    pub run_start_ns: u64,
    /// Mean bytes between two stack samples of a thread; 0 takes none.
    pub sample_period_bytes: u64,
}

pod!(Settings = 24);
