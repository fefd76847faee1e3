//! Which processes are measured.

use aya_ebpf::helpers::bpf_get_current_pid_tgid;
use aya_ebpf::macros::map;
use aya_ebpf::maps::HashMap;
use waytrace_abi::allocation::MAX_TARGETS;

use crate::loss;
use crate::settings::{constant, setting};

/// 1 if children of targets become targets.
#[unsafe(no_mangle)]
static FOLLOW_FORKS: u32 = 0;

/// 1 if every process of the machine is watched: all that execute a program become targets, and the user side says which
/// stay.
#[unsafe(no_mangle)]
static EVERYONE: u32 = 0;

/// Process ids of the targets.
#[map]
pub static TARGETS: HashMap<u32, u32> = HashMap::with_max_entries(MAX_TARGETS, 0);

/// A task of a target.
#[derive(Clone, Copy)]
pub struct Task {
    /// Process.
    pub tgid: u32,
    /// Thread.
    pub tid: u32,
}

/// The current task, if it is measured.
#[inline(always)]
pub fn current() -> Option<Task> {
    let task = current_any();
    let only_tid = setting!(only_tid);
    (is_target(task.tgid) && (only_tid == 0 || only_tid == task.tid)).then_some(task)
}

/// The current task.
#[inline(always)]
pub fn current_any() -> Task {
    let both = bpf_get_current_pid_tgid();
    Task { tgid: (both >> 32) as u32, tid: both as u32 }
}

/// Whether a process is measured.
#[inline(always)]
pub fn is_target(tgid: u32) -> bool {
    let single = setting!(single_tgid);
    if single != 0 {
        return tgid == single;
    }
    TARGETS.get_ptr(tgid).is_some()
}

/// Whether every process is watched.
#[inline(always)]
pub fn watches_everyone() -> bool {
    constant(&EVERYONE) != 0
}

/// Makes a process a target; false, and a loss counted, where there is no room.
#[inline(always)]
pub fn enter(tgid: u32, parent_tgid: u32) -> bool {
    let has_room = TARGETS.insert(tgid, parent_tgid, 0).is_ok();
    if !has_room {
        loss::count(waytrace_abi::loss::TARGETS_FULL);
    }
    has_room
}

/// Takes a process out again.
#[inline(always)]
pub fn leave(tgid: u32) {
    // It may not have been there.
    let _ = TARGETS.remove(tgid);
}

/// Whether children of targets become targets.
#[inline(always)]
pub fn follows_forks() -> bool {
    constant(&FOLLOW_FORKS) != 0
}
