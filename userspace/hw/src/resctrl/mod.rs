//! Cache allocation by the kernel's resctrl file system: Intel's RDT, AMD's QoS and Arm's MPAM alike.
//!
//! Source: `Documentation/filesystems/resctrl.rst`.

mod files;
mod group;
mod info;
mod monitor;
mod schemata;
mod write;

use std::cell::{OnceCell, RefCell};

use waytrace_model::cache_report::{Capabilities, Class, Interface, Mode, Monitoring};

use crate::Root;
use crate::rdt::{
    CacheAllocation, DEFAULT_CLASS, EventReading, Monitored, RdtError, ResctrlState, Setting, resctrl_state,
    why_not,
};
use files::Files;

/// A mounted resctrl.
#[derive(Debug)]
pub struct Resctrl {
    root: Root,
    files: Files,
    options: Vec<String>,
    /// What the machine could do at the first change. It stays so while resctrl is mounted; a cache whose last CPU has gone since
    /// is the kernel's to refuse. Who changes masks ten times a second cannot read all of it every time.
    known: OnceCell<Capabilities>,
    /// What it monitored at the first reading.
    monitored: OnceCell<Monitoring>,
    /// Files of the monitors read last, which stay open: opening them takes longer than reading.
    open: RefCell<Option<monitor::Open>>,
}

/// A class's directory below the mount, with the slash its files need.
fn dir_of(class: &str) -> String {
    if class == DEFAULT_CLASS { String::new() } else { format!("{class}/") }
}

/// Lines of a group's schemata; none where the machine only monitors.
fn lines_of(files: &Files, dir: &str) -> Result<Vec<schemata::Line>, RdtError> {
    let rel = format!("{dir}schemata");
    let Some(text) = files.read_optional(&rel)? else { return Ok(Vec::new()) };
    schemata::parse(&text).map_err(|text| RdtError::Malformed {
        path: files.path(&rel),
        text,
        expected: "a line of schemata, as L3:0=fff;1=fff",
    })
}

impl Resctrl {
    /// Finds where it is mounted.
    ///
    /// # Errors
    /// [`RdtError::Unavailable`] with the reason and the mend.
    pub fn open(root: &Root) -> Result<Self, RdtError> {
        let state = resctrl_state(root);
        if let ResctrlState::Mounted { path, options } = state {
            let (known, monitored) = (OnceCell::new(), OnceCell::new());
            let (root, files, open) = (root.clone(), Files::new(path), RefCell::new(None));
            return Ok(Self { root, files, options, known, monitored, open });
        }
        Err(RdtError::Unavailable { reason: why_not(&state).unwrap_or_default() })
    }

    /// A class there is.
    fn existing(&self, class: &str) -> Result<String, RdtError> {
        let is_there = || group::check_name(class).is_ok() && self.files.is_dir(class);
        if class == DEFAULT_CLASS || is_there() {
            return Ok(dir_of(class));
        }
        Err(RdtError::NoClass { class: class.to_owned() })
    }

    fn known(&self) -> Result<&Capabilities, RdtError> {
        if let Some(known) = self.known.get() {
            return Ok(known);
        }
        let known = self.capabilities()?;
        Ok(self.known.get_or_init(|| known))
    }

    fn monitored(&self) -> Result<&Monitoring, RdtError> {
        if let Some(monitored) = self.monitored.get() {
            return Ok(monitored);
        }
        let monitored = self.monitoring()?;
        Ok(self.monitored.get_or_init(|| monitored))
    }

    /// A class that may be changed: what somebody locked or has to himself stays as it is.
    fn changeable(&self, class: &str) -> Result<String, RdtError> {
        let dir = self.existing(class)?;
        let mode = match group::mode(&self.files, &dir)? {
            Some(Mode::PseudoLocked) => "pseudo-locked",
            Some(Mode::PseudoLocksetup) => "being pseudo-locked",
            Some(Mode::Exclusive) => "exclusive",
            Some(Mode::Shareable) | None => return Ok(dir),
        };
        Err(RdtError::Protected { class: class.to_owned(), mode })
    }

    /// What can be monitored.
    fn monitoring(&self) -> Result<Monitoring, RdtError> {
        if info::has_parts_apart(&self.root, &self.files) {
            let reason = "no monitoring while the L3 is divided (sub-NUMA clustering): this kernel does not add its parts up; it takes \
                          Linux 6.11, or a firmware that does not divide it";
            return Err(RdtError::Unavailable { reason: reason.to_owned() });
        }
        info::monitoring(&self.files)?.ok_or_else(|| RdtError::Unavailable {
            reason: "this CPU has no cache monitoring (no info/L3_MON in resctrl)".to_owned(),
        })
    }

    /// CPUs of a class's monitoring groups; those that have none are not told.
    pub(crate) fn monitored_cpus(&self, class: &str) -> Result<Vec<(String, Vec<u32>)>, RdtError> {
        group::monitored_cpus(&self.files, &self.existing(class)?)
    }

