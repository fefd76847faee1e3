//! What the first reading of a recording finds: its span of time, its threads, what its samples lack.

use std::collections::{BTreeMap, HashMap};

use crate::item::{Item, Sample};

/// Counts of a recording.
#[derive(Debug, Default)]
pub struct Survey {
    pub first_ns: Option<u64>,
    pub last_ns: u64,
    pub samples: u64,
    pub kernel_samples: u64,
    pub addressed: u64,
    /// Samples of which nothing tells whether they are loads or stores, by event.
    pub undirected: BTreeMap<usize, u64>,
    pub unweighted: u64,
    pub lost: BTreeMap<&'static str, u64>,
    pub throttled: u64,
    /// Samples by process.
    by_tgid: HashMap<u32, u64>,
    comms: HashMap<u32, String>,
    programs: HashMap<u32, String>,
}

impl Survey {
    /// Takes note of an item.
    pub fn see(&mut self, time_ns: u64, item: &Item) {
        match item {
            Item::Sample(sample) => self.sample(time_ns, sample),
            Item::Named { tgid, tid, comm, exec } if tgid == tid => {
                self.comms.insert(*tgid, comm.clone());
                if *exec {
                    self.programs.remove(tgid);
                }
            }
            // A text has no name of the process but those of its threads.
            Item::Named { tgid, comm, .. } => {
                self.comms.entry(*tgid).or_insert_with(|| comm.clone());
            }
            // The program is the first file whose code is mapped; the kernel maps it before its loader.
            Item::Mapped(mapped) if mapped.executable != Some(false) && mapped.path.starts_with('/') => {
                let is_file = !mapped.path.starts_with("//");
                self.programs
                    .entry(mapped.tgid)
                    .or_insert_with(|| if is_file { mapped.path.clone() } else { String::new() });
            }
            Item::Lost(kind, count) => *self.lost.entry(kind).or_default() += count,
            Item::Throttled => self.throttled += 1,
            Item::Mapped(_) | Item::Forked { .. } => {}
        }
    }

    fn sample(&mut self, time_ns: u64, sample: &Sample) {
        self.first_ns = Some(self.first_ns.map_or(time_ns, |first_ns| first_ns.min(time_ns)));
        self.last_ns = self.last_ns.max(time_ns);
        if sample.in_kernel {
            self.kernel_samples += 1;
            return;
        }
        self.samples += 1;
        *self.by_tgid.entry(sample.tgid).or_default() += 1;
        if sample.address.is_none() {
            return;
        }
        self.addressed += 1;
        self.unweighted += u64::from(sample.period.is_none());
        if sample.kind.is_none() {
            *self.undirected.entry(sample.event).or_default() += 1;
        }
    }

    /// The process with the most samples, its name and its program.
    pub fn target(&self) -> (u32, String, String) {
        let most = self.by_tgid.iter().max_by_key(|(tgid, count)| (**count, std::cmp::Reverse(**tgid)));
        let tgid = most.map_or(0, |(tgid, _)| *tgid);
        let of = |names: &HashMap<u32, String>| names.get(&tgid).cloned().unwrap_or_default();
        (tgid, of(&self.comms), of(&self.programs))
    }
}
