//! Return addresses the kernel part must know: inside wrappers, and inside functions that count a call already.

use waytrace_abi::allocation::NESTED_CALL;
use waytrace_image::allocators::{AllocatorMap, FileKey, NestedReturn, ProbePoint};
use waytrace_image::process;

use crate::Error;
use crate::kernel::Kernel;
use crate::probes::{Detail, needs_return};

/// Tells the kernel part where calls of the allocator come from wrappers, or from functions that count them already.
pub fn enter_wrappers(
    kernel: &mut Kernel,
    map: &AllocatorMap,
    mappings: &[process::Mapping],
    detail: Detail,
) -> Result<(), Error> {
    for (key, offset, slot) in call_places(map, detail) {
        for mapping in mappings.iter().filter(|m| m.executable && (m.dev, m.inode) == (key.dev, key.inode)) {
            let within = offset.checked_sub(mapping.file_offset);
            if let Some(within) = within.filter(|within| *within < mapping.end - mapping.start) {
                kernel.add_wrapper(mapping.start + within, slot)?;
            }
        }
    }
    Ok(())
}

/// Wrappers with their slots, and the calls made within probed functions whose return is not seen. Where it is, the
/// kernel part knows by itself what is nested in them.
pub fn call_places(map: &AllocatorMap, detail: Detail) -> Vec<(FileKey, u64, u32)> {
    let unseen = |nested: &NestedReturn| {
        let outer = |p: &&ProbePoint| p.key == nested.key && p.function == nested.function;
        map.probes.iter().find(outer).is_none_or(|point| !needs_return(point.kind, detail))
    };
    let wrappers = map.wrappers.iter().map(|w| (w.key, w.return_file_offset, w.cfa_return_slot));
    let nested = map.nested.iter().filter(|nested| unseen(nested));
    wrappers.chain(nested.map(|n| (n.key, n.return_file_offset, NESTED_CALL))).collect()
}
