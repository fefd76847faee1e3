//! Cache allocation by the CPUs' registers, for machines whose kernel has no resctrl. CPUs have classes, threads have none.
//!
//! Source: Intel SDM vol. 3B, 19.18 and 19.19; AMD64 PQoS extensions.

mod access;
mod features;
mod monitor;
mod reach;
mod registers;
mod state;
pub mod tsc;

use waytrace_model::cache_report::{Capabilities, Class, Interface};

pub use access::{Cpuid, CpuidAccess, MsrAccess, MsrFiles};

use crate::Root;
use crate::rdt::{
    CacheAllocation, DEFAULT_CLASS, EventReading, Monitored, RdtError, ResctrlState, Setting, check,
    resctrl_state,
};
use state::State;

/// The registers of a machine.
pub struct MsrAllocation {
    state: State,
}

fn unsupported(what: &str) -> RdtError {
    RdtError::Unsupported { interface: "msr", what: what.to_owned() }
}

const ONLY_CPUS: &str = "give threads a class or monitor, only CPUs; use --cpus, or `--interface resctrl`";

impl MsrAllocation {
    /// The registers of `root`, by its drivers.
    ///
    /// # Errors
    /// [`RdtError::Mounted`] unless forced; a CPU that has nothing to allocate or monitor.
    pub fn open(root: &Root, force: bool) -> Result<Self, RdtError> {
        Self::with(root, Box::new(MsrFiles::new(root.clone())), &Cpuid::new(root.clone()), force)
    }

    /// The same by other access.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn with(
        root: &Root,
        access: Box<dyn MsrAccess>,
        cpuid: &dyn CpuidAccess,
        force: bool,
    ) -> Result<Self, RdtError> {
        let resctrl = resctrl_state(root);
        if let (ResctrlState::Mounted { path, .. }, false) = (&resctrl, force) {
            return Err(RdtError::Mounted { mount: path.clone() });
        }
        let nothing = || RdtError::Unavailable {
            reason: match resctrl {
                ResctrlState::NoCpu { .. } => crate::rdt::why_not(&resctrl).unwrap_or_default(),
                _ => "CPUID tells of no registers to allocate or monitor caches with".to_owned(),
            },
        };
        let features = features::read(cpuid)?;
        if features.is_empty() && !features.is_haswell_server {
            return Err(nothing());
        }
        let state = State::new(access, features, root.clone())?;
        if state.features.is_empty() && !state.is_snc() {
            return Err(nothing());
        }
        Ok(Self { state })
    }

    /// Gives CPUs the default RMID; their classes stay.
    ///
    /// # Errors
    /// A CPU that is not there, or no right.
    pub fn unmonitor_cpus(&mut self, cpus: &[u32]) -> Result<(), RdtError> {
        self.state.check_cpus(cpus)?;
        cpus.iter().try_for_each(|cpu| monitor::assign(&self.state, *cpu, 0))
    }

    /// The RMID a group's name says.
    fn rmid(&self, class: &str, name: &str) -> Result<u32, RdtError> {
        let rmids = self.state.features.cmt.map_or(0, |cmt| cmt.rmids);
        let rmid = name.strip_prefix("rmid").and_then(|number| number.parse().ok());
        rmid.filter(|rmid| *rmid > 0 && *rmid < rmids).ok_or_else(|| RdtError::BadName {
            name: name.to_owned(),
            reason: match class {
                _ if rmids == 0 => "this CPU has no monitors",
                _ => "monitors of registers are called rmid1, rmid2 and so on, as many as the CPU has",
            },
        })
    }
}

impl CacheAllocation for MsrAllocation {
    fn interface(&self) -> Interface {
        Interface::Msr
    }

    fn capabilities(&self) -> Result<Capabilities, RdtError> {
        Ok(self.state.capabilities())
    }

    fn classes(&self) -> Result<Vec<Class>, RdtError> {
        self.state.classes()
    }

