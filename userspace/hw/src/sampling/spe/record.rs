//! Records: the packets of one sampled operation, up to its time or its end.

use waytrace_model::access::AccessKind;

use super::packet::{Packet, Packets};

const ADDRESS_PC: u8 = 0;
const ADDRESS_DATA: u8 = 2;
const ADDRESS_PHYSICAL: u8 = 3;
const COUNTER_TOTAL: u8 = 0;
const CLASS_MEMORY: u8 = 1;
const CLASS_BRANCH: u8 = 2;

const EVENT_RETIRED: u64 = 1 << 1;
const EVENT_L1D_ACCESS: u64 = 1 << 2;
const EVENT_L1D_REFILL: u64 = 1 << 3;
const EVENT_LLC_ACCESS: u64 = 1 << 8;
const EVENT_LLC_MISS: u64 = 1 << 9;
const EVENT_REMOTE: u64 = 1 << 10;

/// What kind of operation was sampled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Operation {
    /// Neither of the others.
    #[default]
    Other,
    /// It reads memory.
    Load,
    /// It writes memory.
    Store,
    /// It does both in one.
    Atomic,
    /// A branch.
    Branch,
}

impl Operation {
    /// The directions in which it accesses memory.
    pub fn kinds(self) -> &'static [AccessKind] {
        match self {
            Self::Load => &[AccessKind::Load],
            Self::Store => &[AccessKind::Store],
            Self::Atomic => &[AccessKind::Load, AccessKind::Store],
            Self::Other | Self::Branch => &[],
        }
    }
}

/// One sampled operation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SpeRecord {
    /// Instruction.
    pub ip: Option<u64>,
    /// Virtual address accessed.
    pub address: Option<u64>,
    /// Physical address accessed.
    pub physical_address: Option<u64>,
    /// What it did.
    pub operation: Operation,
    /// Cycles from issue to its end.
    pub latency_cycles: Option<u16>,
    /// Events, by the bits of the architecture.
    pub events: u64,
    /// What served it, numbered as the processor's makers like; [`SpeRecord::served_by`] knows those of Neoverse cores.
    pub data_source: Option<u16>,
    /// Context: on Linux the thread, where the kernel was built to write it.
    pub context: Option<u32>,
    /// Ticks of the system counter.
    pub ticks: Option<u64>,
}

impl SpeRecord {
    /// Whether it was retired.
    pub fn is_retired(&self) -> bool {
        self.events & EVENT_RETIRED != 0
    }

    /// What served it, as perf names it: by the data source of Neoverse cores, else as far as the events tell.
    pub fn served_by(&self) -> Option<&'static str> {
        let has = |event: u64| self.events & event != 0;
        match self.data_source {
            Some(0x0) => Some("L1"),
            Some(0x8) => Some("L2"),
            Some(0x9) => Some("Peer cache"),
            Some(0xa) => Some("L3"),
            Some(0xb) => Some("System cache"),
            Some(0xc) => Some("Peer cache"),
            Some(0xd) => Some("Remote RAM"),
            Some(0xe) => Some("RAM"),
            _ if has(EVENT_LLC_MISS) && has(EVENT_REMOTE) => Some("Remote RAM"),
            _ if has(EVENT_LLC_MISS) => Some("RAM"),
            _ if has(EVENT_LLC_ACCESS) => Some("L3"),
            _ if has(EVENT_L1D_REFILL) => Some("L1 miss"),
            _ if has(EVENT_L1D_ACCESS) => Some("L1"),
            _ => None,
        }
    }

    /// Takes a packet in; true if it was the record's last.
    fn take(&mut self, packet: Packet) -> bool {
        match packet {
            Packet::Address(ADDRESS_PC, payload) => self.ip = Some(instruction_address(payload)),
            Packet::Address(ADDRESS_DATA, payload) => self.address = Some(data_address(payload)),
            Packet::Address(ADDRESS_PHYSICAL, payload) => self.physical_address = Some(payload & LOW_56),
            Packet::Counter(COUNTER_TOTAL, cycles) => self.latency_cycles = Some(cycles),
            Packet::Events(events) => self.events = events,
            Packet::DataSource(source) => self.data_source = Some(source),
            Packet::Context(context) => self.context = Some(context),
            Packet::Operation(class, subclass) => self.operation = operation(class, subclass),
            Packet::Timestamp(ticks) => {
                self.ticks = Some(ticks);
                return true;
            }
            Packet::End => return true,
            Packet::Address(..) | Packet::Counter(..) | Packet::Padding => {}
        }
        false
    }
}

const LOW_56: u64 = (1 << 56) - 1;
const KERNEL_TOP: u64 = 0xff << 56;

/// Bits 62:61 are the exception level it ran at; kernel addresses had ones where they are.
fn instruction_address(payload: u64) -> u64 {
    let address = payload & LOW_56;
    if matches!(payload >> 61 & 3, 1 | 2) { address | KERNEL_TOP } else { address }
}

/// The top byte is a tag; bits 55:52 are ones in kernel addresses only.
fn data_address(payload: u64) -> u64 {
    let address = payload & LOW_56;
    if address >> 52 == 0xf { address | KERNEL_TOP } else { address }
}

