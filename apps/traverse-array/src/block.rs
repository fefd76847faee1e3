//! A block straight from `malloc`: the immediate caller of the allocator is the function that made it.
//!
//! Rust's own containers reach `malloc` through `__rdl_alloc`, one call site for all; a program in C does not.

use std::ptr::NonNull;

/// Bytes owned by whoever holds this; `free`d on drop.
#[derive(Debug)]
pub struct Block {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: a block is plain memory with one owner, and malloc and free may be called from any thread.
unsafe impl Send for Block {}

impl Block {
    /// Allocates `len` bytes and writes the first of each 64. Inlined, so that the caller's frame is the one seen.
    ///
    /// Ends the process when memory is exhausted, as Rust's own containers do.
    #[inline(always)]
    pub fn new(len: usize) -> Self {
        // SAFETY: malloc takes any size.
        let start = unsafe { libc::malloc(len.max(1)) };
        let Some(start) = NonNull::new(start.cast::<u8>()) else { std::process::abort() };
        for at in (0..len).step_by(64) {
            // SAFETY: `at < len`, within the block just allocated.
            unsafe { start.add(at).write_volatile(at as u8) };
        }
        Self { start, len }
    }

    /// Bytes asked for.
    pub fn len(&self) -> usize {
        self.len
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: `start` came from malloc in `new` and is freed once.
        unsafe { libc::free(self.start.as_ptr().cast()) };
    }
}
