//! `perf.data`, read as a run.
#![no_main]

use libfuzzer_sys::fuzz_target;
use waytrace_fuzz::write;
use waytrace_import::{Format, Options};

fuzz_target!(|data: &[u8]| {
    let path = write("perf.data", data);
    waytrace_fuzz::import(&path, &Options { format: Some(Format::PerfData), ..Options::default() });
});
