//! A file of imported events: as it is, or packed here, so that what is inside is reached, too.
#![no_main]

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use libfuzzer_sys::fuzz_target;
use waytrace_fuzz::{folder, write};
use waytrace_hw::catalogue::{Cache, CpuId, Sources};

fuzz_target!(|data: &[u8]| {
    let Some((is_packed, bytes)) = data.split_first() else { return };
    let mut packed = Vec::new();
    if is_packed % 2 == 0 {
        let mut encoder = GzEncoder::new(&mut packed, Compression::fast());
        encoder.write_all(bytes).and_then(|()| encoder.try_finish()).expect("packing");
        drop(encoder);
    }
    write("events/x.events.gz", if is_packed % 2 == 0 { &packed } else { bytes });
    let sources = Sources::open(None, Cache::new(folder().join("events"))).expect("no directory");
    // A CPU that no table knows, which would take the time of a thousand files.
    let cpu: CpuId = "TestVendor-6-1".parse().expect("a CPU");
    let _ = sources.load(&cpu);
});
