//! The request server: three functions with three lifetimes of memory.

use std::collections::VecDeque;

use crate::block::Block;
use crate::random::Random;
use crate::truth::Truth;

/// One request in so many builds an index.
const INDEX_EVERY: u64 = 50;
/// Indexes kept; the oldest goes when one more comes.
const INDEXES_KEPT: usize = 8;
/// One request in so many is cached for ever.
const CACHE_EVERY: u64 = 100;
const CACHE_ENTRY_BYTES: usize = 2048;

/// What the server holds between requests.
#[derive(Debug)]
pub struct Server {
    random: Random,
    indexes: VecDeque<Block>,
    cache: Vec<Block>,
    truth: Truth,
}

impl Server {
    /// A server whose sizes depend on `seed` alone.
    pub fn new(seed: u64) -> Self {
        let indexes = VecDeque::with_capacity(INDEXES_KEPT + 1);
        Self { random: Random::new(seed), indexes, cache: Vec::new(), truth: Truth::default() }
    }

    /// Serves one request.
    pub fn serve(&mut self) {
        self.truth.requests_count += 1;
        let request = self.parse_request();
        if self.truth.requests_count.is_multiple_of(INDEX_EVERY) {
            self.build_index();
        }
        if self.truth.requests_count.is_multiple_of(CACHE_EVERY) {
            self.cache_insert();
        }
        self.truth.parse_request.free(request.len());
    }

    #[inline(never)]
    fn parse_request(&mut self) -> Block {
        let request = Block::new(self.random.between(64, 512));
        self.truth.parse_request.alloc(request.len());
        request
    }

    #[inline(never)]
    fn build_index(&mut self) {
        let index = Block::new(self.random.between(4 << 10, 64 << 10));
        self.truth.build_index.alloc(index.len());
        self.indexes.push_back(index);
        if self.indexes.len() > INDEXES_KEPT
            && let Some(oldest) = self.indexes.pop_front()
        {
            self.truth.build_index.free(oldest.len());
        }
    }

    #[inline(never)]
    fn cache_insert(&mut self) {
        let entry = Block::new(CACHE_ENTRY_BYTES);
        self.truth.cache_insert.alloc(entry.len());
        self.cache.push(entry);
    }

    /// The books, leaving everything still held to the end of the process.
    pub fn into_truth(self) -> Truth {
        std::mem::forget((self.indexes, self.cache));
        self.truth
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_books_follow_from_the_number_of_requests() {
        let mut server = Server::new(1);
        (0..10_000).for_each(|_| server.serve());
        let Truth { parse_request, build_index, cache_insert, requests_count, .. } = server.into_truth();
        assert_eq!(requests_count, 10_000);
        assert_eq!((parse_request.alloc_count, parse_request.free_count), (10_000, 10_000));
        assert_eq!((build_index.alloc_count, build_index.free_count), (200, 200 - INDEXES_KEPT as u64));
        assert_eq!((cache_insert.alloc_count, cache_insert.live_bytes), (100, 100 * 2048));
        assert!((64 * 10_000..=512 * 10_000).contains(&parse_request.alloc_bytes));
        assert_eq!(build_index.live_bytes, build_index.alloc_bytes - build_index.freed_bytes);
    }

    #[test]
    fn equal_seeds_ask_for_equal_bytes() {
        let bytes = |seed| {
            let mut server = Server::new(seed);
            (0..500).for_each(|_| server.serve());
            server.into_truth()
        };
        assert_eq!(bytes(7), bytes(7));
        assert_ne!(bytes(7).parse_request.alloc_bytes, bytes(8).parse_request.alloc_bytes);
    }
}