    fn monitor_dir(&self, class: &str, name: &str) -> Result<String, RdtError> {
        let dir = format!("{}mon_groups/{name}/", self.existing(class)?);
        if group::check_name(name).is_ok() && self.files.is_dir(&dir) {
            return Ok(dir);
        }
        Err(RdtError::NoMonitor { class: class.to_owned(), name: name.to_owned() })
    }
}

impl CacheAllocation for Resctrl {
    fn interface(&self) -> Interface {
        Interface::Resctrl
    }

    fn capabilities(&self) -> Result<Capabilities, RdtError> {
        let capabilities = info::read(&self.root, &self.files, &self.options)?;
        // Changes go by the first ones.
        let _ = self.known.set(capabilities.clone());
        Ok(capabilities)
    }

    fn class(&self, name: &str) -> Result<Option<Class>, RdtError> {
        match self.existing(name) {
            Ok(_) => group::read(&self.files, name).map(Some),
            Err(RdtError::NoClass { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn classes(&self) -> Result<Vec<Class>, RdtError> {
        let mut classes = Vec::new();
        for name in group::names(&self.files) {
            match group::read(&self.files, &name) {
                Ok(class) => classes.push(class),
                // Somebody removed it since it was listed.
                Err(_) if name != DEFAULT_CLASS && !self.files.is_dir(&name) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(classes)
    }

    fn create_class(&mut self, wanted: &str) -> Result<String, RdtError> {
        group::check_name(wanted)?;
        match self.files.make(wanted) {
            Ok(()) => Ok(wanted.to_owned()),
            Err(RdtError::Refused { source, .. }) if source.raw_os_error() == Some(libc::ENOSPC) => {
                Err(RdtError::NoClassLeft { max: self.capabilities()?.max_classes })
            }
            Err(error) => Err(error),
        }
    }

    fn remove_class(&mut self, class: &str) -> Result<(), RdtError> {
        if class == DEFAULT_CLASS {
            return Err(RdtError::BadName { name: class.to_owned(), reason: "the default class stays" });
        }
        self.existing(class)?;
        self.files.remove(class)
    }

    fn set(&mut self, class: &str, settings: &[Setting]) -> Result<(), RdtError> {
        if settings.is_empty() {
            return Ok(());
        }
        let dir = self.changeable(class)?;
        write::settings(&self.files, &dir, self.known()?, settings)
    }

    fn assign_tasks(&mut self, class: &str, tids: &[u32]) -> Result<(), RdtError> {
        write::tasks(&self.files, &self.existing(class)?, tids)
    }

    fn assign_cpus(&mut self, class: &str, cpus: &[u32]) -> Result<(), RdtError> {
        write::cpus(&self.root, &self.files, &self.existing(class)?, cpus)
    }

    fn create_monitor(&mut self, class: &str, wanted: &str) -> Result<String, RdtError> {
        group::check_name(wanted)?;
        let monitoring = self.monitoring()?;
        let dir = format!("{}mon_groups/{wanted}/", self.existing(class)?);
        match self.files.make(dir.trim_end_matches('/')) {
            Ok(()) => {}
            // EBUSY: free ones there are, but all of them have lines in a cache yet.
            Err(RdtError::Refused { source, .. })
                if matches!(source.raw_os_error(), Some(libc::ENOSPC | libc::EBUSY)) =>
            {
                return Err(RdtError::NoMonitorLeft { max: monitoring.max_rmids });
            }
            Err(error) => return Err(error),
        }
        monitor::assign(&self.files, &dir, &monitoring)?;
        Ok(wanted.to_owned())
    }

    fn remove_monitor(&mut self, class: &str, name: &str) -> Result<(), RdtError> {
        let dir = self.monitor_dir(class, name)?;
        self.files.remove(dir.trim_end_matches('/'))
    }

    fn monitor_tasks(&mut self, class: &str, name: &str, tids: &[u32]) -> Result<(), RdtError> {
        write::tasks(&self.files, &self.monitor_dir(class, name)?, tids)
    }

    fn monitor_cpus(&mut self, class: &str, name: &str, cpus: &[u32]) -> Result<(), RdtError> {
        write::cpus(&self.root, &self.files, &self.monitor_dir(class, name)?, cpus)
    }

    fn assign_counters(&mut self, class: &str) -> Result<(), RdtError> {
        match self.monitored() {
            Ok(monitoring) => monitor::assign(&self.files, &self.existing(class)?, monitoring),
            Err(RdtError::Unavailable { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn read(&self, whom: &Monitored) -> Result<Vec<EventReading>, RdtError> {
        let mut open = self.open.borrow_mut();
        if let Some(readings) = open.as_ref().and_then(|open| open.again(whom)) {
            return Ok(readings);
        }
        let dir = match whom {
            Monitored::Class(class) => self.existing(class)?,
            Monitored::Group { class, name } => self.monitor_dir(class, name)?,
        };
        let events = &self.monitored()?.events;
        let readings = monitor::read(&self.files, &dir, events)?;
        *open = monitor::Open::of(&self.files, whom, &dir, &readings);
        Ok(readings)
    }
}

#[cfg(test)]
mod tests;
