//! One `PERF_RECORD_SAMPLE`, by the layout of its event. Total: any bytes give a sample or nothing.

use waytrace_model::access::Precise;

use super::bytes::Bytes;
use super::data_source::DataSource;
use super::layout::{self, Layout};

/// Largest call chain, branch stack or register set that is believed: more is damage.
const MOST_WORDS: u64 = 1 << 16;

/// The fields that say what was accessed, by whom and when. What the event does not record is `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sample {
    /// Instruction.
    pub ip: Option<u64>,
    /// Process.
    pub tgid: Option<u32>,
    /// Thread.
    pub tid: Option<u32>,
    /// Nanoseconds of the event's clock.
    pub time_ns: Option<u64>,
    /// Virtual address accessed; 0 is none.
    pub address: Option<u64>,
    /// Id of the event.
    pub id: Option<u64>,
    /// CPU.
    pub cpu: Option<u32>,
    /// Events since the last sample.
    pub period: Option<u64>,
    /// Stack pointer in user mode, where nothing else of the registers is recorded.
    pub stack_pointer: Option<u64>,
    /// Cycles the access took, where the PMU gives them as the sample's weight.
    pub latency_cycles: Option<u32>,
    /// Operation and what served it.
    pub data_source: Option<DataSource>,
    /// Physical address; 0 is none.
    pub physical_address: Option<u64>,
    /// Size of the page accessed, in bytes; 0 is none.
    pub page_bytes: Option<u64>,
}

impl Sample {
    /// Reads a sample's body: what follows the record's header.
    pub fn decode(layout: &Layout, body: &[u8]) -> Option<Self> {
        if layout.sample_type & !layout::KNOWN != 0 {
            return None;
        }
        let mut bytes = Bytes::new(body);
        let mut sample = Self::default();
        sample.identity(layout, &mut bytes)?;
        sample.context(layout, &mut bytes)?;
        sample.memory(layout, &mut bytes)?;
        Some(sample)
    }

    /// Everything up to the period.
    fn identity(&mut self, layout: &Layout, bytes: &mut Bytes<'_>) -> Option<()> {
        if layout.has(layout::IDENTIFIER) {
            self.id = Some(bytes.u64()?);
        }
        if layout.has(layout::IP) {
            self.ip = Some(bytes.u64()?);
        }
        if layout.has(layout::TID) {
            (self.tgid, self.tid) = (Some(bytes.u32()?), Some(bytes.u32()?));
        }
        if layout.has(layout::TIME) {
            self.time_ns = Some(bytes.u64()?);
        }
        if layout.has(layout::ADDR) {
            self.address = Some(bytes.u64()?);
        }
        if layout.has(layout::ID) {
            self.id = Some(bytes.u64()?);
        }
        if layout.has(layout::STREAM_ID) {
            bytes.u64()?;
        }
        if layout.has(layout::CPU) {
            self.cpu = Some(bytes.u32()?);
            bytes.u32()?;
        }
        if layout.has(layout::PERIOD) {
            self.period = Some(bytes.u64()?);
        }
        Some(())
    }

    /// Counter values, call chain, raw data, branches, registers and stack: of these only the stack pointer is of use.
    fn context(&mut self, layout: &Layout, bytes: &mut Bytes<'_>) -> Option<()> {
        if layout.has(layout::READ) {
            layout.skip_read(bytes)?;
        }
        if layout.has(layout::CALLCHAIN) {
            let count = bytes.u64()?;
            bytes.skip(Some(count).filter(|count| *count <= MOST_WORDS)?, 8)?;
        }
        if layout.has(layout::RAW) {
            let size = bytes.u32()?;
            bytes.skip(size.into(), 1)?;
        }
        if layout.has(layout::BRANCH_STACK) {
            layout.skip_branches(bytes)?;
        }
        if layout.has(layout::REGS_USER) {
            let first = Bytes::new(bytes.rest());
            skip_registers(layout.sample_regs_user, bytes)?;
            if layout.sample_regs_user == layout::STACK_POINTER {
                self.stack_pointer = only_register(first);
            }
        }
        if layout.has(layout::STACK_USER) {
            let size = bytes.u64()?;
            bytes.skip(size, 1)?;
            if size > 0 {
                bytes.u64()?;
            }
        }
        Some(())
    }

