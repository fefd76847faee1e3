//! Probe programs for multi-uprobe links.
//!
//! One link then covers all probes of a file: placing and removing them is one operation, which duty-cycled probing
//! lives on (removing single links costs a grace period of ~100 ms each). The kernel wants to know at load time, and
//! aya 0.14 cannot say it, so these programs are taken from the object a second time, through aya's own parser, and
//! tied to the maps aya made.

use std::collections::HashSet;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use aya::Ebpf;
use aya::maps::Map;
use aya_obj::Object;

use super::sys;

/// The probe programs, loaded for multi-uprobe links.
pub struct Programs {
    alloc_enter: OwnedFd,
    alloc_exit: OwnedFd,
    free_enter: OwnedFd,
    map_called: OwnedFd,
}

impl Programs {
    /// Loads them against the maps of `ebpf`.
    ///
    /// # Errors
    /// A text saying why it cannot be done; before Linux 6.6 the kernel's `EINVAL`.
    pub fn load(bytes: &[u8], ebpf: &Ebpf) -> Result<Self, String> {
        let mut object = Object::parse(bytes).map_err(|error| error.to_string())?;
        let parsed: Vec<_> = object.maps.drain().collect();
        let mut maps = Vec::with_capacity(parsed.len());
        for (name, map) in &parsed {
            let fd =
                ebpf.map(name).and_then(map_fd).ok_or_else(|| format!("map {name} has no descriptor"))?;
            maps.push((name.as_str(), fd, map));
        }
        let text: HashSet<usize> = object.functions.keys().map(|(section, _)| *section).collect();
        object.relocate_maps(maps.into_iter(), &text).map_err(|error| error.to_string())?;
        object.relocate_calls(&text).map_err(|error| error.to_string())?;
        Ok(Self {
            alloc_enter: load(&object, "alloc_enter")?,
            alloc_exit: load(&object, "alloc_exit")?,
            free_enter: load(&object, "free_enter")?,
            map_called: load(&object, "map_called")?,
        })
    }

    /// The program of that name.
    pub fn program(&self, name: &str) -> Option<BorrowedFd<'_>> {
        match name {
            "alloc_enter" => Some(self.alloc_enter.as_fd()),
            "alloc_exit" => Some(self.alloc_exit.as_fd()),
            "free_enter" => Some(self.free_enter.as_fd()),
            "map_called" => Some(self.map_called.as_fd()),
            _ => None,
        }
    }
}

fn load(object: &Object, name: &str) -> Result<OwnedFd, String> {
    let program = object.programs.get(name).ok_or_else(|| format!("no program {name}"))?;
    let function =
        object.functions.get(&program.function_key()).ok_or_else(|| format!("no function {name}"))?;
    sys::load_multi(name, &function.instructions).map_err(|error| format!("{name}: {error}"))
}

/// The descriptor behind any map; aya offers it only per map type.
fn map_fd(map: &Map) -> Option<RawFd> {
    let (Map::Array(data)
    | Map::HashMap(data)
    | Map::PerCpuArray(data)
    | Map::PerCpuHashMap(data)
    | Map::PerfEventArray(data)
    | Map::RingBuf(data)
    | Map::StackTraceMap(data)
    | Map::LruHashMap(data)) = map
    else {
        return None;
    };
    Some(data.fd().as_fd().as_raw_fd())
}
