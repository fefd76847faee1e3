//! `mapfile.csv`: any text is a map or refused, and what it maps to is looked up.
#![no_main]

use libfuzzer_sys::fuzz_target;
use waytrace_fuzz::{folder, write};
use waytrace_hw::catalogue::{CpuId, Directory};

const CPUS: [&str; 4] =
    ["GenuineIntel-6-55-4", "GenuineIntel-6-97", "AuthenticAMD-25-11", "0x00000000410fd0c0"];

fuzz_target!(|data: &[u8]| {
    write("map/mapfile.csv", data);
    write("map/X/events/x_core.json", br#"[{"EventName": "A.B", "EventCode": "0x3c", "Counter": "0,1"}]"#);
    let Ok(directory) = Directory::open(&folder().join("map")) else { return };
    for cpu in CPUS {
        let cpu: CpuId = cpu.parse().expect("a CPU");
        let _ = directory.absent(&cpu);
        let _ = directory.find(&cpu).map(|model| model.load());
    }
    let _ = directory.models();
});
