//! The machine as time passes: CPUs run their tasks, whose accesses fill caches and cost cycles.
//!
//! The part of the kernel that follows tasks is here too: when resctrl is mounted, a CPU that begins to run a task loads
//! the task's CLOSID and RMID, or those of the CPU's group where the task has none, and writes `IA32_PQR_ASSOC` only if
//! they differ from what the kernel wrote last (`arch/x86/include/asm/resctrl.h`). So what is written to the register
//! beside the kernel holds until the kernel's next change, as on a real machine.

use std::collections::BTreeMap;

use super::cache::{Cache, Outcome};
use super::control::{Association, Control};
use super::counters::Counters;
use super::program::Stream;
use super::task::{Task, TaskSpec};
use crate::spec::{HostSpec, Vendor};

/// Time a task runs before the next of its CPU does, and before other CPUs do: short against all that is observed.
const QUANTUM_NS: u64 = 100_000;

/// One CPU.
#[derive(Debug, Clone)]
pub struct Cpu {
    /// Takes part.
    pub online: bool,
    /// Association of the resctrl group the CPU belongs to.
    pub default: Association,
    /// What the kernel wrote into the register last.
    written: Association,
    /// Whose turn it is among the tasks.
    turn: usize,
}

/// All of it.
#[derive(Debug, Clone)]
pub struct Machine {
    spec: HostSpec,
    /// The registers.
    pub control: Control,
    /// CPUs by number.
    pub cpus: Vec<Cpu>,
    /// Tasks by thread.
    pub tasks: BTreeMap<u32, Task>,
    /// resctrl is mounted, and the kernel keeps associations.
    pub kernel_assigns: bool,
    caches: Vec<Cache>,
    /// Bytes from memory, by cache and RMID.
    traffic: Vec<Vec<u64>>,
    now_ns: u64,
    seed: u64,
}

impl Machine {
    /// A machine that has just begun.
    pub fn new(spec: &HostSpec, seed: u64) -> Self {
        let rmids = usize::from(spec.rmids());
        let cache = Cache::new(spec.l3.modelled_sets, spec.l3.ways, rmids);
        let cpu =
            Cpu { online: true, default: Association::default(), written: Association::default(), turn: 0 };
        Self {
            control: Control::new(spec),
            cpus: vec![cpu; spec.cpus()],
            tasks: BTreeMap::new(),
            kernel_assigns: false,
            caches: vec![cache; spec.domains()],
            traffic: vec![vec![0; rmids]; spec.domains()],
            now_ns: 0,
            seed,
            spec: spec.clone(),
        }
    }

    /// What it was built as.
    pub fn spec(&self) -> &HostSpec {
        &self.spec
    }

    /// Simulated nanoseconds since the beginning.
    pub fn now_ns(&self) -> u64 {
        self.now_ns
    }

    /// Starts a task; one of the same thread is replaced.
    pub fn start(&mut self, spec: TaskSpec) {
        let space = u64::from(spec.tgid);
        let seed = self.seed ^ (u64::from(spec.tid) << 32);
        let line_bytes = self.spec.l3.modelled_line_bytes();
        let stream = Stream::new(&spec.workload.program, line_bytes, space, seed);
        let task = Task {
            stream,
            closid: 0,
            rmid: 0,
            idle: false,
            counters: Counters::default(),
            owed_cycles: 0,
            spec,
        };
        self.tasks.insert(task.spec.tid, task);
    }

    /// Ends a process: all tasks of the thread group.
    pub fn exit(&mut self, tgid: u32) {
        self.tasks.retain(|_, task| task.spec.tgid != tgid);
    }

    /// Bytes that the lines filled by `rmid` come to in a cache.
    pub fn occupancy_bytes(&self, domain: usize, rmid: u16) -> u64 {
        self.caches.get(domain).map_or(0, |cache| cache.occupancy(rmid)) * self.spec.l3.modelled_line_bytes()
    }

    /// Those of them that are in ways a mask has not.
    pub fn outside_bytes(&self, domain: usize, rmid: u16, mask: u64) -> u64 {
        self.caches.get(domain).map_or(0, |cache| cache.outside(rmid, mask))
            * self.spec.l3.modelled_line_bytes()
    }

    /// Bytes `rmid` has fetched from memory through a cache.
    pub fn traffic_bytes(&self, domain: usize, rmid: u16) -> u64 {
        self.traffic.get(domain).and_then(|bytes| bytes.get(usize::from(rmid))).copied().unwrap_or(0)
    }

    /// Takes a CPU out; its tasks go to the first that is left. The last one stays.
    pub fn take_offline(&mut self, cpu: usize) {
        let Some(refuge) = (0..self.cpus.len()).find(|&other| other != cpu && self.is_online(other)) else {
            return;
        };
        if let Some(cpu) = self.cpus.get_mut(cpu) {
            cpu.online = false;
        }
        for task in self.tasks.values_mut().filter(|task| task.spec.cpu == cpu) {
            task.spec.cpu = refuge;
        }
    }

    /// Whether a CPU of that number is there and takes part.
    pub fn is_online(&self, cpu: usize) -> bool {
        self.cpus.get(cpu).is_some_and(|cpu| cpu.online)
    }

