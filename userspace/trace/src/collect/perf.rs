//! Perf events per thread and window: opened per CPU, read by the switch program, closed by a timer.

use std::collections::HashMap;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use perf_event::Counter;
use waytrace_abi::counter::{MAX_EVENTS, ReadingKey};
use waytrace_hw::counter::{open_on_cpu, open_timer};
use waytrace_hw::events::PerfAttr;
use waytrace_model::counter::CounterReading;

use crate::Error;
use crate::kernel::Kernel;

/// The open events. Dropping it closes them.
pub struct Perf {
    /// Position in the run's events of each event, in the kernel part's order.
    positions: Vec<u16>,
    counters: Vec<Counter>,
    links: Vec<OwnedFd>,
    only_tid: Option<u32>,
}

impl Perf {
    /// Most events read at a switch.
    pub const MAX: usize = MAX_EVENTS;

    /// Opens the events on every CPU and starts the switch program and the window timers.
    ///
    /// # Errors
    /// When an event cannot be opened, or the kernel refuses a program.
    pub fn start(
        kernel: &mut Kernel,
        events: &[(PerfAttr, u16)],
        cpus: &[u32],
        interval_ns: u64,
        only_tid: Option<u32>,
    ) -> Result<Self, Error> {
        let mut perf = Self {
            positions: events.iter().map(|(_, position)| *position).collect(),
            counters: Vec::new(),
            links: Vec::new(),
            only_tid,
        };
        for &cpu in cpus {
            for (index, (attr, _)) in events.iter().enumerate() {
                let counter = open_on_cpu(attr, cpu)?;
                kernel.set_event(cpu, index, borrow(&counter))?;
                perf.counters.push(counter);
            }
        }
        kernel.attach_raw_tracepoint("task_switched", "sched_switch")?;
        for &cpu in cpus {
            let mut timer = open_timer(cpu, interval_ns)?;
            perf.links.push(kernel.attach_perf_event("window_timer", borrow(&timer))?);
            timer.enable().map_err(Error::syscall(format!("starting the window timer of CPU {cpu}")))?;
            perf.counters.push(timer);
        }
        Ok(perf)
    }

    /// Takes the readings of windows before `window` out of the kernel part, by window.
    ///
    /// # Errors
    /// When the map cannot be read.
    pub fn drain(
        &self,
        kernel: &mut Kernel,
        window: u64,
    ) -> Result<HashMap<u64, Vec<CounterReading>>, Error> {
        let mut by_window: HashMap<u64, Vec<CounterReading>> = HashMap::new();
        for (key, reading) in kernel.readings()? {
            if key.window >= window {
                continue;
            }
            kernel.remove_reading(key)?;
            if self.only_tid.is_none_or(|tid| tid == key.tid) {
                by_window.entry(key.window).or_default().extend(self.readings(key, &reading.values));
            }
        }
        Ok(by_window)
    }

    fn readings<'a>(
        &'a self,
        key: ReadingKey,
        values: &'a [waytrace_abi::counter::Value],
    ) -> impl Iterator<Item = CounterReading> + 'a {
        self.positions.iter().zip(values).map(move |(&event, value)| CounterReading {
            tid: key.tid,
            event,
            value: value.value,
            time_enabled_ns: value.time_enabled_ns,
            time_running_ns: value.time_running_ns,
        })
    }
}

pub(super) fn borrow(counter: &Counter) -> BorrowedFd<'_> {
    // SAFETY: the counter owns the descriptor and outlives the borrow.
    unsafe { BorrowedFd::borrow_raw(counter.as_raw_fd()) }
}
