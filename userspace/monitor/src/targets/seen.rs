//! A process as the kernel's news or `/proc` show it, without what costs a further read.

use std::fs;

use waytrace_hw::Root;
use waytrace_hw::process::Stat;

/// What is known of a process at once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// Process id.
    pub pid: u32,
    /// When it started, nanoseconds of `CLOCK_BOOTTIME`. Of times from `/proc`, which tells ticks, the rest is 0.
    pub start_boot_ns: u64,
    /// Command name.
    pub comm: String,
    /// Its parent's id; 0 where it is not known.
    pub ppid: u32,
    /// It is one of the kernel's own threads.
    pub kernel_thread: bool,
}

/// `USER_HZ`: ticks of `/proc/PID/stat` a second, on every architecture waytrace runs on.
const TICK_NS: u64 = 10_000_000;
/// `PF_KTHREAD` of `include/linux/sched.h`.
const KERNEL_THREAD: u64 = 0x0020_0000;

impl Seen {
    /// Reads `/proc/PID/stat`; `None` where the process has gone.
    pub fn read(root: &Root, pid: u32) -> Option<Self> {
        let Stat { comm, ppid, flags, start_ticks, .. } = Stat::read(root, pid)?;
        let start_boot_ns = start_ticks.checked_mul(TICK_NS)?;
        Some(Self { pid, start_boot_ns, comm, ppid, kernel_thread: flags & KERNEL_THREAD != 0 })
    }

    /// Whether both are the same process. Times are compared by ticks, so that those of the kernel's news and of `/proc` agree; an id is not
    /// given away again within one.
    pub fn is(&self, pid: u32, start_boot_ns: u64) -> bool {
        self.pid == pid && same_start(self.start_boot_ns, start_boot_ns)
    }
}

/// Whether two start times are of one process, its id being the same.
pub fn same_start(a_ns: u64, b_ns: u64) -> bool {
    a_ns / TICK_NS == b_ns / TICK_NS
}

/// All processes `/proc` shows, in the order in which they started.
pub fn processes(root: &Root) -> Vec<Seen> {
    let entries = fs::read_dir(root.path("proc")).into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let mut all: Vec<Seen> = pids.filter_map(|pid| Seen::read(root, pid)).collect();
    all.sort_by_key(|seen| (seen.start_boot_ns, seen.pid));
    all
}
