//! Per-thread state between probe hits. Only the thread itself touches it, so nothing here is atomic.

use aya_ebpf::helpers::bpf_get_prandom_u32;
use aya_ebpf::macros::map;
use aya_ebpf::maps::HashMap;
use waytrace_abi::allocation::{MAX_THREADS, Thread};

use crate::loss;
use crate::settings::setting;
use crate::target::Task;

/// State by thread id; entries go when their thread exits.
#[map]
static THREADS: HashMap<u32, Thread> = HashMap::with_max_entries(MAX_THREADS, 0);

/// The thread's state, made if need be; `None` (and a loss counted) when there is no room.
#[inline(always)]
pub fn state(task: Task) -> Option<&'static mut Thread> {
    if let Some(thread) = THREADS.get_ptr_mut(task.tid) {
        // SAFETY: the value stays valid during the program run (RCU), and only this thread's programs use it.
        return Some(unsafe { &mut *thread });
    }
    create(task)
}

#[inline(never)]
fn insert(task_tid: u32, task_tgid: u32) -> i64 {
    // SAFETY: the helper has no preconditions.
    let random = u64::from(unsafe { bpf_get_prandom_u32() }) | 1;
    // Somewhere within the first period, as if it had been running before: else every short-lived thread were sampled.
    let until_sample_bytes = (random * (setting!(sample_period_bytes) >> 8)) >> 24;
    let fresh = Thread { tgid: task_tgid, random, until_sample_bytes, ..zeroed() };
    match THREADS.insert(task_tid, &fresh, 0) {
        Ok(()) => 0,
        Err(_) => {
            loss::count(waytrace_abi::loss::THREADS_FULL);
            -1
        }
    }
}

#[inline(always)]
fn create(task: Task) -> Option<&'static mut Thread> {
    if insert(task.tid, task.tgid) != 0 {
        return None;
    }
    // SAFETY: as in `state`.
    THREADS.get_ptr_mut(task.tid).map(|thread| unsafe { &mut *thread })
}

fn zeroed() -> Thread {
    // SAFETY: `Thread` consists of integers, for which zero is a value.
    unsafe { core::mem::zeroed() }
}

/// Forgets an exiting thread, so that its id can be used again.
pub fn forget(tid: u32) {
    let _ = THREADS.remove(tid);
}
