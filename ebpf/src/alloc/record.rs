//! Books one successful allocation.

use aya_ebpf::helpers::bpf_ktime_get_ns;
use waytrace_abi::allocation::{Live, Thread};

use super::{keeps_lifetimes, live, sample, site, totals};
use crate::regs::Regs;
use crate::target::Task;

/// Where the allocating call stands, for a stack sample.
#[derive(Clone, Copy)]
pub struct Place {
    /// Stack pointer at the allocator's entry: it points to the return address.
    pub entry_sp: u64,
    /// Caller, seen through wrappers.
    pub caller: u64,
    /// Return address of the allocator call itself, or 0 if it is still to be read off the stack. On return it cannot
    /// be: the kernel has put its trampoline's address there.
    pub returns_to: u64,
    /// Stack by frame pointer, or [`waytrace_abi::allocation::NO_STACK`].
    pub stack: u32,
}

/// Counts an allocation of `size_bytes` at `address`; `address` is 0 where only the entry was seen.
#[inline(always)]
pub fn allocation(task: Task, thread: &mut Thread, regs: Regs, place: Place, size_bytes: u64, address: u64) {
    let (index, new) = site::find(task, thread, place.caller, place.stack);
    if let Some(site) = site::totals(index) {
        site.alloc_count += 1;
        site.alloc_bytes += size_bytes;
    }
    totals::allocated(size_bytes);
    if keeps_lifetimes() && address != 0 {
        // SAFETY: the helper has no preconditions.
        let at_ns = unsafe { bpf_ktime_get_ns() };
        live::insert(task, address, &Live { size_bytes, at_ns, site: index, tid: task.tid }, size_bytes);
        thread.last_block = address;
    }
    if sample::due(thread, size_bytes) || new {
        sample::take(&sample::Sampled { task, regs, place, site: index, size_bytes });
    }
}
