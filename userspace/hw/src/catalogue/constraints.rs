//! What events take of their PMUs and what keeps them apart: the facts a schedule without multiplexing has to respect.
//!
//! Does not schedule. Sources: SDM vol. 3 ch. 21 and 22 (registers beside the counters), `arch/x86/events/intel/core.c` (which of
//! them are shared, which counters disturb those of the other thread), `arch/x86/events/amd/{core,uncore}.c` (numbers of counters), Intel's readme of the perfmon data ("TakenAlone").

use std::collections::BTreeMap;

use super::CpuId;
use super::event::{Event, Filter};
use super::units::CORE;
use crate::Root;

/// How the machine is set up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Setup {
    /// SMT is off: a core may have the general counters of both threads.
    pub smt_off: bool,
    /// The NMI watchdog holds the fixed counter of cycles.
    pub nmi_watchdog: bool,
    /// Counters of retired memory accesses spoil the other thread's counter of the same number: Sandy Bridge, Ivy Bridge, Haswell
    /// (errata BJ122, BV98, HSD29). While one counts, Linux lets a thread use half of the general counters.
    pub disturbs_siblings: bool,
}

impl Setup {
    /// A CPU with SMT on and no watchdog.
    pub fn of(cpu: &CpuId) -> Self {
        let disturbs_siblings = matches!(
            cpu,
            CpuId::X86 { vendor, family: 6, model, .. } if vendor == "GenuineIntel" && DISTURBING.contains(model)
        );
        Self { disturbs_siblings, ..Self::default() }
    }

    /// That of the machine whose files are under `root`.
    pub fn read(root: &Root) -> Self {
        let is = |file: &str, value: i64| root.read_number(file) == Some(value);
        Self {
            smt_off: is("sys/devices/system/cpu/smt/active", 0),
            nmi_watchdog: is("proc/sys/kernel/nmi_watchdog", 1),
            ..CpuId::running(root).map_or_else(|_| Self::default(), |cpu| Self::of(&cpu))
        }
    }
}

/// What a PMU has, as far as its events tell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Offer {
    /// The PMU.
    pub pmu: String,
    /// General counters that may be used, by bit.
    pub general: u64,
    /// Fixed counters that may be used, by bit.
    pub fixed: u64,
    /// Registers that hold one value each, by kind, with how many of a kind there are.
    pub registers: BTreeMap<String, usize>,
}

/// What an event needs of its PMU.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Demand {
    /// General counters, any one of these.
    pub general: u64,
    /// Fixed counters, any one of these, or a general one.
    pub fixed: u64,
    /// General counters that can count it too, and need not: those of an event with a fixed counter of its own.
    pub twin: u64,
    /// Kinds of registers, with the value needed there.
    pub registers: Vec<(String, u64)>,
    /// No other event on a general counter meanwhile.
    pub alone: bool,
    /// Half of the general counters have to stay free meanwhile, for the core's other thread.
    pub halves: bool,
    /// No counter needed: counts with any others.
    pub unlimited: bool,
}

/// The fixed counter of core cycles, which the hard lockup detector takes.
const CYCLES: u64 = 1 << 1;
/// Models of Intel's family 6 for which `arch/x86/events/intel/core.c` keeps the counters of [`MEMORY_CODES`] exclusive.
const DISTURBING: [u32; 8] = [0x2a, 0x2d, 0x3a, 0x3c, 0x3e, 0x3f, 0x45, 0x46];
/// The event codes: `mem_uops_retired`, `mem_load_uops_retired` and those of hits and misses of the last level.
const MEMORY_CODES: std::ops::RangeInclusive<u64> = 0xd0..=0xd3;
/// What the vendor calls it, by model. Not about two events of one thread, so no reason to keep such apart.
const OF_SIBLINGS: [&str; 4] = ["bj122", "bv98", "hsd29", "hsm30"];
/// Fixed counters whose events have a general twin, which [`Event::terms`] asks for: instructions and core cycles.
const WITH_TWIN: u64 = 0b11;

