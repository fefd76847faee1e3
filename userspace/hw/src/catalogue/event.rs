//! One event, in the terms all sources share.

use serde::{Deserialize, Serialize};

/// An event and what it takes to count it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Event {
    /// Name, lower case as the kernel spells it (`mem_load_retired.l3_miss`); the kernel's own events in their own spelling.
    pub name: String,
    /// The kernel's name of the PMU, without the number of a unit: `cpu` for the cores whatever their PMU is called,
    /// `cpu_core` or `cpu_atom` for one kind of them, `uncore_cha`, `software`.
    pub pmu: String,
    /// The vendor's name of an uncore unit (`CHA`), where a file gives it.
    pub unit: Option<String>,
    /// What is written into the PMU's registers.
    pub fields: Fields,
    /// Where it can be counted.
    pub counters: Counters,
    /// No other event may be counted on the same PMU at the same time.
    pub taken_alone: bool,
    /// Whether it can be, or must be, sampled precisely.
    pub precise: Precise,
    /// Errata the vendor lists for it.
    pub errata: Vec<String>,
    /// Registers outside the counter that it is counted through.
    pub filters: Vec<Filter>,
    /// The vendor advises against it, mostly because of another name.
    pub deprecated: bool,
    /// From a file of events the vendor has not validated.
    pub experimental: bool,
    /// Sample period the vendor suggests, in events.
    pub sample_period: Option<u64>,
    /// What a count is worth, as the source spells it (`64Bytes`, `2.3e-10 Joules`).
    pub scale: Option<String>,
    /// One line of description.
    pub description: String,
    /// The long description, where there is one that says more.
    pub details: Option<String>,
}

/// The fields of an event's encoding.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Fields {
    /// Event codes. Two are alternatives, each with a register of its own ([`Msr::indices`]); none for the kernel's own events.
    pub codes: Vec<u64>,
    /// Unit mask; what the vendor calls its extension begins at bit 8.
    pub umask: u64,
    /// Threshold of occurrences per cycle (`cmask`, `thresh`).
    pub cmask: u64,
    /// Counts cycles below the threshold.
    pub invert: bool,
    /// Counts changes from not occurring to occurring.
    pub edge: bool,
    /// Counts for all threads of the core.
    pub any_thread: bool,
    /// A register beside the counter that the event is configured by.
    pub msr: Option<Msr>,
    /// Port or channel mask (`ch_mask`).
    pub port_mask: u64,
    /// Flow control mask (`fc_mask`).
    pub fc_mask: u64,
    /// The selector's extension: bit 8 of the event code.
    pub extsel: bool,
    /// Further terms, spelled as the PMU's format files do.
    pub terms: Vec<(String, u64)>,
}

/// A model-specific register with the value an event needs there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Msr {
    /// Its number; of several, any one that is free.
    pub indices: Vec<u64>,
    /// The value.
    pub value: u64,
}

/// Where an event can be counted. An event that names no counter at all can be counted on any of its PMU's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counters {
    /// General counters, by bit.
    pub general: u64,
    /// The same while SMT is off, where that gives a core more of them.
    pub general_smt_off: u64,
    /// Fixed counters, by bit. An event with one of these needs no general counter.
    pub fixed: u64,
    /// It has a counter to itself that always runs, or none is needed: any number of such events count at once.
    pub unlimited: bool,
}

impl Counters {
    /// Whether the source says nothing about counters.
    pub fn is_unstated(&self) -> bool {
        self.general == 0 && self.fixed == 0 && !self.unlimited
    }
}

/// Precise sampling (PEBS).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Precise {
    /// Not possible.
    #[default]
    No,
    /// Possible.
    Possible,
    /// The event exists for precise samples only.
    Only,
}

/// A filter register that an event is counted through.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    /// Register as the vendor names it, with the bits used where they are given (`CBoFilter1[28:20]`).
    pub name: String,
    /// The value the source gives for it; `None` leaves it to whoever counts.
    pub value: Option<u64>,
}

impl Filter {
    /// Whether the events of a unit have one such register between them. Channel and flow-control masks and the bits
    /// of a counter's own control register belong to each counter.
    pub fn is_shared(&self) -> bool {
        let name = self.name.to_ascii_lowercase();
        !(name == "fc" || name == "chnl" || name.starts_with("ctrctrl"))
    }
}

/// Which fixed counter an event of that name has, by the architecture (SDM vol. 3, "Fixed-function Performance Counters").
///
/// Files number them from 0 or from 1 depending on their age, so the name is the better witness.
pub(super) fn fixed_counter(name: &str) -> Option<u32> {
    match name {
        "inst_retired.any" | "inst_retired.prec_dist" => Some(0),
        "cpu_clk_unhalted.core" | "cpu_clk_unhalted.thread" | "cpu_clk_unhalted.thread_any" => Some(1),
        "cpu_clk_unhalted.ref" | "cpu_clk_unhalted.ref_tsc" => Some(2),
        "topdown.slots" => Some(3),
        _ => None,
    }
}
