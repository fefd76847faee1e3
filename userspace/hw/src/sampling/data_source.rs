//! What a PMU says about an access: which operation it was, what served it, how its translation went.
//!
//! Source: `union perf_mem_data_src` in `include/uapi/linux/perf_event.h`; names as `perf mem` prints them.

use waytrace_model::access::AccessKind;

const OP_LOAD: u64 = 0x02;
const OP_STORE: u64 = 0x04;
const OP_PREFETCH: u64 = 0x08;
const OP_EXEC: u64 = 0x10;

const LEVEL_SHIFT: u32 = 5;
const LEVEL_HIT: u64 = 0x02;
const LEVEL_MISS: u64 = 0x04;
/// Older spelling of the level, a bit for each, nearest first.
const LEVELS: [(u64, &str); 11] = [
    (0x08, "L1"),
    (0x10, "LFB"),
    (0x20, "L2"),
    (0x40, "L3"),
    (0x80, "RAM"),
    (0x100, "Remote RAM"),
    (0x200, "Remote RAM"),
    (0x400, "Remote cache"),
    (0x800, "Remote cache"),
    (0x1000, "I/O"),
    (0x2000, "Uncached"),
];

const SNOOP_SHIFT: u32 = 19;
const SNOOP_HITM: u64 = 0x10;
const LOCK_SHIFT: u32 = 24;
const LOCK_LOCKED: u64 = 0x02;
const TLB_SHIFT: u32 = 26;
const TLB_HIT: u64 = 0x02;
const TLB_MISS: u64 = 0x04;
const LEVEL_NUMBER_SHIFT: u32 = 33;
const LEVEL_NUMBER_NA: u64 = 0x0f;
const REMOTE_SHIFT: u32 = 37;
const SNOOPX_SHIFT: u32 = 38;
const SNOOPX_PEER: u64 = 0x02;
const HOPS_SHIFT: u32 = 43;

/// The word a PMU gives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DataSource(pub u64);

impl DataSource {
    fn field(self, shift: u32, bits: u32) -> u64 {
        (self.0 >> shift) & ((1 << bits) - 1)
    }

    /// Load or store; `None` where it is neither, or both, or not told.
    pub fn kind(self) -> Option<AccessKind> {
        match self.field(0, 5) & (OP_LOAD | OP_STORE) {
            OP_LOAD => Some(AccessKind::Load),
            OP_STORE => Some(AccessKind::Store),
            _ => None,
        }
    }

    /// Whether the PMU says that this was no access of the program's: a prefetch or a fetch of code.
    pub fn is_no_access(self) -> bool {
        let operation = self.field(0, 5);
        operation & (OP_PREFETCH | OP_EXEC) != 0 && operation & (OP_LOAD | OP_STORE) == 0
    }