    /// Everything from the weight on.
    fn memory(&mut self, layout: &Layout, bytes: &mut Bytes<'_>) -> Option<()> {
        if layout.has(layout::WEIGHT | layout::WEIGHT_STRUCT) {
            let word = bytes.u64()?;
            let latency = if layout.has(layout::WEIGHT) {
                u32::try_from(word).unwrap_or(u32::MAX)
            } else {
                word as u32
            };
            self.latency_cycles = Some(latency).filter(|cycles| *cycles > 0);
        }
        if layout.has(layout::DATA_SRC) {
            self.data_source = Some(DataSource(bytes.u64()?));
        }
        if layout.has(layout::TRANSACTION) {
            bytes.u64()?;
        }
        if layout.has(layout::REGS_INTR) {
            skip_registers(layout.sample_regs_intr, bytes)?;
        }
        if layout.has(layout::PHYS_ADDR) {
            self.physical_address = Some(bytes.u64()?);
        }
        if layout.has(layout::CGROUP) {
            bytes.u64()?;
        }
        if layout.has(layout::DATA_PAGE_SIZE) {
            self.page_bytes = Some(bytes.u64()?);
        }
        // A code page's size and a piece of the AUX area may follow; nothing here needs them.
        Some(())
    }

    /// What only a PMU tells; `None` where this one told nothing.
    pub fn precise(&self) -> Option<Precise> {
        let precise = Precise {
            latency_cycles: self.latency_cycles,
            served_by: self.data_source.and_then(DataSource::served_by).map(str::to_owned),
            page_bytes: self.page_bytes.filter(|bytes| *bytes > 0),
            physical_address: self.physical_address.filter(|address| *address > 0),
        };
        (precise != Precise::default()).then_some(precise)
    }
}

/// The first register behind an ABI; `None` where that is none: the thread has no user mode.
fn only_register(mut bytes: Bytes<'_>) -> Option<u64> {
    let abi = bytes.u64()?;
    bytes.u64().filter(|_| abi != 0)
}

