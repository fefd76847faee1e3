//! Memory accesses: sampled loads and stores, what they belong to, and how far the samples can be trusted.
//!
//! A sample is an address with its instruction. Whatever is known of it only when the run ends – the name of its
//! instruction, of the mapping it lies in – it names by key: [`Access::code`] and [`Access::region`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::stack::Frame;

/// Where samples come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// Registers at a timer's tick, emulated forward to an access. Needs no PMU.
    ForwardWalk,
    /// Intel's precise event-based sampling (SDM volume 3, "PEBS").
    IntelPebs,
    /// AMD's instruction-based sampling of micro-operations (APM volume 2, "IBS").
    AmdIbs,
    /// Arm's statistical profiling extension (ARM ARM, "SPE").
    ArmSpe,
    /// Events the PMU gives addresses for in another way, as POWER's marked events.
    PmuEvent,
    /// Read from a file somebody else wrote.
    Imported,
}

impl Source {
    const ALL: [Self; 6] =
        [Self::ForwardWalk, Self::IntelPebs, Self::AmdIbs, Self::ArmSpe, Self::PmuEvent, Self::Imported];

    /// The spelling used in the store and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ForwardWalk => "forward-walk",
            Self::IntelPebs => "intel-pebs",
            Self::AmdIbs => "amd-ibs",
            Self::ArmSpe => "arm-spe",
            Self::PmuEvent => "pmu-event",
            Self::Imported => "imported",
        }
    }

    /// Reads the spelling back.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|source| source.as_str() == text)
    }

    /// What its samples are not: shown with every number made of them.
    pub fn bias(self) -> &'static str {
        match self {
            Self::ForwardWalk => {
                "within a phase samples are weighted by accesses, between phases by CPU time in user mode: code that \
                 stalls longer per access counts for more. Accesses the kernel makes are not sampled"
            }
            Self::IntelPebs => {
                "weighted by accesses; an access in the shadow of a long instruction is sampled more often than those \
                 beside it"
            }
            Self::AmdIbs => {
                "weighted by micro-operations dispatched; those that are not retired are left out, so code after a \
                 mispredicted branch is sampled less"
            }
            Self::ArmSpe => {
                "weighted by operations; what collided with a sample under way is missing, more so at short periods"
            }
            Self::PmuEvent => {
                "weighted by the event; the address may belong to an instruction near the one named"
            }
            Self::Imported => "not known: what recorded the file decides",
        }
    }
}

/// Direction of an access. An instruction that reads and writes its operand makes a load and a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AccessKind {
    /// Memory is read.
    Load,
    /// Memory is written.
    Store,
}

/// One sampled access.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Access {
    /// When it was sampled, nanoseconds since the run started.
    pub at_ns: u64,
    /// Thread.
    pub tid: u32,
    /// CPU the thread was on, where known.
    pub cpu: Option<u32>,
    /// Virtual address of its first byte.
    pub address: u64,
    /// Bytes from there, where known.
    pub width_bytes: Option<u16>,
    /// Load or store.
    pub kind: AccessKind,
    /// [`Code::id`] of its instruction, where known.
    pub code: Option<u32>,
    /// [`Region::id`] of the mapping it lies in, where known.
    pub region: Option<u32>,
    /// The block it lies in, where live blocks were known (`--exact`) and this one was still there when it was looked for.
    pub block: Option<Block>,
    /// Events it stands for: the sampling period, 1 where samples count alike.
    pub weight: u64,
    /// What only a PMU tells.
    pub precise: Option<Precise>,
}

/// The block an access lies in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Block {
    /// Its first byte.
    pub address: u64,
    /// Bytes asked for.
    pub size_bytes: u64,
    /// [`crate::allocation::Site::id`] of where it was allocated.
    pub site: u32,
}

/// What a PMU tells of an access.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Precise {
    /// Cycles it took, where told.
    pub latency_cycles: Option<u32>,
    /// What served it, as perf names it (`L1`, `L2`, `L3`, `RAM`, `Remote RAM`), where told.
    pub served_by: Option<String>,
    /// Size of its page in bytes, where told.
    pub page_bytes: Option<u64>,
    /// Physical address, where allowed.
    pub physical_address: Option<u64>,
}

/// A mapping that was accessed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Region {
    /// Its key in the run.
    pub id: u32,
    /// Process.
    pub tgid: u32,
    /// `[heap]`, `[stack]`, `[stack:TID]`, `[anon]`, `[vdso]`, or the path of the file.
    pub name: String,
    /// First byte, at its lowest in the run.
    pub start: u64,
    /// One past the last byte, at its highest in the run.
    pub end: u64,
    /// Bytes of it backed by memory at the end of the run, where known.
    pub resident_bytes: Option<u64>,
    /// Bytes of it in huge pages at the end of the run, where known.
    pub huge_bytes: Option<u64>,
    /// NUMA node that holds most of it, where known.
    pub node: Option<u32>,
}

/// An instruction that accessed memory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Code {
    /// Its key in the run.
    pub id: u32,
    /// Its function, callers it was inlined into after it.
    pub frames: Vec<Frame>,
}

/// What is known of the samples when the run ends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AccessTotals {
    /// Where they come from.
    pub source: Source,
    /// Samples asked for a second of a thread's CPU time; `None` where they are counted by events.
    pub rate_hz: Option<f64>,
    /// Samples taken of user code.
    pub samples: u64,
    /// Ticks that found the thread in the kernel, where no user code accesses anything; not among `samples`.
    pub kernel_samples: u64,
    /// Samples of which an access is known.
    pub resolved: u64,
    /// Samples of which none is known, by reason.
    pub unresolved: BTreeMap<String, u64>,
    /// Walks compared with what the processor did.
    pub checked: u64,
    /// Those that agreed.
    pub confirmed: u64,
    /// Times the kernel held samples back (`perf_event_max_sample_rate`, `perf_cpu_time_max_percent`).
    pub throttled: u64,
    /// Mappings accessed.
    pub regions: Vec<Region>,
    /// Instructions that accessed.
    pub code: Vec<Code>,
    /// Live blocks of the run's end by site and how much of them was ever touched; empty without `--exact`.
    pub footprints: Vec<Footprint>,
    /// Why some of this is missing.
    pub null_reason: Option<String>,
}

/// How much of a site's live memory was ever touched, at the end of the run. A page that has never been touched has no
/// memory behind it; that holds for all of the block's life, not only for the run. Pages share the fate of their
/// neighbours where the kernel backs memory with huge pages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Footprint {
    /// [`crate::allocation::Site::id`].
    pub site: u32,
    /// Live blocks looked at.
    pub blocks: u64,
    /// Their bytes.
    pub live_bytes: u64,
    /// Bytes of them on pages nobody has ever touched.
    pub untouched_bytes: u64,
}
