//! Manifests of pairs, and the files of series beside which their keys are checked.
#![no_main]

use libfuzzer_sys::fuzz_target;
use waytrace_fuzz::write;

/// The binary's own files: they are in no library.
#[allow(dead_code)]
#[path = "../../../userspace/src/cli/bench/file.rs"]
mod file;
#[allow(dead_code)]
#[path = "../../../userspace/src/cli/events/pair/manifest.rs"]
mod manifest;

/// Where the manifest looks for the file of a series.
mod cli {
    pub(crate) mod bench {
        pub(crate) use crate::file;
    }
}

fuzz_target!(|data: &[u8]| {
    let path = write("manifest.toml", data);
    for error in [manifest::read(&path).err(), file::read(&path).err()].into_iter().flatten() {
        assert!(!format!("{error:#}").contains('\n'), "more than a line: {error:#}");
    }
});
