//! The text of `perf script`, read as a run.
#![no_main]

use libfuzzer_sys::fuzz_target;
use waytrace_fuzz::write;
use waytrace_import::{Format, Options};

fuzz_target!(|data: &[u8]| {
    let path = write("perf.txt", data);
    let _ = Format::detect(&path);
    waytrace_fuzz::import(&path, &Options { format: Some(Format::PerfScript), ..Options::default() });
});
