//! What a workload says it did.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// One account of allocations: of a site, a thread, or everything.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Account {
    pub name: Option<String>,
    pub tid: Option<u32>,
    pub alloc_count: u64,
    pub alloc_bytes: u64,
    pub free_count: u64,
    pub freed_bytes: u64,
    pub temporary_count: u64,
    pub live_bytes: u64,
    pub peak_live_bytes: u64,
    /// Of the live bytes, those on pages nobody has touched.
    pub untouched_bytes: u64,
    /// (floor of log2 of the size, allocations, bytes)
    pub sizes: Vec<(u8, u64, u64)>,
}

/// One thread of `faults`.
#[derive(Debug, Clone, Deserialize)]
pub struct ThreadUsage {
    pub tid: u32,
    pub touched_pages: u64,
    pub minor_faults: u64,
    pub major_faults: u64,
    pub voluntary_switches: u64,
    pub involuntary_switches: u64,
    pub cpu_ns: u64,
}

/// A workload's last word.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Truth {
    pub total: Account,
    pub parts: Vec<Account>,
    pub threads: Vec<ThreadUsage>,
    /// The numbers that only this workload has.
    #[serde(flatten)]
    pub rest: BTreeMap<String, Value>,
}

impl Truth {
    /// Parses the line after `truth `.
    pub fn parse(json: &str) -> Self {
        serde_json::from_str(json).unwrap_or_else(|error| panic!("not a truth: {error}: {json}"))
    }

    /// A number that only this workload has.
    pub fn number(&self, name: &str) -> u64 {
        let value = self.rest.get(name).and_then(Value::as_u64);
        value.unwrap_or_else(|| panic!("the truth has no number `{name}`: {:?}", self.rest))
    }

    /// The account of a call site.
    pub fn part(&self, name: &str) -> &Account {
        let found = self.parts.iter().find(|part| part.name.as_deref() == Some(name));
        found.unwrap_or_else(|| panic!("the truth has no part `{name}`"))
    }
}
