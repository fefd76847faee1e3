//! The resources a schemata file has lines for, and the registers behind each value.
//!
//! Source: `fs/resctrl/rdtgroup.c`, `arch/x86/kernel/cpu/resctrl/core.c`.

use crate::model::control::Control;
use crate::model::machine::Machine;
use crate::spec::{CatSpec, HostSpec, Vendor, full_mask};

/// What is shared out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    /// Last-level cache.
    L3,
    /// Second level.
    L2,
    /// Memory bandwidth.
    Bandwidth,
}

/// Which accesses a mask is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Both,
    Code,
    Data,
}

/// One line of schemata.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schema {
    /// Its name, also in `info`.
    pub name: &'static str,
    /// What it is about.
    pub resource: Resource,
    kind: Kind,
}

/// The lines a host has, in the order the kernel shows them.
pub fn all(spec: &HostSpec, cdp: bool) -> Vec<Schema> {
    let schema = |name, resource, kind| Schema { name, resource, kind };
    let mut all = Vec::new();
    // The kernel leaves out a scale of delays it does not know.
    if spec.mba.is_some_and(|mba| mba.linear || spec.vendor == Vendor::Amd) {
        all.push(schema("MB", Resource::Bandwidth, Kind::Both));
    }
    if spec.l2.is_some() {
        all.push(schema("L2", Resource::L2, Kind::Both));
    }
    if spec.l3_cat.is_some() && cdp {
        all.push(schema("L3DATA", Resource::L3, Kind::Data));
        all.push(schema("L3CODE", Resource::L3, Kind::Code));
    } else if spec.l3_cat.is_some() {
        all.push(schema("L3", Resource::L3, Kind::Both));
    }
    all
}

/// Characters a name is padded to. A resource that could be mounted with CDP leaves room for the longer names.
pub fn name_width(spec: &HostSpec, cdp: bool) -> usize {
    let could_be_longer = spec.l3_cat.is_some_and(|cat| cat.cdp_capable) && !cdp;
    let width = |schema: Schema| {
        schema.name.len() + if could_be_longer && schema.resource == Resource::L3 { "CODE".len() } else { 0 }
    };
    all(spec, cdp).into_iter().map(width).max().unwrap_or(0)
}

/// Classes there can be: the fewest any resource has.
pub fn closids(spec: &HostSpec, cdp: bool) -> usize {
    all(spec, cdp).iter().map(|schema| schema.closids(spec)).min().unwrap_or(1)
}

impl Schema {
    /// Its masks; none for bandwidth.
    pub fn cat(&self, spec: &HostSpec) -> Option<CatSpec> {
        match self.resource {
            Resource::L3 => spec.l3_cat,
            Resource::L2 => spec.l2.map(|l2| l2.cat),
            Resource::Bandwidth => None,
        }
    }

    /// Classes of the resource.
    pub fn closids(&self, spec: &HostSpec) -> usize {
        match (self.resource, self.kind) {
            (Resource::Bandwidth, _) => spec.mba.map_or(0, |mba| mba.closids),
            (_, Kind::Both) => self.cat(spec).map_or(0, |cat| cat.closids),
            _ => self.cat(spec).map_or(0, |cat| cat.closids / 2),
        }
    }

    /// Ids of the instances that have a CPU online, ascending.
    pub fn domains(&self, machine: &Machine) -> Vec<usize> {
        let spec = machine.spec();
        let of = |cpu| if self.resource == Resource::L2 { spec.core_of(cpu) } else { spec.domain_of(cpu) };
        let online = (0..spec.cpus()).filter(|&cpu| machine.is_online(cpu));
        online.map(of).collect::<std::collections::BTreeSet<_>>().into_iter().collect()
    }

    /// The value that limits nothing.
    pub fn open(&self, spec: &HostSpec) -> u64 {
        match self.resource {
            Resource::Bandwidth => spec.mba.map_or(0, |mba| u64::from(mba.max)),
            _ => full_mask(self.cat(spec).map_or(0, |cat| cat.ways)),
        }
    }

    /// Bytes of all ways of an instance; none for bandwidth.
    pub fn bytes(&self, spec: &HostSpec) -> u64 {
        match self.resource {
            Resource::L3 => spec.l3.bytes(),
            Resource::L2 => spec.l2.map_or(0, |l2| l2.bytes),
            Resource::Bandwidth => 0,
        }
    }

    /// NUMA nodes an instance is divided into.
    pub fn nodes(&self, spec: &HostSpec) -> u64 {
        if self.resource == Resource::L3 { spec.nodes_per_cache.max(1) as u64 } else { 1 }
    }

    /// Value of a class, from its register.
    pub fn value(&self, machine: &Machine, domain: usize, closid: u32) -> u64 {
        let (spec, control) = (machine.spec(), &machine.control);
        let registers = match self.resource {
            Resource::L3 => &control.l3,
            Resource::L2 => &control.l2,
            Resource::Bandwidth => &control.mba,
        };
        let register = registers.get(domain).and_then(|values| values.get(self.index(closid))).copied();
        match register {
            Some(value) => self.shown(spec, value),
            None => self.open(spec),
        }
    }

    /// Writes a class's register.
    pub fn set(&self, machine: &mut Machine, domain: usize, closid: u32, value: u64) {
        let (index, value) = (self.index(closid), self.shown(machine.spec(), value));
        let control: &mut Control = &mut machine.control;
        let registers = match self.resource {
            Resource::L3 => &mut control.l3,
            Resource::L2 => &mut control.l2,
            Resource::Bandwidth => &mut control.mba,
        };
        if let Some(register) = registers.get_mut(domain).and_then(|values| values.get_mut(index)) {
            *register = value;
        }
    }

    /// Between register and file: Intel's bandwidth register holds what is missing to 100 %. Its own inverse.
    fn shown(&self, spec: &HostSpec, value: u64) -> u64 {
        match (self.resource, spec.vendor) {
            (Resource::Bandwidth, Vendor::Intel) => 100_u64.saturating_sub(value),
            _ => value,
        }
    }

    fn index(&self, closid: u32) -> usize {
        let class = usize::try_from(closid).unwrap_or(usize::MAX);
        match self.kind {
            Kind::Both => class,
            Kind::Data => class.saturating_mul(2),
            Kind::Code => class.saturating_mul(2).saturating_add(1),
        }
    }
}