/// The PMUs of `events` with what they have, by name.
pub fn offers(events: &[Event], setup: Setup) -> BTreeMap<String, Offer> {
    let mut offers: BTreeMap<String, Offer> = BTreeMap::new();
    for event in events {
        let offer = offers.entry(event.pmu.clone()).or_default();
        offer.general |= stated(event, setup);
        offer.fixed |= event.counters.fixed;
        for (register, _) in registers(event) {
            let count = if register == OFFCORE { 2 } else { 1 };
            offer.registers.insert(register, count);
        }
    }
    for (pmu, offer) in &mut offers {
        offer.pmu.clone_from(pmu);
        if offer.general == 0 && offer.fixed == 0 {
            offer.general = (1 << usual_counters(pmu)) - 1;
        }
        if setup.nmi_watchdog && is_core(pmu) {
            offer.fixed &= !CYCLES;
        }
    }
    offers
}

/// What `event` needs of the PMU that has `offer`.
pub fn demand(event: &Event, offer: &Offer, setup: Setup) -> Demand {
    let mut general = stated(event, setup);
    let is_unstated = event.counters.is_unstated();
    let can_move = event.is_core() && event.counters.fixed & WITH_TWIN != 0;
    // Only where its fixed counter is taken: elsewhere it would compete for counters that others need.
    if is_unstated || (can_move && event.counters.fixed & offer.fixed == 0) {
        general |= offer.general;
    }
    Demand {
        general,
        fixed: event.counters.fixed,
        twin: if can_move { offer.general } else { 0 },
        registers: registers(event),
        alone: event.taken_alone,
        halves: halves(event, setup),
        unlimited: event.counters.unlimited,
    }
}

/// Pairs of events, as places in `events`, that an erratum both list advises not to count at once.
///
/// The files do not say what an erratum does, and some are about events that spoil each other's counts. One that is about the
/// other thread's counters is left to [`Demand::halves`].
pub fn errata_pairs(events: &[Event]) -> Vec<(usize, usize)> {
    let mut by_erratum: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (at, event) in events.iter().enumerate() {
        let apart = |erratum: &&String| !OF_SIBLINGS.iter().any(|of| erratum.eq_ignore_ascii_case(of));
        for erratum in event.errata.iter().filter(apart) {
            by_erratum.entry(erratum).or_default().push(at);
        }
    }
    let mut pairs = Vec::new();
    for members in by_erratum.values().filter(|members| members.len() <= MOST_OF_AN_ERRATUM) {
        for (rank, one) in members.iter().enumerate() {
            pairs.extend(members.iter().skip(rank + 1).map(|other| (*one, *other)));
        }
    }
    pairs.sort_unstable();
    pairs.dedup();
    pairs
}

/// An erratum that more events list is one of the whole PMU, and pairs would be beyond counting.
const MOST_OF_AN_ERRATUM: usize = 200;

fn stated(event: &Event, setup: Setup) -> u64 {
    if setup.smt_off {
        event.counters.general | event.counters.general_smt_off
    } else {
        event.counters.general
    }
}

fn halves(event: &Event, setup: Setup) -> bool {
    let is_of_memory = event.fields.codes.first().is_some_and(|code| MEMORY_CODES.contains(code));
    setup.disturbs_siblings && !setup.smt_off && event.is_core() && is_of_memory
}

fn is_core(pmu: &str) -> bool {
    pmu == CORE || pmu.starts_with("cpu_")
}

/// General counters of PMUs whose files name none.
fn usual_counters(pmu: &str) -> u32 {
    match pmu {
        "amd_l3" => 6,
        "amd_df" | "amd_umc" => 4,
        // AMD since family 15h and Arm's larger cores; Intel's files say.
        _ if is_core(pmu) => 6,
        _ => 4,
    }
}

const OFFCORE: &str = "offcore_rsp";

/// Registers beside the counter that all events of the PMU share, with the values needed.
fn registers(event: &Event) -> Vec<(String, u64)> {
    let mut registers = Vec::new();
    if let Some(msr) = &event.fields.msr {
        let name = match msr.indices.first() {
            Some(0x1a6 | 0x1a7) => OFFCORE.to_owned(),
            Some(0x3f6) => "ldlat".to_owned(),
            Some(0x3f7) => "frontend".to_owned(),
            Some(index) => format!("msr {index:#x}"),
            None => return registers,
        };
        // One of the two registers only is one register of its own kind.
        let name = match (name.as_str(), msr.indices.as_slice()) {
            (OFFCORE, [only]) => format!("{OFFCORE} {only:#x}"),
            _ => name,
        };
        registers.push((name, msr.value));
    }
    for filter in event.filters.iter().filter(|filter| filter.is_shared()) {
        registers.push((register_of(filter, event), filter.value.unwrap_or(0)));
    }
    registers
}

