//! Counter state: what the kernel keeps per task, and readings of perf events per (thread, window).

use crate::pod::pod;

/// Perf events read at context switches.
pub const MAX_EVENTS: usize = 8;
/// (thread, window) readings kept until the user side drains them.
pub const MAX_READINGS: u32 = 4_096;

/// Numbers the kernel keeps per task, all since the thread began. Also the record the task iterator writes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(C)]
pub struct TaskNumbers {
    /// Process.
    pub tgid: u32,
    /// Thread.
    pub tid: u32,
    /// CPU time.
    pub cpu_ns: u64,
    /// Faults without I/O.
    pub minor_faults_count: u64,
    /// Faults with I/O.
    pub major_faults_count: u64,
    /// Switches because the thread waited.
    pub voluntary_switches_count: u64,
    /// Switches because its time was up.
    pub involuntary_switches_count: u64,
    /// Moves to another CPU.
    pub migrations_count: u64,
    /// Time it was ready to run and waited for a CPU; 0 where the kernel does not keep it.
    pub run_queue_ns: u64,
    /// When it began, by `CLOCK_BOOTTIME`.
    pub start_boot_ns: u64,
    /// Name, NUL-padded.
    pub comm: [u8; 16],
}

/// Names a reading.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct ReadingKey {
    /// Process.
    pub tgid: u32,
    /// Thread.
    pub tid: u32,
    /// Window, counted from the start of the run.
    pub window: u64,
}

/// Value, enabled and running time of one event.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Value {
    /// Counter.
    pub value: u64,
    /// Time the event was enabled.
    pub time_enabled_ns: u64,
    /// Time it counted.
    pub time_running_ns: u64,
}

/// What a thread counted within a window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Reading {
    /// One per event, in the run's order.
    pub values: [Value; MAX_EVENTS],
}

/// A CPU's own slot: whom it runs, and since when.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(C)]
pub struct OnCpu {
    /// Process, or 0 when no target runs here.
    pub tgid: u32,
    /// Thread.
    pub tid: u32,
    /// When the stretch running now began.
    pub began_ns: u64,
    /// Time targets ran here in all stretches before.
    pub target_ns: u64,
    /// 1 while this slot is being changed: what interrupts that must not rely on it.
    pub is_changing: u64,
    /// What the CPU's events stood at when the stretch began.
    pub start: Reading,
}

pod!(TaskNumbers = 88, ReadingKey = 16, Value = 24, Reading = 24 * MAX_EVENTS, OnCpu = 32 + 24 * MAX_EVENTS);
