//! Where an event is counted: on a CPU, for a control group on a CPU, or for a thread.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use perf_event::{Builder, Counter, ReadFormat};
use waytrace_hw::Error;
use waytrace_hw::counter::open_error;
use waytrace_hw::events::PerfAttr;
use waytrace_model::measured::Scope;

use crate::groups::{GroupReading, Opener};

/// One place of counting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Everything, or the opener's control group, on one CPU.
    Cpu(u32),
    /// A thread, what it creates and forks, on all CPUs.
    Thread {
        /// Its process: what its threads counted is added up.
        tgid: u32,
        /// The thread.
        tid: u32,
    },
}

impl Place {
    /// What its counts are kept under: the CPU, or the process.
    pub fn key(self) -> u32 {
        match self {
            Self::Cpu(cpu) => cpu,
            Self::Thread { tgid, .. } => tgid,
        }
    }
}

/// The places of a scope: CPUs online, or the threads a process has now.
///
/// # Errors
/// The process has gone, or its threads cannot be read.
pub fn of(scope: &Scope, cpus: &[u32]) -> io::Result<Vec<Place>> {
    match scope {
        Scope::Process { tgid, .. } => threads(Path::new("/proc"), *tgid),
        Scope::Command { .. } | Scope::Cgroup { .. } | Scope::AllCpus => {
            Ok(cpus.iter().copied().map(Place::Cpu).collect())
        }
    }
}

/// Threads of a process, ascending.
fn threads(proc: &Path, tgid: u32) -> io::Result<Vec<Place>> {
    let mut tids = Vec::new();
    for entry in fs::read_dir(proc.join(format!("{tgid}/task")))? {
        tids.extend(entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()));
    }
    tids.sort_unstable();
    Ok(tids.into_iter().map(|tid| Place::Thread { tgid, tid }).collect())
}

/// The running kernel's perf events.
#[derive(Debug, Default)]
pub struct PerfEvents {
    cgroup: Option<File>,
}

impl PerfEvents {
    /// For a scope. A control group must be one that perf knows: of cgroup v2, or of the hierarchy `perf_event` of v1.
    ///
    /// # Errors
    /// The directory of the control group cannot be opened.
    pub fn of(scope: &Scope) -> io::Result<Self> {
        let cgroup = match scope {
            Scope::Cgroup { path } => Some(File::open(path)?),
            _ => None,
        };
        Ok(Self { cgroup })
    }
}

impl Opener for PerfEvents {
    type Counter = Counter;

    fn open(
        &mut self,
        attr: &PerfAttr,
        place: Place,
        leader: Option<&mut Counter>,
    ) -> Result<Counter, Error> {
        let what = || match place {
            Place::Cpu(cpu) => format!("event `{}` on CPU {cpu}", attr.name()),
            Place::Thread { tid, .. } => format!("event `{}` of thread {tid}", attr.name()),
        };
        let cpu = match place {
            Place::Cpu(cpu) => cpu,
            // Hybrid CPUs encode an event differently from core to core: a thread's event counts on one kind of them.
            Place::Thread { .. } => attr.cpus().and_then(|cpus| cpus.first().copied()).unwrap_or(0),
        };
        let Some(encoding) = attr.for_cpu(cpu) else {
            let cpus = waytrace_hw::topology::format_list(&attr.cpus().unwrap_or_default());
            return Err(Error::NotOnCpu { event: attr.name().to_owned(), cpu, cpus });
        };
        let modifiers = &attr.modifiers;
        let mut builder = Builder::new(encoding);
        builder
            .exclude_user(modifiers.exclude_user)
            .exclude_kernel(modifiers.exclude_kernel)
            .exclude_hv(modifiers.exclude_hv)
            .exclude_idle(modifiers.exclude_idle)
            .read_format(ReadFormat::GROUP | ReadFormat::TOTAL_TIME_ENABLED | ReadFormat::TOTAL_TIME_RUNNING);
        match (place, &self.cgroup) {
            (Place::Cpu(cpu), Some(cgroup)) => builder.observe_cgroup(cgroup).one_cpu(cpu as usize),
            (Place::Cpu(cpu), None) => builder.any_pid().one_cpu(cpu as usize),
            (Place::Thread { tid, .. }, _) => builder.observe_pid(tid.cast_signed()).any_cpu().inherit(true),
        };
        let opened = match leader {
            // A member is always enabled, and counts when its leader does.
            Some(leader) => builder.enabled(true).build_with_group(leader),
            None => builder.build(),
        };
        opened.map_err(|source| open_error(what(), source))
    }

    fn start(&mut self, leader: &mut Counter) -> io::Result<()> {
        leader.enable()
    }

    fn stop(&mut self, leader: &mut Counter) -> io::Result<()> {
        leader.disable()
    }

    fn read(&mut self, leader: &mut Counter) -> io::Result<GroupReading> {
        let data = leader.read_group()?;
        let ns = |time: Option<std::time::Duration>| {
            time.map_or(0, |time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
        };
        Ok(GroupReading {
            time_enabled_ns: ns(data.time_enabled()),
            time_running_ns: ns(data.time_running()),
            values: data.iter().map(|entry| entry.value()).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_are_the_numbers_in_the_directory() {
        let proc = tempfile::tempdir().unwrap();
        for tid in ["10", "9", "12", "x"] {
            fs::create_dir_all(proc.path().join("9/task").join(tid)).unwrap();
        }
        let tids: Vec<u32> = threads(proc.path(), 9)
            .unwrap()
            .into_iter()
            .map(|place| match place {
                Place::Thread { tgid: 9, tid } => tid,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(tids, [9, 10, 12]);
        assert!(threads(proc.path(), 8).is_err());
    }

    #[test]
    fn counts_are_kept_by_cpu_or_process() {
        let places = of(&Scope::AllCpus, &[0, 2]).unwrap();
        assert_eq!(places.iter().map(|place| place.key()).collect::<Vec<_>>(), [0, 2]);
        assert_eq!(Place::Thread { tgid: 7, tid: 8 }.key(), 7);
    }
}
