//! The kernel's bandwidth controller (mount option `mba_MBps`): limits in MiB/s, held by changing the percentages once a second.
//!
//! Source: `Documentation/filesystems/resctrl.rst`, "Memory Bandwidth Allocation specified in MiBps"; `update_mba_bw`,
//! fs/resctrl/monitor.c; `bw_validate`, fs/resctrl/ctrlmondata.c.

use std::collections::BTreeMap;

use super::numbers::kernel_number;
use super::schema::{self, Resource};
use super::{Errno, Resctrl};
use crate::model::machine::Machine;
use crate::spec::{HostSpec, MonitorEvent, Vendor};

const MIB: u64 = 1 << 20;
/// Limit of a class without one.
const UNLIMITED: u32 = u32::MAX;

/// What the controller knows.
#[derive(Debug, Clone, Default)]
pub(super) struct Controller {
    /// Limits by cache and class; without an entry none.
    limits: BTreeMap<(usize, u32), u32>,
    /// Bytes an RMID had moved a second ago.
    before: BTreeMap<(usize, u16), u64>,
}

impl Controller {
    /// One for a host that is mounted so; `None` for others, and for those whose scale it cannot use.
    pub fn new(spec: &HostSpec) -> Option<Self> {
        let able = spec.vendor == Vendor::Intel
            && spec.mba.is_some_and(|mba| mba.linear)
            && spec.monitoring.is_some();
        (spec.mba_mbps && able).then(Self::default)
    }

    /// A class's limit, MiB/s.
    pub fn limit(&self, domain: usize, closid: u32) -> u32 {
        self.limits.get(&(domain, closid)).copied().unwrap_or(UNLIMITED)
    }

    /// A new class has none. Its percentage is as the last class with that number left it.
    pub fn open(&mut self, closid: u32) {
        self.limits.retain(|(_, of), _| *of != closid);
    }
}

impl Resctrl {
    /// Takes a limit as it is read, before other lines of the text are: a refusal of one of these does not take it back.
    pub(super) fn write_limit(&mut self, domain: usize, closid: u32, text: &str) -> Result<(), Errno> {
        let value = kernel_number(text, 10).and_then(|value| u32::try_from(value).ok());
        match (value, &mut self.controller) {
            (Some(value), Some(controller)) => {
                controller.limits.insert((domain, closid), value);
                Ok(())
            }
            _ => self.refuse(libc::EINVAL, format!("Invalid MB value {text}")),
        }
    }

    /// A second's step of every class: a step less where it moved more than its limit, a step more where that would not exceed it.
    pub(super) fn control_bandwidth(&mut self, machine: &mut Machine) {
        let (Some(mut controller), Some(mba)) = (self.controller.take(), machine.spec().mba) else { return };
        let schemas = schema::all(machine.spec(), self.cdp);
        let bandwidth = schemas.into_iter().find(|schema| schema.resource == Resource::Bandwidth);
        let classes: Vec<(u32, Vec<u16>)> = self
            .groups
            .values()
            .map(|group| {
                (group.closid, group.monitors.values().map(|one| one.rmid).chain([group.rmid]).collect())
            })
            .collect();
        if let Some(schema) = bandwidth {
            for domain in schema.domains(machine) {
                for (closid, rmids) in &classes {
                    let mut moved = 0;
                    for &rmid in rmids {
                        let read = self.read_event(machine, domain, rmid, MonitorEvent::LocalBytes);
                        let bytes = read.unwrap_or_default();
                        moved += (bytes
                            - controller.before.insert((domain, rmid), bytes).unwrap_or(0).min(bytes))
                            / MIB;
                    }
                    let (percent, limit) = (
                        schema.value(machine, domain, *closid),
                        u64::from(controller.limit(domain, *closid)),
                    );
                    let (min, max, step) =
                        (u64::from(mba.min), u64::from(mba.max), u64::from(mba.granularity));
                    if percent > min && limit < moved {
                        schema.set(machine, domain, *closid, percent - step);
                    } else if percent < max && limit > moved * (percent + min) / percent.max(1) {
                        schema.set(machine, domain, *closid, percent + step);
                    }
                }
            }
        }
        self.controller = Some(controller);
    }
}