    /// What served it: `L1`, `L2`, `L3`, `RAM`, `Remote RAM`, …; `None` where the PMU does not tell.
    pub fn served_by(self) -> Option<&'static str> {
        self.numbered_level().or_else(|| self.marked_level())
    }

    /// The newer spelling: a number, and apart from it how far away.
    fn numbered_level(self) -> Option<&'static str> {
        let number = self.field(LEVEL_NUMBER_SHIFT, 4);
        let is_remote = self.field(REMOTE_SHIFT, 1) != 0;
        // One hop is another core of the same node; its caches are as near as a shared one.
        let is_far = is_remote && self.field(HOPS_SHIFT, 3) != 1;
        let peer = self.field(SNOOPX_SHIFT, 2) & SNOOPX_PEER != 0 || is_remote;
        Some(match number {
            0x01..=0x04 | 0x0b if is_far => "Remote cache",
            0x01..=0x04 | 0x0b if peer => "Peer cache",
            0x01 => "L1",
            0x02 => "L2",
            0x03 => "L3",
            0x04 => "L4",
            0x05 => "L2 MHB",
            0x06 => "Memory-side cache",
            0x08 => "Uncached",
            0x09 => "CXL",
            0x0a => "I/O",
            0x0b => "Cache",
            0x0c => "LFB",
            0x0d if is_remote => "Remote RAM",
            0x0d => "RAM",
            0x0e if is_remote => "Remote PMEM",
            0x0e => "PMEM",
            _ => return None,
        })
    }

    fn marked_level(self) -> Option<&'static str> {
        let levels = self.field(LEVEL_SHIFT, 14);
        let named = LEVELS.iter().find(|(bit, _)| levels & bit != 0).map(|(_, name)| *name)?;
        match (levels & LEVEL_HIT != 0, levels & LEVEL_MISS != 0, named) {
            (false, true, "L1") => Some("L1 miss"),
            (false, true, "L2") => Some("L2 miss"),
            (false, true, "L3") => Some("L3 miss"),
            _ => Some(named),
        }
    }

    /// Whether the line was modified in another cache.
    pub fn is_hitm(self) -> bool {
        self.field(SNOOP_SHIFT, 5) & SNOOP_HITM != 0
    }

    /// Whether the instruction was locked.
    pub fn is_locked(self) -> bool {
        self.field(LOCK_SHIFT, 2) & LOCK_LOCKED != 0
    }

    /// Whether its translation was in a TLB; `None` where the PMU does not tell.
    pub fn tlb_hit(self) -> Option<bool> {
        let tlb = self.field(TLB_SHIFT, 7);
        match (tlb & TLB_HIT != 0, tlb & TLB_MISS != 0) {
            (true, _) => Some(true),
            (false, true) => Some(false),
            (false, false) => None,
        }
    }

    /// Whether the PMU says anything at all.
    pub fn is_known(self) -> bool {
        self.kind().is_some()
            || self.served_by().is_some()
            || ![0, LEVEL_NUMBER_NA].contains(&self.field(LEVEL_NUMBER_SHIFT, 4))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Words as kernels make them, and what they mean: `arch/x86/events/intel/ds.c`, `perf script -F data_src`.
    #[test]
    fn words_of_known_meaning() {
        let served = |word: u64| (DataSource(word).kind(), DataSource(word).served_by());
        let load = Some(AccessKind::Load);
        // OP LOAD, LVL HIT|L1, number L1, SNOOP None, TLB L1 hit.
        let word = 0x02 | (0x02 | 0x08) << 5 | 0x02 << 19 | (0x02 | 0x08) << 26 | 0x01 << 33;
        assert_eq!(served(word), (load, Some("L1")));
        assert_eq!(DataSource(word).tlb_hit(), Some(true));
        assert!(!DataSource(word).is_hitm() && !DataSource(word).is_locked());
        // The same without the number, as older kernels have it.
        assert_eq!(served(0x02 | (0x02 | 0x40) << 5), (load, Some("L3")));
        assert_eq!(served(0x02 | (0x04 | 0x20) << 5), (load, Some("L2 miss")));
        assert_eq!(served(0x02 | (0x02 | 0x100) << 5), (load, Some("Remote RAM")));
        // Store that missed L1.
        assert_eq!(served(0x04 | (0x04 | 0x08) << 5), (Some(AccessKind::Store), Some("L1 miss")));
        // Numbered: remote RAM; a peer's cache in the node; another node's cache, modified there.
        assert_eq!(served(0x02 | 0x0d << 33 | 1 << 37), (load, Some("Remote RAM")));
        assert_eq!(served(0x02 | 0x0b << 33 | 1 << 37 | 1 << 43), (load, Some("Peer cache")));
        let hitm = DataSource(0x02 | 0x10 << 19 | 0x02 << 24 | 0x0b << 33 | 1 << 37 | 3 << 43 | 0x04 << 26);
        assert_eq!((hitm.served_by(), hitm.is_hitm(), hitm.is_locked()), (Some("Remote cache"), true, true));
        assert_eq!(hitm.tlb_hit(), Some(false));
        assert_eq!(served(0x02 | 0x09 << 33), (load, Some("CXL")));
    }

    #[test]
    fn what_the_kernel_writes_where_nothing_is_known() {
        // PERF_MEM_NA, which every event without such a PMU carries.
        let nothing = DataSource(0x1e_0508_0021);
        assert_eq!((nothing.kind(), nothing.served_by(), nothing.tlb_hit()), (None, None, None));
        assert!(!nothing.is_known() && !nothing.is_no_access());
        assert!(!DataSource(0x0508_0021).is_known() && !DataSource(0).is_known());
        assert!(DataSource(0x08).is_no_access() && !DataSource(0x0a).is_no_access());
    }
}