    /// Lets every CPU load what its current task and group say now, as the kernel does after it moved them.
    pub fn sync_associations(&mut self) {
        for number in 0..self.cpus.len() {
            let task = self.current(number);
            self.load(number, task);
        }
    }

    /// Lets `ns` nanoseconds pass.
    pub fn step(&mut self, ns: u64) {
        let mut left = ns;
        while left > 0 {
            let quantum = left.min(QUANTUM_NS);
            for cpu in 0..self.cpus.len() {
                self.run_cpu(cpu, quantum);
            }
            self.now_ns += quantum;
            left -= quantum;
        }
    }

    fn run_cpu(&mut self, number: usize, ns: u64) {
        if !self.is_online(number) {
            return;
        }
        if let Some(cpu) = self.cpus.get_mut(number) {
            cpu.turn = cpu.turn.wrapping_add(1);
        }
        let current = self.current(number);
        self.load(number, current);
        let Some(tid) = current else { return };
        let association = self.control.pqr.get(number).copied().unwrap_or_default();
        let domain = self.spec.domain_of(number);
        let (Some(task), Some(cache)) = (self.tasks.get_mut(&tid), self.caches.get_mut(domain)) else {
            return;
        };
        let traffic = self.traffic.get_mut(domain).and_then(|all| all.get_mut(usize::from(association.rmid)));
        let run = Run { spec: &self.spec, control: &self.control, domain, association };
        let bytes = run.execute(task, cache, ns);
        if let Some(traffic) = traffic {
            *traffic = traffic.wrapping_add(bytes);
        }
    }

    /// The task whose turn it is on a CPU.
    fn current(&self, number: usize) -> Option<u32> {
        let turn = self.cpus.get(number)?.turn;
        let here = || self.tasks.values().filter(|task| task.spec.cpu == number && !task.idle);
        here().nth(turn.checked_rem(here().count())?).map(|task| task.spec.tid)
    }

    fn load(&mut self, number: usize, tid: Option<u32>) {
        let task = tid.and_then(|tid| self.tasks.get(&tid));
        let (Some(cpu), Some(register)) = (self.cpus.get_mut(number), self.control.pqr.get_mut(number))
        else {
            return;
        };
        let closid = task.map(|task| task.closid).filter(|&closid| closid > 0).unwrap_or(cpu.default.closid);
        let rmid = task.map(|task| task.rmid).filter(|&rmid| rmid > 0).unwrap_or(cpu.default.rmid);
        let wanted = Association { closid, rmid };
        if self.kernel_assigns && cpu.written != wanted {
            cpu.written = wanted;
            *register = wanted;
        }
    }
}

/// What a task's run on a CPU depends on.
struct Run<'a> {
    spec: &'a HostSpec,
    control: &'a Control,
    domain: usize,
    association: Association,
}

impl Run<'_> {
    /// Runs a task for `ns`, and gives the bytes it fetched from memory.
    fn execute(&self, task: &mut Task, cache: &mut Cache, ns: u64) -> u64 {
        let timing = self.spec.timing;
        let sampling = self.spec.l3.sampling.max(1);
        let mask = |is_code| self.control.l3_mask(self.domain, self.association.closid, is_code);
        let (data_mask, code_mask) = (mask(false), mask(true));
        let instructions = u64::from(task.spec.workload.instructions_per_access.max(1));
        let hit = instructions.div_ceil(timing.width.max(1)) + timing.hit;
        let miss =
            instructions.div_ceil(timing.width.max(1)) + timing.memory * 100 / self.bandwidth_percent();
        let budget =
            u64::try_from(u128::from(ns) * u128::from(timing.hz) / 1_000_000_000).unwrap_or(u64::MAX);
        let (mut spent, mut bytes) = (task.owed_cycles, 0);
        while spent < budget {
            let access = task.stream.next_access();
            let mask = if access.is_code { code_mask } else { data_mask };
            let is_miss = cache.access(access.line, mask, self.association.rmid) == Outcome::Miss;
            let cycles = sampling * if is_miss { miss } else { hit };
            let counters = &mut task.counters;
            counters.instructions += sampling * instructions;
            counters.llc_references += sampling;
            // Counted with the access, so that a reading is exact for the accesses it holds.
            counters.cycles += cycles;
            if is_miss {
                counters.llc_misses += sampling;
                bytes += self.spec.l3.modelled_line_bytes();
            }
            spent += cycles;
        }
        task.owed_cycles = spent - budget;
        task.counters.time_enabled_ns += ns;
        task.counters.time_running_ns += ns;
        bytes
    }

    /// Share of the memory bandwidth the class may use, 1–100. AMD's limits are absolute and above what one task here
    /// takes, so they have no effect.
    fn bandwidth_percent(&self) -> u64 {
        let class = usize::try_from(self.association.closid).unwrap_or(usize::MAX);
        let register = self.control.mba.get(self.domain).and_then(|values| values.get(class));
        match (self.spec.vendor, register) {
            (Vendor::Intel, Some(delay)) => 100_u64.saturating_sub(*delay).max(1),
            _ => 100,
        }
    }
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;
