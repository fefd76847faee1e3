//! Samples that come with an address (of a PMU, or a watched address), added up where they are made.
//!
//! Each is added to the totals of its CPU, to its page, and to its line. What a table has no room for is then known by
//! difference. Of the records, which say more (instruction, latency, what served it), perf writes those the program
//! returns 1 for: all of them up to a number for each window and CPU, and beyond it one of so many at random. How many is
//! led by the window before, so that every sample of a window and CPU has the same chance, and the user side makes their
//! weights add up to the window's. A window that outgrows the one before many times over is cut off at its end: there,
//! and only there, what came late is not among the records.
//!
//! On hardware this runs in an NMI. The kernel runs no such program within another, or within a system call on a map, on
//! the same CPU (`bpf_prog_active` in `bpf_overflow_handler`, kernel/events/core.c), and hands no record on either: the
//! user side holds the events' own counts against the totals. A PMU that hands over several records at once calls the
//! program for the last only; with a clock of our choice PEBS does not (`intel_pmu_large_pebs_flags`).

use core::ffi::c_void;

use aya_ebpf::EbpfContext;
use aya_ebpf::bindings::{BPF_NOEXIST, bpf_perf_event_data};
use aya_ebpf::helpers::generated::bpf_get_prandom_u32;
use aya_ebpf::helpers::{bpf_get_smp_processor_id, bpf_ktime_get_ns};
use aya_ebpf::macros::map;
use aya_ebpf::maps::{HashMap, LruHashMap, PerCpuArray};
use aya_ebpf::programs::PerfEventContext;
use waytrace_abi::heat::{
    HeatKey, HeatTotal, LINE_BYTES, MAX_LINES, MAX_PAGES, MAX_TOTALS, MOST_PASSED, PAGE_BYTES, Pace,
    TotalKey, direction,
};

use super::capture::Interrupted;
use crate::counters::window;
use crate::loss;
use crate::settings::constant;
use crate::target::current;

/// Samples of a window that a CPU hands on before it leaves some out.
#[unsafe(no_mangle)]
static HEAT_PASSED: u64 = 1_000;

/// Totals by window and CPU.
#[map]
static HEAT_TOTALS: HashMap<TotalKey, HeatTotal> = HashMap::with_max_entries(MAX_TOTALS, 0);

/// Weight by page. The user side may ask for another size, as of the lines.
#[map]
static HEAT_PAGES: HashMap<HeatKey, u64> = HashMap::with_max_entries(MAX_PAGES, 0);

/// Weight by line.
#[map]
static HEAT_LINES: LruHashMap<HeatKey, u64> = LruHashMap::with_max_entries(MAX_LINES, 0);

/// What this CPU hands on.
#[map]
static HEAT_PACE: PerCpuArray<Pace> = PerCpuArray::with_max_entries(1, 0);

/// Declares the program of one direction: threads that inherit an event inherit its program, but no cookie. It is not
/// `aya_ebpf`'s `perf_event`, under which the kernel always gets 0.
macro_rules! program {
    ($name:ident, $direction:expr) => {
        #[unsafe(no_mangle)]
        #[unsafe(link_section = "perf_event")]
        fn $name(ctx: *mut c_void) -> u32 {
            sampled(&PerfEventContext::new(ctx.cast()), $direction)
        }
    };
}

program!(heat_load, direction::LOAD);
program!(heat_store, direction::STORE);
program!(heat_unknown, direction::UNKNOWN);

/// 1 if perf is to write the sample's record.
#[inline(always)]
fn sampled(ctx: &PerfEventContext, direction: u32) -> u32 {
    let Some(task) = current() else { return 0 };
    // SAFETY: the helper has no preconditions.
    let Some(window) = window(unsafe { bpf_ktime_get_ns() }) else { return 0 };
    let Some(total) = total(window) else {
        loss::count(waytrace_abi::loss::HEAT_FULL);
        return 0;
    };
    // SAFETY: a map value is writable during the program run, and this is the only CPU to write it.
    let total = unsafe { &mut *total };
    let (address, weight) = (address(ctx), weight(ctx));
    if address == 0 || !Interrupted::of(ctx).is_user() || address >> 63 != 0 {
        total.other_weight += weight;
        if address == 0 {
            total.no_address += 1;
        } else {
            total.in_kernel += 1;
        }
        return 0;
    }
    total.samples += 1;
    total.weights[direction as usize] += weight;
    add_to_page(HeatKey { tgid: task.tgid, direction, window, number: address / PAGE_BYTES }, weight);
    add_to_line(HeatKey { tgid: task.tgid, direction, window, number: address / LINE_BYTES }, weight);
    if !passes(window) {
        return 0;
    }
    total.passed += 1;
    total.passed_weight += weight;
    1
}

/// The address the sample carries; 0 is none.
#[inline(always)]
fn address(ctx: &PerfEventContext) -> u64 {
    let data: *const bpf_perf_event_data = ctx.as_ptr().cast_const().cast();
    // SAFETY: a field of the context, which the verifier checks; volatile, for it must be read as one word.
    unsafe { core::ptr::read_volatile(&raw const (*data).addr) }
}

/// Events the sample stands for.
#[inline(always)]
fn weight(ctx: &PerfEventContext) -> u64 {
    let data: *const bpf_perf_event_data = ctx.as_ptr().cast_const().cast();
    // SAFETY: as in `address`.
    let period = unsafe { core::ptr::read_volatile(&raw const (*data).sample_period) };
    if period == 0 { 1 } else { period }
}

/// This CPU's totals of a window.
#[inline(always)]
fn total(window: u64) -> Option<*mut HeatTotal> {
    // SAFETY: the helper has no preconditions.
    let key = TotalKey { window, cpu: u64::from(unsafe { bpf_get_smp_processor_id() }) };
    if let Some(total) = HEAT_TOTALS.get_ptr_mut(key) {
        return Some(total);
    }
    HEAT_TOTALS.insert(key, HeatTotal::default(), 0).ok()?;
    HEAT_TOTALS.get_ptr_mut(key)
}

/// Declares how a weight is added to an entry of a table, or a new one if there is room. Another CPU may be as quick.
macro_rules! adds {
    ($name:ident, $map:ident) => {
        #[inline(always)]
        fn $name(key: HeatKey, weight: u64) {
            if let Some(sum) = $map.get_ptr_mut(key) {
                return loss::add(sum, weight);
            }
            if $map.insert(key, weight, BPF_NOEXIST.into()).is_err()
                && let Some(sum) = $map.get_ptr_mut(key)
            {
                loss::add(sum, weight);
            }
        }
    };
}

adds!(add_to_page, HEAT_PAGES);
adds!(add_to_line, HEAT_LINES);

/// Whether a sample's record is handed on.
#[inline(always)]
fn passes(window: u64) -> bool {
    let Some(pace) = HEAT_PACE.get_ptr_mut(0) else { return false };
    // SAFETY: the slot is this CPU's own, and this program does not interrupt itself.
    let pace = unsafe { &mut *pace };
    let most = constant(&HEAT_PASSED).max(1);
    if pace.window != window {
        pace.every = pace.samples / most;
        (pace.window, pace.samples, pace.passed) = (window, 0, 0);
    }
    pace.samples += 1;
    let every = pace.every;
    // SAFETY: the helper has no preconditions.
    let is_drawn = every <= 1 || u64::from(unsafe { bpf_get_prandom_u32() }) % every == 0;
    if !is_drawn || pace.passed >= most * MOST_PASSED {
        return false;
    }
    pace.passed += 1;
    true
}
