//! Event files in Intel's and in the kernel's layout; what could be read comes back the same from the compact cache.
#![no_main]

use libfuzzer_sys::fuzz_target;
use waytrace_fuzz::{folder, parts, write};
use waytrace_hw::catalogue::{Cache, CpuId, Directory, Sources};

const INTEL: &str = "Family-model,Version,Filename,EventType,Core Type,Native Model ID,Core Role Name
GenuineIntel-6-55,V1,/X/events/x_core.json,core,,,
GenuineIntel-6-55,V1,/X/events/x_uncore.json,uncore,,,
";
const AMD: &str = "Family-model,Version,Filename,EventType\nAuthenticAMD-25-([12][[:xdigit:]]|[[:xdigit:]]),v1,amdzen3,core\n";
const ARM: &str = "Family-model,Version,Filename,EventType\n0x00000000410fd0c0,v1,arm/n1,core\n";

fuzz_target!(|data: &[u8]| {
    let Some((layout, json)) = data.split_first() else { return };
    let [first, second] = parts(json);
    let (tree, cpu) = match layout % 3 {
        0 => {
            write("intel/mapfile.csv", INTEL.as_bytes());
            write("intel/X/events/x_core.json", first);
            write("intel/X/events/x_uncore.json", second);
            ("intel", "GenuineIntel-6-55")
        }
        1 => {
            write("amd/x86/mapfile.csv", AMD.as_bytes());
            write("amd/x86/amdzen3/core.json", first);
            write("amd/x86/amdzen3/cache.json", second);
            ("amd", "AuthenticAMD-25-1")
        }
        _ => {
            write("arm/arm64/mapfile.csv", ARM.as_bytes());
            write("arm/arm64/common-and-microarch.json", first);
            write("arm/arm64/arm/n1/core.json", second);
            ("arm", "0x00000000410fd0c0")
        }
    };
    let cpu: CpuId = cpu.parse().expect("a CPU");
    let tree = folder().join(tree);
    let Ok(directory) = Directory::open(&tree) else { return };
    let cache = Cache::new(folder().join("cache"));
    let imported = cache.import(&directory).expect("writing the cache");
    let Ok(read) = Sources::open(Some(&tree), cache.clone()).expect("the directory").load(&cpu) else {
        return;
    };
    if imported.models == 1 {
        let again =
            Sources::open(None, cache).expect("the cache").load(&cpu).expect("what was just imported");
        assert_eq!(read.events, again.events);
    }
});
