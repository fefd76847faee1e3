//! A machine as seen through its file tree: where event names are looked up.

use crate::pmu::{self, Pmu};
use crate::tracefs::Tracefs;
use crate::{Error, Root};

/// The number under which the kernel knows the PMU of its cores (`PERF_TYPE_RAW`), beside the PMU's own.
const TYPE_RAW: u32 = 4;

/// The machine's PMUs, and its tracefs on demand.
#[derive(Debug, Clone)]
pub struct Machine {
    root: Root,
    pmu_names: Vec<String>,
    core_pmus: Vec<Pmu>,
}

impl Machine {
    /// Reads which PMUs there are. A tree without any gives a machine without any.
    pub fn new(root: Root) -> Self {
        let pmu_names = pmu::names(&root);
        // Only these can be core PMUs; reading every uncore PMU of a large server takes milliseconds.
        let may_be_core =
            |name: &&String| *name == "cpu" || root.exists(&format!("{}/{name}/cpus", pmu::DEVICES));
        let core_pmus =
            pmu_names.iter().filter(may_be_core).filter_map(|name| Pmu::load(&root, name)).collect();
        Self { root, pmu_names, core_pmus }
    }

    /// The machine waytrace runs on.
    pub fn live() -> Self {
        Self::new(Root::default())
    }

    /// Its file tree.
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// Names of its PMUs, sorted.
    pub fn pmu_names(&self) -> &[String] {
        &self.pmu_names
    }

    /// The PMUs that count what the cores execute: none without hardware counters, several on a hybrid CPU.
    pub fn core_pmus(&self) -> &[Pmu] {
        &self.core_pmus
    }

    /// Number to open events of `pmu` by. Arm's core PMUs have one of their own in sysfs and take the kernel's as well
    /// (`armpmu_map_event`), which generic events have, too: so all events of the only core PMU are seen to be of one PMU.
    pub(crate) fn event_type(&self, pmu: &Pmu) -> u32 {
        match self.core_pmus.as_slice() {
            [only] if only.name == pmu.name && pmu.name.starts_with("armv") => TYPE_RAW,
            _ => pmu.type_,
        }
    }

    /// Reads one PMU; `None` where there is none of that name.
    pub fn pmu(&self, name: &str) -> Option<Pmu> {
        Pmu::load(&self.root, name)
    }

    /// Opens its tracefs.
    ///
    /// # Errors
    /// As [`Tracefs::open`].
    pub fn tracefs(&self) -> Result<Tracefs, Error> {
        Tracefs::open(&self.root)
    }
}
