//! A host without files: the machine, resctrl on it, and faults on purpose.

use crate::adopt::{self, Adoption, State};
use crate::faults::{Effect, Faults};
use crate::model::machine::Machine;
use crate::model::task::TaskSpec;
use crate::resctrl::{Errno, Resctrl};
use crate::spec::HostSpec;

const SECOND_NS: u64 = 1_000_000_000;

/// One host.
#[derive(Debug, Clone)]
pub struct Host {
    /// CPUs, caches, tasks and registers.
    pub machine: Machine,
    /// The filesystem.
    pub resctrl: Resctrl,
    /// What goes wrong.
    pub faults: Faults,
    /// Time passes with the real clock while it is mounted.
    pub follows_clock: bool,
    /// Tasks that are processes of the real machine.
    adopted: Vec<u32>,
}

impl Host {
    /// A host that has just begun, with resctrl mounted if its description says so.
    pub fn new(spec: &HostSpec, seed: u64) -> Self {
        let mut machine = Machine::new(spec, seed);
        let mut resctrl = Resctrl::new(&machine);
        if spec.mounted {
            resctrl.mount(&mut machine, spec.cdp);
        }
        Self { machine, resctrl, faults: Faults::default(), follows_clock: true, adopted: Vec::new() }
    }

    /// Starts a task. A new thread of a process begins in the groups of its first one, as a forked one does.
    pub fn start(&mut self, spec: TaskSpec) {
        let (tid, tgid) = (spec.tid, spec.tgid);
        self.machine.start(spec);
        let leader = self.machine.tasks.get(&tgid).map(|leader| (leader.closid, leader.rmid));
        if let (Some(task), Some((closid, rmid))) = (self.machine.tasks.get_mut(&tid), leader) {
            (task.closid, task.rmid) = (closid, rmid);
        }
    }

    /// Lets simulated time pass.
    pub fn step(&mut self, ns: u64) {
        let mut left = ns;
        while left > 0 {
            let to_second = SECOND_NS - self.machine.now_ns() % SECOND_NS;
            let part = left.min(to_second);
            self.machine.step(part);
            left -= part;
            if part == to_second && self.resctrl.is_mounted() {
                self.resctrl.each_second(&mut self.machine);
            }
        }
    }

    /// Takes a process of the real machine for a task, as `text` says.
    ///
    /// # Errors
    /// `EINVAL` for a text that says nothing, `ESRCH` for a process that is none, `ENODEV` without such a CPU.
    pub fn adopt(&mut self, text: &str) -> Result<(), Errno> {
        let adoption: Adoption = text.parse()?;
        let tid = adoption.tid;
        let spec = adoption.task(&self.machine)?;
        self.start(spec);
        self.adopted.push(tid);
        self.follow_adopted();
        Ok(())
    }

    /// Lets adopted tasks do what the processes do: run, wait or end.
    pub fn follow_adopted(&mut self) {
        let machine = &mut self.machine;
        self.adopted.retain(|tid| {
            let state = adopt::state(*tid);
            match machine.tasks.get_mut(tid) {
                Some(task) => task.idle = state != Some(State::Runs),
                None => return false,
            }
            if state.is_none() {
                machine.exit(*tid);
            }
            state.is_some()
        });
    }

    /// Takes a CPU offline.
    pub fn take_offline(&mut self, cpu: usize) {
        self.machine.take_offline(cpu);
        if !self.machine.is_online(cpu) {
            self.resctrl.cpu_offline(cpu);
        }
    }

    /// Mounts or unmounts resctrl, as somebody else on the host would.
    pub fn set_mounted(&mut self, mounted: bool) {
        let cdp = self.machine.spec().cdp;
        match mounted {
            true => self.resctrl.mount(&mut self.machine, cdp),
            false => self.resctrl.unmount(&mut self.machine),
        }
    }

    /// Lets a fault have its effect on the host.
    ///
    /// # Errors
    /// The number an operation is to fail with.
    pub(crate) fn suffer(&mut self, effect: &Effect) -> Result<(), Errno> {
        match effect {
            Effect::Fail(errno) => return Err(*errno),
            Effect::Slow(_) => {}
            Effect::RemoveGroup(path) => {
                let parts: Vec<&str> = path.split('/').collect();
                // It may be gone already: then nobody has to remove it.
                self.resctrl.rmdir(&mut self.machine, &parts).ok();
            }
            Effect::Schemata { group, line } => {
                let path = format!("{group}/schemata");
                let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
                self.resctrl.write(&mut self.machine, &parts, &format!("{line}\n")).ok();
            }
            Effect::Offline(cpu) => self.take_offline(*cpu),
            Effect::Exit(tgid) => self.machine.exit(*tgid),
        }
        Ok(())
    }
}
