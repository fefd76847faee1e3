//! `perf.data` of known bytes: what is in it, in what order, and what is left of it when it is damaged.

use std::fs;

use tempfile::TempDir;
use waytrace_import::Options;
use waytrace_model::access::{AccessKind, Source};

use super::made::*;
use super::run::{import, import_with, refusal};

fn records() -> Vec<Vec<u8>> {
    vec![
        named("npb", 1),
        mapped(0x40_0000, 0x4000, 0x1000, true, "/opt/npb/ft.A"),
        mapped(0x7f00_0000, 0x10_0000, 0, false, "//anon"),
        sample(STORES, 3_000, 0x40_0010, 0x7f00_1000, 7),
        sample(LOADS, 1_000, 0x40_0020, 0x7f00_2000, 5),
        round(),
        sample(LOADS, 2_000, 0x40_0020, 0x40_3000, 5),
        kernel_sample(2_500),
        sample(LOADS, 4_000, 0x40_0020, 0, 5),
        round(),
        lost(12),
        record(5, 0, &words(&[1, 1, 1, 10, 5, 1])),
        sample(LOADS, 200_003_000, 0x9999, 0x6000, 5),
    ]
}

#[test]
fn samples_come_in_order_with_their_code_and_mappings() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("perf.data");
    fs::write(&path, file(&records(), None)).unwrap();
    let run = import(&path);
    let accesses = run.accesses();
    let found: Vec<_> = accesses
        .iter()
        .map(|access| (access.at_ns, access.kind, access.weight, run.code(access), run.region(access)))
        .collect();
    let (load, store) = (AccessKind::Load, AccessKind::Store);
    let expected = [
        (0, load, 5, "ft.A+0x1020".to_owned(), "[anon]"),
        (1_000, load, 5, "ft.A+0x1020".to_owned(), "/opt/npb/ft.A"),
        (2_000, store, 7, "ft.A+0x1010".to_owned(), "[anon]"),
        (200_002_000, load, 5, "0x9999".to_owned(), ""),
    ];
    assert_eq!(found, expected);
    assert_eq!(run.batches.len(), 3, "windows of 100 ms");
    let totals = run.epilogue.accesses.as_ref().unwrap();
    assert_eq!((totals.source, totals.rate_hz, totals.throttled), (Source::Imported, Some(1000.0), 1));
    assert_eq!((totals.samples, totals.kernel_samples, totals.resolved), (5, 1, 4));
    assert_eq!(totals.unresolved["no address recorded"], 1);
    assert_eq!(run.epilogue.loss.0["ring_full"], 12);
    assert_eq!((run.header.host.hostname.as_str(), run.header.started_at_ns), ("db-7", 1_000));
    assert_eq!((run.header.target.tgid, run.header.target.exe.as_str()), (10, "/opt/npb/ft.A"));
    assert_eq!((run.threads().len(), run.threads()[0].comm.as_str()), (1, "npb"));
}

#[test]
fn events_named_by_the_user_go_before_their_names() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("perf.data");
    fs::write(&path, file(&records(), None)).unwrap();
    let mut options = Options::default();
    options.directions.write_event = Some("r4003E".to_owned());
    let runs = import_with(&path, &options).unwrap();
    assert!(runs[0].accesses().iter().all(|access| access.kind == AccessKind::Store));
}

/// Wherever a file ends, what is whole is imported or one error says what is wrong.
#[test]
fn a_file_cut_anywhere_and_one_with_any_byte_changed() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("perf.data");
    let whole = file(&records(), None);
    let mut imported = 0;
    for len in 0..whole.len() {
        fs::write(&path, &whole[..len]).unwrap();
        match import_with(&path, &Options::default()) {
            Ok(runs) => imported += usize::from(!runs[0].accesses().is_empty()),
            Err(error) => assert!(error.to_string().contains("perf.data"), "{error}"),
        }
    }
    assert!(imported > 500, "{imported} of {}", whole.len());
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 0xff;
        fs::write(&path, &changed).unwrap();
        let options = Options { interval_ns: Some(1 << 60), ..Options::default() };
        if let Err(error) = import_with(&path, &options) {
            assert!(error.to_string().contains("perf.data"), "{error}");
        }
    }
}

#[test]
fn what_cannot_be_read_is_refused_with_a_way_out() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("perf.data");
    let said = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        refusal(&path)
    };
    let compressed = file(&[record(81, 0, &[1; 40])], None);
    let text = said(&compressed);
    assert!(text.contains("compressed") && text.contains("perf script"), "{text}");
    let text = said(&[&b"2ELIFREP"[..], &[0; 120]].concat());
    assert!(text.contains("byte order") && text.contains("perf script"), "{text}");
    let text = said(&file(&[sample(LOADS, 5, 6, 0, 1)], None));
    assert!(text.contains("none of its 1 samples has an address") && text.contains("record -d"), "{text}");
    assert!(said(&file(&[named("x", 1)], None)).contains("no sample"));
    assert!(said(&file(&[vec![9, 0, 0, 0, 2, 0, 7, 0]], None)).contains("a record without a size"));
    assert!(said(b"hello\n").contains("neither perf.data"));
    assert!(refusal(&folder.path().join("gone")).contains("No such file"));
    assert!(refusal(folder.path()).contains("neither perf.data"));
}

/// The same records as a stream into a pipe, where the attributes are records too.
#[test]
fn a_stream_says_the_same_as_a_file() {
    let folder = TempDir::new().unwrap();
    let (stream, whole) = (folder.path().join("stream"), folder.path().join("file"));
    let mut bytes = b"PERFILE2".to_vec();
    bytes.extend(16_u64.to_le_bytes());
    for id in [LOADS, STORES] {
        bytes.extend(record(64, 0, &[attr(None), words(&[id])].concat()));
    }
    bytes.extend(record(66, 0, &words(&[9])));
    bytes.extend([0xee; 16]);
    for piece in records() {
        bytes.extend(piece);
    }
    bytes.extend(record(71, 0, &words(&[24, 0, 0, 0, 0])));
    bytes.extend([0xee; 24]);
    fs::write(&stream, bytes).unwrap();
    fs::write(&whole, file(&records(), None)).unwrap();
    let (stream, whole) = (import(&stream), import(&whole));
    let places = |run: &super::run::Run| -> Vec<_> {
        run.accesses()
            .iter()
            .map(|access| (access.at_ns, access.address, access.weight, access.code))
            .collect()
    };
    assert_eq!(places(&stream), places(&whole));
    assert!(stream.reason("accesses").contains("24 bytes of an AUX area"), "{}", stream.reason("accesses"));
    assert!(stream.reason("accesses").contains("nothing tells whether"), "a stream without names of events");
}
