//! From facts and attempts to what each feature of waytrace can do here, why not, and how to mend it. Pure.

use serde::Serialize;

use super::attempts::{Attempt, Attempts};
use super::cache_rows;
use super::facts::Facts;
use super::kernel::OptionState;
use super::privilege::missing;
use super::steady_rows;
use crate::paranoid::MOST_FOR_PERFMON;

/// How well a feature works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// As designed.
    Works,
    /// With less than it gives elsewhere; the reason says what is missing.
    Degraded,
    /// Not at all; the reason says why.
    Unavailable,
}

impl State {
    /// The spelling in text and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Works => "works",
            Self::Degraded => "degraded",
            Self::Unavailable => "unavailable",
        }
    }
}

/// The conclusion about one feature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Feature {
    /// Name.
    pub name: &'static str,
    /// How well it works.
    pub state: State,
    /// Why it does not work as designed; of a feature that does, what to know beside.
    pub reason: Option<String>,
    /// How to mend it, where that is possible.
    pub fix: Option<String>,
}

/// The main job.
pub const PROFILE: &str = "profile";

/// Capabilities with which everything of this version works.
const WANTED: [&str; 5] =
    ["CAP_BPF", "CAP_PERFMON", "CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH", "CAP_CHECKPOINT_RESTORE"];

/// A reason and a fix.
pub type Why = (String, Option<String>);

/// A conclusion that has to be explained.
pub fn feature(name: &'static str, state: State, why: Why) -> Feature {
    Feature { name, state, reason: Some(why.0), fix: why.1 }
}

/// How to be granted what waytrace wants, and `needed` beside. The whole set at once, for `setcap` replaces what was there.
fn grant(needed: &[&str]) -> String {
    let beside = needed.iter().filter(|name| !WANTED.contains(name));
    let names: Vec<String> = WANTED.iter().chain(beside).map(|name| name.to_lowercase()).collect();
    format!("run as root, or `setcap {}+ep` on the waytrace binary", names.join(","))
}

fn works(name: &'static str) -> Feature {
    Feature { name, state: State::Works, reason: None, fix: None }
}

/// What the features can do, in the order they are shown.
pub fn judge(facts: &Facts, attempts: &Attempts) -> Vec<Feature> {
    let judge = Judge { facts, attempts };
    let allocations = judge.probes();
    let mut features = vec![
        judge.profile(),
        judge.hardware_counters(),
        judge.counter("counters: software", &attempts.software_counter),
        judge.counter("counters: msr/tsc", &attempts.tsc_counter),
        unless("allocations: exact", allocations.clone()),
        judge.budgeted(allocations.clone()),
        unless("allocations: sampled", allocations),
        judge.mappings(),
        judge.forward_walk(),
        unless("stacks", judge.bpf()),
        judge.symbols(),
        judge.other_processes(),
        judge.precise_sampling(),
    ];
    features.extend(cache_rows::rows(facts, &attempts.msr_device));
    features.extend(steady_rows::rows(facts));
    features
}

/// Works, or is unavailable for the given reason.
fn unless(name: &'static str, why: Option<Why>) -> Feature {
    why.map_or_else(|| works(name), |why| feature(name, State::Unavailable, why))
}

struct Judge<'a> {
    facts: &'a Facts,
    attempts: &'a Attempts,
}

