//! Live blocks: who allocated them, when and how large. See [`waytrace_abi::allocation::LiveSet`] for the table.
//!
//! A place is taken by compare-and-swap and freed by the one thread that frees the block, before the allocator can
//! give its address away again: no two programs ever fight for one block.

use aya_ebpf::macros::map;
use aya_ebpf::maps::Array;
use waytrace_abi::allocation::{Live, LiveKey, LiveSet, Site, Traced, WAYS};

use super::{min_traced_bytes, site, totals};
use crate::loss::{self, add, compare_and_swap};
use crate::ring;
use crate::settings::constant;
use crate::target::Task;

/// Sets of the table: a power of two. The maps below are sized to match.
#[unsafe(no_mangle)]
static LIVE_SETS: u32 = 1;

/// The user side reads the table through a mapping.
const MAPPABLE: u32 = aya_ebpf::bindings::BPF_F_MMAPABLE;

/// Keys, by set.
#[map]
static LIVE_KEYS: Array<LiveSet> = Array::with_max_entries(1, MAPPABLE);

/// Blocks, at `set * WAYS + place`.
#[map]
static LIVE: Array<Live> = Array::with_max_entries(1, MAPPABLE);

/// No place.
pub const NONE: u32 = u32::MAX;

/// Keeps a block; without room it is counted as lost, and its lifetime is not known. `counted` of its bytes have just
/// been added to its site's totals.
#[inline(always)]
pub fn insert(task: Task, address: u64, block: &Live, counted: u64) {
    if keep(task, address, block) == NONE {
        return;
    }
    if let Some(site) = site::totals(block.site) {
        save_peak(site, counted);
    }
    totals::grow(block.size_bytes);
}

/// Enters a block; its place, or [`NONE`] and a loss counted.
#[inline(always)]
pub fn keep(task: Task, address: u64, block: &Live) -> u32 {
    let place = take(LiveKey::new(task.tgid, address).packed);
    let Some(slot) = LIVE.get_ptr_mut(place) else {
        loss::count(waytrace_abi::loss::LIVE_FULL);
        return NONE;
    };
    // SAFETY: the place was just taken: nobody else writes it until the block is freed.
    unsafe { *slot = *block };
    place
}

/// A block and its place; `None` if it was not seen to be allocated.
#[inline(always)]
pub fn look_up(task: Task, address: u64) -> Option<(u32, Live)> {
    let place = find(LiveKey::new(task.tgid, address).packed);
    // SAFETY: a map value is readable during the program run.
    LIVE.get_ptr(place).map(|slot| (place, unsafe { *slot }))
}

/// Takes a block out; `None` if it was not seen to be allocated.
#[inline(always)]
pub fn remove(task: Task, address: u64) -> Option<Live> {
    let (place, block) = look_up(task, address)?;
    release(place);
    if let Some(site) = site::totals(block.site) {
        save_peak(site, 0);
    }
    totals::shrink(block.size_bytes);
    Some(block)
}

/// Takes a free place for `key`; [`NONE`] if both sets are full.
#[inline(never)]
fn take(key: u64) -> u32 {
    let sets = LiveKey { packed: key }.sets(constant(&LIVE_SETS));
    for set in sets {
        let Some(keys) = LIVE_KEYS.get_ptr_mut(set) else { return NONE };
        for way in 0..WAYS {
            // SAFETY: `way` is within the set.
            let place = unsafe { (&raw mut (*keys).keys).cast::<u64>().add(way as usize) };
            // SAFETY: as above. Looked at first, for the swap costs more and most places are taken or free for long.
            let free = unsafe { core::ptr::read_volatile(place) } == 0;
            if free && compare_and_swap(place, 0, key) == 0 {
                return set * WAYS + way;
            }
        }
    }
    NONE
}

/// The place of `key`, or [`NONE`].
#[inline(never)]
fn find(key: u64) -> u32 {
    let sets = LiveKey { packed: key }.sets(constant(&LIVE_SETS));
    for set in sets {
        let Some(keys) = LIVE_KEYS.get_ptr(set) else { return NONE };
        for way in 0..WAYS {
            // SAFETY: `way` is within the set.
            let place = unsafe { (&raw const (*keys).keys).cast::<u64>().add(way as usize) };
            // SAFETY: as above.
            if unsafe { core::ptr::read_volatile(place) } == key {
                return set * WAYS + way;
            }
        }
    }
    NONE
}

/// Gives up the place of a block that was looked up and has ended.
#[inline(always)]
pub fn release(place: u32) {
    let Some(keys) = LIVE_KEYS.get_ptr_mut(place / WAYS) else { return };
    let way = (place % WAYS) as usize;
    // SAFETY: `way` is within the set, and the place is this thread's to give up.
    unsafe { core::ptr::write_volatile((&raw mut (*keys).keys).cast::<u64>().add(way), 0) };
}

/// Books a removed block as freed now: site, lifetime, and the trace of large ones.
#[inline(always)]
pub fn bury(task: Task, address: u64, block: &Live, now_ns: u64) {
    if let Some(site) = site::totals(block.site) {
        add(&raw mut site.free_count, 1);
        add(&raw mut site.freed_bytes, block.size_bytes);
    }
    totals::lived(now_ns.saturating_sub(block.at_ns), block.size_bytes);
    if block.size_bytes >= min_traced_bytes() {
        trace(task, address, block, now_ns);
    }
}

/// Emits the record of a traced block's end. `at_ns` 0 means it was there before the probes.
#[inline(always)]
pub fn trace(task: Task, address: u64, block: &Live, now_ns: u64) {
    ring::emit(&Traced {
        tag: waytrace_abi::tag::TRACED,
        tid: block.tid,
        tgid: task.tgid,
        site: block.site,
        address,
        size_bytes: block.size_bytes,
        from_ns: block.at_ns,
        to_ns: now_ns,
    });
}

/// Before a site's live bytes change for the first time after a peak, what they were at the peak is saved. `counted`
/// bytes of the change are in the site's totals already.
#[inline(always)]
fn save_peak(site: &mut Site, counted: u64) {
    let epoch = totals::peak_epoch();
    if site.peak_epoch != epoch {
        site.live_at_peak_bytes = site.alloc_bytes.wrapping_sub(site.freed_bytes).wrapping_sub(counted);
        site.peak_epoch = epoch;
    }
}
