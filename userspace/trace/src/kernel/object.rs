//! The object's programs as instructions, tied to the maps aya made: for the ways of loading that aya 0.14 does not offer,
//! or only at a price (its iterators want the kernel's whole type information parsed, 60 to 110 ms, for one number).

use std::collections::HashSet;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use aya::Ebpf;
use aya::maps::Map;
use aya_obj::Object;
use aya_obj::generated::bpf_insn;

/// Parses the object and ties it to the maps of `ebpf`.
///
/// # Errors
/// A text saying what does not fit.
pub fn relocated(bytes: &[u8], ebpf: &Ebpf) -> Result<Object, String> {
    let mut object = Object::parse(bytes).map_err(|error| error.to_string())?;
    let parsed: Vec<_> = object.maps.drain().collect();
    let mut maps = Vec::with_capacity(parsed.len());
    for (name, map) in &parsed {
        let fd = ebpf
            .map(name)
            .and_then(map_fd)
            .map(|fd| fd.as_raw_fd())
            .ok_or_else(|| format!("map {name} has no descriptor"))?;
        maps.push((name.as_str(), fd, map));
    }
    let text: HashSet<usize> = object.functions.keys().map(|(section, _)| *section).collect();
    object.relocate_maps(maps.into_iter(), &text).map_err(|error| error.to_string())?;
    object.relocate_calls(&text).map_err(|error| error.to_string())?;
    Ok(object)
}

/// The instructions of a program; `None` if the object has none of that name.
pub fn instructions<'o>(object: &'o Object, name: &str) -> Option<&'o [bpf_insn]> {
    let program = object.programs.get(name)?;
    object.functions.get(&program.function_key()).map(|function| &function.instructions[..])
}

/// The descriptor behind any map; aya offers it only per map type.
pub fn map_fd(map: &Map) -> Option<BorrowedFd<'_>> {
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
    Some(data.fd().as_fd())
}