impl Judge<'_> {
    /// Why an attempt failed and how to mend it; `None` where it worked.
    fn explain(&self, what: &str, attempt: &Attempt, needed: &[&str]) -> Option<Why> {
        let Attempt::Failed { errno, message } = attempt else { return None };
        if errno.is_none() {
            return Some((message.clone(), None));
        }
        if self.facts.kernel.lockdown.as_deref() == Some("confidentiality") {
            let fix = "boot without `lockdown=confidentiality`".to_owned();
            return Some((format!("{what}: {message}; the kernel is locked down"), Some(fix)));
        }
        if !attempt.is_denied() {
            let fix = (*errno == Some(libc::ENOSYS)).then(|| "a kernel with CONFIG_BPF_SYSCALL".to_owned());
            return Some((format!("{what}: {message}"), fix));
        }
        let missing = missing(&self.facts.capabilities, needed);
        if missing.is_empty() {
            let reason = format!("{what}: {message}, although {} is held", needed.join(" and "));
            let paranoid = self.facts.kernel.sysctls.get("perf_event_paranoid");
            let fix = if self.facts.user_namespace {
                "run outside the user namespace: the kernel asks for these capabilities on the host"
            } else if needed == ["CAP_PERFMON"] && paranoid.is_some_and(|level| *level > MOST_FOR_PERFMON) {
                "`sysctl kernel.perf_event_paranoid=2`: above it the kernels of Debian and Ubuntu ask for CAP_SYS_ADMIN"
            } else {
                "lift the seccomp filter of the container or the kernel's lockdown"
            };
            return Some((reason, Some(fix.to_owned())));
        }
        Some((format!("{what}: {message}; missing {}", missing.join(", ")), Some(grant(needed))))
    }

    /// What keeps BPF programs from running, or from knowing their targets.
    fn bpf(&self) -> Option<Why> {
        let attempts = self.attempts;
        self.explain("creating a BPF map", &attempts.bpf_map, &["CAP_BPF"])
            .or_else(|| {
                self.explain("loading a BPF program", &attempts.bpf_program, &["CAP_BPF", "CAP_PERFMON"])
            })
            .or_else(|| {
                let reason = "the kernel does not describe its types (/sys/kernel/btf/vmlinux is missing)";
                let fix = "a kernel built with CONFIG_DEBUG_INFO_BTF=y";
                (!self.facts.btf).then(|| (reason.to_owned(), Some(fix.to_owned())))
            })
            .or_else(|| {
                let reason = "waytrace runs in a PID namespace of its own, where the kernel's process ids are not its own";
                let fix = "run it on the host, or in a container that shares the host's (docker run --pid=host, hostPID: true)";
                self.facts.pid_namespace.then(|| (reason.to_owned(), Some(fix.to_owned())))
            })
    }

    /// What keeps the probes of allocators from being placed, one way or the other.
    fn probes(&self) -> Option<Why> {
        self.bpf().or_else(|| {
            if self.attempts.uprobe_multi.works() {
                return None;
            }
            let why = self.explain("placing a uprobe", &self.attempts.uprobe, &["CAP_SYS_ADMIN"])?;
            let fix = match self.facts.kernel.option("UPROBE_EVENTS") {
                OptionState::No => Some("a kernel built with CONFIG_UPROBE_EVENTS=y".to_owned()),
                _ => why.1,
            };
            Some((why.0, fix))
        })
    }

    fn profile(&self) -> Feature {
        let timer = || self.explain("the window timer", &self.attempts.software_counter, &["CAP_PERFMON"]);
        if let Some(why) = self.bpf().or_else(timer) {
            return feature(PROFILE, State::Unavailable, why);
        }
        if let Some((reason, fix)) = self.probes() {
            return feature(PROFILE, State::Degraded, (format!("counters only: {reason}"), fix));
        }
        if self.facts.kernel.older_than(5, 15) {
            let reason =
                format!("kernel {} is older than 5.15, the oldest supported", self.facts.kernel.release);
            return feature(PROFILE, State::Degraded, (reason, None));
        }
        works(PROFILE)
    }

    fn hardware_counters(&self) -> Feature {
        const NAME: &str = "counters: hardware";
        if self.attempts.hardware_counter.works() || self.facts.pmus.iter().any(|pmu| pmu.core) {
            return self.counter(NAME, &self.attempts.hardware_counter);
        }
        let fix = self.facts.hypervisor.as_ref().map(|_| {
            "let the host give this virtual machine a PMU (QEMU: `-cpu host,pmu=on`), or count task-clock and msr/tsc/"
        });
        let reason = "the kernel has no PMU for the cores of this machine".to_owned();
        feature(NAME, State::Unavailable, (reason, fix.map(str::to_owned)))
    }

    fn counter(&self, name: &'static str, attempt: &Attempt) -> Feature {
        unless(name, self.explain("opening it on a CPU", attempt, &["CAP_PERFMON"]))
    }

    fn budgeted(&self, probes: Option<Why>) -> Feature {
        const NAME: &str = "allocations: budgeted";
        if probes.is_some() || self.attempts.uprobe_multi.works() {
            return unless(NAME, probes);
        }
        let reason = "the kernel has no uprobe_multi links: each probe is placed and removed on its own, so windows \
                      open and close more slowly";
        feature(NAME, State::Degraded, (reason.to_owned(), Some("Linux 6.6 or newer".to_owned())))
    }

    fn mappings(&self) -> Feature {
        const NAME: &str = "mappings (mmap, brk)";
        if let Some(why) = self.bpf() {
            return unless(NAME, Some(why));
        }
        let Some((reason, fix)) = self.explain("tracepoints", &self.attempts.mapping_tracepoints, &[]) else {
            return works(NAME);
        };
        let reason = format!(
            "{reason}; without them programs whose calls cannot be found in their files, and children, are not watched"
        );
        feature(NAME, State::Degraded, (reason, fix))
    }

    /// Accesses by forward walk need a timer and BPF, and debug registers to be checked.
    fn forward_walk(&self) -> Feature {
        const NAME: &str = "accesses: forward walk";
        let timer = || self.explain("the sampling timer", &self.attempts.software_counter, &["CAP_PERFMON"]);
        if let Some(why) = self.bpf().or_else(timer) {
            return feature(NAME, State::Unavailable, why);
        }
        if self.attempts.breakpoints_count < 2 {
            let reason = "walks cannot be checked: that takes two hardware breakpoints, and a thread has";
            let reason = format!("{reason} {}", self.attempts.breakpoints_count);
            return feature(NAME, State::Degraded, (reason, None));
        }
        works(NAME)
    }

    fn symbols(&self) -> Feature {
        const NAME: &str = "symbols";
        let Some((reason, fix)) = self.explain(
            "opening /proc/PID/map_files",
            &self.attempts.map_files,
            &["CAP_CHECKPOINT_RESTORE"],
        ) else {
            return works(NAME);
        };
        let reason = format!("{reason}; deleted or replaced files keep module+offset");
        feature(NAME, State::Degraded, (reason, fix))
    }

    /// Looking into processes of other users and containers, which attaching to them begins with.
    fn other_processes(&self) -> Feature {
        const NAME: &str = "namespaces";
        let access = self.attempts.process_access;
        let all = access.open_count + access.denied_count;
        if access.denied_count == 0 {
            return works(NAME);
        }
        let reason = format!("{} of {all} processes cannot be looked into", access.denied_count);
        if missing(&self.facts.capabilities, &["CAP_SYS_PTRACE"]).is_empty() {
            let reason = format!("{reason} although CAP_SYS_PTRACE is held: something else protects them");
            return Feature { reason: Some(reason), ..works(NAME) };
        }
        feature(NAME, State::Degraded, (format!("{reason}; missing CAP_SYS_PTRACE"), Some(grant(&[]))))
    }

    fn precise_sampling(&self) -> Feature {
        let pebs = self.facts.pmus.iter().find(|pmu| pmu.core && pmu.max_precise.unwrap_or(0) > 0);
        let named =
            self.facts.pmus.iter().find(|pmu| pmu.name == "ibs_op" || pmu.name.starts_with("arm_spe"));
        let (state, why) = match pebs.or(named) {
            Some(pmu) => {
                (State::Degraded, (format!("PMU `{}` has it; not verified on hardware", pmu.name), None))
            }
            None => {
                let reason = "no PMU offers precise events; not verified on hardware".to_owned();
                let fix = self.facts.hypervisor.is_some().then(|| "run on bare metal".to_owned());
                (State::Unavailable, (reason, fix))
            }
        };
        feature("precise sampling (PEBS/IBS/SPE)", state, why)
    }
}

#[cfg(test)]
#[path = "features_tests.rs"]
mod tests;
