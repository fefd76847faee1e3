//! Classes as registers: what they hold, and setting it.

use waytrace_model::cache::{CacheId, ClosId, Rmid, WayMask};
use waytrace_model::cache_report::{
    BandwidthResource, CacheDomain, CacheResource, Capabilities, Class, ClassLimit, ClassMask, LimitUnit,
    MonitorGroup, Monitoring, Use,
};

use super::access::MsrAccess;
use super::features::{CatFeature, Features};
use super::registers::{self, L2_QOS_CFG, L3_QOS_CFG, PQR_ASSOC, RMID_BITS};
use crate::rdt::{DEFAULT_CLASS, RdtError, Setting};
use crate::topology_cache::Cache;

/// A machine's registers and what is known of them.
pub struct State {
    pub access: Box<dyn MsrAccess>,
    pub features: Features,
    pub cpus: Vec<u32>,
    caches: Vec<Cache>,
    /// Levels whose masks are pairs for data and code.
    cdp: Vec<u32>,
}

impl State {
    pub fn new(
        access: Box<dyn MsrAccess>,
        features: Features,
        cpus: Vec<u32>,
        caches: Vec<Cache>,
    ) -> Result<Self, RdtError> {
        let mut cdp = Vec::new();
        for cat in features.cat.iter().filter(|cat| cat.cdp) {
            let register = if cat.level == 2 { L2_QOS_CFG } else { L3_QOS_CFG };
            let Some(cpu) = cpus.first() else { continue };
            if access.read(*cpu, register)? & 1 != 0 {
                cdp.push(cat.level);
            }
        }
        Ok(Self { access, features, cpus, caches, cdp })
    }

    /// Caches of a level, each with a CPU that has its registers.
    pub fn domains(&self, level: u32) -> Vec<(CacheId, u32)> {
        let of_level = self.caches.iter().filter(|cache| cache.level == level);
        of_level.filter_map(|cache| Some((cache.id, *cache.cpus.first()?))).collect()
    }

    fn classes_of(&self, cat: &CatFeature) -> u32 {
        if self.cdp.contains(&cat.level) { cat.registers / 2 } else { cat.registers }
    }

    pub fn capabilities(&self) -> Capabilities {
        let mut caches: Vec<CacheResource> = Vec::new();
        for cat in &self.features.cat {
            let uses: &[Use] =
                if self.cdp.contains(&cat.level) { &[Use::Data, Use::Code] } else { &[Use::Unified] };
            caches.extend(uses.iter().map(|used_for| self.cache(cat, *used_for)));
        }
        let bandwidth: Vec<BandwidthResource> = self
            .features
            .mba
            .iter()
            .map(|mba| BandwidthResource {
                name: "MB".to_owned(),
                unit: LimitUnit::Percent,
                min: 100 - mba.max_delay,
                step: 100 - mba.max_delay,
                linear: Some(true),
                throttle_mode: None,
                classes: mba.classes,
                caches: self.domains(3).into_iter().map(|(id, _)| id).collect(),
            })
            .collect();
        let classes = caches.iter().map(|cache| cache.classes).chain(bandwidth.iter().map(|one| one.classes));
        let monitoring = self.features.cmt.map(|cmt| Monitoring {
            events: (0..)
                .zip(super::monitor::EVENTS)
                .filter(|(bit, _)| cmt.events & 1 << bit != 0)
                .map(|(_, name)| name.to_owned())
                .collect(),
            max_rmids: cmt.rmids,
            ..Monitoring::default()
        });
        Capabilities { max_classes: classes.min().unwrap_or(0), caches, bandwidth, monitoring }
    }

    fn cache(&self, cat: &CatFeature, used_for: Use) -> CacheResource {
        let of_level: Vec<&Cache> = self.caches.iter().filter(|cache| cache.level == cat.level).collect();
        let ways = cat.rules.full_mask.ways();
        let size = of_level.iter().find_map(|cache| cache.size_bytes);
        CacheResource {
            name: format!(
                "L{}{}",
                cat.level,
                match used_for {
                    Use::Unified => "",
                    Use::Code => "CODE",
                    Use::Data => "DATA",
                }
            ),
            level: cat.level,
            used_for,
            rules: cat.rules,
            shareable_mask: cat.shareable,
            ways,
            way_bytes: size.and_then(|bytes| bytes.checked_div(u64::from(ways))),
            classes: self.classes_of(cat),
            io_alloc: None,
            caches: of_level
                .into_iter()
                .map(|cache| CacheDomain {
                    id: cache.id,
                    size_bytes: cache.size_bytes,
                    cpus: cache.cpus.clone(),
                })
                .collect(),
        }
    }

    /// The number of a class by its name.
    pub fn number(&self, class: &str) -> Result<u32, RdtError> {
        let number = match class {
            DEFAULT_CLASS => Some(0),
            name => name.strip_prefix("cos").and_then(|number| number.parse().ok()),
        };
        let max = self.capabilities().max_classes;
        number.filter(|number| *number < max).ok_or_else(|| RdtError::NoClass { class: class.to_owned() })
    }

    pub fn check_cpus(&self, cpus: &[u32]) -> Result<(), RdtError> {
        match cpus.iter().find(|cpu| !self.cpus.contains(cpu)) {
            Some(cpu) => Err(RdtError::NoCpu { cpu: *cpu }),
            None => Ok(()),
        }
    }

    /// CPUs of a class.
    pub fn cpus_of(&self, class: u32) -> Result<Vec<u32>, RdtError> {
        let mut members = Vec::new();
        for cpu in &self.cpus {
            if self.access.read(*cpu, PQR_ASSOC)? >> 32 == u64::from(class) {
                members.push(*cpu);
            }
        }
        Ok(members)
    }

