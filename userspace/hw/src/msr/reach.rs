//! Which CPUs and caches are there, and reaching a cache's registers by any of its CPUs: some go offline.

use super::features::CmtFeature;
use super::state::State;
use crate::rdt::RdtError;
use crate::topology::cpus_online;
use crate::topology_cache::Cache;

impl State {
    /// What can be monitored.
    ///
    /// # Errors
    /// Nothing can, and why.
    pub fn cmt(&self) -> Result<CmtFeature, RdtError> {
        self.features.cmt.ok_or_else(|| RdtError::Unavailable {
            reason: if self.is_snc() {
                "no monitoring by registers while the L3 is divided (sub-NUMA clustering), for each part counts alone; use \
                 `--interface resctrl`, Linux 6.11 or newer"
            } else {
                "this CPU has no cache monitoring (CPUID 0xF)"
            }
            .to_owned(),
        })
    }

    /// CPUs online now.
    pub fn cpus(&self) -> Result<Vec<u32>, RdtError> {
        Ok(cpus_online(&self.root)?)
    }

    /// Whether a register could not be used because its CPU has gone offline since it was listed.
    fn went_offline(&self, cpu: u32, error: &RdtError) -> bool {
        let RdtError::Msr { source, .. } = error else { return false };
        let is_missing = matches!(source.raw_os_error(), Some(libc::ENXIO | libc::ENODEV | libc::ENOENT));
        is_missing && self.cpus().is_ok_and(|online| !online.contains(&cpu))
    }

    /// A register of every CPU online.
    pub fn of_cpus(&self, register: u32) -> Result<Vec<(u32, u64)>, RdtError> {
        let mut values = Vec::new();
        for cpu in self.cpus()? {
            match self.access.read(cpu, register) {
                Ok(value) => values.push((cpu, value)),
                Err(error) if self.went_offline(cpu, &error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(values)
    }

    /// Caches of a level.
    pub fn domains(&self, level: u32) -> impl Iterator<Item = &Cache> {
        self.caches.iter().filter(move |cache| cache.level == level)
    }

    /// What `act` gives on one of a cache's CPUs, which all have the cache's registers; `None` where none of them is online.
    pub fn on<T>(
        &self,
        cache: &Cache,
        act: impl Fn(u32) -> Result<T, RdtError>,
    ) -> Result<Option<T>, RdtError> {
        for cpu in &cache.cpus {
            match act(*cpu) {
                Err(error) if self.went_offline(*cpu, &error) => {}
                result => return result.map(Some),
            }
        }
        Ok(None)
    }

    /// Nodes a cache is divided into: on Intel's CPUs (SNC) each counts its part alone, under RMIDs of its own (`snc_get_config`,
    /// arch/x86/kernel/cpu/resctrl/monitor.c).
    pub fn nodes(&self, cache: &Cache) -> u32 {
        if self.features.is_intel && cache.level == 3 { cache.nodes } else { 1 }
    }

    /// Whether an L3 is divided.
    pub fn is_snc(&self) -> bool {
        self.domains(3).any(|cache| self.nodes(cache) > 1)
    }
}
