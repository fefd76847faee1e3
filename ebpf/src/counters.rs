//! Perf events per (thread, window).
//!
//! Each CPU counts its events all the time. When a target's thread is put on a CPU its events are noted, when it
//! leaves (or a timer strikes, since a spinning thread hardly ever leaves) the increase goes to the thread's reading
//! for the window the segment began in. Counting per CPU costs two readings a switch; per-task events would have
//! the kernel reprogram them at every switch.

use core::ffi::c_void;

use aya_ebpf::bindings::{BPF_F_CURRENT_CPU, bpf_perf_event_value};
use aya_ebpf::helpers::bpf_ktime_get_ns;
use aya_ebpf::helpers::generated::bpf_perf_event_read_value;
use aya_ebpf::macros::{map, perf_event, raw_tracepoint};
use aya_ebpf::maps::{HashMap, PerCpuArray, PerfEventArray};
use aya_ebpf::programs::{PerfEventContext, RawTracePointContext};
use waytrace_abi::counter::{MAX_EVENTS, MAX_READINGS, OnCpu, Reading, ReadingKey, Value};

use crate::settings::{constant, setting};
use crate::target::{current, is_target};
use crate::{loss, phases, tasks};

/// How many events are read, at most [`MAX_EVENTS`].
#[unsafe(no_mangle)]
static EVENT_COUNT: u32 = 0;

/// Length of a window.
#[unsafe(no_mangle)]
static INTERVAL_NS: u64 = 100_000_000;

/// One map per event, with the event of each CPU: aya lets such a map have no more entries than there are CPUs.
macro_rules! event_maps {
    ($($index:literal = $name:ident),+ $(,)?) => {
        $(
            #[map]
            static $name: PerfEventArray<u64> = PerfEventArray::new(0);
        )+

        /// Reads this CPU's event of that index.
        #[inline(always)]
        fn read_event(event: usize, value: &mut Value) {
            match event {
                $( $index => read_map((&raw const $name).cast_mut().cast(), value), )+
                _ => {}
            }
        }
    };
}

event_maps! {
    0 = EVENT_0, 1 = EVENT_1, 2 = EVENT_2, 3 = EVENT_3,
    4 = EVENT_4, 5 = EVENT_5, 6 = EVENT_6, 7 = EVENT_7,
}

/// Who is on this CPU.
#[map]
pub static ON_CPU: PerCpuArray<OnCpu> = PerCpuArray::with_max_entries(1, 0);

/// Finished readings, taken out by the user side.
#[map]
static READINGS: HashMap<ReadingKey, Reading> = HashMap::with_max_entries(MAX_READINGS, 0);

/// `sched_switch(preempt, prev, next, prev_state)`: still runs as `prev`.
#[raw_tracepoint(tracepoint = "sched_switch")]
fn task_switched(ctx: RawTracePointContext) -> i32 {
    let next: *const c_void = ctx.arg(2);
    switched(tasks::tgid(next), tasks::tid(next));
    0
}

/// Once a window on every CPU: closes the running segment and opens it again.
#[perf_event]
fn window_timer(_ctx: PerfEventContext) -> u32 {
    if let Some(task) = current() {
        switched(task.tgid, task.tid);
    }
    0
}

#[inline(always)]
fn switched(next_tgid: u32, next_tid: u32) -> Option<()> {
    let on = ON_CPU.get_ptr_mut(0)?;
    // SAFETY: the slot is this CPU's own; interrupts are off at a switch and inside the timer.
    let on = unsafe { &mut *on };
    let next_counts = is_target(next_tgid);
    if on.tgid == 0 && !next_counts {
        return None;
    }
    phases::changing(on, true);
    // SAFETY: the helper has no preconditions.
    let now_ns = unsafe { bpf_ktime_get_ns() };
    let mut now = Reading::default();
    read_events(&mut now);
    if on.tgid != 0 {
        on.target_ns += now_ns - on.began_ns;
        close(on, &now);
        phases::add_segment(on, &now, now_ns);
    }
    on.tgid = if next_counts { next_tgid } else { 0 };
    on.tid = next_tid;
    on.began_ns = now_ns;
    on.start = now;
    phases::changing(on, false);
    None
}

/// How many events are read at a switch.
#[inline(always)]
pub fn event_count() -> usize {
    constant(&EVENT_COUNT) as usize
}

/// Reads this CPU's events.
#[inline(always)]
pub fn read_events(reading: &mut Reading) {
    let count = event_count();
    for (event, value) in reading.values.iter_mut().enumerate() {
        if event >= count {
            break;
        }
        read_event(event, value);
    }
}

#[inline(always)]
fn read_map(map: *mut c_void, value: &mut Value) {
    let mut raw = bpf_perf_event_value { counter: 0, enabled: 0, running: 0 };
    // SAFETY: `raw` is a buffer of the size passed, and `map` is the address the loader replaces by the map.
    let failed = unsafe {
        bpf_perf_event_read_value(
            map,
            BPF_F_CURRENT_CPU,
            &raw mut raw,
            size_of::<bpf_perf_event_value>() as u32,
        )
    };
    if failed == 0 {
        *value = Value { value: raw.counter, time_enabled_ns: raw.enabled, time_running_ns: raw.running };
    }
}

#[inline(always)]
fn close(on: &OnCpu, now: &Reading) -> Option<()> {
    let count = event_count();
    if count == 0 {
        return None;
    }
    let key = ReadingKey { tgid: on.tgid, tid: on.tid, window: window(on.began_ns)? };
    let reading = match READINGS.get_ptr_mut(&key) {
        Some(reading) => reading,
        None => {
            if READINGS.insert(&key, Reading::default(), 0).is_err() {
                loss::count(waytrace_abi::loss::READINGS_FULL);
                return None;
            }
            READINGS.get_ptr_mut(&key)?
        }
    };
    // SAFETY: only the CPU the thread is on writes its reading.
    let reading = unsafe { &mut *reading };
    for event in 0..MAX_EVENTS {
        if event >= count {
            break;
        }
        let (sum, from, to) = (&mut reading.values[event], &on.start.values[event], &now.values[event]);
        sum.value += to.value.wrapping_sub(from.value);
        sum.time_enabled_ns += to.time_enabled_ns.wrapping_sub(from.time_enabled_ns);
        sum.time_running_ns += to.time_running_ns.wrapping_sub(from.time_running_ns);
    }
    None
}

/// The window a time falls into; `None` before the run starts.
#[inline(always)]
pub fn window(at_ns: u64) -> Option<u64> {
    let start = setting!(run_start_ns);
    (start != 0 && at_ns >= start).then(|| (at_ns - start) / constant(&INTERVAL_NS).max(1))
}
