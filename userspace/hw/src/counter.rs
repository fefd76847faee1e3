//! Opening perf events: the timer that closes windows, samplers of threads, and what all of them have in common.
//!
//! Counters of CPUs are opened in groups, by [`crate::group`]. Does not read at context switches nor attach programs: the descriptor goes to `trace`, which does.
//! Source: `perf_event_open(2)`.

use std::io;

pub use perf_event::Counter;
use perf_event::{Builder, ReadFormat};

use crate::events::PerfAttr;
use crate::{Error, Root, paranoid};

/// What the kernel takes as the period of a clock event: shorter ones it lengthens silently (`perf_swevent_start_hrtimer`).
pub const TIMER_PERIOD_NS: std::ops::RangeInclusive<u64> = 10_000..=i64::MAX as u64;

const TYPE_SOFTWARE: u32 = 1;

/// Opens a timer that overflows every `period_ns` of wall time on `cpu`, idle or not. It is stopped: attach a program,
/// then call [`Counter::enable`].
///
/// # Errors
/// [`Error::TimerPeriod`] outside [`TIMER_PERIOD_NS`], [`Error::PerfPermission`], [`Error::EventUnsupported`],
/// [`Error::PerfOpen`].
pub fn open_timer(cpu: u32, period_ns: u64) -> Result<Counter, Error> {
    if !TIMER_PERIOD_NS.contains(&period_ns) {
        return Err(Error::TimerPeriod { period_ns });
    }
    let attr = PerfAttr::new("cpu-clock", TYPE_SOFTWARE, 0);
    let mut builder = builder(&attr, cpu)?;
    builder.sample_period(period_ns).build().map_err(|source| open_error(describe(&attr, cpu), source))
}

/// Who else has the event of a thread, from its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inherit {
    /// Nobody.
    Nobody,
    /// Threads it creates, and those they create.
    Threads,
    /// These and the processes it forks.
    Processes,
}

/// Opens an event that overflows every `period` counts of one thread, on whatever CPU it is. It is stopped: attach a
/// program, then call [`Counter::enable`]. A `tid` of 0 is the calling thread.
///
/// # Errors
/// [`Error::PerfPermission`], [`Error::EventUnsupported`], [`Error::PerfOpen`] (ESRCH: no such thread).
pub fn open_on_thread(attr: &PerfAttr, tid: u32, period: u64, inherit: Inherit) -> Result<Counter, Error> {
    let what = format!("event `{}` of thread {tid}", attr.name());
    let cpu = attr.cpus().and_then(|cpus| cpus.first().copied()).unwrap_or(0);
    let mut builder = builder(attr, cpu)?;
    builder
        .observe_pid(tid as libc::pid_t)
        .any_cpu()
        .inherit(inherit != Inherit::Nobody)
        .inherit_thread(inherit == Inherit::Threads)
        .sample_period(period);
    builder.build().map_err(|source| open_error(what, source))
}

pub(crate) fn describe(attr: &PerfAttr, cpu: u32) -> String {
    format!("event `{}` on CPU {cpu}", attr.name())
}

/// The event with its modifiers, for all tasks of one CPU, stopped.
pub(crate) fn builder(attr: &PerfAttr, cpu: u32) -> Result<Builder<'static>, Error> {
    let Some(encoding) = attr.for_cpu(cpu) else {
        let cpus = crate::topology::format_list(&attr.cpus().unwrap_or_default());
        return Err(Error::NotOnCpu { event: attr.name().to_owned(), cpu, cpus });
    };
    let modifiers = &attr.modifiers;
    let mut builder = Builder::new(encoding);
    builder
        .any_pid()
        .one_cpu(cpu as usize)
        .exclude_user(modifiers.exclude_user)
        .exclude_kernel(modifiers.exclude_kernel)
        .exclude_hv(modifiers.exclude_hv)
        .exclude_idle(modifiers.exclude_idle)
        .pinned(modifiers.pinned)
        .exclusive(modifiers.exclusive)
        .read_format(ReadFormat::TOTAL_TIME_ENABLED | ReadFormat::TOTAL_TIME_RUNNING);
    builder.attrs_mut().set_exclude_host(modifiers.exclude_host.into());
    builder.attrs_mut().set_exclude_guest(modifiers.exclude_guest.into());
    Ok(builder)
}

