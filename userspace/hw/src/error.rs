//! What can go wrong, each with the object it happened to and the way to mend it.

use std::io;
use std::path::PathBuf;

/// Errors of this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such event on this machine.
    #[error("unknown event `{name}`{}; `perf list` shows the names of this machine", near(.suggestion))]
    UnknownEvent {
        /// As typed.
        name: String,
        /// The nearest name there is.
        suggestion: Option<String>,
    },
    /// The event is known, but the PMU that counts it is not here.
    #[error("event `{event}` needs the PMU `{pmu}`, and this machine has only: {}{}", .present.join(", "), pmu_fix(.pmu))]
    NoPmu {
        /// Event, as typed.
        event: String,
        /// PMU it needs.
        pmu: String,
        /// PMUs there are.
        present: Vec<String>,
    },
    /// An event that is not well formed, or asks for something its PMU has not.
    #[error("event `{event}`: {reason}")]
    BadEvent {
        /// Event, as typed.
        event: String,
        /// What is wrong and how to write it.
        reason: String,
    },
    /// A sysfs description of a PMU that cannot be understood.
    #[error("{}: `{text}` is not a PMU description this version understands; encode the event with `config=` terms", .path.display())]
    BadPmuFile {
        /// File.
        path: PathBuf,
        /// Its text.
        text: String,
    },
    /// The kernel refused for want of a privilege.
    #[error("no permission for {what} (kernel.perf_event_paranoid is {}); {}", paranoid.map_or_else(|| "unreadable".to_owned(), |level| level.to_string()), crate::paranoid::remedy(*.paranoid))]
    PerfPermission {
        /// What was tried.
        what: String,
        /// `/proc/sys/kernel/perf_event_paranoid`.
        paranoid: Option<i64>,
    },
    /// The kernel or the CPU does not have the event.
    #[error("{what}: {} ({source}); name other events, `perf list` shows what there is (the PMU of a virtual machine may have but a few)", unsupported(.source))]
    EventUnsupported {
        /// What was tried.
        what: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The event cannot be opened on this CPU because another kind of core counts it.
    #[error("event `{event}` is not counted on CPU {cpu}, only on CPUs {cpus}")]
    NotOnCpu {
        /// Event.
        event: String,
        /// CPU asked for.
        cpu: u32,
        /// Where it is counted, as a CPU list.
        cpus: String,
    },
    /// Any other failure to open an event.
    #[error("opening {what}: {source}{}", perf_fix(.source))]
    PerfOpen {
        /// What was tried.
        what: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// A timer period the kernel would not honour.
    #[error(
        "a timer period of {period_ns} ns is out of range; the kernel takes 10000 ns (10us) to 2^63-1 ns"
    )]
    TimerPeriod {
        /// Period asked for.
        period_ns: u64,
    },
    /// A file of the machine could not be read.
    #[error("{}: {source}; is {} mounted and readable?", .path.display(), file_system(.path))]
    Read {
        /// File.
        path: PathBuf,
        /// What reading gave.
        source: io::Error,
    },
    /// A CPU or node list that is none.
    #[error("`{0}` is not a CPU list; write it like 0-3,8")]
    BadList(String),
    /// Tracefs is there, but closed to us.
    #[error("tracefs at {} is not readable ({source}); run as root or grant CAP_DAC_READ_SEARCH", .path.display())]
    TracefsDenied {
        /// Mount point.
        path: PathBuf,
        /// What opening gave.
        source: io::Error,
    },
    /// Tracefs is not mounted and no private view of it could be made.
    #[error(
        "tracefs is not mounted and a private view of it failed at {step} ({source}); `mount -t tracefs nodev /sys/kernel/tracing`, or run with CAP_SYS_ADMIN on a kernel with CONFIG_TRACING"
    )]
    TracefsUnavailable {
        /// System call that failed.
        step: &'static str,
        /// Its answer.
        source: io::Error,
    },
    /// No such tracepoint.
    #[error("unknown tracepoint `{name}`{}; `perf list tracepoint` shows them", near(.suggestion))]
    UnknownTracepoint {
        /// `category:name`.
        name: String,
        /// The nearest one there is.
        suggestion: Option<String>,
    },
    /// A tracepoint whose id file makes no sense.
    #[error("tracefs file {path}: {source}")]
    TracefsRead {
        /// Path within tracefs.
        path: String,
        /// What reading gave.
        source: io::Error,
    },
}

fn near(suggestion: &Option<String>) -> String {
    suggestion.as_ref().map_or_else(String::new, |name| format!(" (did you mean `{name}`?)"))
}

fn pmu_fix(pmu: &str) -> &'static str {
    match pmu {
        "cpu" => {
            "; in a virtual machine the host must give it a virtual PMU (QEMU: `-cpu host,pmu=on`), \
             else count `task-clock` and `msr/tsc/`"
        }
        _ => "; load its driver, or use one of these",
    }
}

fn unsupported(source: &io::Error) -> &'static str {
    match source.raw_os_error() {
        Some(libc::ENOENT) => "the PMU has no such event",
        Some(libc::ENOSYS) => "this kernel has no perf events",
        _ => "the PMU cannot count it",
    }
}

fn perf_fix(source: &io::Error) -> &'static str {
    match source.raw_os_error() {
        Some(libc::EMFILE | libc::ENFILE) => "; raise the limit of open files (`ulimit -n`)",
        Some(libc::EINVAL) => {
            "; the PMU refuses this combination of fields or modifiers, try it without `:u`/`:k`/`:p`"
        }
        Some(libc::EBUSY) => "; another tool holds the PMU exclusively",
        Some(libc::ENODEV) => "; is that CPU online?",
        _ => "",
    }
}

fn file_system(path: &std::path::Path) -> &'static str {
    if path.components().any(|part| part.as_os_str() == "proc") { "/proc" } else { "/sys" }
}