fn operation(class: u8, subclass: u8) -> Operation {
    match class {
        CLASS_MEMORY if subclass & 0xe2 == 0x02 => Operation::Atomic,
        CLASS_MEMORY if subclass & 1 != 0 => Operation::Store,
        CLASS_MEMORY => Operation::Load,
        CLASS_BRANCH => Operation::Branch,
        _ => Operation::Other,
    }
}

/// The records in what the AUX area brought, piece by piece: a record may begin in one and end in the next.
#[derive(Debug, Clone, Default)]
pub struct Records {
    open: SpeRecord,
    part: Vec<u8>,
    /// Bytes that are no packet.
    pub damaged_bytes: u64,
}

impl Records {
    /// Reads on in the area.
    pub fn read(&mut self, piece: &[u8], take: &mut dyn FnMut(SpeRecord)) {
        let mut joined = std::mem::take(&mut self.part);
        joined.extend_from_slice(piece);
        let mut packets = Packets::new(&joined);
        for packet in packets.by_ref() {
            if self.open.take(packet) {
                let record = std::mem::take(&mut self.open);
                if record != (SpeRecord { ticks: record.ticks, ..SpeRecord::default() }) {
                    take(record);
                }
            }
        }
        self.damaged_bytes += packets.damaged_bytes;
        self.part = packets.rest().to_vec();
    }

    /// The area has a hole here: what was begun before it has no end.
    pub fn forget(&mut self) {
        self.open = SpeRecord::default();
        self.part.clear();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A load that missed to memory, as a Neoverse core writes it, by hand.
    fn load() -> Vec<u8> {
        let mut bytes = vec![0xb0];
        bytes.extend(0x0000_aaaa_0040_1234_u64.to_le_bytes());
        bytes.extend([0x99, 0x05, 0x00, 0x98, 0xb4, 0x01, 0x65]);
        bytes.extend(4242_u32.to_le_bytes());
        bytes.extend([0x52, 0x0e, 0x03, 0x49, 0x00, 0xb2]);
        bytes.extend(0x2b00_ffff_8000_1000_u64.to_le_bytes());
        bytes.extend([0xb3]);
        bytes.extend(0x8000_0000_8765_4000_u64.to_le_bytes());
        bytes.extend([0x43, 0x0e, 0x71]);
        bytes.extend(77_u64.to_le_bytes());
        bytes
    }

    fn read(pieces: &[&[u8]]) -> Vec<SpeRecord> {
        let (mut records, mut found) = (Records::default(), Vec::new());
        for piece in pieces {
            records.read(piece, &mut |record| found.push(record));
        }
        found
    }

    #[test]
    fn a_load_of_known_bytes() {
        let expected = SpeRecord {
            ip: Some(0xaaaa_0040_1234),
            address: Some(0xffff_8000_1000),
            physical_address: Some(0x8765_4000),
            operation: Operation::Load,
            latency_cycles: Some(0x1b4),
            events: 0x030e,
            data_source: Some(0xe),
            context: Some(4242),
            ticks: Some(77),
        };
        assert_eq!(read(&[&load()]), [expected]);
        assert!(expected.is_retired());
        assert_eq!(expected.served_by(), Some("RAM"));
    }

    #[test]
    fn a_record_may_be_cut_anywhere() {
        let both = [load(), load()].concat();
        for at in 0..both.len() {
            let (first, second) = both.split_at(at);
            assert_eq!(read(&[first, second]), read(&[&both]), "cut at {at}");
        }
        assert_eq!(read(&[&both]).len(), 2);
    }

    #[test]
    fn operations_levels_and_addresses() {
        assert_eq!(operation(1, 0x01), Operation::Store);
        assert_eq!(operation(1, 0x04), Operation::Load);
        assert_eq!(operation(1, 0x03).kinds(), [AccessKind::Load, AccessKind::Store]);
        assert_eq!(operation(2, 0x01), Operation::Branch);
        assert_eq!(operation(0, 0x01).kinds(), []);
        assert_eq!(instruction_address(0xa000_8000_1234_5678 | 1 << 61), 0xff00_8000_1234_5678);
        assert_eq!(data_address(0x12ff_8000_1234_5678), 0xffff_8000_1234_5678);
        let events = |events| SpeRecord { events, ..SpeRecord::default() }.served_by();
        assert_eq!(events(EVENT_L1D_ACCESS | EVENT_L1D_REFILL | EVENT_LLC_ACCESS), Some("L3"));
        assert_eq!((events(EVENT_LLC_MISS | EVENT_REMOTE), events(0)), (Some("Remote RAM"), None));
    }

    #[test]
    fn padding_and_empty_ends_are_no_records_and_a_hole_forgets() {
        assert_eq!(read(&[&[0, 0, 0x01, 0, 0x71, 1, 0, 0, 0, 0, 0, 0, 0]]), []);
        let mut records = Records::default();
        records.read(&load()[..20], &mut |_| panic!("not whole yet"));
        records.forget();
        let mut found = Vec::new();
        records.read(&load(), &mut |record| found.push(record));
        assert_eq!(found, read(&[&load()]));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(pieces: Vec<Vec<u8>>) {
            let mut records = Records::default();
            for piece in &pieces {
                records.read(piece, &mut |record| { record.served_by(); });
            }
        }
    }
}
