//! What the registers of allocation hold, which both `/dev/cpu/N/msr` and resctrl write: the one truth the caches obey.

use crate::spec::{HostSpec, full_mask};

/// What `IA32_PQR_ASSOC` says of a CPU.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Association {
    /// Class.
    pub closid: u32,
    /// Monitoring identifier.
    pub rmid: u16,
}

/// The registers.
#[derive(Debug, Clone)]
pub struct Control {
    /// L3 masks by cache, by number of the register.
    pub l3: Vec<Vec<u64>>,
    /// L2 masks by core.
    pub l2: Vec<Vec<u64>>,
    /// Bandwidth registers by cache: on Intel the delay (100 less the percentage), on AMD the limit.
    pub mba: Vec<Vec<u64>>,
    /// Code and data prioritisation is on, by cache: mask 2n is class n's for data, 2n + 1 for code.
    pub cdp: Vec<bool>,
    /// Association of each CPU.
    pub pqr: Vec<Association>,
    /// `IA32_QM_EVTSEL` of each CPU.
    pub event_select: Vec<u64>,
}

impl Control {
    /// As after a reset: everything open.
    pub fn new(spec: &HostSpec) -> Self {
        let masks = |cat: Option<crate::spec::CatSpec>| {
            cat.map_or(Vec::new(), |cat| vec![full_mask(cat.ways); cat.closids])
        };
        let open = spec.mba.map_or(Vec::new(), |mba| vec![Self::open_bandwidth(spec); mba.closids]);
        Self {
            l3: vec![masks(spec.l3_cat); spec.domains()],
            l2: vec![masks(spec.l2.map(|l2| l2.cat)); spec.cores()],
            mba: vec![open; spec.domains()],
            cdp: vec![false; spec.domains()],
            pqr: vec![Association::default(); spec.cpus()],
            event_select: vec![0; spec.cpus()],
        }
    }

    /// The value of a bandwidth register that limits nothing.
    pub fn open_bandwidth(spec: &HostSpec) -> u64 {
        match (spec.vendor, spec.mba) {
            (crate::spec::Vendor::Amd, Some(mba)) => u64::from(mba.max),
            _ => 0,
        }
    }

    /// The ways class `closid` may fill in a cache; all where the cache has no masks.
    pub fn l3_mask(&self, domain: usize, closid: u32, is_code: bool) -> u64 {
        let class = usize::try_from(closid).unwrap_or(usize::MAX);
        let index = match self.cdp.get(domain) {
            Some(true) => class.saturating_mul(2).saturating_add(usize::from(is_code)),
            _ => class,
        };
        self.l3.get(domain).and_then(|masks| masks.get(index)).copied().unwrap_or(u64::MAX)
    }
}
