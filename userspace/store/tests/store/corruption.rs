//! Damaged files: reading and writing them is an error or works, and never panics or hangs.

use std::path::Path;
use std::sync::LazyLock;

use proptest::prelude::*;
use tempfile::TempDir;
use waytrace_store::{PruneRule, Store};

use crate::fixture;
use crate::support::{Place, record};

/// A small real database, log and all in one file.
static SOUND: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let place = Place::new();
    let mut store = place.open();
    record(&store, &fixture::exact("one", 8));
    record(&store, &fixture::exact("two", 3));
    let run = fixture::exact("cut", 2);
    store.begin_run(&run.header, &run.events).unwrap().append(&run.batches[0]).unwrap();
    store.prune(&PruneRule { runs: vec![waytrace_store::RunId(2)], ..Default::default() }, 0).unwrap();
    drop(store);
    std::fs::read(place.file()).unwrap()
});

/// A database and its log, not yet folded in.
static UNFOLDED: LazyLock<(Vec<u8>, Vec<u8>)> = LazyLock::new(|| {
    let place = Place::new();
    let store = place.open();
    // Having read, this connection holds the log open, so that the writer's end does not fold it in.
    store.runs(None).unwrap();
    record(&store, &fixture::exact("one", 3));
    let log = place.file().with_file_name("runs.db-wal");
    (std::fs::read(place.file()).unwrap(), std::fs::read(log).unwrap())
});

/// One way to damage a file; positions are shares of its length.
#[derive(Debug, Clone)]
enum Damage {
    Truncate(f64),
    Flip { at: f64, bit: u8 },
    Overwrite { at: f64, bytes: Vec<u8> },
    ZeroPage(f64),
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = 0.0..1.0;
    prop_oneof![
        1 => at.clone().prop_map(Damage::Truncate),
        4 => (at.clone(), 0..8u8).prop_map(|(at, bit)| Damage::Flip { at, bit }),
        // The first 2 % are the header and the root of the schema, where damage reaches furthest.
        2 => (0.0..0.02, 0..8u8).prop_map(|(at, bit)| Damage::Flip { at, bit }),
        3 => (at.clone(), prop::collection::vec(any::<u8>(), 1..64))
            .prop_map(|(at, bytes)| Damage::Overwrite { at, bytes }),
        1 => at.prop_map(Damage::ZeroPage),
    ]
}

fn apply(bytes: &mut Vec<u8>, damage: &Damage) {
    let index = |at: f64| ((bytes.len() as f64 * at) as usize).min(bytes.len().saturating_sub(1));
    match damage {
        _ if bytes.is_empty() => {}
        Damage::Truncate(at) => bytes.truncate(index(*at)),
        Damage::Flip { at, bit } => {
            let at = index(*at);
            bytes[at] ^= 1 << bit;
        }
        Damage::Overwrite { at, bytes: with } => {
            let at = index(*at);
            let end = (at + with.len()).min(bytes.len());
            bytes[at..end].copy_from_slice(&with[..end - at]);
        }
        Damage::ZeroPage(at) => {
            let start = index(*at) / 4096 * 4096;
            let end = (start + 4096).min(bytes.len());
            bytes[start..end].fill(0);
        }
    }
}

/// Each case syncs several times, which on a disk takes most of the time and proves nothing here.
fn in_memory() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// Everything a command would do; errors name the file.
fn exercise(path: &Path) {
    let named = |error: waytrace_store::StoreError| {
        assert!(error.to_string().contains("runs.db"), "the error does not say which file: {error}");
    };
    if let Ok(store) = Store::open_existing(Some(path)).map_err(named) {
        let _ = store.find("o").map_err(named);
        for row in store.runs(None).map_err(named).unwrap_or_default() {
            let _ = store.report(row.id).map_err(named);
            let _ = store.detail(row.id).map_err(named);
            if let Ok(view) = store.view(row.id).map_err(named) {
                for one in view.traced() {
                    let _ = one.map_err(named);
                }
                for one in view.accesses() {
                    let _ = one.map_err(named);
                }
            }
        }
    }
    if let Ok(mut store) = Store::open(Some(path)).map_err(named) {
        let run = fixture::exact("", 1);
        if let Ok(mut writer) = store.begin_run(&run.header, &run.events).map_err(named) {
            let _ = writer.append(&run.batches[0]).map_err(named);
            let _ = writer.finish(&run.epilogue).map_err(named);
        }
        let _ = store.prune(&PruneRule { keep: Some(1), ..Default::default() }, u64::MAX).map_err(named);
    }
}

#[test]
fn the_sound_file_is_readable() {
    let directory = in_memory();
    let path = directory.path().join("runs.db");
    std::fs::write(&path, &*SOUND).unwrap();
    let store = Store::open_existing(Some(&path)).unwrap();
    assert_eq!(store.runs(None).unwrap().len(), 2);
    assert_eq!(store.detail(store.find("one").unwrap()).unwrap().windows.len(), 8);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damage_is_an_error_or_is_survived(damages in prop::collection::vec(damage(), 1..6)) {
        let directory = in_memory();
        let path = directory.path().join("runs.db");
        let mut bytes = SOUND.clone();
        for damage in &damages {
            apply(&mut bytes, damage);
        }
        std::fs::write(&path, &bytes).unwrap();
        exercise(&path);
    }

    #[test]
    fn damage_to_the_log_is_survived(damages in prop::collection::vec(damage(), 1..4)) {
        let directory = in_memory();
        let path = directory.path().join("runs.db");
        std::fs::write(&path, &UNFOLDED.0).unwrap();
        let mut log = UNFOLDED.1.clone();
        for damage in &damages {
            apply(&mut log, damage);
        }
        std::fs::write(directory.path().join("runs.db-wal"), &log).unwrap();
        exercise(&path);
    }
}