/// An ABI, and unless it is none, the registers of the mask.
fn skip_registers(mask: u64, bytes: &mut Bytes<'_>) -> Option<()> {
    let abi = bytes.u64()?;
    let count = if abi == 0 { 0 } else { mask.count_ones() };
    bytes.skip(count.into(), 8)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use waytrace_model::access::AccessKind;

    use super::super::layout::*;
    use super::*;

    fn words(words: &[u64]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    fn layout(sample_type: u64) -> Layout {
        Layout { sample_type, ..Layout::default() }
    }

    /// A load-latency record as a Skylake server writes it, by hand.
    #[test]
    fn a_precise_load() {
        let layout = layout(
            IDENTIFIER
                | IP
                | TID
                | TIME
                | ADDR
                | CPU
                | PERIOD
                | WEIGHT
                | DATA_SRC
                | PHYS_ADDR
                | DATA_PAGE_SIZE,
        );
        let body = words(&[
            42,
            0x0040_1234,
            (7 << 32) | 6,
            123_456_789,
            0x7fff_0000_1000,
            3,
            1009,
            187,
            0x02 | (0x02 | 0x80) << 5 | 0x0d << 33,
            0x1234_5000,
            4096,
        ]);
        let sample = Sample::decode(&layout, &body).unwrap();
        assert_eq!((sample.id, sample.ip), (Some(42), Some(0x0040_1234)));
        assert_eq!((sample.tgid, sample.tid, sample.cpu), (Some(6), Some(7), Some(3)));
        assert_eq!((sample.time_ns, sample.address), (Some(123_456_789), Some(0x7fff_0000_1000)));
        assert_eq!(sample.period, Some(1009));
        assert_eq!(sample.data_source.unwrap().kind(), Some(AccessKind::Load));
        let precise = sample.precise().unwrap();
        assert_eq!((precise.latency_cycles, precise.served_by.as_deref()), (Some(187), Some("RAM")));
        assert_eq!((precise.page_bytes, precise.physical_address), (Some(4096), Some(0x1234_5000)));
    }

    /// Everything that can stand between the period and the weight.
    #[test]
    fn what_is_not_wanted_is_passed_over() {
        let layout = Layout {
            sample_type: ADDR
                | STREAM_ID
                | ID
                | READ
                | CALLCHAIN
                | RAW
                | BRANCH_STACK
                | REGS_USER
                | STACK_USER
                | WEIGHT_STRUCT
                | TRANSACTION
                | REGS_INTR
                | PHYS_ADDR
                | CGROUP
                | DATA_PAGE_SIZE
                | CODE_PAGE_SIZE,
            read_format: 1 | 4,
            branch_sample_type: 1 << 17,
            sample_regs_user: 0b101,
            sample_regs_intr: 0b1,
            sample_id_all: false,
        };
        let mut body = words(&[0xadd, 5, 5, 1, 2, 3, 2, 0xc0, 0xc1]);
        body.extend(12_u32.to_le_bytes());
        body.extend([0xee; 12]);
        body.extend(words(&[1, 0, 8, 9, 10]));
        body.extend(words(&[2, 0xa, 0xb]));
        body.extend(words(&[8, 0x57ac, 8]));
        body.extend(words(&[(9 << 32) | 33, 0, 0, 0x5000, 77, 0x20_0000, 4096]));
        let sample = Sample::decode(&layout, &body).unwrap();
        assert_eq!((sample.address, sample.id), (Some(0xadd), Some(5)));
        assert_eq!((sample.latency_cycles, sample.physical_address), (Some(33), Some(0x5000)));
        assert_eq!(sample.page_bytes, Some(0x20_0000));
    }

    #[test]
    fn no_stack_and_no_registers_take_one_word() {
        let sp = Layout { sample_regs_user: STACK_POINTER, ..layout(REGS_USER | PHYS_ADDR) };
        let told = |words_of: &[u64]| {
            let sample = Sample::decode(&sp, &words(words_of)).unwrap();
            (sample.stack_pointer, sample.physical_address)
        };
        assert_eq!(told(&[2, 0x7fff_0000, 0x5000]), (Some(0x7fff_0000), Some(0x5000)));
        assert_eq!(told(&[0, 0x5000]), (None, Some(0x5000)));
        let layout = Layout { sample_regs_user: u64::MAX, ..layout(REGS_USER | STACK_USER | PHYS_ADDR) };
        let sample = Sample::decode(&layout, &words(&[0, 0, 9])).unwrap();
        assert_eq!(sample.physical_address, Some(9));
        assert_eq!(sample.precise().unwrap().page_bytes, None);
    }

    #[test]
    fn what_is_cut_short_or_unknown_is_no_sample() {
        let wide = layout(IP | TID | ADDR);
        assert_eq!(Sample::decode(&wide, &[0; 23]), None);
        assert!(Sample::decode(&wide, &[0; 24]).is_some());
        assert_eq!(Sample::decode(&layout(1 << 25), &[0; 64]), None);
        assert_eq!(Sample::decode(&layout(CALLCHAIN), &words(&[u64::MAX, 0])), None);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(
            sample_type in 0..(1_u64 << 26), read_format in 0..32_u64, branch_sample_type: u64, regs: u64,
            sample_id_all: bool, body: Vec<u8>,
        ) {
            let layout = Layout {
                sample_type, read_format, branch_sample_type, sample_regs_user: regs, sample_regs_intr: !regs,
                sample_id_all,
            };
            if let Some(sample) = Sample::decode(&layout, &body) {
                sample.precise();
                sample.data_source.map(|word| (word.kind(), word.tlb_hit(), word.is_known()));
            }
        }
    }
}
