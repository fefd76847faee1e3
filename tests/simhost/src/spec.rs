//! What a simulated host is built as: CPUs, caches, and which of the allocation and monitoring features it has.

/// Whose CPU it is. Decides CPUID, the registers of bandwidth allocation and what a mask may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vendor {
    /// Percentages of bandwidth in steps; masks of consecutive bits unless told otherwise.
    Intel,
    /// Bandwidth in eighths of a GB/s; any mask.
    Amd,
}

/// A last-level cache, one for each group of CPUs. Every modelled set stands for `sampling` sets of the cache that is
/// shown: all sizes, counts and traffic are those of the cache shown, at the price of modelling a part of it. That part
/// is a fair sample, for all programs spread alike over the sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheSpec {
    /// Ways, 1–32.
    pub ways: usize,
    /// Sets that are modelled.
    pub modelled_sets: usize,
    /// Sets shown for each of these.
    pub sampling: u64,
    /// Bytes of a line.
    pub line_bytes: u64,
}

impl CacheSpec {
    /// Sets of the cache shown.
    pub fn sets(&self) -> u64 {
        self.modelled_sets as u64 * self.sampling
    }

    /// Bytes of the cache shown.
    pub fn bytes(&self) -> u64 {
        self.way_bytes() * self.ways as u64
    }

    /// Bytes of one way.
    pub fn way_bytes(&self) -> u64 {
        self.sets() * self.line_bytes
    }

    /// Bytes shown that one modelled line stands for.
    pub fn modelled_line_bytes(&self) -> u64 {
        self.line_bytes * self.sampling
    }
}

/// Cache allocation of one level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CatSpec {
    /// Bits of a mask.
    pub ways: usize,
    /// Classes, without CDP.
    pub closids: usize,
    /// Fewest bits the kernel accepts; 0 lets a mask be empty.
    pub min_bits: u32,
    /// Masks with holes are taken.
    pub sparse: bool,
    /// Ways other hardware fills too.
    pub shareable: u64,
    /// Code and data prioritisation is there (and on, see [`HostSpec::cdp`]).
    pub cdp_capable: bool,
}

/// A private second-level cache of each core. Its masks are kept and have no effect on the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct L2Spec {
    /// Bytes.
    pub bytes: u64,
    /// Its masks.
    pub cat: CatSpec,
}

/// Memory bandwidth allocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MbaSpec {
    /// Classes.
    pub closids: usize,
    /// Smallest value.
    pub min: u32,
    /// Step.
    pub granularity: u32,
    /// Value of a class without limit.
    pub max: u32,
    /// Percentages are linear in the register's delay. Others neither the kernel nor anybody else can use.
    pub linear: bool,
}

/// Something counted by RMID, by its number in `IA32_QM_EVTSEL`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MonitorEvent {
    /// Lines held.
    Occupancy = 1,
    /// Memory traffic.
    TotalBytes = 2,
    /// That of the CPU's own node, which here is all of it.
    LocalBytes = 3,
}

impl MonitorEvent {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Occupancy, Self::TotalBytes, Self::LocalBytes];

    /// Name of its file in `mon_data`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Occupancy => "llc_occupancy",
            Self::TotalBytes => "mbm_total_bytes",
            Self::LocalBytes => "mbm_local_bytes",
        }
    }
}

/// How a monitoring event answers instead of counting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// The error bit of `IA32_QM_CTR`; `Error` in resctrl.
    Error,
    /// The unavailable bit; `Unavailable`.
    Unavailable,
    /// No hardware counter is assigned: `Unassigned` in resctrl. By the register it reads as unavailable.
    Unassigned,
}

/// Monitoring.
#[derive(Debug, Clone, PartialEq)]
pub struct MonitorSpec {
    /// RMIDs, at most 1024.
    pub rmids: u16,
    /// Bytes of a counter's unit (CPUID 0xF.1 EBX).
    pub upscale_bytes: u64,
    /// Bits of a counter, 24–62.
    pub counter_width: u32,
    /// What it has.
    pub events: Vec<MonitorEvent>,
    /// Which of these do not work, and how.
    pub broken: Vec<(MonitorEvent, Broken)>,
    /// Bandwidth counters of each cache where groups get them assigned (AMD's ABMC); none: every RMID has its own.
    pub assignable: Option<usize>,
}

/// Cycles that instructions and accesses take: an in-order core, which waits for each access.
///
/// cycles per access = instructions / `width` + (`hit` or `memory` × 100 / bandwidth percentage)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// The one frequency, also the TSC's.
    pub hz: u64,
    /// Instructions a cycle.
    pub width: u64,
    /// Cycles of a hit in the last-level cache.
    pub hit: u64,
    /// Cycles of a miss.
    pub memory: u64,
}

