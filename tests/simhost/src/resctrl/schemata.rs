//! The files `schemata` and `size`.
//!
//! Source: `fs/resctrl/ctrlmondata.c`, for the texts and the order of the checks.

use super::mode::Mode;
use super::numbers::kernel_number;
use super::schema::{self, Resource, Schema};
use super::{Errno, Resctrl};
use crate::model::machine::Machine;
use crate::spec::CatSpec;

/// A value that was read and is not applied yet.
struct Staged {
    schema: Schema,
    domain: usize,
    value: u64,
}

impl Resctrl {
    /// What `schemata` shows of a control group.
    pub(super) fn show_schemata(&self, machine: &Machine, name: &str) -> Option<String> {
        let group = self.groups.get(name)?;
        if let Mode::PseudoLocked { domain, mask } = group.mode {
            return Some(format!("L3:{domain}={mask:x}\n"));
        }
        let spec = machine.spec();
        let shown = |schema: &Schema, domain| {
            let value = self.shown_value(machine, schema, domain, group.closid);
            match schema.cat(spec).filter(|_| spec.padded_masks) {
                Some(cat) => format!("{value:0width$x}", width = cat.ways.div_ceil(4)),
                None if schema.resource == Resource::Bandwidth => format!("{value}"),
                None => format!("{value:x}"),
            }
        };
        Some(self.table(machine, shown))
    }

    /// What `size` shows.
    pub(super) fn show_size(&self, machine: &Machine, name: &str) -> Option<String> {
        let group = self.groups.get(name)?;
        let spec = machine.spec();
        let bytes = |schema: &Schema, mask: u64| match schema.cat(spec) {
            // Of a divided cache a node has its part of each way.
            Some(cat) => {
                schema.bytes(spec) / schema.nodes(spec) / cat.ways.max(1) as u64
                    * u64::from(mask.count_ones())
            }
            None => mask,
        };
        if let Mode::PseudoLocked { domain, mask } = group.mode {
            let l3 =
                schema::all(spec, self.cdp).into_iter().find(|schema| schema.resource == Resource::L3)?;
            return Some(format!("{}:{domain}={}\n", l3.name, bytes(&l3, mask)));
        }
        Some(self.table(machine, |schema, domain| {
            bytes(schema, self.shown_value(machine, schema, domain, group.closid)).to_string()
        }))
    }

    /// A limit in MiB/s is not in a register.
    fn shown_value(&self, machine: &Machine, schema: &Schema, domain: usize, closid: u32) -> u64 {
        match self.controller.as_ref().filter(|_| schema.resource == Resource::Bandwidth) {
            Some(controller) => u64::from(controller.limit(domain, closid)),
            None => schema.value(machine, domain, closid),
        }
    }

    fn table(&self, machine: &Machine, shown: impl Fn(&Schema, usize) -> String) -> String {
        let width = schema::name_width(machine.spec(), self.cdp);
        let line = |schema: &Schema| {
            let one = |&domain: &usize| format!("{domain}={}", shown(schema, domain));
            let all = schema.domains(machine).iter().map(one).collect::<Vec<_>>().join(";");
            format!("{:>width$}:{all}\n", schema.name)
        };
        schema::all(machine.spec(), self.cdp).iter().map(line).collect()
    }

