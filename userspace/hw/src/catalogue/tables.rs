//! The tables of the `x86` crate: Intel's CPUs from Nehalem to Skylake, compiled in.
//!
//! Frozen in 2022; a directory of newer files goes before them. Two values in them are none: erratum `0`, filter `na`.

use x86::perfcnt::intel::events::COUNTER_MAP;
use x86::perfcnt::intel::{Counter, EventDescription, MSRIndex, PebsType, Tuple};

use super::CpuId;
use super::event::{Counters, Event, Fields, Filter, Msr, Precise, fixed_counter};
use super::json::words;
use super::limits::{self, clean};
use super::units::{self, CORE};

/// The CPUs they know, sorted.
pub fn cpus() -> Vec<String> {
    let mut cpus: Vec<String> = COUNTER_MAP.keys().map(|key| (*key).to_owned()).collect();
    cpus.sort_unstable();
    cpus
}

/// Events of a CPU by name; `None` where they do not know it.
pub fn load(cpu: &CpuId) -> Option<Vec<Event>> {
    let table = COUNTER_MAP.get(cpu.any_stepping().to_string().as_str())?;
    let mut events: Vec<Event> = table.values().map(event).collect();
    events.sort_unstable_by(|a, b| (&a.pmu, &a.name).cmp(&(&b.pmu, &b.name)));
    Some(events)
}

fn event(table: &EventDescription<'static>) -> Event {
    let name = table.event_name.trim().to_ascii_lowercase();
    let unit = table.unit.map(|unit| clean(unit, limits::NAME_BYTES)).filter(|unit| !unit.is_empty());
    let pmu = match &unit {
        Some(unit) => units::pmu(unit),
        None if table.uncore => "uncore".to_owned(),
        None => CORE.to_owned(),
    };
    let value = Some(table.filter_value).filter(|value| *value != 0);
    let filter = |name: String| Filter { name, value };
    let details = table.public_description.and_then(limits::described);
    let description =
        limits::described(table.brief_description).or_else(|| details.clone()).unwrap_or_default();
    Event {
        counters: counters(table, &name, pmu == CORE),
        name,
        pmu,
        unit,
        fields: fields(table),
        taken_alone: table.taken_alone,
        precise: match table.pebs {
            PebsType::Regular => Precise::No,
            PebsType::PebsOrRegular => Precise::Possible,
            PebsType::PebsOnly => Precise::Only,
        },
        errata: table.errata.map_or_else(Vec::new, words),
        filters: table.filter.map_or_else(Vec::new, words).into_iter().map(filter).collect(),
        deprecated: table.deprecated,
        experimental: false,
        sample_period: Some(table.sample_after_value).filter(|period| *period > 0),
        scale: None,
        details: details.filter(|text| *text != description),
        description,
    }
}

fn fields(table: &EventDescription<'static>) -> Fields {
    let codes = match table.event_code {
        Tuple::One(code) => vec![u64::from(code)],
        Tuple::Two(first, second) => vec![u64::from(first), u64::from(second)],
    };
    let (Tuple::One(umask) | Tuple::Two(umask, _)) = table.umask;
    let indices = match table.msr_index {
        MSRIndex::None => Vec::new(),
        MSRIndex::One(index) => vec![index],
        MSRIndex::Two(first, second) => vec![first, second],
    };
    Fields {
        codes,
        umask: u64::from(umask) | u64::from(table.umask_ext) << 8,
        cmask: u64::from(table.counter_mask),
        invert: table.invert,
        edge: table.edge_detect,
        any_thread: table.any_thread,
        msr: (!indices.is_empty()).then_some(Msr { indices, value: table.msr_value }),
        port_mask: u64::from(table.port_mask),
        fc_mask: u64::from(table.fc_mask),
        extsel: table.extsel,
        terms: Vec::new(),
    }
}

fn counters(table: &EventDescription<'static>, name: &str, is_core: bool) -> Counters {
    let smt_off = match table.counter_ht_off {
        Some(Counter::Programmable(mask)) => u64::from(mask),
        _ => 0,
    };
    match table.counter {
        Counter::Programmable(mask) => Counters {
            general: u64::from(mask),
            general_smt_off: if smt_off == 0 { u64::from(mask) } else { smt_off },
            ..Counters::default()
        },
        // A fixed counter without a number is a unit's only one.
        Counter::Fixed(mask) => {
            let known = fixed_counter(name).filter(|_| is_core).map(|number| 1 << number);
            Counters { fixed: known.unwrap_or(u64::from(mask.max(1))), ..Counters::default() }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(cpu: &str) -> Vec<Event> {
        load(&cpu.parse().unwrap()).unwrap()
    }

    fn named<'a>(events: &'a [Event], name: &str) -> &'a Event {
        events.iter().find(|event| event.name == name).unwrap()
    }

    #[test]
    fn thirty_six_models_are_known_and_the_crates_traps_avoided() {
        assert_eq!(cpus().len(), 36);
        let all = events("GenuineIntel-6-55-4");
        assert_eq!(all.len(), 3732);
        assert!(all.iter().all(|event| !event.errata.iter().any(|erratum| erratum == "0")));
        assert!(all.iter().all(|event| !event.filters.iter().any(|filter| filter.name == "na")));
        let latency = named(&all, "mem_trans_retired.load_latency_gt_32");
        assert_eq!(latency.encoding(), "event=0xcd,umask=0x1,ldlat=0x20");
        assert!(latency.taken_alone && latency.precise == Precise::Only && latency.counters.general == 0xf);
        for (name, bit) in
            [("inst_retired.any", 0), ("cpu_clk_unhalted.thread", 1), ("cpu_clk_unhalted.ref_tsc", 2)]
        {
            let counters = &named(&all, name).counters;
            assert_eq!((counters.fixed, counters.general), (1 << bit, 0), "{name}");
        }
    }

    #[test]
    fn every_event_of_every_model_has_a_counter() {
        for cpu in cpus() {
            for event in events(&cpu) {
                assert!(!event.counters.is_unstated(), "{cpu} {}", event.name);
                assert!(!event.encoding().is_empty(), "{cpu} {}", event.name);
            }
        }
        assert_eq!(load(&"GenuineIntel-6-8F".parse().unwrap()), None);
        // The one whose mask of fixed counters the crate leaves empty.
        assert_eq!(named(&events("GenuineIntel-6-4F"), "unc_m_clockticks").counters.fixed, 1);
    }
}
