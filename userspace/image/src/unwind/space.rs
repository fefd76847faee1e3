//! The code of one process: which file lies where, kept in step with its maps.

use std::collections::HashMap;
use std::sync::Arc;

use framehop::x86_64::{CacheX86_64, UnwinderX86_64};
use framehop::{Module, Unwinder};

use super::coverage::Coverage;
use super::image::{Image, Sections, Slice};
use crate::process::{Mapping, MappingKind};

/// Distinct addresses remembered per process; far above what real programs show, it only bounds garbage.
const KNOWN_MAX_COUNT: usize = 1 << 16;

/// One executable mapping.
struct Code {
    mapping: Mapping,
    image: Option<Arc<Image>>,
    /// Actual less stated address, wrapping.
    bias: u64,
}

/// What unwinding can do at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// In no executable mapping.
    Nowhere,
    /// In executable memory without a file: generated code.
    Generated,
    /// In a file, with what its tables say.
    File(Coverage),
}

/// The executable mappings of one process, by ascending address.
#[derive(Default)]
pub(super) struct Space {
    codes: Vec<Code>,
    pub unwinder: UnwinderX86_64<Slice>,
    pub cache: CacheX86_64,
    known: HashMap<u64, Place>,
}

impl Space {
    /// Takes over the executable ones of `mappings`; `load` is asked for the file of each that is new.
    pub fn update(&mut self, mappings: &[Mapping], mut load: impl FnMut(&Mapping) -> Option<Arc<Image>>) {
        let wanted = || mappings.iter().filter(|m| m.executable && m.start < m.end);
        if self.codes.iter().map(|code| &code.mapping).eq(wanted()) {
            return;
        }
        let mut old: HashMap<Mapping, Code> =
            self.codes.drain(..).map(|code| (code.mapping.clone(), code)).collect();
        let mut codes = Vec::new();
        for mapping in wanted() {
            if let Some(code) = old.remove(mapping) {
                codes.push((code, false));
                continue;
            }
            // Several mappings of one file (split by a change of protection) share what is open already.
            let has_file = mapping.inode != 0;
            let neighbour =
                codes.iter().rev().filter(|_| has_file).find(|(c, _)| same_file(&c.mapping, mapping));
            let image = match neighbour {
                Some((code, _)) => code.image.clone(),
                None => load(mapping),
            };
            let bias = image.as_ref().and_then(|i| i.layout.bias(mapping.start, mapping.file_offset));
            let image = image.filter(|_| bias.is_some());
            codes.push((Code { mapping: mapping.clone(), image, bias: bias.unwrap_or(0) }, true));
        }
        // First what is gone: what is new may lie in the same place.
        old.keys().for_each(|mapping| self.unwinder.remove_module(mapping.start));
        codes.iter().filter(|(_, new)| *new).for_each(|(code, _)| self.add(code));
        self.codes = codes.into_iter().map(|(code, _)| code).collect();
        self.codes.sort_by_key(|code| code.mapping.start);
        self.known.clear();
    }

    /// What unwinding can do at `address`.
    pub fn place(&mut self, address: u64) -> Place {
        if let Some(&place) = self.known.get(&address) {
            return place;
        }
        let place = self.look_up(address);
        if self.known.len() >= KNOWN_MAX_COUNT {
            self.known.clear();
        }
        self.known.insert(address, place);
        place
    }

    fn look_up(&self, address: u64) -> Place {
        let after = self.codes.partition_point(|code| code.mapping.start <= address);
        let found = after.checked_sub(1).and_then(|index| self.codes.get(index));
        match found.filter(|code| address < code.mapping.end) {
            None => Place::Nowhere,
            Some(code) => match &code.image {
                Some(image) => Place::File(image.coverage(address.wrapping_sub(code.bias))),
                None if code.mapping.path().is_some() || code.mapping.kind == MappingKind::Vdso => {
                    Place::File(Coverage::Uncovered)
                }
                None => Place::Generated,
            },
        }
    }

    fn add(&mut self, code: &Code) {
        let Some(image) = &code.image else { return };
        let base = code.bias.wrapping_add(image.layout.base_svma());
        let range = code.mapping.start..code.mapping.end;
        self.unwinder.add_module(Module::new(code.mapping.module(), range, base, Sections(image)));
    }
}

fn same_file(a: &Mapping, b: &Mapping) -> bool {
    (a.inode, a.dev, &a.kind) == (b.inode, b.dev, &b.kind)
}
