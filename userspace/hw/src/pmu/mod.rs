//! PMUs as sysfs describes them: their number, the bit fields of their events, the events they name, where they count.
//!
//! Does not open anything; [`crate::counter`] does. Source: `Documentation/ABI/testing/sysfs-bus-event_source-devices-{format,events,caps}`.

mod format;
mod terms;

use std::collections::BTreeMap;

pub use format::Format;
pub use terms::{Encoded, Scale};

use crate::{Root, topology};

pub(crate) const DEVICES: &str = "sys/bus/event_source/devices";

/// Names of the PMUs of this machine, sorted.
pub fn names(root: &Root) -> Vec<String> {
    root.names(DEVICES)
}

/// An event a PMU names in its `events` folder.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedEvent {
    /// Its terms, as in `event=0x04,umask=0x03`.
    pub terms: String,
    /// What one count is worth, where the PMU says.
    pub scale: Option<Scale>,
}

/// One PMU.
#[derive(Debug, Clone)]
pub struct Pmu {
    /// Name of its folder.
    pub name: String,
    /// Number for `perf_event_attr.type`.
    pub type_: u32,
    /// Text of each field's description, by name; parsed when used, so that an odd one spoils no other.
    pub formats: BTreeMap<String, String>,
    /// Events it names.
    pub events: BTreeMap<String, NamedEvent>,
    /// Where to open it, if it counts for a whole package and not for tasks.
    pub cpumask: Option<Vec<u32>>,
    /// CPUs it belongs to, if it is the PMU of one kind of core.
    pub cpus: Option<Vec<u32>>,
    /// Highest `precise_ip` it takes, where it says.
    pub max_precise: Option<u8>,
}

impl Pmu {
    /// Reads the PMU `name`; `None` where there is none.
    pub fn load(root: &Root, name: &str) -> Option<Self> {
        if name.is_empty() || name.contains(['/', '\0']) || name.starts_with('.') {
            return None;
        }
        let dir = format!("{DEVICES}/{name}");
        let type_ = root.read(&format!("{dir}/type")).ok()?.parse().ok()?;
        let list = |file: &str| {
            root.read(&format!("{dir}/{file}")).ok().and_then(|text| topology::parse_list(&text).ok())
        };
        Some(Self {
            name: name.to_owned(),
            type_,
            formats: texts(root, &format!("{dir}/format")),
            events: named_events(root, &dir),
            cpumask: list("cpumask").filter(|cpus| !cpus.is_empty()),
            cpus: list("cpus"),
            max_precise: root
                .read(&format!("{dir}/caps/max_precise"))
                .ok()
                .and_then(|text| text.parse().ok()),
        })
    }

    /// Whether it counts what the cores execute: `cpu`, or one of several kinds, which have a list of their CPUs.
    pub fn is_core(&self) -> bool {
        self.name == "cpu" || self.cpus.is_some()
    }
}

fn texts(root: &Root, dir: &str) -> BTreeMap<String, String> {
    let read = |name: String| root.read(&format!("{dir}/{name}")).ok().map(|text| (name, text));
    root.names(dir).into_iter().filter_map(read).collect()
}

fn named_events(root: &Root, dir: &str) -> BTreeMap<String, NamedEvent> {
    const COMPANIONS: [&str; 4] = [".scale", ".unit", ".per-pkg", ".snapshot"];
    let files = texts(root, &format!("{dir}/events"));
    let is_event = |name: &str| !COMPANIONS.iter().any(|suffix| name.ends_with(suffix));
    let event = |(name, terms): (&String, &String)| {
        let factor = files.get(&format!("{name}.scale")).and_then(|text| text.parse().ok());
        let unit = files.get(&format!("{name}.unit")).cloned();
        let scale = (factor.is_some() || unit.is_some())
            .then(|| Scale { factor: factor.unwrap_or(1.0), unit: unit.unwrap_or_default() });
        (name.clone(), NamedEvent { terms: terms.clone(), scale })
    };
    files.iter().filter(|(name, _)| is_event(name)).map(event).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{hybrid, intel_like};

    #[test]
    fn a_pmu_is_read_with_its_companion_files_folded_in() {
        let tree = intel_like();
        let imc = Pmu::load(&tree.root, "uncore_imc_0").unwrap();
        assert_eq!((imc.type_, imc.cpumask.as_deref(), imc.is_core()), (12, Some([0].as_slice()), false));
        assert_eq!(imc.events.keys().collect::<Vec<_>>(), ["cas_count_read"]);
        let scale = imc.events["cas_count_read"].scale.clone().unwrap();
        assert_eq!((scale.factor, scale.unit.as_str()), (6.103515625e-5, "MiB"));
    }

    #[test]
    fn core_pmus_are_told_from_others() {
        let tree = hybrid();
        let core: Vec<String> = names(&tree.root)
            .into_iter()
            .filter(|name| Pmu::load(&tree.root, name).unwrap().is_core())
            .collect();
        assert_eq!(core, ["cpu_atom", "cpu_core"]);
        assert_eq!(Pmu::load(&intel_like().root, "cpu").unwrap().max_precise, Some(3));
    }

    #[test]
    fn a_name_cannot_leave_the_folder() {
        let tree = intel_like();
        for name in ["", "..", "../devices/cpu", "nope"] {
            assert!(Pmu::load(&tree.root, name).is_none(), "{name}");
        }
    }
}
