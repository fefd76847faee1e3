//! A window of a host, put together from what the kernel keeps of all processes and from turns.

use std::collections::{BTreeMap, HashMap, HashSet};

use waytrace_hw::clock;
use waytrace_model::monitor::{HostWindow, Metric, ProcessWindow, TargetWindow, Values};
use waytrace_trace::host::{ProcessEvent, ProcessId, ProcessNumbers, Watch};
use waytrace_trace::turn::TurnResult;

use super::cache::Processes;
use super::closer::Closer;
use super::own;
use super::schedule::Candidate;

/// So many processes are few.
const FEW_PROCESSES: usize = 32;

/// Says whose process it is.
pub trait Membership {
    /// A process of a target, or one that may be, made another.
    fn forked(&mut self, parent: u32, child: &ProcessId);
    /// A process runs another program.
    fn executed(&mut self, process: &ProcessId);
    /// A process ended.
    fn ended(&mut self, process: &ProcessId);
    /// These are all processes there are.
    fn resync(&mut self, processes: &[ProcessId]);
    /// The target a process belongs to.
    fn target_of(&mut self, process: &ProcessId) -> Option<String>;
    /// Targets without a process.
    fn missing(&mut self) -> Vec<String>;
    /// What differs for a target.
    fn limits(&self, target: &str) -> Limits;
}

/// What may be done to a target.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// What turns may take of its CPU time, percent, where that is not everybody's.
    pub slowdown_pct: Option<f64>,
    /// What its turns may take of waytrace's CPU time, percent of all CPUs.
    pub cpu_pct: Option<f64>,
    /// Its allocations may be probed.
    pub allocations: bool,
    /// Its accesses may be sampled.
    pub accesses: bool,
    /// Its mappings may be watched.
    pub mappings: bool,
    /// Its share of the caches may be monitored.
    pub cache: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            slowdown_pct: None,
            cpu_pct: None,
            allocations: true,
            accesses: true,
            mappings: true,
            cache: true,
        }
    }
}

/// The window under way.
#[derive(Default)]
pub struct Host {
    index: u64,
    start_ns: u64,
    start_boot_ns: u64,
    start_unix_ns: u64,
    /// Processes of targets, with their target; also those that ended in this window.
    followed: HashMap<(u32, u64), String>,
    turned: Vec<(u32, TurnResult)>,
    candidates: Vec<Candidate>,
}

impl Host {
    /// Begins with the processes there are. Returns those of targets, where they are few: who is asked for by name is looked at at once.
    pub fn begin(
        &mut self,
        watch: &mut Watch,
        members: &mut impl Membership,
        processes: &[ProcessNumbers],
    ) -> Vec<u32> {
        let ids: Vec<ProcessId> = processes.iter().map(id).collect();
        members.resync(&ids);
        for process in &ids {
            self.follow(watch, members, process);
        }
        self.start();
        let few = self.followed.len() <= FEW_PROCESSES;
        self.followed.keys().filter(|_| few).map(|(tgid, _)| *tgid).collect()
    }

    fn start(&mut self) {
        self.start_ns = clock::monotonic_ns();
        self.start_boot_ns = clock::boot_ns();
        self.start_unix_ns = clock::unix_ns();
    }

    /// Follows a process if it belongs to a target, else not any more. Whether that is another target than before.
    pub fn follow(&mut self, watch: &mut Watch, members: &mut impl Membership, process: &ProcessId) -> bool {
        let key = (process.tgid, process.start_boot_ns);
        let target = members.target_of(process);
        let is_new = self.followed.get(&key) != target.as_ref();
        let done = match target {
            Some(target) => {
                if members.limits(&target).mappings {
                    watch.changed(process.tgid);
                }
                self.followed.insert(key, target);
                watch.follow(process.tgid)
            }
            None => {
                self.followed.remove(&key);
                watch.forget(process.tgid)
            }
        };
        if let Err(error) = done {
            tracing::debug!(tgid = process.tgid, %error, "cannot be followed from its beginning; windows will tell of it");
        }
        is_new
    }

