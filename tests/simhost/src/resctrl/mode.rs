//! How groups share the cache: the file `mode`, overlaps, and the masks a new group begins with.
//!
//! Source: `fs/resctrl/rdtgroup.c`.

use super::schema::{self, Resource, Schema};
use super::{Errno, Resctrl};
use crate::model::machine::Machine;
use crate::spec::full_mask;

/// How a control group shares its part of the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Others may overlap.
    Shareable,
    /// Nobody may.
    Exclusive,
    /// The group is a region of cache that was filled and is no class's any more.
    PseudoLocked {
        /// Cache.
        domain: usize,
        /// Its ways.
        mask: u64,
    },
}

impl Mode {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Shareable => "shareable",
            Self::Exclusive => "exclusive",
            Self::PseudoLocked { .. } => "pseudo-locked",
        }
    }
}

impl Resctrl {
    /// Turns a group into a pseudo-locked region, as if a driver had set it up. Its class is free again.
    pub fn pseudo_lock(&mut self, name: &str, domain: usize, mask: u64) {
        if let Some(group) = self.groups.get_mut(name).filter(|_| !name.is_empty()) {
            group.mode = Mode::PseudoLocked { domain, mask };
        }
    }

    pub(super) fn write_mode(&mut self, machine: &Machine, name: &str, text: &str) -> Result<(), Errno> {
        let text = text.strip_suffix('\n').ok_or(libc::EINVAL)?;
        self.status.clear();
        let group = self.groups.get(name).ok_or(libc::ENOENT)?;
        let (mode, closid) = (group.mode, group.closid);
        if text == mode.name() {
            return Ok(());
        }
        if matches!(mode, Mode::PseudoLocked { .. }) {
            return self.refuse(libc::EINVAL, "Cannot change pseudo-locked group");
        }
        let new = match text {
            "shareable" => Mode::Shareable,
            "exclusive" => {
                self.check_exclusive(machine, closid)?;
                Mode::Exclusive
            }
            // The kernel's own answer where it is built without pseudo-locking.
            _ => return self.refuse(libc::EINVAL, "Unknown or unsupported mode"),
        };
        if let Some(group) = self.groups.get_mut(name) {
            group.mode = new;
        }
        Ok(())
    }

    fn check_exclusive(&mut self, machine: &Machine, closid: u32) -> Result<(), Errno> {
        let all = schema::all(machine.spec(), self.cdp);
        let caches: Vec<&Schema> =
            all.iter().filter(|schema| schema.resource != Resource::Bandwidth).collect();
        if caches.is_empty() {
            return self.refuse(libc::EINVAL, "Cannot be exclusive without CAT/CDP");
        }
        for schema in caches {
            for domain in schema.domains(machine) {
                let mask = schema.value(machine, domain, closid);
                if self.overlaps(machine, schema, domain, mask, closid, false) {
                    return self.refuse(libc::EINVAL, "Schemata overlaps");
                }
            }
        }
        Ok(())
    }

    pub(super) fn check_sharing(
        &mut self,
        machine: &Machine,
        schema: Schema,
        domain: usize,
        mask: u64,
        closid: u32,
        mode: Mode,
    ) -> Result<(), Errno> {
        if schema.resource == Resource::L3 && self.locked(domain) & mask != 0 {
            return self.refuse(libc::EINVAL, "CBM overlaps with pseudo-locked region");
        }
        if self.overlaps(machine, &schema, domain, mask, closid, true) {
            return self.refuse(libc::EINVAL, "Overlaps with exclusive group");
        }
        if mode == Mode::Exclusive && self.overlaps(machine, &schema, domain, mask, closid, false) {
            return self.refuse(libc::EINVAL, "Overlaps with other group");
        }
        Ok(())
    }

    /// Ways of a cache that are pseudo-locked.
    fn locked(&self, cache: usize) -> u64 {
        let of = |mode| match mode {
            Mode::PseudoLocked { domain, mask } if domain == cache => mask,
            _ => 0,
        };
        self.groups.values().fold(0, |all, group| all | of(group.mode))
    }

    /// Masks of other classes in use, with their modes. With CDP a class's code and data both count.
    fn others(&self, machine: &Machine, schema: &Schema, domain: usize, closid: u32) -> Vec<(Mode, u64)> {
        let peers: Vec<Schema> = schema::all(machine.spec(), self.cdp)
            .into_iter()
            .filter(|peer| peer.resource == schema.resource)
            .collect();
        let groups = self
            .groups
            .values()
            .filter(|group| group.closid != closid && !matches!(group.mode, Mode::PseudoLocked { .. }));
        let mask_of = |closid| peers.iter().fold(0, |mask, peer| mask | peer.value(machine, domain, closid));
        groups.map(|group| (group.mode, mask_of(group.closid))).collect()
    }

    fn overlaps(
        &self,
        machine: &Machine,
        schema: &Schema,
        domain: usize,
        mask: u64,
        closid: u32,
        only_exclusive: bool,
    ) -> bool {
        let hardware = schema.cat(machine.spec()).map_or(0, |cat| cat.shareable);
        let counts =
            |(mode, other): &(Mode, u64)| other & mask != 0 && (!only_exclusive || *mode == Mode::Exclusive);
        (!only_exclusive && hardware & mask != 0)
            || self.others(machine, schema, domain, closid).iter().any(counts)
    }

    /// Opens a new class: every way that others share or nobody uses, of these the lowest consecutive run.
    pub(super) fn open_class(&mut self, machine: &mut Machine, closid: u32) -> Result<(), Errno> {
        let spec = machine.spec().clone();
        let mut begun = Vec::new();
        for schema in schema::all(&spec, self.cdp) {
            for domain in schema.domains(machine) {
                let Some(cat) = schema.cat(&spec) else {
                    if let Some(controller) = &mut self.controller {
                        controller.open(closid);
                        continue;
                    }
                    begun.push((schema, domain, schema.open(&spec)));
                    continue;
                };
                let others = self.others(machine, &schema, domain, closid);
                let taken = |wanted: Mode| {
                    let of_mode = others.iter().filter(move |(mode, _)| *mode == wanted);
                    of_mode.fold(0, |all, (_, mask)| all | mask)
                };
                let locked = if schema.resource == Resource::L3 { self.locked(domain) } else { 0 };
                let closed = (taken(Mode::Exclusive) & !taken(Mode::Shareable) & !cat.shareable) | locked;
                let mut mask = full_mask(cat.ways) & !closed;
                if !cat.sparse && mask != 0 {
                    let first = mask.trailing_zeros();
                    mask = full_mask(usize::try_from((mask >> first).trailing_ones()).unwrap_or(64)) << first;
                }
                if mask.count_ones() < cat.min_bits.max(1) {
                    return self.refuse(libc::ENOSPC, format!("No space on {}:{domain}", schema.name));
                }
                begun.push((schema, domain, mask));
            }
        }
        for (schema, domain, mask) in begun {
            schema.set(machine, domain, closid, mask);
        }
        Ok(())
    }
}
