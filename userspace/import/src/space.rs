//! Address spaces as a recording tells them: which mapping an address lies in, which file an instruction.

use std::collections::{BTreeMap, HashMap};

use waytrace_hw::sampling::records::Mapped;
use waytrace_model::access::{Code, Region};
use waytrace_model::stack::Frame;

use crate::item::Place;

/// The main thread's stack grows without anybody being told; no limit in use is larger by default.
const STACK_GROWTH: u64 = 8 << 20;

#[derive(Debug, Clone)]
struct Mapping {
    end: u64,
    file_offset: u64,
    name: String,
}

/// One process's mappings by their start; they do not overlap.
#[derive(Debug, Clone, Default)]
struct Space(BTreeMap<u64, Mapping>);

impl Space {
    /// Maps over whatever was there.
    fn map(&mut self, start: u64, mapping: Mapping) {
        let end = mapping.end;
        let below = self.0.range(..end).filter(|(_, old)| old.end > start).map(|(start, _)| *start);
        for old_start in below.collect::<Vec<u64>>() {
            let Some(old) = self.0.remove(&old_start) else { continue };
            if old.end > end {
                let file_offset = old.file_offset.wrapping_add(end - old_start);
                self.0.insert(end, Mapping { file_offset, ..old.clone() });
            }
            if old_start < start {
                self.0.insert(old_start, Mapping { end: start, ..old });
            }
        }
        self.0.insert(start, mapping);
    }

    fn find(&self, address: u64) -> Option<(u64, &Mapping)> {
        let (start, mapping) = self.0.range(..=address).next_back()?;
        if address < mapping.end {
            return Some((*start, mapping));
        }
        let (start, mapping) = self.0.range(address..).next()?;
        (mapping.name == "[stack]" && start - address <= STACK_GROWTH).then_some((*start, mapping))
    }
}

/// Address spaces of all processes, and the numbers of what was accessed in them.
#[derive(Debug, Default)]
pub struct Spaces {
    spaces: HashMap<u32, Space>,
    regions: Vec<Region>,
    by_name: HashMap<(u32, String), Vec<u32>>,
    code: HashMap<Place, u32>,
}

impl Spaces {
    /// A mapping. Of the kernel's (process -1) nothing is kept.
    pub fn map(&mut self, mapped: &Mapped) {
        let Some(end) = mapped.start.checked_add(mapped.len).filter(|end| *end > mapped.start) else {
            return;
        };
        if mapped.tgid == u32::MAX {
            return;
        }
        let name = match mapped.path.as_str() {
            "//anon" | "" => "[anon]".to_owned(),
            path => path.strip_prefix("/anon_hugepage").map_or(path, |_| "[anon]").to_owned(),
        };
        let mapping = Mapping { end, file_offset: mapped.file_offset, name };
        self.spaces.entry(mapped.tgid).or_default().map(mapped.start, mapping);
    }

    /// A process has a new program.
    pub fn exec(&mut self, tgid: u32) {
        self.spaces.remove(&tgid);
    }

    /// A process has begun as another's copy.
    pub fn fork(&mut self, tgid: u32, parent: u32) {
        if tgid != parent
            && let Some(space) = self.spaces.get(&parent).cloned()
        {
            self.spaces.insert(tgid, space);
        }
    }

    /// Number of the region an address lies in; `None` where the recording names no mapping there.
    pub fn region(&mut self, tgid: u32, address: u64) -> Option<u32> {
        let (start, mapping) = self.spaces.get(&tgid)?.find(address)?;
        let (start, end) = (start.min(address & !0xfff), mapping.end);
        let known = self.by_name.entry((tgid, mapping.name.clone())).or_default();
        // A file's mappings lie beside each other and are one; so do pieces of a heap.
        let touches = |region: &Region| start <= region.end && region.start <= end;
        for id in known.iter() {
            if let Some(region) = self.regions.get_mut(*id as usize).filter(|region| touches(region)) {
                region.start = region.start.min(start);
                region.end = region.end.max(end);
                return Some(*id);
            }
        }
        let id = self.regions.len() as u32;
        known.push(id);
        self.regions.push(Region { id, tgid, name: mapping.name.clone(), start, end, ..Region::default() });
        Some(id)
    }

