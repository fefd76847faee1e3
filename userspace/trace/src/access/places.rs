//! Where accesses are made and what they touch: address spaces, regions and instructions of all processes, numbered as
//! they turn up and named at the end.

use std::collections::{BTreeMap, HashMap};

use waytrace_image::symbols::Symbolizer;
use waytrace_model::access::{Code, Region};
use waytrace_model::stack::Frame;

use super::regions::Regions;
use super::space::Space;

/// All places of a run.
#[derive(Default)]
pub struct Places {
    spaces: HashMap<u32, Space>,
    regions: Regions,
    /// Numbers of instructions, by process and address.
    code: HashMap<(u32, u64), u32>,
}

impl Places {
    /// Those of processes that are known from the beginning: opening their files takes its time, and samples do not wait
    /// for that.
    pub fn of(tgids: &[u32]) -> Self {
        Self { spaces: tgids.iter().map(|&tgid| (tgid, Space::of(tgid))).collect(), ..Self::default() }
    }

    /// Address space of a process.
    pub fn space(&mut self, tgid: u32) -> &mut Space {
        self.spaces.entry(tgid).or_insert_with(|| Space::of(tgid))
    }

    /// A process has mapped code anew, or runs another program.
    pub fn changed(&mut self, tgid: u32) {
        if let Some(space) = self.spaces.get_mut(&tgid) {
            space.refresh(tgid);
        }
    }

    /// Takes note that a thread's stack pointer is `sp`.
    pub fn runs_on(&mut self, tgid: u32, tid: u32, sp: u64) {
        let space = self.spaces.entry(tgid).or_insert_with(|| Space::of(tgid));
        if let Some(stack) = space.find(tgid, sp) {
            self.regions.is_stack_of(tgid, tid, stack);
        }
    }

    /// Number of the region an address lies in; `None` where the process has nothing mapped.
    pub fn region(&mut self, tgid: u32, address: u64) -> Option<u32> {
        let space = self.spaces.entry(tgid).or_insert_with(|| Space::of(tgid));
        space.find(tgid, address).map(|mapping| self.regions.number(tgid, mapping))
    }

    /// Number of an instruction.
    pub fn code(&mut self, tgid: u32, ip: u64) -> u32 {
        let next = self.code.len() as u32;
        *self.code.entry((tgid, ip)).or_insert(next)
    }

    /// Regions, and the frames of all instructions, each by number.
    pub fn conclude(self) -> (Vec<Region>, Vec<Code>) {
        let mut by_process: BTreeMap<u32, Vec<(u64, u32)>> = BTreeMap::new();
        for ((tgid, ip), id) in self.code {
            by_process.entry(tgid).or_default().push((ip, id));
        }
        let mut symbolizer = Symbolizer::default();
        let mut code = Vec::new();
        for (tgid, mut places) in by_process {
            places.sort_unstable();
            let addresses: Vec<u64> = places.iter().map(|(ip, _)| *ip).collect();
            let Some(space) = self.spaces.get(&tgid) else { continue };
            let frames = symbolizer.symbolise(&space.modules, &addresses);
            code.extend(places.into_iter().zip(frames).map(|((ip, id), frames)| {
                let unknown = || vec![Frame { offset: ip, ..Frame::default() }];
                Code { id, frames: if frames.is_empty() { unknown() } else { frames } }
            }));
        }
        code.sort_unstable_by_key(|code| code.id);
        (self.regions.into_regions(), code)
    }
}
