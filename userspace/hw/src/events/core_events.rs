//! Events that the cores count: generic ones, raw ones, and those a core PMU names.
//!
//! On a hybrid CPU each kind of core has a PMU of its own, and such an event one encoding for each.

use waytrace_model::counter::Unit;

use super::attr::Encodings;
use super::names;
use super::resolve::{bad, modifiers, with_modifiers};
use super::{Encoding, EventSpec, PerfAttr, Source};
use crate::pmu::Pmu;
use crate::{Error, Machine};

const TYPE_HARDWARE: u32 = 0;
const TYPE_HW_CACHE: u32 = 3;
/// Where the `config` of a generic event names the PMU (`PERF_PMU_TYPE_SHIFT`).
const PMU_TYPE_SHIFT: u32 = 32;

/// What is to be encoded for each core PMU.
enum Kind {
    /// `PERF_TYPE_HARDWARE` or `PERF_TYPE_HW_CACHE` with its number.
    Generic(u32, u64),
    /// A raw `config`.
    Raw(u64),
    /// An event of the PMU's `events` folder.
    Named,
}

/// The event called `name`; `None` where it is no core event.
pub fn find(machine: &Machine, text: &str, name: &str, letters: &str) -> Result<Option<EventSpec>, Error> {
    let (name, unit, kind) = if let Some(event) = names::find(&names::HARDWARE, name) {
        (event.name.to_owned(), event.unit, Kind::Generic(TYPE_HARDWARE, event.id))
    } else if let Some((name, config)) =
        names::cache_events().into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name))
    {
        (name, Unit::Count, Kind::Generic(TYPE_HW_CACHE, config))
    } else if let Some(config) = raw_config(name) {
        (name.to_owned(), Unit::Count, Kind::Raw(config))
    } else if machine.core_pmus().iter().any(|pmu| pmu.events.contains_key(name)) {
        (name.to_owned(), Unit::Count, Kind::Named)
    } else {
        return Ok(None);
    };
    let mut attr = PerfAttr::new(with_modifiers(&name, letters), 0, 0);
    attr.modifiers = modifiers(text, letters)?;
    attr.encodings = encodings(machine, text, &name, &kind)?;
    Ok(Some(EventSpec { name: attr.name.clone(), unit, source: Source::Perf(attr) }))
}

/// `rNNN` with up to 16 hexadecimal digits.
fn raw_config(name: &str) -> Option<u64> {
    let digits = name.strip_prefix('r')?;
    (!digits.starts_with('+')).then(|| u64::from_str_radix(digits, 16).ok())?
}

fn encodings(machine: &Machine, text: &str, name: &str, kind: &Kind) -> Result<Encodings, Error> {
    let pmus = machine.core_pmus();
    if pmus.is_empty() {
        let present = machine.pmu_names().to_vec();
        return Err(Error::NoPmu { event: text.to_owned(), pmu: "cpu".to_owned(), present });
    }
    let hybrid = pmus.len() > 1;
    let mut encodings = Vec::new();
    for pmu in pmus {
        let cpus = if hybrid { pmu.cpus.clone() } else { None };
        if let Some(encoding) = encode(machine, pmu, text, name, kind)? {
            encodings.push((cpus, encoding));
        }
    }
    if encodings.is_empty() { bad(text, "no core PMU has it") } else { Ok(encodings) }
}

fn encode(
    machine: &Machine,
    pmu: &Pmu,
    text: &str,
    name: &str,
    kind: &Kind,
) -> Result<Option<Encoding>, Error> {
    let type_ = machine.event_type(pmu);
    Ok(match kind {
        Kind::Generic(type_, id) => {
            let hybrid = machine.core_pmus().len() > 1;
            let pmu_type = if hybrid { u64::from(pmu.type_) << PMU_TYPE_SHIFT } else { 0 };
            Some(Encoding { type_: *type_, config: [pmu_type | id, 0, 0, 0] })
        }
        Kind::Raw(config) => Some(Encoding { type_, config: [*config, 0, 0, 0] }),
        Kind::Named if pmu.events.contains_key(name) => {
            Some(Encoding { type_, config: pmu.encode(text, name)?.config })
        }
        Kind::Named => None,
    })
}