/// One name for the same bits of the same register: files write `CHAFilter1[31:0]`, `CHAfilter1` and `Filter1` alike.
fn register_of(filter: &Filter, event: &Event) -> String {
    let name = filter.name.to_ascii_lowercase();
    let unit = event.unit.as_deref().unwrap_or_default().to_ascii_lowercase();
    let name = name.strip_prefix(&unit).filter(|rest| rest.starts_with("filter")).unwrap_or(&name);
    name.strip_suffix("[31:0]").unwrap_or(name).to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::event::{Counters, Fields, Msr};
    use super::*;
    use crate::testing::Tree;

    fn core(name: &str, general: u64, smt_off: u64, fixed: u64) -> Event {
        Event {
            name: name.to_owned(),
            pmu: CORE.to_owned(),
            counters: Counters { general, general_smt_off: smt_off, fixed, unlimited: false },
            ..Event::default()
        }
    }

    fn filtered(name: &str, value: Option<u64>) -> Event {
        let filters = vec![Filter { name: name.to_owned(), value }];
        let pmu = "uncore_cha".to_owned();
        Event { pmu, unit: Some("CHA".to_owned()), filters, ..core("u", 0xf, 0xf, 0) }
    }

    #[test]
    fn counters_are_those_of_the_setup() {
        let events = [core("a", 0xf, 0xff, 0), core("b", 1, 1, 0), core("inst_retired.any", 0, 0, 1)];
        let on = offers(&events, Setup::default());
        assert_eq!((on[CORE].general, on[CORE].fixed), (0xf, 1));
        let off = Setup { smt_off: true, ..Setup::default() };
        assert_eq!(offers(&events, off)[CORE].general, 0xff);
        assert_eq!(demand(&events[1], &on[CORE], off).general, 1);
    }

    #[test]
    fn the_watchdog_takes_the_fixed_counter_of_cycles_and_they_move() {
        let events = [
            core("a", 0xf, 0xf, 0),
            core("cpu_clk_unhalted.thread", 0, 0, 2),
            core("cpu_clk_unhalted.ref_tsc", 0, 0, 4),
        ];
        let setup = Setup { nmi_watchdog: true, ..Setup::default() };
        let offer = &offers(&events, setup)[CORE];
        assert_eq!(offer.fixed, 4);
        assert_eq!(demand(&events[1], offer, setup).general, 0xf);
        assert_eq!(demand(&events[2], offer, setup).general, 0);
        let offer = &offers(&events, Setup::default())[CORE];
        let free = demand(&events[1], offer, Setup::default());
        assert_eq!((free.general, free.twin), (0, 0xf));
    }

    #[test]
    fn registers_are_shared_by_value_and_two_serve_offcore_responses() {
        let with = |indices: &[u64], value| {
            let msr = Some(Msr { indices: indices.to_vec(), value });
            Event { fields: Fields { msr, ..Fields::default() }, ..core("e", 0xf, 0xf, 0) }
        };
        let events = [with(&[0x1a6, 0x1a7], 1), with(&[0x3f6], 32), with(&[0x3f7], 0x12), with(&[0x1a6], 3)];
        let offer = &offers(&events, Setup::default())[CORE];
        let count = |name: &str| offer.registers[name];
        assert_eq!(
            (count("offcore_rsp"), count("ldlat"), count("frontend"), count("offcore_rsp 0x1a6")),
            (2, 1, 1, 1)
        );
        assert_eq!(demand(&events[1], offer, Setup::default()).registers, [("ldlat".to_owned(), 32)]);
    }

    #[test]
    fn one_register_has_one_name_and_masks_of_a_counter_are_none() {
        for name in ["CHAFilter1[31:0]", "CHAfilter1", "Filter1"] {
            assert_eq!(registers(&filtered(name, Some(7))), [("filter1".to_owned(), 7)], "{name}");
        }
        assert_eq!(registers(&filtered("CBoFilter1[28:20]", None)), [("cbofilter1[28:20]".to_owned(), 0)]);
        assert!(
            registers(&filtered("fc", None)).is_empty()
                && registers(&filtered("CtrCtrl[55:32]", None)).is_empty()
        );
    }

    #[test]
    fn errata_in_common_keep_apart() {
        let with = |errata: &[&str]| Event {
            errata: errata.iter().map(|e| (*e).to_owned()).collect(),
            ..core("e", 1, 1, 0)
        };
        let events = [with(&["A", "B"]), with(&[]), with(&["B"]), with(&["A", "B"])];
        assert_eq!(errata_pairs(&events), [(0, 2), (0, 3), (2, 3)]);
    }

    #[test]
    fn memory_accesses_leave_counters_to_the_other_thread_where_there_is_one() {
        let coded = |code: u64, pmu: &str| {
            let fields = Fields { codes: vec![code], ..Fields::default() };
            Event { pmu: pmu.to_owned(), fields, ..core("e", 0xf, 0xff, 0) }
        };
        let halves = |cpu: &str, smt_off, event: &Event| {
            let setup = Setup { smt_off, ..Setup::of(&cpu.parse().unwrap()) };
            demand(event, &Offer::default(), setup).halves
        };
        let memory = coded(0xd1, CORE);
        for cpu in ["GenuineIntel-6-2A", "GenuineIntel-6-3E", "GenuineIntel-6-3F-2", "GenuineIntel-6-45"] {
            assert!(halves(cpu, false, &memory) && !halves(cpu, true, &memory), "{cpu}");
        }
        for cpu in ["GenuineIntel-6-4F", "GenuineIntel-6-55", "AuthenticAMD-6-3F", "0x00000000410fd0c0"] {
            assert!(!halves(cpu, false, &memory), "{cpu}");
        }
        let haswell = "GenuineIntel-6-3C";
        assert!(
            !halves(haswell, false, &coded(0xcd, CORE))
                && !halves(haswell, false, &coded(0xd0, "uncore_cbox"))
        );
        let with = |errata: &[&str]| Event {
            errata: errata.iter().map(|erratum| (*erratum).to_owned()).collect(),
            ..memory.clone()
        };
        let events = [with(&["HSD29", "HSD25"]), with(&["HSD29", "HSM30"]), with(&["HSM30", "HSD25"])];
        assert_eq!(errata_pairs(&events), [(0, 2)]);
    }

    /// The bit is in each counter's own control register: no two events share it, but a fixed counter counts one way at a time.
    #[test]
    fn events_of_all_threads_share_what_others_do() {
        let any = |name: &str, fixed| {
            let fields = Fields { any_thread: true, ..Fields::default() };
            Event { fields, ..core(name, if fixed == 0 { 0xf } else { 0 }, 0xf, fixed) }
        };
        let own = core("cpu_clk_unhalted.thread", 0, 0, 2);
        let events = [own, any("cpu_clk_unhalted.thread_any", 2), any("l1d_pend_miss.pending_cycles_any", 0)];
        let offer = &offers(&events, Setup::default())[CORE];
        let demand = |event| demand(event, offer, Setup::default());
        assert_eq!(demand(&events[0]), demand(&events[1]));
        assert!(demand(&events[2]).registers.is_empty() && offer.registers.is_empty());
    }

    #[test]
    fn what_names_no_counters_gets_the_usual_number() {
        let mut event = core("ex_ret_instr", 0, 0, 0);
        assert_eq!(offers(std::slice::from_ref(&event), Setup::default())[CORE].general, 0x3f);
        event.pmu = "amd_df".to_owned();
        let offer = &offers(std::slice::from_ref(&event), Setup::default())["amd_df"];
        assert_eq!(demand(&event, offer, Setup::default()).general, 0xf);
    }

    #[test]
    fn the_setup_is_read_from_the_machine() {
        let tree = Tree::new(&[
            ("sys/devices/system/cpu/smt/active", "0\n"),
            ("proc/sys/kernel/nmi_watchdog", "1\n"),
        ]);
        let read = Setup { smt_off: true, nmi_watchdog: true, ..Setup::default() };
        assert_eq!(Setup::read(&tree.root), read);
        assert_eq!(Setup::read(&Tree::new(&[]).root), Setup::default());
    }
}
