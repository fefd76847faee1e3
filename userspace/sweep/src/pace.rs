//! Time as a sweep lives by it: the machine's, or a test's that passes only when it is waited for.

/// A clock that can be waited on.
pub trait Pace {
    /// Now, nanoseconds of a clock that only goes forward.
    fn now_ns(&self) -> u64;

    /// Waits so long, or until somebody asks for the end: then it returns false, and does so ever after.
    fn wait(&mut self, ns: u64) -> bool;
}
