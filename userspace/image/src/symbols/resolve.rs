//! Asks blazesym about the addresses of one file.
//!
//! Each call parses anew what it needs and gives the memory back: symbol tables take tenths of a millisecond, and
//! debug information is too large to keep beside that of the next file.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use blazesym::symbolize::source::{Elf, Source};
use blazesym::symbolize::{CodeInfo, Input, Sym, Symbolized, Symbolizer};
use waytrace_model::stack::Frame;

use super::aliases::public_name;
use super::debug_file;
use super::modules::{Module, fd_path};

/// Frames of each stated address in `module`, innermost inlined function first; empty where no symbol covers it.
/// Debug information of more than `debug_max_bytes` is left unread.
pub(super) fn resolve(
    module: &Module,
    svmas: &[u64],
    roots: &[PathBuf],
    debug_max_bytes: u64,
) -> Vec<Vec<Frame>> {
    let mut frames = vec![Vec::new(); svmas.len()];
    let (sources, _debug_file) = sources(module, roots, debug_max_bytes);
    for elf in sources {
        let open: Vec<usize> = (0..svmas.len()).filter(|&index| frames[index].is_empty()).collect();
        if open.is_empty() {
            break;
        }
        let wanted: Vec<u64> = open.iter().map(|&index| svmas[index]).collect();
        let debug = elf.debug_syms;
        for (index, found) in open.into_iter().zip(ask(elf, &wanted, &module.name)) {
            frames[index] = found;
        }
        if debug {
            trim();
        }
    }
    frames
}

/// What to ask, best first, and the separate debug file that must stay open meanwhile.
fn sources(module: &Module, roots: &[PathBuf], debug_max_bytes: u64) -> (Vec<Elf>, Option<File>) {
    let symbols_only = |mut elf: Elf| {
        elf.debug_syms = false;
        elf
    };
    let own = Elf::new(module.open_path());
    let fallback = symbols_only(own.clone());
    let own_bytes = debug_file::debug_size_bytes(&module.file);
    if debug_max_bytes == 0 || own_bytes > debug_max_bytes {
        return (vec![fallback], None);
    }
    if own_bytes > 0 {
        return (vec![own, fallback], None);
    }
    let Some(file) = debug_file::find(module, roots) else { return (vec![fallback], None) };
    let separate = Elf::new(fd_path(&file));
    let small = debug_file::debug_size_bytes(&file) <= debug_max_bytes;
    let separate = if small { separate } else { symbols_only(separate) };
    (vec![separate, fallback], Some(file))
}

/// One batch; nothing found where blazesym gives up on the file.
fn ask(elf: Elf, svmas: &[u64], module: &str) -> Vec<Vec<Frame>> {
    let symbolizer = Symbolizer::builder().enable_auto_reload(false).build();
    let source = Source::Elf(elf);
    // The file is the target's and may be damaged; a bug met in it must not end the run. Nothing outlives the closure.
    let answer =
        catch_unwind(AssertUnwindSafe(|| match symbolizer.symbolize(&source, Input::VirtOffset(svmas)) {
            Ok(found) => Some(found.into_iter().map(|symbol| frames_of(symbol, module)).collect()),
            Err(error) => {
                tracing::debug!(module, %error, "no symbols from this source");
                None
            }
        }));
    answer.ok().flatten().unwrap_or_else(|| vec![Vec::new(); svmas.len()])
}

fn frames_of(symbol: Symbolized<'_>, module: &str) -> Vec<Frame> {
    match symbol {
        Symbolized::Sym(symbol) if !symbol.name.is_empty() => expand(&symbol, module),
        Symbolized::Sym(_) | Symbolized::Unknown(_) => Vec::new(),
    }
}

/// blazesym lists a function, then what is inlined into it from outside in, each with the place of its call; the
/// place of the address is the function's own. In frames, each function carries the place it has got to.
fn expand(symbol: &Sym<'_>, module: &str) -> Vec<Frame> {
    let frame = |name: &str, place: Option<&CodeInfo<'_>>, inlined| Frame {
        function: Some(public_name(name).to_owned()),
        module: Some(module.to_owned()),
        offset: symbol.offset as u64,
        file: place.map(|place| place.to_path().to_string_lossy().into_owned()),
        line: place.and_then(|place| place.line),
        inlined,
    };
    let names = std::iter::once(symbol.name.as_ref()).chain(symbol.inlined.iter().map(|f| f.name.as_ref()));
    let places = std::iter::once(symbol.code_info.as_deref())
        .chain(symbol.inlined.iter().map(|f| f.code_info.as_ref()));
    let frames: Vec<Frame> =
        names.zip(places).enumerate().map(|(depth, (name, place))| frame(name, place, depth > 0)).collect();
    frames.into_iter().rev().collect()
}

/// Returns freed memory to the system: parsing debug information leaves tens of megabytes of it in the allocator.
fn trim() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim has no preconditions.
    unsafe {
        libc::malloc_trim(0);
    }
}
