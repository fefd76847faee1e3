//! Allocation state: sites, live blocks, per-thread state, totals.

use crate::pod::pod;

/// Sites (thread × immediate caller) the kernel table holds. Site 0 takes what does not fit.
pub const MAX_SITES: u32 = 16_384;
/// Threads whose state is kept at once.
pub const MAX_THREADS: u32 = 16_384;
/// Log2 buckets of a histogram.
pub const BUCKETS: u32 = 64;
/// In place of a wrapper's slot: the call comes from another probed function, which counts it.
pub const NESTED_CALL: u32 = u32::MAX;
/// Target processes followed at once.
pub const MAX_TARGETS: u32 = 8_192;

/// Names a site.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct SiteKey {
    /// Process.
    pub tgid: u32,
    /// Thread.
    pub tid: u32,
    /// Return address of the allocator call, or of the wrapper around it.
    pub caller: u64,
    /// The stack by frame pointer, or [`NO_STACK`].
    pub stack: u32,
    /// Not used; keeps the layout free of padding.
    pub reserved: u32,
}

/// In place of a stack's number: none was taken.
pub const NO_STACK: u32 = u32::MAX;
/// Frames of a stack by frame pointer.
pub const STACK_FRAMES: u32 = 127;
/// Different stacks by frame pointer.
pub const MAX_STACKS: u32 = 16_384;

/// Totals of a site. The owner thread alone writes the first five; the rest is shared with freeing threads.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C)]
pub struct Site {
    /// Successful allocations.
    pub alloc_count: u64,
    /// Bytes asked for.
    pub alloc_bytes: u64,
    /// Freed by the thread that made them before it allocated again.
    pub temporary_count: u64,
    /// Process and thread, as in the key.
    pub tgid: u32,
    /// Thread.
    pub tid: u32,
    /// Caller, as in the key.
    pub caller: u64,
    /// Stack, as in the key.
    pub stack: u32,
    /// Not used; keeps the layout free of padding.
    pub reserved: u32,
    /// Blocks from here freed again.
    pub free_count: u64,
    /// Bytes of them. What was allocated and not freed is live.
    pub freed_bytes: u64,
    /// Live bytes when the process last peaked, if `peak_epoch` is the process's current one.
    pub live_at_peak_bytes: u64,
    /// The process's peak epoch when `live_at_peak_bytes` was saved.
    pub peak_epoch: u64,
}

/// A live block.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C)]
pub struct Live {
    /// Bytes asked for.
    pub size_bytes: u64,
    /// When it was allocated.
    pub at_ns: u64,
    /// Index of its site.
    pub site: u32,
    /// Thread that allocated it.
    pub tid: u32,
}

/// Live blocks of one set of the live table, by key; 0 is a free place. A cache line.
///
/// The table is set-associative: a block is in one of the places of two sets, found by two hashes of its key. That
/// takes a few nanoseconds where a kernel hash map takes fifty, and two sets to choose from fill to nine tenths before
/// a block finds no place.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C, align(64))]
pub struct LiveSet {
    /// Packed [`LiveKey`]s.
    pub keys: [u64; WAYS as usize],
}

/// Places in a set of the live table.
pub const WAYS: u32 = 8;

/// Key of a live block.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct LiveKey {
    /// Address of the block, shifted right by 3, with the process in the upper 20 bits. Never 0.
    pub packed: u64,
}

impl LiveKey {
    /// Blocks are aligned to 8 and user addresses have 47 bits, so 44 bits name one; 20 bits tell processes apart.
    #[inline(always)]
    pub const fn new(tgid: u32, address: u64) -> Self {
        Self { packed: (address >> 3 & ((1 << 44) - 1)) | (tgid as u64) << 44 }
    }

    /// The block's address.
    pub const fn address(self) -> u64 {
        (self.packed & ((1 << 44) - 1)) << 3
    }

    /// Whether both belong to one process.
    pub const fn same_process(self, other: Self) -> bool {
        self.packed >> 44 == other.packed >> 44
    }

    /// The two sets it may be in, of a table of `sets` (a power of two).
    #[inline(always)]
    pub const fn sets(self, sets: u32) -> [u32; 2] {
        // Fibonacci hashing (Knuth, vol. 3, 6.4): the upper half of the product is well mixed.
        let hash = self.packed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mask = sets - 1;
        let first = (hash >> 40) as u32 & mask;
        let second = ((hash >> 16) as u32 ^ first.rotate_left(7)) & mask;
        [first, second]
    }
}

