//! Classes as registers: what they hold, and setting it.

use waytrace_model::cache::{CacheId, ClosId, Rmid, WayMask};
use waytrace_model::cache_report::{
    BandwidthResource, CacheDomain, CacheResource, Capabilities, Class, ClassLimit, ClassMask, LimitUnit,
    MonitorGroup, Monitoring, Use,
};

use super::access::MsrAccess;
use super::features::{self, CatFeature, Features, MbaFeature, MbaScale};
use super::registers::{self, L2_QOS_CFG, L3_QOS_CFG, PQR_ASSOC, RMID_BITS};
use crate::Root;
use crate::rdt::{DEFAULT_CLASS, RdtError, Setting};
use crate::topology::cpus_online;
use crate::topology_cache::{Cache, caches};

/// A machine's registers and what is known of them.
pub struct State {
    pub access: Box<dyn MsrAccess>,
    pub features: Features,
    pub(super) root: Root,
    pub(super) caches: Vec<Cache>,
    /// Levels whose masks are pairs for data and code.
    cdp: Vec<u32>,
}

impl State {
    pub fn new(access: Box<dyn MsrAccess>, mut features: Features, root: Root) -> Result<Self, RdtError> {
        let cpus = cpus_online(&root)?;
        let first = cpus.first().copied().unwrap_or(0);
        if features.cat.is_empty() && features.is_haswell_server {
            // Those that cannot allocate have no such register.
            let register = registers::mask(3, Use::Unified, 0);
            features.cat.extend(access.read(first, register).ok().map(|_| features::of_haswell_server()));
        }
        let mut cdp = Vec::new();
        for cat in features.cat.iter().filter(|cat| cat.cdp) {
            let register = if cat.level == 2 { L2_QOS_CFG } else { L3_QOS_CFG };
            if access.read(first, register)? & 1 != 0 {
                cdp.push(cat.level);
            }
        }
        let caches = caches(&root)?;
        let mut state = Self { access, features, root, caches, cdp };
        if state.is_snc() {
            state.features.cmt = None;
        }
        Ok(state)
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
            .map(|mba| {
                let (unit, step) = match mba.scale {
                    MbaScale::Delay { max } => (LimitUnit::Percent, 100u32.saturating_sub(max)),
                    MbaScale::Limit { .. } => (LimitUnit::EighthGbPerSecond, 1),
                };
                BandwidthResource {
                    name: mba.name.to_owned(),
                    unit,
                    min: step,
                    step,
                    linear: Some(unit == LimitUnit::Percent),
                    throttle_mode: None,
                    classes: mba.classes,
                    caches: self.domains(3).map(|cache| cache.id).collect(),
                }
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
        let nodes = of_level.iter().map(|cache| self.nodes(cache)).max().unwrap_or(1);
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
            way_bytes: size.and_then(|bytes| bytes.checked_div(u64::from(ways) * u64::from(nodes))),
            classes: self.classes_of(cat),
            io_alloc: None,
            caches: of_level
                .into_iter()
                .map(|cache| CacheDomain {
                    id: cache.id,
                    size_bytes: cache.size_bytes,
                    cpus: cache.cpus.clone(),
                    nodes: self.nodes(cache),
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
        let online = self.cpus()?;
        match cpus.iter().find(|cpu| !online.contains(cpu)) {
            Some(cpu) => Err(RdtError::NoCpu { cpu: *cpu }),
            None => Ok(()),
        }
    }

    /// CPUs of a class.
    pub fn cpus_of(&self, class: u32) -> Result<Vec<u32>, RdtError> {
        let all = self.of_cpus(PQR_ASSOC)?.into_iter();
        Ok(all.filter(|(_, value)| value >> 32 == u64::from(class)).map(|(cpu, _)| cpu).collect())
    }

    /// Gives a CPU a class; its RMID stays.
    pub fn associate(&self, cpu: u32, class: u32) -> Result<(), RdtError> {
        let old = self.access.read(cpu, PQR_ASSOC)?;
        self.access.write(cpu, PQR_ASSOC, old & 0xffff_ffff | u64::from(class) << 32)
    }

    pub fn classes(&self) -> Result<Vec<Class>, RdtError> {
        let capabilities = self.capabilities();
        let associations = self.of_cpus(PQR_ASSOC)?;
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
        for cache in capabilities.caches.iter().filter(|cache| number < cache.classes) {
            let register = registers::mask(cache.level, cache.used_for, number);
            for domain in self.domains(cache.level) {
                let Some(value) = self.on(domain, |cpu| self.access.read(cpu, register))? else { continue };
                let mask = WayMask::from_bits(value & 0xffff_ffff);
                masks.push(ClassMask { resource: cache.name.clone(), cache_id: domain.id, mask });
            }
        }
        let mut limits = Vec::new();
        for mba in self.features.mba.iter().filter(|mba| number < mba.classes) {
            for domain in self.domains(3) {
                let read = self.on(domain, |cpu| self.access.read(cpu, mba.first + number))?;
                let Some(held) = read.map(|value| u32::try_from(value).unwrap_or(u32::MAX)) else { continue };
                let value = match mba.scale {
                    MbaScale::Delay { .. } => 100u32.saturating_sub(held),
                    MbaScale::Limit { .. } => held,
                };
                limits.push(ClassLimit { resource: mba.name.to_owned(), cache_id: domain.id, value });
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
                .map(|rmid| MonitorGroup {
                    name: format!("rmid{rmid}"),
                    rmid: Some(Rmid(rmid)),
                    cpus: members()
                        .filter(|(_, value)| value & RMID_BITS == u64::from(rmid))
                        .map(|(cpu, _)| *cpu)
                        .collect(),
                    tasks: Vec::new(),
                })
                .collect(),
        })
    }

    /// Writes values; after a failure those written before are written back.
    pub fn set(&self, class: u32, settings: &[Setting]) -> Result<(), RdtError> {
        let capabilities = self.capabilities();
        let mut written: Vec<(u32, u32, u64)> = Vec::new();
        for setting in settings {
            let Some((cache, register, value)) = self.target(&capabilities, class, setting) else { continue };
            let result = self.on(cache, |cpu| {
                let old = self.access.read(cpu, register)?;
                self.access.write(cpu, register, value)?;
                Ok((cpu, register, old))
            });
            match result {
                Ok(done) => written.extend(done),
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

    /// Cache, register and value of a setting that has been checked.
    fn target(
        &self,
        capabilities: &Capabilities,
        class: u32,
        setting: &Setting,
    ) -> Option<(&Cache, u32, u64)> {
        let domain = |level, id| self.domains(level).find(|cache| cache.id == id);
        match setting {
            Setting::Mask { resource, cache_id, mask } => {
                let cache = capabilities.caches.iter().find(|cache| cache.name == *resource)?;
                let register = registers::mask(cache.level, cache.used_for, class);
                Some((domain(cache.level, *cache_id)?, register, mask.bits()))
            }
            Setting::Limit { resource, cache_id, value } => {
                let mba = self.bandwidth(resource)?;
                let held = match mba.scale {
                    MbaScale::Delay { max } => {
                        let step = 100u32.saturating_sub(max).max(1);
                        100 - value.div_ceil(step).saturating_mul(step).min(100)
                    }
                    MbaScale::Limit { .. } => *value,
                };
                Some((domain(3, *cache_id)?, mba.first + class, u64::from(held)))
            }
        }
    }

    fn bandwidth(&self, name: &str) -> Option<&MbaFeature> {
        self.features.mba.iter().find(|mba| mba.name == name)
    }

    /// Checks what `rdt::check` cannot know: the greatest limit a register takes.
    pub fn check_limit(&self, setting: &Setting) -> Result<(), RdtError> {
        let Setting::Limit { resource, value, .. } = setting else { return Ok(()) };
        match self.bandwidth(resource).map(MbaFeature::unlimited) {
            Some(most) if *value > most => Err(RdtError::BadLimit {
                resource: resource.clone(),
                value: *value,
                takes: format!("no more than {most}, which is no limit"),
            }),
            _ => Ok(()),
        }
    }

    /// All ways and bandwidth.
    pub fn everything(&self) -> Vec<Setting> {
        let capabilities = self.capabilities();
        let unlimited = |name: &str| self.bandwidth(name).map_or(100, MbaFeature::unlimited);
        everything(&capabilities, unlimited)
    }
}

/// Whether a class is as after boot.
pub fn has_everything(class: &Class, capabilities: &Capabilities) -> bool {
    let full = |mask: &ClassMask| {
        let cache = capabilities.caches.iter().find(|cache| cache.name == mask.resource);
        cache.is_some_and(|cache| cache.rules.full_mask == mask.mask)
    };
    let open = |limit: &ClassLimit| {
        let bandwidth = capabilities.bandwidth.iter().find(|bandwidth| bandwidth.name == limit.resource);
        bandwidth.is_some_and(|bandwidth| match bandwidth.unit {
            // The lowest bit above all limits means none.
            unit @ LimitUnit::EighthGbPerSecond => limit.value >= unit.unlimited(),
            unit => limit.value == unit.unlimited(),
        })
    };
    class.masks.iter().all(full) && class.limits.iter().all(open)
}

fn everything(capabilities: &Capabilities, unlimited: impl Fn(&str) -> u32) -> Vec<Setting> {
    let masks = capabilities.caches.iter().flat_map(|cache| {
        cache.caches.iter().map(|domain| Setting::Mask {
            resource: cache.name.clone(),
            cache_id: domain.id,
            mask: cache.rules.full_mask,
        })
    });
    let limits = capabilities.bandwidth.iter().flat_map(|bandwidth| {
        let value = unlimited(&bandwidth.name);
        let limit =
            move |id: &CacheId| Setting::Limit { resource: bandwidth.name.clone(), cache_id: *id, value };
        bandwidth.caches.iter().map(limit)
    });
    masks.chain(limits).collect()
}
