//! A `perf.data` file put together byte by byte.

/// Process 10 with thread 11 writes and reads; ids 1 (loads) and 2 (stores).
pub const LOADS: u64 = 1;
pub const STORES: u64 = 2;

/// IDENTIFIER | IP | TID | TIME | ADDR | PERIOD.
const SAMPLE_TYPE: u64 = 1 << 16 | 0b1111 | 1 << 8;

pub fn words(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

pub fn pair(low: u32, high: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

pub fn record(kind: u32, misc: u16, body: &[u8]) -> Vec<u8> {
    let mut bytes = kind.to_le_bytes().to_vec();
    bytes.extend(misc.to_le_bytes());
    bytes.extend(u16::try_from(8 + body.len()).unwrap().to_le_bytes());
    bytes.extend(body);
    bytes
}

fn ids(time_ns: u64) -> Vec<u8> {
    words(&[pair(10, 11), time_ns, LOADS])
}

pub fn sample(event: u64, time_ns: u64, ip: u64, address: u64, period: u64) -> Vec<u8> {
    record(9, 2, &words(&[event, ip, pair(10, 11), time_ns, address, period]))
}

pub fn kernel_sample(time_ns: u64) -> Vec<u8> {
    record(9, 1, &words(&[LOADS, 1 << 63, pair(10, 11), time_ns, 1 << 63, 1]))
}

pub fn mapped(start: u64, len: u64, offset: u64, executable: bool, path: &str) -> Vec<u8> {
    let mut body =
        words(&[pair(10, 11), start, len, offset, 0, 0, 0, pair(if executable { 5 } else { 3 }, 2)]);
    body.extend(path.bytes());
    body.resize((body.len() + 1).next_multiple_of(8), 0);
    body.extend(ids(1));
    record(10, 2, &body)
}

pub fn named(comm: &str, time_ns: u64) -> Vec<u8> {
    let mut body = words(&[pair(10, 11)]);
    body.extend(comm.bytes());
    body.resize((body.len() + 1).next_multiple_of(8), 0);
    body.extend(ids(time_ns));
    record(3, 0, &body)
}

pub fn lost(count: u64) -> Vec<u8> {
    record(2, 0, &[words(&[LOADS, count]), ids(1)].concat())
}

pub fn round() -> Vec<u8> {
    record(68, 0, &[])
}

pub fn attr(clock: Option<i32>) -> Vec<u8> {
    let mut bytes = vec![0; 128];
    bytes[0] = 4;
    bytes[4] = 128;
    bytes[24..32].copy_from_slice(&SAMPLE_TYPE.to_le_bytes());
    let flags = 1_u64 << 10 | 1 << 18 | u64::from(clock.is_some()) << 25;
    bytes[16..24].copy_from_slice(&1000_u64.to_le_bytes());
    bytes[40..48].copy_from_slice(&flags.to_le_bytes());
    bytes[92..96].copy_from_slice(&clock.unwrap_or(0).to_le_bytes());
    bytes
}

fn text(text: &str) -> Vec<u8> {
    let mut bytes = 32_u32.to_le_bytes().to_vec();
    bytes.extend(text.bytes());
    bytes.resize(36, 0);
    bytes
}

/// Names of both events, as the feature EVENT_DESC.
fn event_desc(clock: Option<i32>) -> Vec<u8> {
    let mut bytes = [2_u32.to_le_bytes(), 128_u32.to_le_bytes()].concat();
    for (id, name) in [(LOADS, "r4003E:ppp"), (STORES, "r20016:ppp")] {
        bytes.extend(attr(clock));
        bytes.extend(1_u32.to_le_bytes());
        bytes.extend(text(name));
        bytes.extend(id.to_le_bytes());
    }
    bytes
}

/// A file of these records, with the features hostname and names of events.
pub fn file(records: &[Vec<u8>], clock: Option<i32>) -> Vec<u8> {
    let data = records.concat();
    let attrs_at = 104 + 16;
    let data_at = attrs_at + 2 * 144;
    let mut bytes = b"PERFILE2".to_vec();
    bytes.extend(words(&[
        104,
        144,
        attrs_at,
        288,
        data_at,
        data.len() as u64,
        0,
        0,
        1 << 3 | 1 << 12,
        0,
        0,
        0,
    ]));
    bytes.extend(words(&[LOADS, STORES]));
    for ids_at in [104, 112] {
        bytes.extend(attr(clock));
        bytes.extend(words(&[ids_at, 8]));
    }
    bytes.extend(&data);
    let (hostname, events) = (text("db-7"), event_desc(clock));
    let features_at = data_at + data.len() as u64 + 32;
    bytes.extend(words(&[features_at, hostname.len() as u64]));
    bytes.extend(words(&[features_at + hostname.len() as u64, events.len() as u64]));
    bytes.extend([hostname, events].concat());
    bytes
}