    /// Gives a CPU a class; its RMID stays.
    pub fn associate(&self, cpu: u32, class: u32) -> Result<(), RdtError> {
        let old = self.access.read(cpu, PQR_ASSOC)?;
        self.access.write(cpu, PQR_ASSOC, old & 0xffff_ffff | u64::from(class) << 32)
    }

    pub fn classes(&self) -> Result<Vec<Class>, RdtError> {
        let capabilities = self.capabilities();
        let mut associations = Vec::new();
        for cpu in &self.cpus {
            associations.push((*cpu, self.access.read(*cpu, PQR_ASSOC)?));
        }
        // A CPU that only monitors has the one class everything is in.
        (0..capabilities.max_classes.max(1))
            .map(|number| self.class(&capabilities, number, &associations))
            .collect()
    }

    fn class(
        &self,
        capabilities: &Capabilities,
        number: u32,
        associations: &[(u32, u64)],
    ) -> Result<Class, RdtError> {
        let mut masks = Vec::new();
        for cache in &capabilities.caches {
            for (cache_id, cpu) in self.domains(cache.level) {
                let value = self.access.read(cpu, registers::mask(cache.level, cache.used_for, number))?;
                let mask = WayMask::from_bits(value & 0xffff_ffff);
                masks.push(ClassMask { resource: cache.name.clone(), cache_id, mask });
            }
        }
        let mut limits = Vec::new();
        for bandwidth in &capabilities.bandwidth {
            for (cache_id, cpu) in self.domains(3) {
                let delay = self.access.read(cpu, registers::delay(number))?;
                let value = 100u32.saturating_sub(u32::try_from(delay).unwrap_or(100));
                limits.push(ClassLimit { resource: bandwidth.name.clone(), cache_id, value });
            }
        }
        let members = || associations.iter().filter(|(_, value)| value >> 32 == u64::from(number));
        let mut rmids: Vec<u32> =
            members().map(|(_, value)| (value & RMID_BITS) as u32).filter(|rmid| *rmid != 0).collect();
        rmids.sort_unstable();
        rmids.dedup();
        Ok(Class {
            name: if number == 0 { DEFAULT_CLASS.to_owned() } else { format!("cos{number}") },
            clos_id: Some(ClosId(number)),
            mode: None,
            masks,
            limits,
            cpus: members().map(|(cpu, _)| *cpu).collect(),
            tasks: Vec::new(),
            task_count: None,
            monitor_groups: rmids
                .into_iter()
                .map(|rmid| MonitorGroup { name: format!("rmid{rmid}"), rmid: Some(Rmid(rmid)) })
                .collect(),
        })
    }

    /// Writes values; after a failure those written before are written back.
    pub fn set(&self, class: u32, settings: &[Setting]) -> Result<(), RdtError> {
        let capabilities = self.capabilities();
        let mut written: Vec<(u32, u32, u64)> = Vec::new();
        for setting in settings {
            let Some((cpu, register, value)) = self.target(&capabilities, class, setting) else { continue };
            let result = self.access.read(cpu, register).and_then(|old| {
                self.access.write(cpu, register, value)?;
                Ok(old)
            });
            match result {
                Ok(old) => written.push((cpu, register, old)),
                Err(first) => return Err(self.take_back(&written, first)),
            }
        }
        Ok(())
    }

    fn take_back(&self, written: &[(u32, u32, u64)], first: RdtError) -> RdtError {
        for (cpu, register, old) in written.iter().rev() {
            if let Err(second) = self.access.write(*cpu, *register, *old) {
                return RdtError::NotUndone { first: Box::new(first), second: Box::new(second) };
            }
        }
        first
    }

    /// CPU, register and value of a setting that has been checked.
    fn target(&self, capabilities: &Capabilities, class: u32, setting: &Setting) -> Option<(u32, u32, u64)> {
        let cpu_of =
            |level, id| self.domains(level).into_iter().find(|(own, _)| *own == id).map(|(_, cpu)| cpu);
        match setting {
            Setting::Mask { resource, cache_id, mask } => {
                let cache = capabilities.caches.iter().find(|cache| cache.name == *resource)?;
                let register = registers::mask(cache.level, cache.used_for, class);
                Some((cpu_of(cache.level, *cache_id)?, register, mask.bits()))
            }
            Setting::Limit { cache_id, value, .. } => {
                let step = capabilities.bandwidth.first()?.step.max(1);
                let limit = value.div_ceil(step).saturating_mul(step).min(100);
                Some((cpu_of(3, *cache_id)?, registers::delay(class), u64::from(100 - limit)))
            }
        }
    }
}

/// All ways and bandwidth.
pub fn everything(capabilities: &Capabilities) -> Vec<Setting> {
    let masks = capabilities.caches.iter().flat_map(|cache| {
        cache.caches.iter().map(|domain| Setting::Mask {
            resource: cache.name.clone(),
            cache_id: domain.id,
            mask: cache.rules.full_mask,
        })
    });
    let limits = capabilities.bandwidth.iter().flat_map(|bandwidth| {
        let limit =
            |id: &CacheId| Setting::Limit { resource: bandwidth.name.clone(), cache_id: *id, value: 100 };
        bandwidth.caches.iter().map(limit)
    });
    masks.chain(limits).collect()
}

/// Whether a class is as after boot.
pub fn has_everything(class: &Class, capabilities: &Capabilities) -> bool {
    let full = |mask: &ClassMask| {
        let cache = capabilities.caches.iter().find(|cache| cache.name == mask.resource);
        cache.is_some_and(|cache| cache.rules.full_mask == mask.mask)
    };
    class.masks.iter().all(full) && class.limits.iter().all(|limit| limit.value == 100)
}
