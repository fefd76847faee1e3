//! mmap, munmap, mremap and brk: by a probe behind each place of the target's code that makes one, or, where such places
//! cannot be known beforehand, by system-call tracepoints, which see every kind of program and cost everybody.
//!
//! The tracepoints' arguments are read at the stable offsets of the `syscalls:sys_enter_*` and `sys_exit_*` formats (number at 8,
//! then one word per argument from 16; result at 16). Only successful calls that changed something are reported.

use aya_ebpf::EbpfContext;
use aya_ebpf::helpers::{bpf_get_attach_cookie, bpf_ktime_get_ns};
use aya_ebpf::macros::{map, tracepoint, uprobe};
use aya_ebpf::maps::{Array, HashMap};
use aya_ebpf::programs::{ProbeContext, TracePointContext};
use waytrace_abi::allocation::{MAX_TARGETS, MAX_THREADS};
use waytrace_abi::mapping::{BRK, CallCookie, MMAP, MREMAP, MUNMAP, MapChange, MapTotals, Pending};

use crate::loss::add;
use crate::regs::Regs;
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
    returned(task, &pending, read(ctx, 16)?)
}

/// Behind a system call: the argument registers are as they were, and the result is there.
#[uprobe]
fn map_called(ctx: ProbeContext) -> u32 {
    called(&ctx);
    0
}

#[inline(always)]
fn called(ctx: &ProbeContext) -> Option<()> {
    let task = target::current()?;
    let regs = Regs::of(ctx);
    // SAFETY: the context is the one the kernel passed in.
    let cookie = CallCookie::unpack(unsafe { bpf_get_attach_cookie(ctx.as_ptr()) });
    // The call leaves the address behind it in rcx; another means that the code was reached by a jump.
    if regs.arg(3).wrapping_add(u64::from(cookie.distance)) != regs.ip() {
        return None;
    }
    let (first, second, third) = (regs.arg(0), regs.arg(1), regs.arg(2));
    let kind = cookie.kind;
    let pending = Pending {
        kind: u64::from(kind),
        address: first,
        old_bytes: second,
        new_bytes: if kind == MMAP { second } else { third },
        executable: u64::from(kind == MMAP && third & PROT_EXEC != 0),
    };
    returned(task, &pending, regs.ret())
}

/// A call has returned `result`.
#[inline(always)]
fn returned(task: Task, pending: &Pending, result: u64) -> Option<()> {
    let failed = (-4095..0).contains(&(result as i64));
    if failed {
        return None;
    }
    let (address, added, removed) = match pending.kind as u32 {
        MMAP => (result, pages(pending.new_bytes), 0),
        MUNMAP => (pending.address, 0, pages(pending.old_bytes)),
        MREMAP => {
            let (old, new) = (pages(pending.old_bytes), pages(pending.new_bytes));
            (result, new.saturating_sub(old), old.saturating_sub(new))
        }
        _ => heap_moved(task, result)?,
    };
    report(task, pending, address, added, removed);
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
