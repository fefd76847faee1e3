//! Truncated and altered files: an answer or an error, never a panic.

use super::*;
use crate::error::Error;
use crate::testing::Random;

fn survives(bytes: &[u8], path: &Path) {
    std::fs::write(path, bytes).unwrap();
    match find_in_file(path) {
        Ok(map) => {
            for probe in map.probes {
                assert!((probe.file_offset as usize) < bytes.len(), "{probe:?}");
            }
        }
        Err(error) => {
            assert!(
                matches!(error, Error::Elf { .. } | Error::NoAllocator { .. } | Error::Read { .. }),
                "{error}"
            );
        }
    }
}

#[test]
fn no_damage_to_a_file_makes_the_search_panic() {
    let Some(original) = library("libjemalloc.so.2").or_else(|| library("libc.so.6")) else { return };
    let original = std::fs::read(original).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("damaged.so");
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for length in [0, 1, 63, 64, 100, 4096].into_iter().chain((0..12).map(|_| random.below(original.len()))) {
        survives(&original[..length], &path);
    }
    // Headers, tables at the end, then anywhere.
    let tail = original.len() - 4096;
    for round in 0..60 {
        let mut bytes = original.clone();
        for _ in 0..1 + random.below(8) {
            let at = match round % 3 {
                0 => random.below(1024),
                1 => tail + random.below(4096),
                _ => random.below(original.len()),
            };
            bytes[at] ^= 1 << random.below(8);
        }
        survives(&bytes, &path);
    }
}
