//! What is measured: a switch for each collector.

use std::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};

/// A collector, as files, metrics and [`waytrace_model::monitor::CollectorShare`] spell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CollectorName {
    /// What the kernel counts for each task.
    Counters,
    /// Allocator calls, probed part of the time.
    Allocations,
    /// mmap, munmap, mremap and brk.
    Mappings,
    /// Sampled memory accesses.
    Accesses,
    /// Occupancy of the last-level cache and memory traffic.
    Cache,
    /// Events of a PMU.
    Events,
}

impl CollectorName {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Counters, Self::Allocations, Self::Mappings, Self::Accesses, Self::Cache, Self::Events];

    /// The spelling everywhere.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counters => "counters",
            Self::Allocations => "allocations",
            Self::Mappings => "mappings",
            Self::Accesses => "accesses",
            Self::Cache => "cache",
            Self::Events => "events",
        }
    }
}

/// Whether a collector runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Switch {
    /// Where it can; where it cannot, windows say why.
    #[default]
    Auto,
    /// It must be able to, or `monitor` does not start.
    On,
    /// Never.
    Off,
}

impl<'de> Deserialize<'de> for Switch {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct Words;
        impl Visitor<'_> for Words {
            type Value = Switch;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"auto\", true or false")
            }

            fn visit_bool<E: Error>(self, on: bool) -> Result<Switch, E> {
                Ok(if on { Switch::On } else { Switch::Off })
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Switch, E> {
                match text {
                    "auto" => Ok(Switch::Auto),
                    other => Err(E::invalid_value(serde::de::Unexpected::Str(other), &self)),
                }
            }
        }
        input.deserialize_any(Words)
    }
}

/// What is measured.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Collect {
    /// What the kernel counts for each task.
    pub counters: Switch,
    /// Allocator calls, probed part of the time.
    pub allocations: Switch,
    /// mmap, munmap, mremap and brk.
    pub mappings: Switch,
    /// Sampled memory accesses.
    pub accesses: Switch,
    /// Occupancy of the last-level cache and memory traffic.
    pub cache: Switch,
    /// Events of a PMU.
    pub events: Switch,
    /// Which events, as perf spells them; the usual ones where none is named.
    pub event_names: Vec<String>,
}

impl Collect {
    /// The switch of a collector.
    pub fn switch(&self, collector: CollectorName) -> Switch {
        match collector {
            CollectorName::Counters => self.counters,
            CollectorName::Allocations => self.allocations,
            CollectorName::Mappings => self.mappings,
            CollectorName::Accesses => self.accesses,
            CollectorName::Cache => self.cache,
            CollectorName::Events => self.events,
        }
    }
}