/// A host.
#[derive(Debug, Clone, PartialEq)]
pub struct HostSpec {
    /// What it is asked for by.
    pub name: &'static str,
    /// Vendor.
    pub vendor: Vendor,
    /// Packages, each a NUMA node unless their caches are divided.
    pub sockets: usize,
    /// Cores of each.
    pub cores_per_socket: usize,
    /// SMT siblings of each core; numbered as Linux does on x86, first threads of all cores first.
    pub threads_per_core: usize,
    /// Last-level caches of each package, with as many cores each.
    pub caches_per_socket: usize,
    /// Each of them.
    pub l3: CacheSpec,
    /// Its allocation.
    pub l3_cat: Option<CatSpec>,
    /// Second level.
    pub l2: Option<L2Spec>,
    /// Bandwidth allocation.
    pub mba: Option<MbaSpec>,
    /// Monitoring.
    pub monitoring: Option<MonitorSpec>,
    /// resctrl is mounted.
    pub mounted: bool,
    /// Mounted with `cdp`.
    pub cdp: bool,
    /// Mounted with `mba_MBps`.
    pub mba_mbps: bool,
    /// NUMA nodes each last-level cache is divided into (Intel's SNC): 1, or those each of which has its part of every way.
    pub nodes_per_cache: usize,
    /// Masks are padded with zeros to the width of `cbm_mask`, as Linux did before 6.13.
    pub padded_masks: bool,
    /// Speeds.
    pub timing: Timing,
}

impl HostSpec {
    /// Logical CPUs.
    pub fn cpus(&self) -> usize {
        self.cores() * self.threads_per_core
    }

    /// Cores.
    pub fn cores(&self) -> usize {
        self.sockets * self.cores_per_socket
    }

    /// Core of a CPU, over all packages.
    pub fn core_of(&self, cpu: usize) -> usize {
        cpu % self.cores().max(1)
    }

    /// Package of a CPU.
    pub fn socket_of(&self, cpu: usize) -> usize {
        self.core_of(cpu) / self.cores_per_socket.max(1)
    }

    /// Last-level caches.
    pub fn domains(&self) -> usize {
        self.sockets * self.caches_per_socket
    }

    /// Last-level cache of a CPU: its id in sysfs, and the domain in resctrl.
    pub fn domain_of(&self, cpu: usize) -> usize {
        self.core_of(cpu) * self.domains() / self.cores().max(1)
    }

    /// NUMA nodes: packages, or the parts their caches are divided into.
    pub fn nodes(&self) -> usize {
        if self.nodes_per_cache > 1 { self.domains() * self.nodes_per_cache } else { self.sockets }
    }

    /// NUMA node of a CPU.
    pub fn node_of(&self, cpu: usize) -> usize {
        self.core_of(cpu) * self.nodes() / self.cores().max(1)
    }

    /// CPUs of a last-level cache.
    pub fn cpus_of_domain(&self, domain: usize) -> Vec<usize> {
        (0..self.cpus()).filter(|&cpu| self.domain_of(cpu) == domain).collect()
    }

    /// RMIDs that can be told apart; one without monitoring.
    pub fn rmids(&self) -> u16 {
        self.monitoring.as_ref().map_or(1, |monitoring| monitoring.rmids.clamp(1, 1024))
    }

    /// Classes a CPU can be in: most of any resource.
    pub fn closids(&self) -> usize {
        let caches = self.l3_cat.into_iter().chain(self.l2.map(|l2| l2.cat)).map(|cat| cat.closids);
        caches.chain(self.mba.map(|mba| mba.closids)).max().unwrap_or(1)
    }
}

/// A mask of the lowest `ways` bits.
pub fn full_mask(ways: usize) -> u64 {
    u64::MAX.checked_shr(64_u32.saturating_sub(u32::try_from(ways).unwrap_or(64))).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hosts;

    #[test]
    fn a_full_mask_has_a_bit_for_each_way() {
        assert_eq!([full_mask(0), full_mask(1), full_mask(12), full_mask(64)], [0, 1, 0xfff, u64::MAX]);
    }

    #[test]
    fn cpus_are_spread_as_linux_numbers_them() {
        let spec = hosts::two_sockets();
        let cores = spec.cores();
        assert_eq!((spec.socket_of(0), spec.socket_of(cores - 1)), (0, 1));
        assert_eq!(spec.core_of(cores), 0, "the second threads come after all first ones");
        let both: Vec<usize> = (0..2).flat_map(|domain| spec.cpus_of_domain(domain)).collect();
        assert_eq!(both.len(), spec.cpus());
    }
}
