//! The machine's monitoring groups: those of others, and our own, which members are put into.

use waytrace_hw::Root;
use waytrace_hw::rdt::{CacheAllocation, Monitored, RdtError};

use super::meter::Meter;
use super::own::Own;

/// Who is asked, and what was made.
pub struct Groups {
    pub root: Root,
    pub allocation: Box<dyn CacheAllocation>,
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

impl Groups {
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
fn is_gone(error: &RdtError) -> bool {
    match error {
        RdtError::NoClass { .. } | RdtError::NoMonitor { .. } => true,
        RdtError::Read { source, .. } | RdtError::Refused { source, .. } => {
            matches!(source.raw_os_error(), Some(libc::ENODEV | libc::ENOENT))
        }
        _ => false,
    }
}