    /// Number of an instruction: by the name the recording has for it, else by file and offset.
    pub fn code(&mut self, tgid: u32, ip: Option<u64>, place: Option<&Place>) -> Option<u32> {
        let place = match (place, ip) {
            (Some(place), _) => place.clone(),
            (None, Some(ip)) => self.place(tgid, ip),
            (None, None) => return None,
        };
        let next = self.code.len() as u32;
        Some(*self.code.entry(place).or_insert(next))
    }

    fn place(&self, tgid: u32, ip: u64) -> Place {
        match self.spaces.get(&tgid).and_then(|space| space.find(ip)) {
            Some((start, mapping)) => Place {
                symbol: None,
                offset: ip.wrapping_sub(start).wrapping_add(mapping.file_offset),
                module: Some(file_name(&mapping.name).to_owned()),
            },
            None => Place { symbol: None, offset: ip, module: None },
        }
    }

    /// All that was accessed, and all that accessed, by number.
    pub fn finish(self) -> (Vec<Region>, Vec<Code>) {
        let frame = |place: Place| Frame {
            function: place.symbol,
            module: place.module,
            offset: place.offset,
            ..Frame::default()
        };
        let mut code: Vec<Code> =
            self.code.into_iter().map(|(place, id)| Code { id, frames: vec![frame(place)] }).collect();
        code.sort_unstable_by_key(|code| code.id);
        (self.regions, code)
    }
}

/// The last part of a path.
pub fn file_name(path: &str) -> &str {
    path.rsplit('/').find(|part| !part.is_empty()).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapped(start: u64, len: u64, file_offset: u64, path: &str) -> Mapped {
        Mapped { tgid: 1, tid: 1, start, len, file_offset, executable: None, path: path.to_owned() }
    }

    fn regions(spaces: Spaces) -> Vec<(String, u64, u64)> {
        spaces.finish().0.into_iter().map(|region| (region.name, region.start, region.end)).collect()
    }

    #[test]
    fn a_mapping_over_another_splits_it() {
        let mut spaces = Spaces::default();
        spaces.map(&mapped(0x1000, 0x9000, 0x2000, "/lib/a.so"));
        spaces.map(&mapped(0x4000, 0x1000, 0, "//anon"));
        let places = [0x1010, 0x4010, 0x5010, 0xa000].map(|ip| spaces.place(1, ip));
        let found = places.map(|place| (place.module, place.offset));
        let a = || Some("a.so".to_owned());
        assert_eq!(found, [(a(), 0x2010), (Some("[anon]".to_owned()), 0x10), (a(), 0x6010), (None, 0xa000)]);
    }

    #[test]
    fn regions_grow_and_the_stack_does_so_unseen() {
        let mut spaces = Spaces::default();
        spaces.map(&mapped(0x1000, 0x1000, 0, "/bin/p"));
        spaces.map(&mapped(0x2000, 0x1000, 0x1000, "/bin/p"));
        spaces.map(&mapped(0x7000_0000, 0x2_1000, 0, "[stack]"));
        let ids =
            [0x1008, 0x2008, 0x6fff_8010, 0x7000_0000, 0x3000, 0x6000_0000].map(|a| spaces.region(1, a));
        assert_eq!(ids, [Some(0), Some(0), Some(1), Some(1), None, None]);
        assert_eq!((spaces.region(2, 0x1008), spaces.region(u32::MAX, 0)), (None, None));
        let expected =
            [("/bin/p".to_owned(), 0x1000, 0x3000), ("[stack]".to_owned(), 0x6fff_8000, 0x7002_1000)];
        assert_eq!(regions(spaces), expected);
    }

    #[test]
    fn a_child_has_its_parents_space_until_it_has_a_program_of_its_own() {
        let mut spaces = Spaces::default();
        spaces.map(&mapped(0x1000, 0x1000, 0, "/bin/p"));
        spaces.fork(2, 1);
        spaces.map(&Mapped { tgid: 2, ..mapped(0x8000, 0x1000, 0, "[heap]") });
        assert_eq!((spaces.region(2, 0x1000), spaces.region(1, 0x8000)), (Some(0), None));
        spaces.exec(2);
        assert_eq!(spaces.region(2, 0x1000), None);
    }

    #[test]
    fn impossible_mappings_are_left_out() {
        let mut spaces = Spaces::default();
        spaces.map(&mapped(u64::MAX, 2, 0, "/x"));
        spaces.map(&mapped(0x1000, 0, 0, "/x"));
        assert_eq!((spaces.region(1, u64::MAX), spaces.region(1, 0x1000)), (None, None));
    }
}
