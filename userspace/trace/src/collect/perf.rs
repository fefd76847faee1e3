//! Perf events per thread and window: opened per CPU, read by the switch program, closed by a timer.

use std::collections::HashMap;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use perf_event::Counter;
use waytrace_abi::counter::{MAX_EVENTS, ReadingKey};
use waytrace_hw::counter::open_timer;
use waytrace_hw::events::PerfAttr;
use waytrace_hw::group::{Opened, PerfEvents, open_groups};
use waytrace_model::collector::{CollectorReport, Status};
use waytrace_model::counter::CounterReading;

use crate::Error;
use crate::kernel::Kernel;

/// Perf events that count on every CPU, from their opening on. Dropping them closes them.
pub struct Events {
    opened: Opened<Counter>,
    /// Positions in `opened` of those that count, in the kernel part's order.
    kept: Vec<usize>,
    /// Position in the run's events of each of these.
    positions: Vec<u16>,
    /// What became of the collector.
    pub report: CollectorReport,
}

impl Events {
    /// Opens the events, each with its position in the run's events, on every CPU. One that cannot be opened is an error
    /// where they are `named`, else it is left out and the report says why.
    ///
    /// # Errors
    /// The refusal of a named event.
    pub fn open(events: &[(PerfAttr, u16)], cpus: &[u32], named: bool) -> Result<Self, Error> {
        let attrs: Vec<&PerfAttr> = events.iter().map(|(attr, _)| attr).collect();
        let opened = open_groups(&mut PerfEvents, &attrs, cpus, named)?;
        let is_kept = |event: &usize| opened.refused.iter().all(|(refused, _)| refused != event);
        let kept: Vec<usize> = (0..events.len()).filter(is_kept).collect();
        let positions = kept.iter().map(|&event| events[event].1).collect();
        Ok(Self { kept, positions, report: report(&opened, &attrs), opened })
    }

    /// Position in the run's events of each event that counts, in the kernel part's order.
    pub fn positions(&self) -> &[u16] {
        &self.positions
    }
}

/// What a run with these events says of its counters.
fn report<C>(opened: &Opened<C>, attrs: &[&PerfAttr]) -> CollectorReport {
    let refused = opened.refused.iter().map(|(_, error)| format!("not counted: {error}"));
    let turns = opened.turns().map(|groups| {
        let names = |group: &Vec<usize>| {
            let names: Vec<&str> = group.iter().map(|&event| attrs[event].name()).collect();
            format!("{{{}}}", names.join(", "))
        };
        let groups: Vec<String> = groups.iter().map(names).collect();
        format!("the PMU cannot count all events at once, these take turns: {}", groups.join(" "))
    });
    let reasons: Vec<String> = refused.chain(turns).collect();
    let status = if reasons.is_empty() { Status::Ran } else { Status::Degraded };
    let reason = (!reasons.is_empty()).then(|| reasons.join("; "));
    CollectorReport { name: "counters".to_owned(), status, reason }
}

/// The events of a run, read at switches. Dropping it closes them.
pub struct Perf {
    events: Events,
    _timers: Vec<(OwnedFd, Counter)>,
    only_tid: Option<u32>,
}

impl Perf {
    /// Most events read at a switch.
    pub const MAX: usize = MAX_EVENTS;

    /// Hands the events to the kernel part and starts the switch program and the window timers.
    ///
    /// # Errors
    /// When the kernel refuses a program or a timer.
    pub fn start(
        kernel: &mut Kernel,
        events: Events,
        cpus: &[u32],
        interval_ns: u64,
        only_tid: Option<u32>,
    ) -> Result<Self, Error> {
        for group in &events.opened.groups {
            for (event, counter) in &group.members {
                if let Some(index) = events.kept.iter().position(|kept| kept == event) {
                    kernel.set_event(group.cpu, index, borrow(counter))?;
                }
            }
        }
        kernel.attach_raw_tracepoint("task_switched", "sched_switch")?;
        let mut timers = Vec::new();
        for &cpu in cpus {
            let mut timer = open_timer(cpu, interval_ns)?;
            let link = kernel.attach_perf_event("window_timer", borrow(&timer))?;
            timer.enable().map_err(Error::syscall(format!("starting the window timer of CPU {cpu}")))?;
            timers.push((link, timer));
        }
        Ok(Self { events, _timers: timers, only_tid })
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
        self.events.positions.iter().zip(values).map(move |(&event, value)| CounterReading {
            tid: key.tid,
            event,
            value: value.value,
            time_enabled_ns: value.time_enabled_ns,
            time_running_ns: value.time_running_ns,
        })
    }
}

pub(crate) fn borrow(counter: &Counter) -> BorrowedFd<'_> {
    // SAFETY: the counter owns the descriptor and outlives the borrow.
    unsafe { BorrowedFd::borrow_raw(counter.as_raw_fd()) }
}

#[cfg(test)]
mod tests {
    use waytrace_hw::group::Opener;

    use super::*;

    /// A PMU with four counters that knows nothing of caches.
    struct Partial;

    impl Opener for Partial {
        type Counter = std::rc::Rc<()>;

        fn open(
            &mut self,
            attr: &PerfAttr,
            _: u32,
            leader: Option<&mut Self::Counter>,
        ) -> Result<Self::Counter, waytrace_hw::Error> {
            if attr.name().starts_with("cache") {
                let source = std::io::Error::from_raw_os_error(libc::ENOENT);
                let what = format!("event `{}` on CPU 0", attr.name());
                return Err(waytrace_hw::Error::EventUnsupported { what, source });
            }
            Ok(leader.cloned().unwrap_or_default())
        }

        fn runs(&mut self, leader: &mut Self::Counter) -> bool {
            std::rc::Rc::strong_count(leader) <= 4
        }

        fn start(&mut self, _: &PerfAttr, _: u32, _: &mut Self::Counter) -> Result<(), waytrace_hw::Error> {
            Ok(())
        }
    }

    fn reported(names: &[&str]) -> CollectorReport {
        let attrs: Vec<PerfAttr> = names.iter().map(|name| PerfAttr::new(*name, 0, 0)).collect();
        let attrs: Vec<&PerfAttr> = attrs.iter().collect();
        report(&open_groups(&mut Partial, &attrs, &[0], false).unwrap(), &attrs)
    }

    #[test]
    fn what_is_not_counted_or_not_all_the_time_is_said() {
        assert_eq!((reported(&["cycles", "branches"]).status, reported(&[]).reason), (Status::Ran, None));
        let partial = reported(&["cycles", "cache-misses", "cache-references"]);
        let reason = partial.reason.unwrap();
        assert_eq!(partial.status, Status::Degraded);
        assert!(reason.contains("`cache-misses`") && reason.contains("`cache-references`"), "{reason}");
        assert!(reason.contains("no such event") && !reason.contains("turns"), "{reason}");
        let split = reported(&["a", "b", "c", "d", "e"]);
        assert_eq!(split.status, Status::Degraded);
        assert!(split.reason.unwrap().ends_with("take turns: {a, b, c, d} {e}"));
    }
}
