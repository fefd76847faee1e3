//! What follows for caches: which level can be divided, limited and monitored, by whom, and what it takes. Pure.

use waytrace_model::cache_report::{CacheResource, Capabilities, Interface, LimitUnit, Use};
use waytrace_model::units::format_bytes;

use super::Attempt;
use super::facts::Facts;
use super::features::{Feature, State, Why, feature};
use super::kernel::OptionState;
use super::privilege::missing;
use crate::rdt::{NO_LIMITS, NOT_LINEAR};

/// Said of all that only hardware could show.
pub const UNVERIFIED: &str = "not verified on hardware";
const MOUNT: &str = "as root, `waytrace doctor --fix resctrl` or `mount -t resctrl resctrl /sys/fs/resctrl`";
const RESCTRL_RIGHTS: &str = "run as root: its files are root's; CAP_DAC_OVERRIDE opens them, but putting threads of other users into a class takes root";

/// The rows about caches.
pub fn rows(facts: &Facts, msr_device: &Attempt) -> Vec<Feature> {
    vec![
        resctrl(facts),
        allocation(facts),
        code_and_data(facts),
        bandwidth(facts),
        monitoring(facts),
        msr(facts, msr_device),
    ]
}

fn works(name: &'static str, reason: String) -> Feature {
    feature(name, State::Works, (reason, None))
}

fn resctrl(facts: &Facts) -> Feature {
    const NAME: &str = "resctrl";
    let caches = &facts.caches;
    if let Some(lacks) = &caches.resctrl_lacks {
        let fix = caches.resctrl_mountable.then(|| MOUNT.to_owned());
        let reason = lacks.split("; as root").next().unwrap_or(lacks).to_owned();
        return feature(NAME, State::Unavailable, (reason, fix));
    }
    let path = facts.rdt.resctrl_mount.as_deref().unwrap_or("/sys/fs/resctrl");
    let mounted = format!("mounted at {path} ({})", caches.resctrl_options.join(","));
    match &caches.resctrl_write {
        Some(write @ Attempt::Failed { message, .. }) => {
            let fix = if write.is_denied() { RESCTRL_RIGHTS } else { "`mount -o remount,rw` it" };
            let reason = format!("{mounted}; opening its schemata to write: {message}");
            feature(NAME, State::Degraded, (reason, Some(fix.to_owned())))
        }
        _ => works(NAME, format!("{mounted}, may be written; {UNVERIFIED}")),
    }
}

/// What was found, or why nothing was.
fn found<'a>(facts: &'a Facts, flags: &[String]) -> Result<&'a Capabilities, Why> {
    let caches = &facts.caches;
    if let Some(found) = &caches.found {
        return Ok(found);
    }
    if caches.resctrl_mountable {
        return Err((
            format!("the CPU and the kernel can, but resctrl is not mounted ({})", flags.join(" ")),
            Some(MOUNT.to_owned()),
        ));
    }
    if flags.is_empty() {
        let reason = caches.resctrl_lacks.clone().or_else(|| caches.refused.clone());
        return Err((reason.unwrap_or_else(|| "the CPU does not announce it".to_owned()), None));
    }
    if caches.resctrl_lacks.is_some() {
        let reason = format!("the CPU has it ({}), the kernel has no resctrl", flags.join(" "));
        let fix = "a kernel built with CONFIG_X86_CPU_RESCTRL=y, or `modprobe msr` and `--interface msr`";
        return Err((reason, Some(fix.to_owned())));
    }
    Err((caches.refused.clone().unwrap_or_default(), None))
}

/// How well what was found can be used, and by whom.
fn usable(facts: &Facts) -> (State, String) {
    match facts.caches.interface {
        Some(Interface::Msr) => {
            (State::Degraded, format!("by `--interface msr`, of CPUs only; {UNVERIFIED}"))
        }
        _ if facts.caches.resctrl_write.as_ref().is_some_and(|write| !write.works()) => {
            (State::Degraded, format!("can be read only (see resctrl); {UNVERIFIED}"))
        }
        _ => (State::Works, UNVERIFIED.to_owned()),
    }
}

fn judged(name: &'static str, facts: &Facts, what: &str) -> Feature {
    let (state, how) = usable(facts);
    feature(name, state, (format!("{what}; {how}"), None))
}

fn allocation(facts: &Facts) -> Feature {
    const NAME: &str = "cache allocation (CAT)";
    let found = match found(facts, &facts.rdt.allocation_flags) {
        Ok(found) => found,
        Err(why) => return feature(NAME, State::Unavailable, why),
    };
    // Code and data are one cache; it is told once.
    let levels: Vec<String> =
        found.caches.iter().filter(|cache| cache.used_for != Use::Code).map(level).collect();
    if levels.is_empty() {
        let reason = "no level of cache can be allocated on this CPU".to_owned();
        return feature(NAME, State::Unavailable, (reason, None));
    }
    judged(NAME, facts, &levels.join("; "))
}

fn level(cache: &CacheResource) -> String {
    let bytes =
        cache.way_bytes.map_or_else(String::new, |bytes| format!(" of {}", format_bytes(bytes as f64)));
    format!(
        "L{}: {} ways{bytes} on {} caches, at least {}, {} classes",
        cache.level,
        cache.ways,
        cache.caches.len(),
        cache.rules.min_ways,
        cache.classes
    )
}