    /// Processes of targets whose caches may be monitored.
    pub fn cached(&self, members: &impl Membership) -> Processes {
        let mut processes = Processes::new();
        for ((tgid, _), target) in &self.followed {
            if let Some(pids) = processes.get_mut(target) {
                pids.push(*tgid);
            } else if members.limits(target).cache {
                processes.insert(target.clone(), vec![*tgid]);
            }
        }
        processes
    }

    /// A process has ended; its numbers are told with the window.
    pub fn ended(&mut self, watch: &mut Watch, members: &mut impl Membership, process: &ProcessId) {
        if let Some(target) = members.target_of(process) {
            self.followed.insert((process.tgid, process.start_boot_ns), target);
        }
        if let Err(error) = watch.forget(process.tgid) {
            tracing::debug!(tgid = process.tgid, %error, "its place in the kernel part stays taken");
        }
    }

    /// Gives back the places of those who are gone without a word: the ring had no room for their end.
    fn forget_lost(&self, watch: &mut Watch, processes: &[ProcessNumbers], alive: &[ProcessId]) {
        let told: HashSet<u32> = processes
            .iter()
            .map(|process| process.tgid)
            .chain(alive.iter().map(|process| process.tgid))
            .collect();
        for (tgid, _) in self.followed.keys().filter(|key| !told.contains(&key.0)) {
            if let Err(error) = watch.forget(*tgid) {
                tracing::debug!(tgid, %error, "its place in the kernel part stays taken");
            }
        }
    }

    /// A turn is over.
    pub fn turned(&mut self, tgid: u32, result: TurnResult) {
        self.turned.push((tgid, result));
    }

    /// Processes of targets that used CPU time, who used most first.
    pub fn active(&self) -> Vec<u32> {
        let mut active: Vec<&Candidate> =
            self.candidates.iter().filter(|process| process.cpu_ns > 0).collect();
        active.sort_unstable_by_key(|process| std::cmp::Reverse(process.cpu_ns));
        active.into_iter().map(|process| process.tgid).collect()
    }

    /// Processes that may have turns in the window that begins.
    pub fn candidates(&mut self) -> Vec<Candidate> {
        std::mem::take(&mut self.candidates)
    }

    /// Closes the window: `processes` is what came up of every process, `news` what happened about its end.
    pub fn close(
        &mut self,
        watch: &mut Watch,
        members: &mut impl Membership,
        processes: Vec<ProcessNumbers>,
        news: &[ProcessEvent],
    ) -> HostWindow {
        let mut window = HostWindow {
            index: self.index,
            start_unix_ns: self.start_unix_ns,
            start_boot_ns: self.start_boot_ns,
            length_ns: clock::monotonic_ns().saturating_sub(self.start_ns),
            ..HostWindow::default()
        };
        self.index += 1;
        self.start();
        let alive = alive(&processes, news);
        self.forget_lost(watch, &processes, &alive);
        members.resync(&alive);
        for process in &alive {
            let was = self.followed.get(&(process.tgid, process.start_boot_ns));
            if was != members.target_of(process).as_ref() {
                self.follow(watch, members, process);
            }
        }
        let mut targets: BTreeMap<String, (TargetWindow, Closer)> = BTreeMap::new();
        let mut homes: HashMap<u32, String> = HashMap::new();
        for process in processes {
            let Some(name) = self.followed.get(&(process.tgid, process.start_boot_ns)) else { continue };
            let (target, _) = targets.entry(name.clone()).or_default();
            homes.insert(process.tgid, name.clone());
            if !process.has_ended {
                self.candidates.push(Candidate {
                    tgid: process.tgid,
                    start_boot_ns: process.start_boot_ns,
                    target: name.clone(),
                    cpu_ns: process.cpu_ns,
                });
            }
            enter(target, process);
        }
        for (tgid, result) in self.turned.drain(..) {
            if let Some((_, closer)) = homes.get(&tgid).and_then(|name| targets.get_mut(name)) {
                closer.add(result);
            }
        }
        self.followed.retain(|key, _| alive.binary_search_by_key(key, ProcessId::key).is_ok());
        window.targets = targets
            .into_iter()
            .map(|(name, (mut target, closer))| {
                target.target = name;
                closer.enter(&mut target, window.length_ns);
                finish(&mut target);
                target
            })
            .collect();
        window
    }
}

