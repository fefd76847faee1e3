//! The machine's monitoring groups: those of others, and our own, which members are put into.

use waytrace_hw::Root;
use waytrace_hw::rdt::{CacheAllocation, Monitored, RdtError};

use super::OccupancyError;
use super::meter::Meter;
use super::own::Own;
use super::target::{Places, Source, Sources};

/// Who is asked, and what was made.
pub struct Groups<A: CacheAllocation + ?Sized> {
    pub root: Root,
    pub allocation: Box<A>,
    pub own: Own,
}

/// Who is to be monitored.
#[derive(Debug, Clone, Copy)]
pub enum Members<'a> {
    /// Threads.
    Tasks(&'a [u32]),
    /// Logical CPUs.
    Cpus(&'a [u32]),
}

impl<A: CacheAllocation + ?Sized> Groups<A> {
    /// Puts members of a class into one of its groups. Whether the group is still there.
    ///
    /// # Errors
    /// What the kernel refuses; that a member has gone or was moved meanwhile is none.
    pub fn monitor(&mut self, class: &str, name: &str, members: Members<'_>) -> Result<bool, RdtError> {
        let tids = match members {
            Members::Tasks(tids) => tids,
            Members::Cpus(cpus) => {
                return match self.allocation.monitor_cpus(class, name, cpus) {
                    // One went offline, or to another class, since it was looked at; the next look tells.
                    Err(RdtError::NoCpu { .. }) => Ok(true),
                    Err(error) if is_gone(&error) => Ok(false),
                    result => result.map(|()| true),
                };
            }
        };
        for tid in tids {
            match self.allocation.monitor_tasks(class, name, &[*tid]) {
                Ok(()) | Err(RdtError::NoTask { .. }) => {}
                Err(error) if is_gone(&error) => return Ok(false),
                // The kernel takes no thread of another class: it was moved there meanwhile.
                Err(RdtError::Refused { source, .. }) if source.raw_os_error() == Some(libc::EINVAL) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Makes a group of our own in a class.
    ///
    /// # Errors
    /// As [`Own::make`].
    pub fn make(&mut self, class: &str) -> Result<String, OccupancyError> {
        self.own.make(self.allocation.as_mut(), class)
    }

    /// Takes threads of a class out of our groups: they are monitored with their class again, and keep it.
    ///
    /// # Errors
    /// No monitor is left by which to do so, or what the kernel refuses.
    pub fn pass(&mut self, class: &str, tids: &[u32]) -> Result<(), OccupancyError> {
        let name = self.make(class)?;
        let passed = self.monitor(class, &name, Members::Tasks(tids));
        self.own.remove(self.allocation.as_mut(), class, &name)?;
        passed?;
        Ok(())
    }

    /// Leaves sources that are not there any more; the names of own groups that somebody removed are free again.
    ///
    /// # Errors
    /// What the kernel refuses.
    pub fn leave_gone(&mut self, sources: &mut Sources, places: &Places) -> Result<(), RdtError> {
        let is_there = |source: &Source| match &source.whom {
            Monitored::Group { class, name } => places.has(class, name),
            Monitored::Class(_) => true,
        };
        for source in sources.iter().filter(|source| source.own && !is_there(source)) {
            if let Monitored::Group { class, name } = &source.whom {
                self.own.remove(self.allocation.as_mut(), class, name)?;
            }
        }
        sources.retain(is_there);
        Ok(())
    }

    /// Removes the own groups of what is not to be read any more.
    ///
    /// # Errors
    /// What the kernel refuses.
    pub fn give_back(&mut self, sources: &mut Sources) -> Result<(), RdtError> {
        for source in std::mem::take(sources).iter().filter(|source| source.own) {
            if let Monitored::Group { class, name } = &source.whom {
                self.own.remove(self.allocation.as_mut(), class, name)?;
            }
        }
        Ok(())
    }

    /// Reads a class or group. One that was removed can be done without.
    ///
    /// # Errors
    /// What cannot be read.
    pub fn read(&self, whom: &Monitored, meter: &mut Meter) -> Result<(), RdtError> {
        match self.allocation.read(whom) {
            Ok(readings) => meter.observe(&readings, self.allocation.wrap_bytes()),
            Err(error) if is_gone(&error) => meter.remove(),
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

/// Whether a class or group is not there any more.
pub fn is_gone(error: &RdtError) -> bool {
    match error {
        RdtError::NoClass { .. } | RdtError::NoMonitor { .. } => true,
        RdtError::Read { source, .. } | RdtError::Refused { source, .. } => {
            matches!(source.raw_os_error(), Some(libc::ENODEV | libc::ENOENT))
        }
        _ => false,
    }
}
