//! Records written by hand, byte for byte as the kernel's header file describes them.

use proptest::prelude::*;

use super::*;

const IDS: Layout = Layout {
    sample_type: layout::TID | layout::TIME | layout::CPU | layout::IDENTIFIER,
    read_format: 0,
    branch_sample_type: 0,
    sample_regs_user: 0,
    sample_regs_intr: 0,
    sample_id_all: true,
};

fn words(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn pair(low: u32, high: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

/// The trailer of [`IDS`]: process 6, thread 7, at 99 ns on CPU 1, of event 42.
fn with_ids(mut body: Vec<u8>) -> Vec<u8> {
    body.extend(words(&[pair(6, 7), 99, pair(1, 0), 42]));
    body
}

fn decode(kind: u32, body: &[u8]) -> Option<Record> {
    Record::decode(Header { kind, misc: 0, size: 0 }, &IDS, body)
}

#[test]
fn numbers_of_lost_records() {
    assert_eq!(decode(kind::LOST, &with_ids(words(&[42, 1000]))), Some(Record::Lost(1000)));
    assert_eq!(decode(kind::LOST_SAMPLES, &with_ids(words(&[17]))), Some(Record::LostSamples(17)));
    assert_eq!(decode(kind::THROTTLE, &with_ids(words(&[1, 2, 3]))), Some(Record::Throttled));
    assert_eq!(decode(kind::UNTHROTTLE, &with_ids(words(&[1, 2, 3]))), Some(Record::Unthrottled));
}

#[test]
fn a_mapping_with_protection_and_one_without() {
    let mut body = words(&[pair(6, 7), 0x40_0000, 0x2000, 0x1000, pair(0xfe, 0), 4242, 1, pair(5, 2)]);
    body.extend(b"/usr/bin/redis-server\0\0\0");
    let expected = Mapped {
        tgid: 6,
        tid: 7,
        start: 0x40_0000,
        len: 0x2000,
        file_offset: 0x1000,
        executable: Some(true),
        path: "/usr/bin/redis-server".to_owned(),
    };
    assert_eq!(
        decode(kind::MMAP2, &with_ids(body)),
        Some(Record::Task(TaskChange::Mapped(expected.clone())))
    );
    let mut body = words(&[pair(6, 7), 0x40_0000, 0x2000, 0x1000]);
    body.extend(b"/usr/bin/redis-server\0\0\0");
    let first = Mapped { executable: None, ..expected };
    assert_eq!(decode(kind::MMAP, &with_ids(body)), Some(Record::Task(TaskChange::Mapped(first))));
}

#[test]
fn threads_come_get_a_name_and_go() {
    let mut body = words(&[pair(6, 7)]);
    body.extend(b"worker 1\0\0\0\0\0\0\0\0");
    let named = Record::Task(TaskChange::Named { tgid: 6, tid: 7, comm: "worker 1".to_owned() });
    assert_eq!(decode(kind::COMM, &with_ids(body)), Some(named));
    let body = with_ids(words(&[pair(6, 5), pair(7, 5), 99]));
    let forked = Record::Task(TaskChange::Forked { tgid: 6, tid: 7, parent_tgid: 5 });
    assert_eq!(decode(kind::FORK, &body), Some(forked));
    assert_eq!(decode(kind::EXIT, &body), Some(Record::Task(TaskChange::Exited { tgid: 6, tid: 7 })));
    let aux = Record::Aux { offset: 4096, size: 512, flags: 8 };
    assert_eq!(decode(kind::AUX, &with_ids(words(&[4096, 512, 8]))), Some(aux));
    assert_eq!(decode(77, &with_ids(Vec::new())), Some(Record::Other(77)));
}

#[test]
fn the_ids_at_the_end_are_read_and_not_taken_for_text() {
    let body = with_ids(words(&[pair(6, 7)]));
    assert_eq!(
        Trailer::decode(&IDS, &body),
        Trailer { tgid: Some(6), tid: Some(7), time_ns: Some(99), cpu: Some(1) }
    );
    assert_eq!(
        decode(kind::COMM, &body),
        Some(Record::Task(TaskChange::Named { tgid: 6, tid: 7, comm: String::new() }))
    );
    assert_eq!(Trailer::decode(&Layout::default(), &body), Trailer::default());
    assert_eq!(decode(kind::LOST, &words(&[1, 2, 3, 4, 5])), None, "shorter than its ids and itself");
}

#[test]
fn records_follow_each_other_by_their_sizes() {
    let mut memory = Vec::new();
    for (kind, body) in [(kind::THROTTLE, 0), (kind::LOST, 16)] {
        memory.extend(u32::to_le_bytes(kind));
        memory.extend([0, 0, 8 + body, 0]);
        memory.resize(memory.len() + usize::from(body), 0);
    }
    memory.extend([9, 0, 0, 0, 2, 0, 64, 0, 1]);
    let mut records = Records::new(&memory);
    let found: Vec<(u32, usize)> = records.by_ref().map(|(header, body)| (header.kind, body.len())).collect();
    assert_eq!((found, records.rest().len()), (vec![(kind::THROTTLE, 0), (kind::LOST, 16)], 9));
    assert!(Header::parse(records.rest()).unwrap().is_user());
    assert_eq!(Header::parse(&[9, 0, 0, 0, 0, 0, 7, 0]), None, "smaller than its header");
}

proptest! {
    #[test]
    fn no_bytes_panic(kind in 0..20_u32, misc: u16, sample_type in 0..(1_u64 << 26), sample_id_all: bool, body: Vec<u8>) {
        let layout = Layout { sample_type, sample_id_all, ..Layout::default() };
        let _ = Record::decode(Header { kind, misc, size: 8 }, &layout, &body);
        let _ = Trailer::decode(&layout, &body);
        let _ = (layout.id_of_sample(&body), layout.id_of_other(&body));
        let mut records = Records::new(&body);
        let read: usize = records.by_ref().map(|(header, _)| usize::from(header.size)).sum();
        prop_assert_eq!(read + records.rest().len(), body.len());
    }
}