/// Sorts the kernel's answers to opening `what` into those with a remedy.
pub fn open_error(what: String, source: io::Error) -> Error {
    match source.raw_os_error() {
        Some(libc::EACCES | libc::EPERM) => {
            Error::PerfPermission { what, paranoid: paranoid::level(&Root::default()) }
        }
        Some(libc::ENOENT | libc::EOPNOTSUPP | libc::ENOSYS) => Error::EventUnsupported { what, source },
        _ => Error::PerfOpen { what, source },
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::events::{Source, resolve};
    use crate::group::{PerfEvents, open_groups};
    use crate::{Machine, topology};

    fn attr(name: &str) -> PerfAttr {
        match resolve(&Machine::live(), name).unwrap().source {
            Source::Perf(attr) => attr,
            Source::Task(counter) => panic!("{counter:?}"),
        }
    }

    /// The counter, or a printed SKIP where this process may not open it.
    fn open(name: &str) -> Option<Counter> {
        let cpu = topology::cpus_online(&Root::default()).unwrap()[0];
        match open_groups(&mut PerfEvents, &[&attr(name)], &[cpu], true) {
            Ok(mut opened) => Some(opened.groups.remove(0).members.remove(0).1),
            Err(error @ Error::PerfPermission { .. }) => {
                println!("SKIP: {error}");
                None
            }
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn a_clock_on_a_cpu_counts_all_the_time() {
        let Some(mut counter) = open("cpu-clock") else { return };
        std::thread::sleep(Duration::from_millis(5));
        let reading = counter.read_count_and_time().unwrap();
        assert!(reading.count >= 5_000_000, "{reading:?}");
        assert_eq!(reading.time_enabled, reading.time_running);
    }

    #[test]
    fn a_tracepoint_counts_on_its_own_cpu() {
        let Some(mut counter) = open("sched:sched_switch") else { return };
        let before = counter.read().unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        while counter.read().unwrap() == before && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(counter.read().unwrap() > before, "no switch on that CPU in 10 s");
    }

    #[test]
    fn the_time_stamp_counter_moves_where_it_has_a_pmu() {
        if Machine::live().pmu("msr").is_none() {
            return println!("SKIP: no msr PMU");
        }
        let Some(mut counter) = open("msr/tsc/") else { return };
        let first = counter.read().unwrap();
        assert!(counter.read().unwrap() > first);
    }

    #[test]
    fn a_timer_overflows_again_and_again() {
        let cpu = topology::cpus_online(&Root::default()).unwrap()[0];
        let timer = match open_timer(cpu, 1_000_000) {
            Ok(timer) => timer,
            Err(error) => return println!("SKIP: {error}"),
        };
        let mut ring = timer.sampled(1 << 16).unwrap();
        assert!(ring.next_record().is_none(), "it runs before it is enabled");
        ring.enable().unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        let mut ticks = 0;
        while ticks < 3 && Instant::now() < deadline {
            ticks += usize::from(ring.next_record().is_some());
        }
        assert_eq!(ticks, 3);
    }

    #[test]
    fn a_threads_own_event_overflows_as_it_runs() {
        let (info, attr) = crate::events::resolve_perf(&Machine::live(), "task-clock").unwrap();
        assert_eq!((info.name.as_str(), info.unit), ("task-clock", waytrace_model::counter::Unit::Ns));
        let sampler = match open_on_thread(&attr, 0, 1_000_000, Inherit::Nobody) {
            Ok(sampler) => sampler,
            Err(error) => return println!("SKIP: {error}"),
        };
        let mut ring = sampler.sampled(1 << 16).unwrap();
        assert!(ring.next_record().is_none(), "it runs before it is enabled");
        ring.enable().unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        let mut overflows = 0;
        while overflows < 3 && Instant::now() < deadline {
            overflows += usize::from(ring.next_record().is_some());
        }
        assert_eq!(overflows, 3);
        assert!(open_on_thread(&attr, i32::MAX as u32, 1_000_000, Inherit::Threads).is_err());
    }

    #[test]
    fn errors_are_sorted_by_remedy() {
        let error = |errno| open_error("x".to_owned(), io::Error::from_raw_os_error(errno));
        assert!(error(libc::EACCES).to_string().contains("CAP_PERFMON"));
        assert!(error(libc::ENOENT).to_string().contains("name other events"));
        assert!(error(libc::EMFILE).to_string().contains("ulimit -n"));
        assert!(matches!(open_timer(0, 9_999), Err(Error::TimerPeriod { period_ns: 9_999 })));
        let mut bound = PerfAttr::new("e", 1, 0);
        bound.encodings[0].0 = Some(vec![0, 1]);
        assert!(builder(&bound, 5).map(drop).unwrap_err().to_string().contains("only on CPUs 0-1"));
    }
}
