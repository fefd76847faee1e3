//! The files below `info`.
//!
//! Source: `Documentation/filesystems/resctrl.rst`, `fs/resctrl/rdtgroup.c`.

use super::assign;
use super::mode::Mode;
use super::schema::{self, Resource, Schema};
use super::{Entry, Errno, Resctrl};
use crate::model::machine::Machine;
use crate::spec::{CatSpec, Vendor};

impl Resctrl {
    pub(super) fn info_entries(&self, machine: &Machine, path: &[&str]) -> Option<Vec<Entry>> {
        let spec = machine.spec();
        let read_only =
            |names: &[&str]| names.iter().map(|name| Entry::file(*name, 0o444)).collect::<Vec<_>>();
        match path {
            [] => {
                let mut entries = read_only(&["last_cmd_status"]);
                entries
                    .extend(schema::all(spec, self.cdp).iter().map(|schema| Entry::directory(schema.name)));
                entries.extend(spec.monitoring.as_ref().map(|_| Entry::directory("L3_MON")));
                Some(entries)
            }
            ["L3_MON"] => {
                spec.monitoring.as_ref()?;
                let mut entries = read_only(&["mon_features", "num_rmids"]);
                entries.push(Entry::file("max_threshold_occupancy", 0o644));
                let files = assign::INFO.iter().map(|(name, mode)| Entry::file(*name, *mode));
                entries.extend(files.filter(|_| self.assigned.is_some()));
                Some(entries)
            }
            [name] => {
                let schema = self.schema(machine, name)?;
                Some(match schema.resource {
                    Resource::Bandwidth => read_only(&[
                        "num_closids",
                        "min_bandwidth",
                        "bandwidth_gran",
                        "delay_linear",
                        "thread_throttle_mode",
                    ]),
                    _ => read_only(&[
                        "num_closids",
                        "cbm_mask",
                        "min_cbm_bits",
                        "shareable_bits",
                        "bit_usage",
                        "sparse_masks",
                    ]),
                })
            }
            _ => None,
        }
    }

    pub(super) fn show_info(&self, machine: &Machine, path: &[&str]) -> Option<String> {
        let spec = machine.spec();
        match path {
            ["last_cmd_status"] if self.status.is_empty() => Some("ok\n".to_owned()),
            ["last_cmd_status"] => Some(self.status.clone()),
            ["L3_MON", file] => {
                let monitoring = spec.monitoring.as_ref()?;
                Some(match *file {
                    "num_rmids" => format!("{}\n", monitoring.rmids),
                    "max_threshold_occupancy" => format!("{}\n", self.threshold_bytes),
                    "mon_features" => {
                        monitoring.events.iter().map(|event| format!("{}\n", event.name())).collect()
                    }
                    _ => return None,
                })
            }
            [name, file] => {
                let schema = self.schema(machine, name)?;
                match schema.cat(spec) {
                    Some(cat) => self.show_cache(machine, &schema, &cat, file),
                    None => show_bandwidth(machine, &schema, file),
                }
            }
            _ => None,
        }
    }

    /// What can be written: bytes below which an RMID counts as clean, and how counters are assigned.
    pub(super) fn write_info(&mut self, machine: &Machine, path: &[&str], text: &str) -> Result<(), Errno> {
        let ["L3_MON", file] = path else { return Err(libc::EINVAL) };
        if *file != "max_threshold_occupancy" {
            return self.write_assigned_info(file, text);
        }
        let bytes: u64 = text.trim().parse().map_err(|_| libc::EINVAL)?;
        if bytes > machine.spec().l3.bytes() {
            return Err(libc::EINVAL);
        }
        let unit = machine.spec().monitoring.as_ref().map_or(1, |monitoring| monitoring.upscale_bytes.max(1));
        self.threshold_bytes = bytes / unit * unit;
        Ok(())
    }

    fn schema(&self, machine: &Machine, name: &str) -> Option<Schema> {
        schema::all(machine.spec(), self.cdp).into_iter().find(|schema| schema.name == name)
    }

    fn show_cache(&self, machine: &Machine, schema: &Schema, cat: &CatSpec, file: &str) -> Option<String> {
        Some(match file {
            "num_closids" => format!("{}\n", schema.closids(machine.spec())),
            "cbm_mask" => format!("{:x}\n", crate::spec::full_mask(cat.ways)),
            "min_cbm_bits" => format!("{}\n", cat.min_bits),
            "shareable_bits" => format!("{:x}\n", cat.shareable),
            "sparse_masks" => format!("{}\n", u8::from(cat.sparse)),
            "bit_usage" => {
                let one =
                    |domain: usize| format!("{domain}={}", self.bit_usage(machine, schema, cat, domain));
                schema.domains(machine).into_iter().map(one).collect::<Vec<_>>().join(";") + "\n"
            }
            _ => return None,
        })
    }

    /// A letter for each way, highest first: shared by software and hardware, by one of them, exclusive, pseudo-locked,
    /// or unused.
    fn bit_usage(&self, machine: &Machine, schema: &Schema, cat: &CatSpec, domain: usize) -> String {
        let (mut shared, mut exclusive, mut locked) = (0, 0, 0);
        for group in self.groups.values() {
            match group.mode {
                Mode::Shareable => shared |= schema.value(machine, domain, group.closid),
                Mode::Exclusive => exclusive |= schema.value(machine, domain, group.closid),
                Mode::PseudoLocked { domain: at, mask }
                    if at == domain && schema.resource == Resource::L3 =>
                {
                    locked |= mask;
                }
                Mode::PseudoLocked { .. } => {}
            }
        }
        let letter = |way: usize| {
            let has = |mask: u64| mask >> way & 1 == 1;
            match (has(cat.shareable), has(shared)) {
                (true, true) => 'X',
                (true, false) => 'H',
                (false, true) => 'S',
                (false, false) if has(exclusive) => 'E',
                (false, false) if has(locked) => 'P',
                (false, false) => '0',
            }
        };
        (0..cat.ways).rev().map(letter).collect()
    }
}

fn show_bandwidth(machine: &Machine, schema: &Schema, file: &str) -> Option<String> {
    let spec = machine.spec();
    let mba = spec.mba?;
    let is_intel = spec.vendor == Vendor::Intel;
    Some(match file {
        "num_closids" => format!("{}\n", schema.closids(spec)),
        "min_bandwidth" => format!("{}\n", mba.min),
        "bandwidth_gran" => format!("{}\n", mba.granularity),
        "delay_linear" => format!("{}\n", u8::from(mba.linear)),
        "thread_throttle_mode" => if is_intel { "max\n" } else { "undefined\n" }.to_owned(),
        _ => return None,
    })
}