    /// Writes `schemata`: all of the text, or none of it.
    pub(super) fn write_schemata(
        &mut self,
        machine: &mut Machine,
        name: &str,
        text: &str,
    ) -> Result<(), Errno> {
        let text = text.strip_suffix('\n').ok_or(libc::EINVAL)?;
        self.status.clear();
        let group = self.groups.get(name).ok_or(libc::ENOENT)?;
        let (closid, mode) = (group.closid, group.mode);
        if matches!(mode, Mode::PseudoLocked { .. }) {
            return self.refuse(libc::EINVAL, "Resource group is pseudo-locked");
        }
        let mut staged = Vec::new();
        for line in text.split('\n') {
            let Some((name, values)) = line.split_once(':') else {
                return self.refuse(libc::EINVAL, "Missing ':'");
            };
            let name = name.trim();
            if values.is_empty() {
                return self.refuse(libc::EINVAL, format!("Missing '{name}' value"));
            }
            let known = schema::all(machine.spec(), self.cdp).into_iter().find(|schema| schema.name == name);
            let Some(schema) = known else {
                return self.refuse(libc::EINVAL, format!("Unknown or unsupported resource name '{name}'"));
            };
            self.stage(machine, schema, values, closid, mode, &mut staged)?;
        }
        for one in staged {
            one.schema.set(machine, one.domain, closid, one.value);
        }
        Ok(())
    }

    fn stage(
        &mut self,
        machine: &Machine,
        schema: Schema,
        values: &str,
        closid: u32,
        mode: Mode,
        staged: &mut Vec<Staged>,
    ) -> Result<(), Errno> {
        let domains = schema.domains(machine);
        // The kernel's parser stops at the first empty part, so a `;` at the end is no mistake.
        for part in values.split(';').take_while(|part| !part.is_empty()) {
            let split =
                part.split_once('=').and_then(|(id, value)| Some((kernel_number(id, 10)?, value.trim())));
            let Some((id, value)) = split else {
                return self.refuse(libc::EINVAL, "Missing '=' or non-numeric domain");
            };
            // An instance that is not there is refused without a word.
            let domain = usize::try_from(id).ok().filter(|id| domains.contains(id)).ok_or(libc::EINVAL)?;
            if staged.iter().any(|one| one.schema == schema && one.domain == domain) {
                return self.refuse(libc::EINVAL, format!("Duplicate domain {domain}"));
            }
            if schema.resource == Resource::Bandwidth && self.controller.is_some() {
                self.write_limit(domain, closid, value)?;
                continue;
            }
            let value = match schema.cat(machine.spec()) {
                Some(cat) => {
                    let mask = self.check_mask(cat, value)?;
                    self.check_sharing(machine, schema, domain, mask, closid, mode)?;
                    mask
                }
                None => self.check_bandwidth(machine, value)?,
            };
            staged.push(Staged { schema, domain, value });
        }
        Ok(())
    }

    fn check_mask(&mut self, cat: CatSpec, text: &str) -> Result<u64, Errno> {
        let Some(mask) = kernel_number(text, 16) else {
            return self.refuse(libc::EINVAL, format!("Non-hex character in the mask {text}"));
        };
        if (cat.min_bits > 0 && mask == 0) || mask > crate::spec::full_mask(cat.ways) {
            return self.refuse(libc::EINVAL, "Mask out of range");
        }
        let run = mask.checked_shr(mask.trailing_zeros()).unwrap_or(0);
        if !cat.sparse && run & run.wrapping_add(1) != 0 {
            return self.refuse(libc::EINVAL, format!("The mask {mask:x} has non-consecutive 1-bits"));
        }
        // The lowest run counts, also where there may be holes.
        if run.trailing_ones() < cat.min_bits {
            return self.refuse(libc::EINVAL, format!("Need at least {} bits in the mask", cat.min_bits));
        }
        Ok(mask)
    }

    fn check_bandwidth(&mut self, machine: &Machine, text: &str) -> Result<u64, Errno> {
        let Some(value) = kernel_number(text, 10).filter(|&value| value <= u64::from(u32::MAX)) else {
            return self.refuse(libc::EINVAL, format!("Invalid MB value {text}"));
        };
        let mba = machine.spec().mba.ok_or(libc::EINVAL)?;
        if value < u64::from(mba.min) || value > u64::from(mba.max) {
            let text = format!("MB value {value} out of range [{},{}]", mba.min, mba.max);
            return self.refuse(libc::EINVAL, text);
        }
        Ok(value.next_multiple_of(u64::from(mba.granularity.max(1))))
    }
}