    fn create_class(&mut self, wanted: &str) -> Result<String, RdtError> {
        if wanted.strip_prefix("cos").is_some_and(|number| number.parse::<u32>().is_ok()) {
            // Those of the hardware are all there already.
            return self.state.number(wanted).map(|_| wanted.to_owned());
        }
        let classes = self.classes()?;
        let capabilities = self.capabilities()?;
        let is_free = |class: &&Class| {
            class.name != DEFAULT_CLASS
                && class.cpus.is_empty()
                && state::has_everything(class, &capabilities)
        };
        let free = classes.iter().find(is_free).map(|class| class.name.clone());
        free.ok_or(RdtError::NoClassLeft { max: capabilities.max_classes })
    }

    fn remove_class(&mut self, class: &str) -> Result<(), RdtError> {
        let number = self.state.number(class)?;
        if number == 0 {
            return Err(RdtError::BadName { name: class.to_owned(), reason: "the default class stays" });
        }
        for cpu in self.state.cpus_of(number)? {
            self.state.associate(cpu, 0)?;
        }
        self.state.set(number, &self.state.everything())
    }

    fn set(&mut self, class: &str, settings: &[Setting]) -> Result<(), RdtError> {
        let number = self.state.number(class)?;
        let capabilities = self.capabilities()?;
        for setting in settings {
            check(&capabilities, setting)?;
            self.state.check_limit(setting)?;
        }
        self.state.set(number, settings)
    }

    fn assign_tasks(&mut self, _class: &str, tids: &[u32]) -> Result<(), RdtError> {
        if tids.is_empty() { Ok(()) } else { Err(unsupported(ONLY_CPUS)) }
    }

    fn assign_cpus(&mut self, class: &str, cpus: &[u32]) -> Result<(), RdtError> {
        let number = self.state.number(class)?;
        self.state.check_cpus(cpus)?;
        cpus.iter().try_for_each(|cpu| self.state.associate(*cpu, number))
    }

    fn create_monitor(&mut self, class: &str, wanted: &str) -> Result<String, RdtError> {
        self.state.number(class)?;
        if wanted.starts_with("rmid") {
            return self.rmid(class, wanted).map(|rmid| format!("rmid{rmid}"));
        }
        let max = self.state.cmt()?.rmids;
        let free = monitor::free(&self.state)?.ok_or(RdtError::NoMonitorLeft { max })?;
        Ok(format!("rmid{free}"))
    }

    fn remove_monitor(&mut self, class: &str, name: &str) -> Result<(), RdtError> {
        let rmid = self.rmid(class, name)?;
        monitor::release(&self.state, rmid)
    }

    fn monitor_tasks(&mut self, _class: &str, _name: &str, tids: &[u32]) -> Result<(), RdtError> {
        if tids.is_empty() { Ok(()) } else { Err(unsupported(ONLY_CPUS)) }
    }

    fn monitor_cpus(&mut self, class: &str, name: &str, cpus: &[u32]) -> Result<(), RdtError> {
        let rmid = self.rmid(class, name)?;
        self.state.check_cpus(cpus)?;
        cpus.iter().try_for_each(|cpu| monitor::assign(&self.state, *cpu, rmid))
    }

    fn read(&self, whom: &Monitored) -> Result<Vec<EventReading>, RdtError> {
        match whom {
            Monitored::Group { class, name } => monitor::read(&self.state, self.rmid(class, name)?),
            Monitored::Class(class) if self.state.number(class)? == 0 => monitor::read(&self.state, 0),
            Monitored::Class(_) => {
                Err(unsupported("monitor a class, only CPUs; give them a monitor (rmid1)"))
            }
        }
    }

    fn wrap_bytes(&self) -> Option<u64> {
        let cmt = self.state.features.cmt?;
        (1u64 << cmt.counter_bits).checked_mul(u64::from(cmt.upscale_bytes))
    }
}

#[cfg(test)]
mod machine_tests;
#[cfg(test)]
mod tests;