fn code_and_data(facts: &Facts) -> Feature {
    const NAME: &str = "code and data apart (CDP)";
    let split = facts.caches.found.iter().flat_map(|found| &found.caches);
    let mut split: Vec<String> = split
        .filter(|cache| cache.used_for == Use::Data)
        .map(|cache| format!("L{} is split", cache.level))
        .collect();
    split.dedup();
    if !split.is_empty() {
        return judged(NAME, facts, &split.join("; "));
    }
    let flags: Vec<&str> = facts
        .rdt
        .allocation_flags
        .iter()
        .map(String::as_str)
        .filter(|flag| flag.starts_with("cdp"))
        .collect();
    if flags.is_empty() {
        let reason = "the CPU does not announce it (no cdp_l3 or cdp_l2 in /proc/cpuinfo)".to_owned();
        return feature(NAME, State::Unavailable, (reason, None));
    }
    let reason = format!("the CPU can ({}), and it is not switched on", flags.join(" "));
    let fix = "where it is wanted, mount resctrl with `-o cdp` or `-o cdpl2`; each class takes two then";
    feature(NAME, State::Degraded, (reason, Some(fix.to_owned())))
}

fn bandwidth(facts: &Facts) -> Feature {
    const NAME: &str = "bandwidth limits (MBA)";
    let found = match found(facts, &facts.rdt.allocation_flags) {
        Ok(found) => found,
        Err(why) => return feature(NAME, State::Unavailable, why),
    };
    let told: Vec<String> = found
        .bandwidth
        .iter()
        .map(|one| {
            let unit = match one.unit {
                LimitUnit::Percent => "%",
                LimitUnit::MibPerSecond => "MiB/s",
                LimitUnit::EighthGbPerSecond => "/8 GB/s",
            };
            match one.unit {
                LimitUnit::MibPerSecond => {
                    format!("{}: {unit}, held by the kernel, {} classes", one.name, one.classes)
                }
                _ => format!(
                    "{}: from {}{unit} in steps of {}, {} classes",
                    one.name, one.min, one.step, one.classes
                ),
            }
        })
        .collect();
    if told.is_empty() {
        let announced = facts.rdt.allocation_flags.iter().any(|flag| flag == "mba");
        let reason = if announced { NOT_LINEAR } else { NO_LIMITS };
        return feature(NAME, State::Unavailable, (reason.to_owned(), None));
    }
    judged(NAME, facts, &told.join("; "))
}

fn monitoring(facts: &Facts) -> Feature {
    const NAME: &str = "cache monitoring (CMT/MBM)";
    match found(facts, &facts.rdt.monitoring_flags).map(|found| found.monitoring.as_ref()) {
        Ok(Some(found)) => {
            judged(NAME, facts, &format!("L3: {}, {} RMIDs", found.events.join(" "), found.max_rmids))
        }
        Ok(None) => {
            let reason = "this CPU monitors no cache (no cqm flags in /proc/cpuinfo)".to_owned();
            feature(NAME, State::Unavailable, (reason, None))
        }
        Err(why) => feature(NAME, State::Unavailable, why),
    }
}

fn msr(facts: &Facts, device: &Attempt) -> Feature {
    const NAME: &str = "MSR access";
    if !facts.msr_device {
        let fix = match facts.kernel.option("X86_MSR") {
            OptionState::Module => Some("`waytrace doctor --fix msr`, or `modprobe msr`".to_owned()),
            OptionState::No => Some("a kernel built with CONFIG_X86_MSR".to_owned()),
            OptionState::Yes | OptionState::Unknown => None,
        };
        return feature(NAME, State::Unavailable, ("there is no /dev/cpu/0/msr".to_owned(), fix));
    }
    if let Attempt::Failed { message, .. } = device {
        let lacks = missing(&facts.capabilities, &["CAP_SYS_RAWIO"]);
        let lacks = if lacks.is_empty() { String::new() } else { "; missing CAP_SYS_RAWIO".to_owned() };
        let fix = "run as root, or with CAP_SYS_RAWIO and the right to read and write /dev/cpu/*/msr (0600, root's)";
        return feature(
            NAME,
            State::Unavailable,
            (format!("opening /dev/cpu/0/msr: {message}{lacks}"), Some(fix.to_owned())),
        );
    }
    let locked = facts.kernel.lockdown.as_deref().filter(|state| *state != "none");
    let refused = match (locked, facts.caches.msr_writes.as_deref()) {
        (Some(state), _) => Some((
            format!(
                "/dev/cpu/0/msr opens, but the kernel is locked down ({state}): registers cannot be written"
            ),
            "boot without `lockdown=`, or use resctrl",
        )),
        (None, Some("off")) => Some((
            "/dev/cpu/0/msr opens, but the driver takes no writes".to_owned(),
            "`echo on > /sys/module/msr/parameters/allow_writes`, as root",
        )),
        (None, _) => None,
    };
    match refused {
        Some((reason, fix)) => feature(NAME, State::Degraded, (reason, Some(fix.to_owned()))),
        None => works(NAME, format!("/dev/cpu/0/msr opens; {UNVERIFIED}")),
    }
}
