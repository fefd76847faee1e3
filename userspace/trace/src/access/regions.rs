//! The mappings that were accessed, numbered, under names that stay the same while they grow.

use std::collections::HashMap;

use waytrace_image::process::{Mapping, MappingKind};
use waytrace_model::access::Region;

/// Regions of all processes.
#[derive(Default)]
pub struct Regions {
    regions: Vec<Region>,
    by_name: HashMap<(u32, String), Vec<u32>>,
    /// Threads by the stack mapping they were seen on.
    stacks: HashMap<(u32, u64), u32>,
}

impl Regions {
    /// Takes note that thread `tid` runs on the stack in this mapping.
    pub fn is_stack_of(&mut self, tgid: u32, tid: u32, mapping: &Mapping) {
        if mapping.kind == MappingKind::Anon {
            self.stacks.entry((tgid, mapping.end)).or_insert(tid);
        }
    }

    /// Number of the region a mapping belongs to: one of its name that it overlaps, made wide enough, else a new one.
    pub fn number(&mut self, tgid: u32, mapping: &Mapping) -> u32 {
        let name = self.name(tgid, mapping);
        let known = self.by_name.entry((tgid, name)).or_default();
        for &id in known.iter() {
            let Some(region) = self.regions.get_mut(id as usize) else { continue };
            if mapping.start < region.end && region.start < mapping.end {
                region.start = region.start.min(mapping.start);
                region.end = region.end.max(mapping.end);
                return id;
            }
        }
        let id = self.regions.len() as u32;
        known.push(id);
        let name = self.name(tgid, mapping);
        let (start, end) = (mapping.start, mapping.end);
        self.regions.push(Region { id, tgid, name, start, end, ..Region::default() });
        id
    }

    fn name(&self, tgid: u32, mapping: &Mapping) -> String {
        match (self.stacks.get(&(tgid, mapping.end)), mapping.path()) {
            (Some(tid), None) if mapping.kind == MappingKind::Anon => format!("[stack:{tid}]"),
            (_, Some(path)) => path.display().to_string(),
            _ => mapping.module(),
        }
    }

    /// All of them, by number.
    pub fn into_regions(self) -> Vec<Region> {
        self.regions
    }
}

#[cfg(test)]
mod tests {
    use waytrace_image::process::parse_mappings;

    use super::*;

    #[test]
    fn a_region_grows_with_its_mapping_and_a_stack_has_its_threads_name() {
        let mapping = |line: &str| parse_mappings(line.as_bytes()).remove(0);
        let heap = mapping("1000-3000 rw-p 00000000 00:00 0 [heap]");
        let grown = mapping("1000-9000 rw-p 00000000 00:00 0 [heap]");
        let stack = mapping("a000-c000 rw-p 00000000 00:00 0 ");
        let other = mapping("d000-e000 rw-p 00000000 00:00 0 ");
        let file = mapping("f000-f800 r--p 00000000 08:01 7 /opt/data");
        let mut regions = Regions::default();
        regions.is_stack_of(1, 77, &stack);
        let ids = [&heap, &stack, &grown, &other, &file].map(|mapping| regions.number(1, mapping));
        assert_eq!(ids, [0, 1, 0, 2, 3]);
        assert_eq!(regions.number(2, &heap), 4, "another process has regions of its own");
        let regions = regions.into_regions();
        let names: Vec<&str> = regions.iter().map(|region| region.name.as_str()).collect();
        assert_eq!(names, ["[heap]", "[stack:77]", "[anon]", "/opt/data", "[heap]"]);
        assert_eq!((regions[0].start, regions[0].end), (0x1000, 0x9000));
    }
}