fn id(process: &ProcessNumbers) -> ProcessId {
    ProcessId { tgid: process.tgid, start_boot_ns: process.start_boot_ns, comm: process.comm.clone() }
}

/// Who is there as the next window begins, in order: also who began after all were counted.
fn alive(processes: &[ProcessNumbers], news: &[ProcessEvent]) -> Vec<ProcessId> {
    let counted: HashSet<(u32, u64)> =
        processes.iter().map(|process| (process.tgid, process.start_boot_ns)).collect();
    let began = news.iter().filter_map(|event| match event {
        ProcessEvent::Forked { child, .. } => Some(child),
        ProcessEvent::Executed(process) => Some(process),
        ProcessEvent::Ended(_) => None,
    });
    let late = began.filter(|process| !counted.contains(&process.key())).cloned();
    let mut alive: Vec<ProcessId> =
        processes.iter().filter(|process| !process.has_ended).map(id).chain(late).collect();
    // Of one that began and then ran another program the last name holds.
    alive.reverse();
    alive.sort_by_key(ProcessId::key);
    alive.dedup_by_key(|process| process.key());
    alive
}

/// Adds a process to its target.
fn enter(target: &mut TargetWindow, process: ProcessNumbers) {
    let values = values(&process);
    target.values.add_process(&values);
    target.processes.push(ProcessWindow {
        pid: process.tgid,
        start_boot_ns: process.start_boot_ns,
        comm: process.comm,
        values,
        threads: process.threads,
    });
}

fn values(process: &ProcessNumbers) -> Values {
    let mut values: Values = [
        (Metric::Processes, 1),
        (Metric::Threads, u64::from(process.threads_count)),
        (Metric::Cpu, process.cpu_ns),
        (Metric::OffCpu, process.off_cpu_ns),
        (Metric::MinorFaults, process.minor_faults_count),
        (Metric::MajorFaults, process.major_faults_count),
        (Metric::VoluntarySwitches, process.voluntary_switches_count),
        (Metric::InvoluntarySwitches, process.involuntary_switches_count),
        (Metric::Migrations, process.migrations_count),
    ]
    .into_iter()
    .map(|(metric, value)| (metric, value as f64))
    .collect();
    let memory = (!process.has_ended).then(|| own::process_memory_bytes(process.tgid)).flatten();
    let known = [
        (Metric::RunQueue, process.run_queue_ns),
        (Metric::Mapped, memory.map(|(mapped, _)| mapped)),
        (Metric::Rss, memory.map(|(_, resident)| resident)),
        (Metric::MmapBytes, process.mmap_bytes),
        (Metric::MunmapBytes, process.munmap_bytes),
        (Metric::Cycles, process.cycles_count),
        (Metric::Instructions, process.instructions_count),
        (Metric::CacheMisses, process.cache_misses_count),
    ];
    for (metric, value) in known {
        values.set(metric, value.map(|value| value as f64));
    }
    values
}

/// Puts the processes of most CPU time first, and leaves out the rest.
fn finish(target: &mut TargetWindow) {
    let cpu_ns = |process: &ProcessWindow| process.values.get(Metric::Cpu).unwrap_or(0.0);
    target.processes.sort_by(|a, b| cpu_ns(b).total_cmp(&cpu_ns(a)).then(a.pid.cmp(&b.pid)));
    target.processes.truncate(TargetWindow::MAX_PROCESSES);
}
