//! mmap, munmap, mremap and brk, by system-call tracepoints: exact for every kind of program.
//!
//! Arguments are read at the stable offsets of the `syscalls:sys_enter_*` and `sys_exit_*` formats (number at 8,
//! then one word per argument from 16; result at 16). Only successful calls that changed something are reported.

use aya_ebpf::helpers::bpf_ktime_get_ns;
use aya_ebpf::macros::{map, tracepoint};
use aya_ebpf::maps::{Array, HashMap};
use aya_ebpf::programs::TracePointContext;
use waytrace_abi::allocation::{MAX_TARGETS, MAX_THREADS};
use waytrace_abi::mapping::{BRK, MMAP, MREMAP, MUNMAP, MapChange, MapTotals, Pending};

use crate::loss::add;
use crate::ring;
use crate::target::{self, Task};

/// Calls between entry and return, by thread.
#[map]
static PENDING: HashMap<u32, Pending> = HashMap::with_max_entries(MAX_THREADS, 0);

/// Heap end of each process as last seen; the user side enters it at the start.
#[map]
static HEAP_END: HashMap<u32, u64> = HashMap::with_max_entries(MAX_TARGETS, 0);

#[map]
static MAP_TOTALS: Array<MapTotals> = Array::with_max_entries(1, 0);

/// System-call numbers, `arch/x86/entry/syscalls/syscall_64.tbl`.
mod number {
    pub const MMAP: i32 = 9;
    pub const MUNMAP: i32 = 11;
    pub const BRK: i32 = 12;
    pub const MREMAP: i32 = 25;
}

const PROT_EXEC: u64 = 4;
const PAGE_BYTES: u64 = 4096;

#[tracepoint]
fn map_enter(ctx: TracePointContext) -> u32 {
    enter(&ctx);
    0
}

#[inline(always)]
fn enter(ctx: &TracePointContext) -> Option<()> {
    let task = target::current()?;
    let pending = match read::<i32>(ctx, 8)? {
        number::MMAP => Pending {
            kind: u64::from(MMAP),
            address: 0,
            old_bytes: 0,
            new_bytes: arg(ctx, 1)?,
            executable: u64::from(arg(ctx, 2)? & PROT_EXEC != 0),
        },
        number::MUNMAP => Pending {
            kind: u64::from(MUNMAP),
            address: arg(ctx, 0)?,
            old_bytes: arg(ctx, 1)?,
            new_bytes: 0,
            executable: 0,
        },
        number::MREMAP => Pending {
            kind: u64::from(MREMAP),
            address: arg(ctx, 0)?,
            old_bytes: arg(ctx, 1)?,
            new_bytes: arg(ctx, 2)?,
            executable: 0,
        },
        number::BRK => {
            Pending { kind: u64::from(BRK), address: arg(ctx, 0)?, old_bytes: 0, new_bytes: 0, executable: 0 }
        }
        _ => return None,
    };
    let _ = PENDING.insert(task.tid, pending, 0);
    None
}

#[tracepoint]
fn map_exit(ctx: TracePointContext) -> u32 {
    exit(&ctx);
    0
}

#[inline(always)]
fn exit(ctx: &TracePointContext) -> Option<()> {
    let task = target::current()?;
    let found = PENDING.get_ptr(task.tid)?;
    // SAFETY: a map value is readable during the program run; it is copied before the entry goes.
    let pending = unsafe { *found };
    let _ = PENDING.remove(task.tid);
    let result = read::<i64>(ctx, 16)?;
    let failed = (-4095..0).contains(&result);
    if failed {
        return None;
    }
    let result = result as u64;
    let (address, added, removed) = match pending.kind as u32 {
        MMAP => (result, pages(pending.new_bytes), 0),
        MUNMAP => (pending.address, 0, pages(pending.old_bytes)),
        MREMAP => {
            let (old, new) = (pages(pending.old_bytes), pages(pending.new_bytes));
            (result, new.saturating_sub(old), old.saturating_sub(new))
        }
        _ => heap_moved(task, result)?,
    };
    report(task, &pending, address, added, removed);
    None
}

/// The heap end after a `brk`: what it added or removed, `None` when it did not move or was not known before.
#[inline(always)]
fn heap_moved(task: Task, end: u64) -> Option<(u64, u64, u64)> {
    // SAFETY: a map value is readable during the program run.
    let before = HEAP_END.get_ptr(task.tgid).map(|word| unsafe { *word });
    let _ = HEAP_END.insert(task.tgid, end, 0);
    let (before, after) = (pages(before?), pages(end));
    (before != after).then(|| (before.min(after), after.saturating_sub(before), before.saturating_sub(after)))
}

#[inline(always)]
fn report(task: Task, pending: &Pending, address: u64, added_bytes: u64, removed_bytes: u64) {
    if let Some(totals) = MAP_TOTALS.get_ptr_mut(0) {
        // SAFETY: a map value; only field addresses are taken.
        unsafe {
            add(&raw mut (*totals).added_bytes, added_bytes);
            add(&raw mut (*totals).removed_bytes, removed_bytes);
            add(&raw mut (*totals).call_count, 1);
        }
    }
    ring::emit(&MapChange {
        tag: waytrace_abi::tag::MAP,
        kind: pending.kind as u32,
        tgid: task.tgid,
        tid: task.tid,
        // SAFETY: the helper has no preconditions.
        at_ns: unsafe { bpf_ktime_get_ns() },
        address,
        added_bytes,
        removed_bytes,
        executable: pending.executable,
    });
}

#[inline(always)]
fn pages(bytes: u64) -> u64 {
    bytes.wrapping_add(PAGE_BYTES - 1) & !(PAGE_BYTES - 1)
}

#[inline(always)]
fn arg(ctx: &TracePointContext, n: usize) -> Option<u64> {
    read(ctx, 16 + 8 * n)
}

#[inline(always)]
fn read<T>(ctx: &TracePointContext, offset: usize) -> Option<T> {
    // SAFETY: the offset lies within the record of every tracepoint these programs are attached to.
    unsafe { ctx.read_at(offset) }.ok()
}
