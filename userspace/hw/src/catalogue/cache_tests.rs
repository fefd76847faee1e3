//! What was imported is read back as it was, and damage is found.

use super::super::directory::tests::intel_layout;
use super::*;

fn imported() -> (crate::testing::Tree, Cache, Imported) {
    let tree = intel_layout();
    let cache = Cache::new(tree.root.path("cache"));
    let imported = cache.import(&Directory::open(&tree.root.path("")).unwrap()).unwrap();
    (tree, cache, imported)
}

#[test]
fn events_come_back_as_they_were_read() {
    let (tree, cache, imported) = imported();
    assert_eq!((imported.models, imported.cpus, imported.events, imported.metrics), (2, 3, 8, 2));
    // The broken line of the index, and the bad event of three files.
    assert_eq!(imported.rejected.len(), 4);
    let cpu: CpuId = "GenuineIntel-6-55-4".parse().unwrap();
    let (path, header) = cache.find(&cpu).unwrap();
    assert_eq!((header.name.as_str(), header.version.as_str(), header.events), ("SKX", "V1.37", 4));
    let directory = Directory::open(&tree.root.path("")).unwrap();
    let loaded = directory.find(&cpu).unwrap().load().unwrap();
    assert_eq!(load(&path).unwrap(), (loaded.events, loaded.metrics));
    assert!(cache.find(&"GenuineIntel-6-9A-3".parse().unwrap()).is_some());
    assert!(cache.find(&"GenuineIntel-6-55-7".parse().unwrap()).is_none());
}

#[test]
fn importing_again_replaces_and_leaves_nothing_unfinished() {
    let (tree, cache, first) = imported();
    tree.write("SKX/events/skylakex_uncore_experimental.json", "[]");
    let second = cache.import(&Directory::open(&tree.root.path("")).unwrap()).unwrap();
    assert_eq!((second.models, second.events), (first.models, first.events - 1));
    let files = fs::read_dir(cache.path()).unwrap().count();
    assert_eq!(files, 2);
}

#[test]
fn a_damaged_model_is_left_out_and_a_damaged_file_found() {
    let (tree, cache, _) = imported();
    tree.write("ADL/events/goldencove_core.json", "{");
    let imported = cache.import(&Directory::open(&tree.root.path("")).unwrap()).unwrap();
    assert_eq!(imported.models, 1);
    assert!(imported.rejected.iter().any(|rejected| rejected.reason.contains("goldencove_core.json")));
    let (path, _) = cache.find(&"GenuineIntel-6-55-4".parse().unwrap()).unwrap();
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    assert!(load(&path).is_err());
    fs::write(&path, b"no gzip").unwrap();
    assert!(load(&path).is_err() && cache.find(&"GenuineIntel-6-55-4".parse().unwrap()).is_none());
    let mut encoder = GzEncoder::new(File::create(&path).unwrap(), Compression::fast());
    encoder
        .write_all(
            br#"{"schema_version":1,"name":"X","version":"","patterns":["GenuineIntel-6-55"],"events":2}"#,
        )
        .unwrap();
    encoder.write_all(b"\n{\"name\":\"a\"}").unwrap();
    encoder.finish().unwrap();
    let error = load(&path).unwrap_err().to_string();
    assert!(error.contains("1 of 2 events"), "{error}");
    // Of a file written before there were metrics, none is missing; of one that says so, one is.
    for (said, expected) in [("", Ok(1)), (r#","metrics":1"#, Err("0 of 1 metrics"))] {
        let mut encoder = GzEncoder::new(File::create(&path).unwrap(), Compression::fast());
        write!(
            encoder,
            r#"{{"schema_version":1,"name":"X","version":"","patterns":["x"],"events":1{said}}}"#
        )
        .unwrap();
        encoder.write_all(b"\n{\"name\":\"a\"}").unwrap();
        encoder.finish().unwrap();
        match (load(&path), expected) {
            (Ok((events, metrics)), Ok(count)) => assert_eq!((events.len(), metrics.len()), (count, 0)),
            (Err(error), Err(reason)) => assert!(error.to_string().contains(reason), "{error}"),
            (found, _) => panic!("{found:?}"),
        }
    }
}

#[test]
fn a_cache_that_is_not_there_is_empty() {
    let tree = crate::testing::Tree::new(&[]);
    assert!(Cache::new(tree.root.path("none")).headers().is_empty());
    tree.write("file", "x");
    let cache = Cache::new(tree.root.path("file"));
    let error = cache.import(&Directory::open(&intel_layout().root.path("")).unwrap()).unwrap_err();
    assert!(error.to_string().contains("writable directory"), "{error}");
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_are_a_file_or_an_error(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300), packed in proptest::prelude::any::<bool>()) {
        let tree = crate::testing::Tree::new(&[]);
        let path = tree.root.path("X.events.gz");
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&bytes).unwrap();
        fs::write(&path, if packed { encoder.finish().unwrap() } else { bytes }).unwrap();
        let _ = load(&path);
        Cache::new(tree.root.path("")).headers();
    }

    #[test]
    fn a_byte_changed_is_found_or_changes_nothing(at in 0usize..100_000, byte in proptest::prelude::any::<u8>()) {
        let (_tree, cache, _) = imported();
        let (path, _) = cache.find(&"GenuineIntel-6-55-4".parse().unwrap()).unwrap();
        let before = load(&path).unwrap();
        let mut bytes = fs::read(&path).unwrap();
        let at = at % bytes.len();
        bytes[at] = byte;
        fs::write(&path, bytes).unwrap();
        if let Ok(after) = load(&path) {
            proptest::prop_assert_eq!(after, before);
        }
    }
}
