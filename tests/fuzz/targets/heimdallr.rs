//! A directory of Heimdallr's, all of whose files but the samples may say anything.
#![no_main]

use libfuzzer_sys::fuzz_target;
use waytrace_fuzz::{folder, parts, write};
use waytrace_import::{Format, Options};

const RUN: &str = "results/ft.A7.1loc_50.1";

fuzz_target!(|data: &[u8]| {
    let [allocations, others, maps, times, executed, console, modes, runs] = parts(data);
    for (file, bytes) in [
        ("alloc_0_11.log", allocations),
        ("alloc_1_12.log", others),
        ("maps.log", maps),
        ("time.log", times),
        ("cmd.log", executed),
        ("console.log", console),
    ] {
        write(&format!("{RUN}/{file}"), bytes);
    }
    write("results/modes.lst", modes);
    write("results/runs.lst", runs);
    for align_clocks in [false, true] {
        let options = Options { format: Some(Format::Heimdallr), align_clocks, ..Options::default() };
        waytrace_fuzz::import(&folder().join("results"), &options);
    }
});
