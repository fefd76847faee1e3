//! What the program did, by its own books.

use serde::Serialize;

/// Allocations of one function.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Account {
    /// Blocks made.
    pub alloc_count: u64,
    /// Bytes asked for.
    pub alloc_bytes: u64,
    /// Blocks freed of these.
    pub free_count: u64,
    /// Bytes freed of these.
    pub freed_bytes: u64,
    /// Bytes not freed when the work ended.
    pub live_bytes: u64,
}

impl Account {
    /// Books a new block.
    pub fn alloc(&mut self, bytes: usize) {
        self.alloc_count += 1;
        self.alloc_bytes += bytes as u64;
        self.live_bytes += bytes as u64;
    }

    /// Books the end of a block.
    pub fn free(&mut self, bytes: usize) {
        self.free_count += 1;
        self.freed_bytes += bytes as u64;
        self.live_bytes -= bytes as u64;
    }

    fn add(&mut self, other: &Self) {
        self.alloc_count += other.alloc_count;
        self.alloc_bytes += other.alloc_bytes;
        self.free_count += other.free_count;
        self.freed_bytes += other.freed_bytes;
        self.live_bytes += other.live_bytes;
    }
}

/// Per allocating function, and what the traversal did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Truth {
    /// 64–512 bytes, freed before the next request.
    pub parse_request: Account,
    /// 4–64 KiB, freed some hundred requests later.
    pub build_index: Account,
    /// 2 KiB, never freed: the leak.
    pub cache_insert: Account,
    /// Requests served.
    pub requests_count: u64,
    /// Passes over an array.
    pub passes_count: u64,
    /// Array elements read by these.
    pub accesses_count: u64,
}

impl Truth {
    /// Adds another thread's.
    pub fn add(&mut self, other: &Self) {
        self.parse_request.add(&other.parse_request);
        self.build_index.add(&other.build_index);
        self.cache_insert.add(&other.cache_insert);
        self.requests_count += other.requests_count;
        self.passes_count += other.passes_count;
        self.accesses_count += other.accesses_count;
    }
}
