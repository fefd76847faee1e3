//! pprof profiles, read back by a decoder that shares nothing with the encoder, and by Go's own tool.

use std::collections::BTreeMap;
use std::io::Read;
use std::process::Command;

use waytrace_model::detail::RunDetail;

use crate::{accesses, fixture};

fn profile(detail: &RunDetail) -> Vec<u8> {
    let mut compressed = Vec::new();
    waytrace_report::pprof::write(detail, accesses::accesses(detail), &mut compressed)
        .expect("a Vec takes everything");
    compressed
}

/// One protobuf field: its number with a varint or with bytes.
enum Field {
    Number(u64, u64),
    Bytes(u64, Vec<u8>),
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first().expect("a varint goes on");
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    value
}

fn fields(mut bytes: &[u8]) -> Vec<Field> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let value = varint(&mut bytes);
        match key & 7 {
            0 => fields.push(Field::Number(key >> 3, value)),
            2 => {
                let (taken, rest) = bytes.split_at(value as usize);
                bytes = rest;
                fields.push(Field::Bytes(key >> 3, taken.to_vec()));
            }
            wire => unreachable!("wire type {wire}"),
        }
    }
    fields
}

fn number(message: &[u8], wanted: u64) -> u64 {
    let of = |field: Field| match field {
        Field::Number(field, value) if field == wanted => Some(value),
        _ => None,
    };
    fields(message).into_iter().find_map(of).unwrap_or(0)
}

fn messages(message: &[u8], wanted: u64) -> Vec<Vec<u8>> {
    let of = |field: Field| match field {
        Field::Bytes(field, bytes) if field == wanted => Some(bytes),
        _ => None,
    };
    fields(message).into_iter().filter_map(of).collect()
}

fn numbers(message: &[u8], wanted: u64) -> Vec<u64> {
    let unpack = |packed: Vec<u8>| {
        let (mut rest, mut values) = (packed.as_slice(), Vec::new());
        while !rest.is_empty() {
            values.push(varint(&mut rest));
        }
        values
    };
    messages(message, wanted).into_iter().flat_map(unpack).collect()
}

struct Decoded {
    bytes: Vec<u8>,
    strings: Vec<String>,
}

impl Decoded {
    fn of(detail: &RunDetail) -> Self {
        Self::from(&profile(detail))
    }

    fn from(compressed: &[u8]) -> Self {
        let mut bytes = Vec::new();
        flate2::read::GzDecoder::new(compressed).read_to_end(&mut bytes).expect("gzip");
        let strings =
            messages(&bytes, 6).into_iter().map(|text| String::from_utf8(text).expect("UTF-8")).collect();
        Self { bytes, strings }
    }

    fn types(&self) -> Vec<String> {
        let name = |kind: Vec<u8>| {
            format!("{}/{}", self.strings[number(&kind, 1) as usize], self.strings[number(&kind, 2) as usize])
        };
        messages(&self.bytes, 1).into_iter().map(name).collect()
    }

    /// Every sample as its function names, innermost first, with its values.
    fn samples(&self) -> Vec<(Vec<String>, Vec<u64>)> {
        let by_id = |tag| -> BTreeMap<u64, Vec<u8>> {
            messages(&self.bytes, tag).into_iter().map(|message| (number(&message, 1), message)).collect()
        };
        let (locations, functions) = (by_id(4), by_id(5));
        let name = |line: &Vec<u8>| self.strings[number(&functions[&number(line, 1)], 2) as usize].clone();
        let stack = |sample: &[u8]| {
            numbers(sample, 1)
                .iter()
                .flat_map(|id| messages(&locations[id], 4))
                .map(|line| name(&line))
                .collect()
        };
        messages(&self.bytes, 2).iter().map(|sample| (stack(sample), numbers(sample, 2))).collect()
    }
}

#[test]
fn decodes_to_the_same_stacks_and_totals() {
    let detail = fixture::run(3, true);
    let decoded = Decoded::of(&detail);
    assert_eq!(
        decoded.types(),
        ["alloc_objects/count", "alloc_space/bytes", "inuse_objects/count", "inuse_space/bytes"]
    );
    let samples = decoded.samples();
    let total = |at: usize| samples.iter().map(|(_, values)| values[at]).sum::<u64>() as f64;
    let allocations = detail.report.allocations.unwrap();
    assert_eq!(Some(total(0)), allocations.alloc_count);
    assert_eq!(Some(total(1)), allocations.alloc_bytes);
    assert_eq!(total(3), allocations.live_bytes.unwrap() as f64);
    let (stack, values) = &samples[0];
    assert_eq!(stack[..4], ["s_malloc", "_sdsnewlen", "setCommand", "call"]);
    assert_eq!(stack.last().unwrap(), "__libc_start_call_main");
    assert_eq!(values[1], 30_000_000, "three of the site's four samples");
}

