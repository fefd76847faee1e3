//! Sites: totals per (thread, immediate caller).

use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, HashMap};
use waytrace_abi::allocation::{MAX_SITES, NESTED_CALL, NO_STACK, Site, SiteKey, Thread};

use crate::loss;
use crate::regs::user_word;
use crate::settings::constant;
use crate::target::Task;

/// Index of each site's totals.
#[map]
static SITE_INDEX: HashMap<SiteKey, u32> = HashMap::with_max_entries(MAX_SITES, 0);

/// Totals by index. Index 0 takes what finds no room.
#[map]
static SITES: Array<Site> = Array::with_max_entries(MAX_SITES, 0);

/// Word 0: how many indexes are taken, less one.
#[map]
static SITE_COUNT: Array<u64> = Array::with_max_entries(1, 0);

/// Callers a stack was sampled for, by process (the `tid` of the key is 0): one stack shows where a thread's site lies as
/// well as another's.
#[map]
static SAMPLED: HashMap<SiteKey, u32> = HashMap::with_max_entries(MAX_SITES, 0);

/// Return addresses inside wrappers (`operator new`) and how far above the allocator's entry stack pointer the
/// wrapper's own return address lies; or [`NESTED_CALL`] for those inside probed functions.
#[map]
static WRAPPERS: HashMap<u64, u32> = HashMap::with_max_entries(4096, 0);

/// 1 if there are wrappers: without, no look-up is made.
#[unsafe(no_mangle)]
static WRAPPERS_PRESENT: u32 = 0;

/// Wrappers may nest: `operator new[]` → `operator new` → `malloc`.
const MAX_WRAPPERS: u32 = 3;

/// The caller of the allocator, seen through wrappers; `None` if that is a probed function, which counts the call.
/// `entry_sp` points to the allocator's return address.
#[inline(always)]
pub fn caller(entry_sp: u64) -> Option<u64> {
    let Some(direct) = user_word(entry_sp) else { return Some(0) };
    if constant(&WRAPPERS_PRESENT) == 0 {
        return Some(direct);
    }
    match through_wrappers(direct, entry_sp) {
        0 => None,
        caller => Some(caller),
    }
}

#[inline(never)]
fn through_wrappers(direct: u64, entry_sp: u64) -> u64 {
    let mut caller = direct;
    let mut sp = entry_sp;
    for _ in 0..MAX_WRAPPERS {
        let Some(slot) = WRAPPERS.get_ptr(caller) else { break };
        // SAFETY: a map value is readable during the program run.
        let slot = unsafe { *slot };
        if slot == NESTED_CALL {
            return 0;
        }
        sp += u64::from(slot);
        match user_word(sp) {
            Some(outer) => caller = outer,
            None => break,
        }
    }
    caller
}

/// The site of a call, and whether it is the first of its caller in the process. Falls back to site 0 when the table is full.
#[inline(always)]
pub fn find(task: Task, thread: &mut Thread, caller: u64, stack: u32) -> (u32, bool) {
    if thread.cached_caller == caller && thread.cached_stack == stack && caller != 0 {
        return (thread.cached_site, false);
    }
    let key = SiteKey { tgid: task.tgid, tid: task.tid, caller, stack, reserved: 0 };
    let (index, new) = match SITE_INDEX.get_ptr(&key) {
        // SAFETY: a map value is readable during the program run.
        Some(index) => (unsafe { *index }, false),
        None => (create(&key), is_first_of_caller(&key)),
    };
    thread.cached_caller = caller;
    thread.cached_stack = stack;
    thread.cached_site = index;
    (index, new && index != 0)
}

#[inline(never)]
fn is_first_of_caller(key: &SiteKey) -> bool {
    let key = SiteKey { tid: 0, stack: NO_STACK, ..*key };
    SAMPLED.insert(&key, 0, aya_ebpf::bindings::BPF_NOEXIST.into()).is_ok()
}

#[inline(never)]
fn create(key: &SiteKey) -> u32 {
    let Some(count) = SITE_COUNT.get_ptr_mut(0) else { return 0 };
    // SAFETY: a map value is readable; a stale read only means one more attempt to take an index.
    let full = unsafe { core::ptr::read_volatile(count) } >= u64::from(MAX_SITES) - 1;
    if full {
        loss::count(waytrace_abi::loss::SITES_FULL);
        return 0;
    }
    let index = loss::add_return(count, 1) as u32;
    let Some(site) = totals(index) else { return 0 };
    site.tgid = key.tgid;
    site.tid = key.tid;
    site.caller = key.caller;
    site.stack = key.stack;
    match SITE_INDEX.insert(key, index, 0) {
        Ok(()) => index,
        Err(_) => 0,
    }
}

/// The totals of a site.
#[inline(always)]
pub fn totals(index: u32) -> Option<&'static mut Site> {
    // SAFETY: array values live as long as the map; fields shared between threads are written atomically only.
    SITES.get_ptr_mut(index).map(|site| unsafe { &mut *site })
}
