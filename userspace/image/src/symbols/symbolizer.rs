//! Addresses to frames, remembered per file so that processes share the answers.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use waytrace_model::stack::Frame;

use super::modules::{Location, Modules};
use super::{perf_map, resolve};
use crate::process::MappingKind;
use crate::unwind::file_key::FileKey;

/// Addresses remembered; about 10 MB with the usual names.
const CACHE_MAX_COUNT: usize = 1 << 15;

/// How much is read for a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// A file with more debug information than this (unpacked) is named by its symbol table alone: no source lines,
    /// no inlined functions. 0 never reads debug information.
    pub debug_max_bytes: u64,
}

impl Default for Settings {
    /// 32 MiB. While a file is read, memory grows by more than its debug information: 20 MB for the C library's
    /// 9.5 MiB, 46 MB for a Rust program's 36 MiB, in 50 to 100 ms; it is given back before the next file.
    fn default() -> Self {
        Self { debug_max_bytes: 32 << 20 }
    }
}

/// Names addresses, for any number of processes.
#[derive(Debug, Default)]
pub struct Symbolizer {
    settings: Settings,
    cache: HashMap<(FileKey, u64), Vec<Frame>>,
}

impl Symbolizer {
    /// A symbolizer that has read nothing yet.
    pub fn new(settings: Settings) -> Self {
        Self { settings, cache: HashMap::new() }
    }

    /// The frames of each address, innermost inlined function first: at least one each, if only with module and
    /// offset. For a caller, pass its return address less one, as [`crate::unwind::Stack`] has them. Ask for many
    /// addresses at once: each call opens anew every file that has new ones.
    pub fn symbolise(&mut self, modules: &Modules, addresses: &[u64]) -> Vec<Vec<Frame>> {
        let locations: Vec<Option<Location>> = addresses.iter().map(|&a| modules.locate(a)).collect();
        self.learn(modules, locations.iter().flatten());
        let generated = generated(modules, addresses);
        let frames = addresses.iter().zip(&locations).map(|(&address, location)| match location {
            Some(location) => self.known(modules, *location),
            None => vec![generated.get(&address).cloned().unwrap_or_else(|| unnamed(modules, address))],
        });
        frames.collect()
    }

    /// Resolves what is not remembered, file by file.
    fn learn<'a>(&mut self, modules: &Modules, locations: impl Iterator<Item = &'a Location>) {
        if self.cache.len() > CACHE_MAX_COUNT {
            self.cache.clear();
        }
        let mut wanted: BTreeMap<usize, Vec<u64>> = BTreeMap::new();
        for location in locations {
            let key = (modules.module(location.module_index).key, location.svma);
            if !self.cache.contains_key(&key) {
                wanted.entry(location.module_index).or_default().push(location.svma);
            }
        }
        let roots: Vec<PathBuf> = modules.root().into_iter().chain([PathBuf::from("/")]).collect();
        for (module_index, mut svmas) in wanted {
            svmas.sort_unstable();
            svmas.dedup();
            let module = modules.module(module_index);
            let frames = resolve::resolve(module, &svmas, &roots, self.settings.debug_max_bytes);
            let keys = svmas.into_iter().map(|svma| (module.key, svma));
            self.cache.extend(keys.zip(frames));
        }
    }

    fn known(&self, modules: &Modules, location: Location) -> Vec<Frame> {
        let module = modules.module(location.module_index);
        match self.cache.get(&(module.key, location.svma)) {
            Some(frames) if !frames.is_empty() => frames.clone(),
            _ => {
                let module = Some(module.name.clone());
                vec![Frame { module, offset: location.file_offset, ..Frame::default() }]
            }
        }
    }
}

/// Named generated code among `addresses`.
fn generated(modules: &Modules, addresses: &[u64]) -> HashMap<u64, Frame> {
    let is_generated = |address: &u64| {
        modules.mapping(*address).is_some_and(|m| m.path().is_none() && m.kind != MappingKind::Vdso)
    };
    let asked: Vec<u64> = addresses.iter().copied().filter(is_generated).collect();
    if asked.is_empty() {
        return HashMap::new();
    }
    let named = asked.iter().zip(perf_map::names(modules, &asked));
    let frame = |(&address, found): (&u64, Option<(String, u64)>)| {
        let (name, start) = found?;
        let module = modules.mapping(address).map(|mapping| mapping.module());
        Some((address, Frame { function: Some(name), module, offset: address - start, ..Frame::default() }))
    };
    named.filter_map(frame).collect()
}

/// Module and offset in it; where there is no file, the address itself.
fn unnamed(modules: &Modules, address: u64) -> Frame {
    let mapping = modules.mapping(address);
    let offset = match mapping {
        Some(mapping) if mapping.kind == MappingKind::Vdso => address - mapping.start,
        Some(mapping) => mapping.file_offset_of(address).unwrap_or(address),
        None => address,
    };
    Frame { module: mapping.map(|mapping| mapping.module()), offset, ..Frame::default() }
}
