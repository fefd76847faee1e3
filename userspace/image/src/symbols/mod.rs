//! What addresses are called: function, file and line, inlined functions, or module and offset where nothing says.
//!
//! [`Modules`] keeps the files a process has mapped open, so that the answer is the same in another mount
//! namespace, after the program was replaced or deleted, and after the process exited. [`Symbolizer`] reads symbols
//! and debug information with the [blazesym] crate and remembers each answer. It takes its time (milliseconds per
//! file with debug information): keep it off the path that drains events. Both are `Send`.
//!
//! [blazesym]: https://docs.rs/blazesym

mod aliases;
mod debug_file;
mod modules;
mod perf_map;
mod resolve;
mod symbolizer;

use std::fmt::Write;
use std::fs::File;
use std::path::Path;

use memmap2::Mmap;

pub use crate::unwind::file_key::FileKey;
use crate::unwind::layout::Layout;
pub use modules::{Location, MappedCode, Modules};
pub use symbolizer::{Settings, Symbolizer};

/// The build id of an ELF file in lower-case hexadecimal; `None` if it has none or cannot be read.
pub fn build_id(path: &Path) -> Option<String> {
    let file = File::open(path).ok()?;
    // SAFETY: a private mapping, read as bytes while this call lasts.
    let bytes = unsafe { Mmap::map(&file) }.ok()?;
    Some(hex(&Layout::parse(&bytes)?.build_id?))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests;