/// State of one thread between probe hits.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C)]
pub struct Thread {
    /// Stack pointer at the entry of the outermost allocator call in flight, or 0.
    pub outer_sp: u64,
    /// Size it asked for.
    pub size_bytes: u64,
    /// Its caller.
    pub caller: u64,
    /// Block being resized, or the place `posix_memalign` stores its result at.
    pub pointer: u64,
    /// The resized block as it was, taken out of the live map while the call runs.
    pub old: Live,
    /// Cookie of the call in flight.
    pub cookie: u64,
    /// Block allocated last, for temporaries.
    pub last_block: u64,
    /// Caller the cached site belongs to.
    pub cached_caller: u64,
    /// The cached site.
    pub cached_site: u32,
    /// Process the thread belongs to.
    pub tgid: u32,
    /// Bytes left until the next stack sample.
    pub until_sample_bytes: u64,
    /// State of the thread's random numbers.
    pub random: u64,
    /// Stack of the call in flight.
    pub stack: u32,
    /// Stack the cached site belongs to.
    pub cached_stack: u32,
}

/// One histogram bucket.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C)]
pub struct Bucket {
    /// Values.
    pub count: u64,
    /// Bytes.
    pub bytes: u64,
}

/// Totals of all targets on one CPU, written atomically. What the histograms say is not kept twice: successful
/// allocations are the sum of `sizes`, frees of blocks whose allocation was seen the sum of `lifetimes`.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct Totals {
    /// Sizes asked for.
    pub sizes: [Bucket; BUCKETS as usize],
    /// Lifetimes in nanoseconds.
    pub lifetimes: [Bucket; BUCKETS as usize],
    /// Frees of blocks whose allocation was not seen.
    pub unseen_free_count: u64,
    /// Bytes of them, where known.
    pub unseen_freed_bytes: u64,
    /// How many of them were of unknown size.
    pub unsized_free_count: u64,
    /// Bytes added by blocks that grew in place.
    pub grown_bytes: u64,
    /// Bytes given back by blocks that shrank in place.
    pub shrunk_bytes: u64,
    /// Probe hits that are no allocation counted on entry and no free: entries of calls whose return is awaited,
    /// nested and failing calls.
    pub other_hit_count: u64,
    /// Return-probe hits.
    pub return_count: u64,
    /// Stack samples taken.
    pub sample_count: u64,
}

/// Live bytes of all targets together; shared by all CPUs and written atomically.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C)]
pub struct Peak {
    /// Live bytes of what was allocated since the probes were placed.
    pub live_bytes: u64,
    /// Their maximum.
    pub peak_bytes: u64,
    /// Counts the times a new maximum was reached.
    pub epoch: u64,
}

/// Ring record: a block of at least the traced size was freed, with both its times.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C)]
pub struct Traced {
    /// [`crate::tag::TRACED`].
    pub tag: u32,
    /// Thread that allocated it; 0 if that was before the probes.
    pub tid: u32,
    /// Process.
    pub tgid: u32,
    /// Index of its site.
    pub site: u32,
    /// Address.
    pub address: u64,
    /// Size; the usable size where it was there before.
    pub size_bytes: u64,
    /// When it was allocated; 0 if before the probes.
    pub from_ns: u64,
    /// When it was freed.
    pub to_ns: u64,
}

pod!(
    SiteKey = 24,
    Site = 80,
    Live = 24,
    LiveSet = 64,
    LiveKey = 8,
    Thread = 112,
    Bucket = 16,
    Totals = 2 * 16 * BUCKETS as usize + 64,
    Peak = 24,
    Traced = 48,
);

#[cfg(test)]
mod tests {
    use super::*;

    /// Heap addresses 32 bytes apart in a table of four times as many places as blocks, and as many.
    fn homeless(blocks: u32, sets: u32) -> usize {
        extern crate std;
        let mut filled = std::vec![0u32; sets as usize];
        let mut homeless = 0;
        for block in 0..blocks {
            let choices = LiveKey::new(4242, 0x5555_0000_0000 + 32 * u64::from(block)).sets(sets);
            match choices.into_iter().find(|&set| filled[set as usize] < WAYS) {
                Some(set) => filled[set as usize] += 1,
                None => homeless += 1,
            }
        }
        homeless
    }

    #[test]
    fn blocks_find_a_place_until_the_table_is_nearly_full() {
        let sets = 1 << 12;
        let places = sets * WAYS;
        assert_eq!(homeless(places / 2, sets), 0);
        assert!(homeless(places * 8 / 10, sets) < places as usize / 1000);
    }

    #[test]
    fn a_key_gives_its_address_back_and_tells_processes_apart() {
        let address = 0x7fff_dead_bee8;
        assert_eq!(LiveKey::new(77, address).address(), address);
        assert_ne!(LiveKey::new(77, address), LiveKey::new(78, address));
    }
}