#[test]
fn inlined_functions_share_the_location_of_their_holder() {
    let decoded = Decoded::of(&fixture::run(3, true));
    let with_inline: Vec<_> =
        messages(&decoded.bytes, 4).into_iter().filter(|l| messages(l, 4).len() == 2).collect();
    assert_eq!(with_inline.len(), 1);
}

#[test]
fn provenance_is_there() {
    let decoded = Decoded::of(&fixture::run(3, true));
    assert_eq!(number(&decoded.bytes, 9), 1_795_168_800_000_000_000);
    assert_eq!(number(&decoded.bytes, 10), 300_000_000);
    let main = &messages(&decoded.bytes, 3)[0];
    assert_eq!(decoded.strings[number(main, 5) as usize], "redis-server");
    assert_eq!(decoded.strings[number(main, 6) as usize], "5f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c");
    assert_eq!(decoded.strings[0], "", "pprof demands it");
}

#[test]
fn estimates_have_no_inuse_types() {
    let decoded = Decoded::of(&fixture::run(3, false));
    assert_eq!(decoded.types(), ["alloc_objects/count", "alloc_space/bytes"]);
    assert!(decoded.samples().iter().all(|(_, values)| values.len() == 2));
}

#[test]
fn accesses_are_samples_beside_allocations() {
    let detail = accesses::with_accesses(fixture::run(300, true));
    let decoded = Decoded::of(&detail);
    assert_eq!(decoded.types().len(), 5);
    assert_eq!(decoded.types()[4], "accesses/count");
    let samples = decoded.samples();
    let own = detail.report.accesses.as_ref().unwrap();
    assert_eq!(samples.iter().map(|(_, values)| values[4]).sum::<u64>(), own.loads + own.stores);
    assert!(samples.iter().all(|(_, values)| (values[1] == 0) != (values[4] == 0)), "one or the other");
    let by = |name: &str| -> u64 {
        samples.iter().filter(|(stack, _)| stack[..] == [name]).map(|(_, values)| values[4]).sum()
    };
    for function in &own.functions {
        assert_eq!(by(&function.frames[0].label()), function.loads + function.stores);
    }
    for label in ["region", "access", "store", "[heap]"] {
        assert!(decoded.strings.iter().any(|text| text == label), "{label}");
    }
}

#[test]
fn latency_is_a_type_where_it_is_known() {
    let mut detail = accesses::with_accesses(fixture::run(300, true));
    let loads = detail.report.accesses.as_ref().unwrap().loads;
    detail.report.allocations = None;
    let mut compressed = Vec::new();
    waytrace_report::pprof::write(&detail, accesses::precise(&detail), &mut compressed).unwrap();
    let decoded = Decoded::from(&compressed);
    assert_eq!(decoded.types(), ["accesses/count", "latency/cycles"]);
    let cycles: u64 = decoded.samples().iter().map(|(_, values)| values[1]).sum();
    assert_eq!(cycles, loads * 1000 * 40, "each load stands for 1,000 of 40 cycles");
}

#[test]
fn hostile_and_empty_runs_decode() {
    assert!(!Decoded::of(&accesses::hostile(fixture::hostile())).samples().is_empty());
    assert_eq!(
        Decoded::of(&fixture::hostile()).samples().len(),
        Decoded::of(&fixture::run(20, true)).samples().len()
    );
    assert!(Decoded::of(&fixture::empty()).samples().is_empty());
}

/// What `go tool pprof` prints for the profile, or `None` where Go is not installed.
fn go_pprof(detail: &RunDetail, name: &str, arguments: &[&str]) -> Option<String> {
    let path = std::env::temp_dir().join(format!("waytrace-{}-{name}.pb.gz", std::process::id()));
    std::fs::write(&path, profile(detail)).expect("a temporary file");
    let output = Command::new("go").args(["tool", "pprof"]).args(arguments).arg(&path).output();
    std::fs::remove_file(&path).expect("our own file");
    let output = output.ok()?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn go_reads_it() {
    let detail = fixture::run(3, true);
    let Some(top) = go_pprof(&detail, "top", &["-top", "-unit=B", "-nodefraction=0"]) else {
        println!("SKIP: no `go` here, so Go's pprof cannot be asked");
        return;
    };
    assert!(top.contains("Type: alloc_space"), "{top}");
    assert!(top.contains("of 80000000B total"), "{top}");
    let inuse =
        go_pprof(&detail, "inuse", &["-top", "-sample_index=inuse_space", "-unit=B"]).unwrap_or_default();
    assert!(inuse.contains("of 13412288B total"), "{inuse}");
    let tags = go_pprof(&detail, "tags", &["-tags"]).unwrap_or_default();
    assert!(tags.contains("redis-server"), "{tags}");
}
