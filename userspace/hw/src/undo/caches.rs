//! Taking back classes, their values and monitoring groups.

use waytrace_model::cache_report::{BandwidthResource, Class, Interface};

use super::lines::Header;
use super::perform::{Effect, Tried};
use crate::Root;
use crate::msr::MsrAllocation;
use crate::rdt::{CacheAllocation, RdtError, ResctrlState, Setting, resctrl_state};
use crate::resctrl::Resctrl;

/// Who takes it back; or why it need not be.
pub enum Machine {
    /// The kernel's file system.
    Resctrl(Box<Resctrl>),
    /// The CPUs' registers.
    Msr(MsrAllocation),
    /// The kernel has reset everything since.
    Reset(String),
}

/// The allocation that was changed.
pub fn machine(root: &Root, header: &Header, interface: Interface) -> Result<Machine, String> {
    // Whether it is mounted must be known: a list of mounts that cannot be read is not an empty one.
    if let Err(error) = root.read("proc/self/mounts").or_else(|_| root.read("proc/mounts"))
        && error.kind() != std::io::ErrorKind::NotFound
    {
        return Err(format!("reading /proc/mounts: {error}"));
    }
    let is_mounted = matches!(resctrl_state(root), ResctrlState::Mounted { .. });
    match interface {
        Interface::Resctrl if !is_mounted => Ok(Machine::Reset(
            "resctrl was unmounted since, with which the kernel sets all of it back".to_owned(),
        )),
        Interface::Msr if is_mounted && !header.resctrl_mounted => Ok(Machine::Reset(
            "resctrl was mounted since, and the kernel has set the registers anew".to_owned(),
        )),
        Interface::Resctrl => said(Resctrl::open(root).map(|resctrl| Machine::Resctrl(Box::new(resctrl)))),
        Interface::Msr => said(MsrAllocation::open(root, true).map(Machine::Msr)),
    }
}

/// A result, its error in words.
pub fn said<T>(result: Result<T, RdtError>) -> Result<T, String> {
    result.map_err(|error| error.to_string())
}

/// Removes a class.
pub fn created(root: &Root, header: &Header, interface: Interface, name: &str) -> Tried {
    with(machine(root, header, interface)?, |allocation| {
        let Some(class) = said(allocation.classes())?.into_iter().find(|class| class.name == name) else {
            return Ok(Effect::Nothing);
        };
        match allocation.remove_class(name) {
            // A class of registers is always there, and may have been as after boot already.
            Ok(()) if said(allocation.classes())?.contains(&class) => Ok(Effect::Nothing),
            Ok(()) => Ok(Effect::Done(format!("class {name} is removed"))),
            Err(RdtError::NoClass { .. }) => Ok(Effect::Nothing),
            Err(error) => Err(error.to_string()),
        }
    })
}

/// Removes a monitoring group.
pub fn created_monitor(root: &Root, header: &Header, interface: Interface, class: &str, name: &str) -> Tried {
    with(machine(root, header, interface)?, |allocation| {
        // A register's monitor stays with its CPU when somebody gives that another class.
        let is_its = |own: &&Class| own.name == class || interface == Interface::Msr;
        let classes = said(allocation.classes())?;
        let mut groups = classes.iter().filter(is_its).flat_map(|class| &class.monitor_groups);
        if !groups.any(|group| group.name == name) {
            return Ok(Effect::Nothing);
        }
        match allocation.remove_monitor(class, name) {
            Ok(()) => Ok(Effect::Done(format!("monitoring group {name} of class {class} is removed"))),
            Err(RdtError::NoMonitor { .. } | RdtError::NoClass { .. }) => Ok(Effect::Nothing),
            Err(error) => Err(error.to_string()),
        }
    })
}

/// Sets values of a class back.
pub fn settings(
    root: &Root,
    header: &Header,
    interface: Interface,
    class: &str,
    old: &[Setting],
    ours: &[Setting],
) -> Tried {
    with(machine(root, header, interface)?, |allocation| {
        let Some(present) = said(allocation.classes())?.into_iter().find(|own| own.name == class) else {
            return Ok(Effect::Left(format!("class {class} is gone, and its values with it")));
        };
        let bandwidth = said(allocation.capabilities())?.bandwidth;
        let mut back = Vec::new();
        let mut foreign = Vec::new();
        for setting in old {
            match now(&present, setting) {
                Some(now) if now == *setting => {}
                Some(now) if ours.iter().any(|ours| *ours == now || rounded(ours, &bandwidth) == now) => {
                    back.push(setting.clone());
                }
                Some(now) => foreign.push(told(&now)),
                None => foreign.push(format!("{} (no longer there)", told(setting))),
            }
        }
        let done = match allocation.set(class, &back) {
            Ok(()) => back.iter().map(told).collect::<Vec<_>>().join(" "),
            Err(error @ RdtError::Protected { .. }) => {
                return Ok(Effect::Left(format!("class {class}: {error}")));
            }
            Err(error) => return Err(format!("class {class}: {error}")),
        };
        Ok(match (foreign.is_empty(), done.is_empty()) {
            (true, true) => Effect::Nothing,
            (true, false) => Effect::Done(format!("class {class} has {done} again")),
            (false, _) => {
                let by_whom =
                    format!("class {class} has {} by now, which somebody else set", foreign.join(" "));
                Effect::Left(if done.is_empty() { by_whom } else { format!("{by_whom}; set back: {done}") })
            }
        })
    })
}

/// The value a class has where a setting is about to set it.
fn now(class: &Class, setting: &Setting) -> Option<Setting> {
    match setting {
        Setting::Mask { resource, cache_id, .. } => {
            class.masks.iter().find(|mask| mask.resource == *resource && mask.cache_id == *cache_id).map(
                |mask| Setting::Mask { resource: resource.clone(), cache_id: *cache_id, mask: mask.mask },
            )
        }
        Setting::Limit { resource, cache_id, .. } => {
            class.limits.iter().find(|limit| limit.resource == *resource && limit.cache_id == *cache_id).map(
                |limit| Setting::Limit {
                    resource: resource.clone(),
                    cache_id: *cache_id,
                    value: limit.value,
                },
            )
        }
    }
}

/// A limit as the machine takes it: up to the next step.
fn rounded(setting: &Setting, bandwidth: &[BandwidthResource]) -> Setting {
    let mut setting = setting.clone();
    if let Setting::Limit { resource, value, .. } = &mut setting
        && let Some(bandwidth) = bandwidth.iter().find(|bandwidth| bandwidth.name == *resource)
        && let Some(next) = value.checked_next_multiple_of(bandwidth.step)
    {
        *value = next;
    }
    setting
}

/// A setting as schemata write it.
fn told(setting: &Setting) -> String {
    match setting {
        Setting::Mask { resource, cache_id, mask } => format!("{resource}:{cache_id}={mask}"),
        Setting::Limit { resource, cache_id, value } => format!("{resource}:{cache_id}={value}"),
    }
}

fn with(machine: Machine, act: impl FnOnce(&mut dyn CacheAllocation) -> Tried) -> Tried {
    match machine {
        Machine::Resctrl(mut resctrl) => act(&mut *resctrl),
        Machine::Msr(mut registers) => act(&mut registers),
        Machine::Reset(why) => Ok(Effect::Left(why)),
    }
}
