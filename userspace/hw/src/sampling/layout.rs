//! How a perf event lays its records out: which fields they have is decided when it is opened, not written in them.
//!
//! Source: `include/uapi/linux/perf_event.h` (`perf_event_sample_format`, `PERF_RECORD_SAMPLE`), `perf_event_open(2)`.

use super::bytes::Bytes;

/// Instruction pointer.
pub const IP: u64 = 1;
/// Process and thread.
pub const TID: u64 = 1 << 1;
/// Time on the event's clock.
pub const TIME: u64 = 1 << 2;
/// Address accessed.
pub const ADDR: u64 = 1 << 3;
/// Counter values.
pub const READ: u64 = 1 << 4;
/// Call chain.
pub const CALLCHAIN: u64 = 1 << 5;
/// Id of the event.
pub const ID: u64 = 1 << 6;
/// CPU.
pub const CPU: u64 = 1 << 7;
/// Events since the last sample.
pub const PERIOD: u64 = 1 << 8;
/// Id of the event as opened, also of an inherited one.
pub const STREAM_ID: u64 = 1 << 9;
/// Data of a tracepoint or of the PMU.
pub const RAW: u64 = 1 << 10;
/// Last branches.
pub const BRANCH_STACK: u64 = 1 << 11;
/// Registers in user mode.
pub const REGS_USER: u64 = 1 << 12;
/// The stack pointer alone among them (`arch/*/include/uapi/asm/perf_regs.h`); 0 where its place is not known here.
pub const STACK_POINTER: u64 = match () {
    () if cfg!(target_arch = "x86_64") => 1 << 7,
    () if cfg!(target_arch = "aarch64") => 1 << 31,
    () => 0,
};
/// Copy of the user stack.
pub const STACK_USER: u64 = 1 << 13;
/// Cost of the access.
pub const WEIGHT: u64 = 1 << 14;
/// What served the access.
pub const DATA_SRC: u64 = 1 << 15;
/// Id of the event, where it is found without knowing the event.
pub const IDENTIFIER: u64 = 1 << 16;
/// Transaction it was in.
pub const TRANSACTION: u64 = 1 << 17;
/// Registers at the interrupt.
pub const REGS_INTR: u64 = 1 << 18;
/// Physical address accessed.
pub const PHYS_ADDR: u64 = 1 << 19;
/// Piece of the AUX area.
pub const AUX: u64 = 1 << 20;
/// Control group.
pub const CGROUP: u64 = 1 << 21;
/// Page size of the address accessed.
pub const DATA_PAGE_SIZE: u64 = 1 << 22;
/// Page size of the instruction.
pub const CODE_PAGE_SIZE: u64 = 1 << 23;
/// Several costs in the place of one.
pub const WEIGHT_STRUCT: u64 = 1 << 24;
/// All fields this version can read or pass over.
pub const KNOWN: u64 = (1 << 25) - 1;

const READ_TIME_ENABLED: u64 = 1;
const READ_TIME_RUNNING: u64 = 1 << 1;
const READ_ID: u64 = 1 << 2;
const READ_GROUP: u64 = 1 << 3;
const READ_LOST: u64 = 1 << 4;

const BRANCH_HW_INDEX: u64 = 1 << 17;
const BRANCH_COUNTERS: u64 = 1 << 19;

/// What decides how an event's records are laid out: these words of its `perf_event_attr`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Layout {
    /// `sample_type`.
    pub sample_type: u64,
    /// `read_format`.
    pub read_format: u64,
    /// `branch_sample_type`.
    pub branch_sample_type: u64,
    /// `sample_regs_user`.
    pub sample_regs_user: u64,
    /// `sample_regs_intr`.
    pub sample_regs_intr: u64,
    /// `sample_id_all`: records that are no samples end with the ids of one.
    pub sample_id_all: bool,
}

impl Layout {
    /// Whether samples have the field.
    pub fn has(&self, field: u64) -> bool {
        self.sample_type & field != 0
    }

    /// Id of the event a sample's body belongs to, where this layout has one.
    pub fn id_of_sample(&self, body: &[u8]) -> Option<u64> {
        let before = match () {
            () if self.has(IDENTIFIER) => 0,
            () if self.has(ID) => [IP, TID, TIME, ADDR].iter().filter(|field| self.has(**field)).count(),
            () => return None,
        };
        let mut bytes = Bytes::new(body);
        bytes.skip(before as u64, 8)?;
        bytes.u64()
    }

    /// Id of the event any other record's body belongs to, where this layout has one.
    pub fn id_of_other(&self, body: &[u8]) -> Option<u64> {
        if !self.sample_id_all {
            return None;
        }
        let behind = match () {
            () if self.has(IDENTIFIER) => 0,
            () if self.has(ID) => [STREAM_ID, CPU].iter().filter(|field| self.has(**field)).count(),
            () => return None,
        };
        let at = body.len().checked_sub(8 * (behind + 1))?;
        Bytes::new(body.get(at..)?).u64()
    }

    /// Bytes of the ids that end a record which is no sample.
    pub fn trailer_bytes(&self) -> usize {
        let fields = [TID, TIME, ID, STREAM_ID, CPU, IDENTIFIER];
        let count = fields.iter().filter(|field| self.has(**field)).count();
        if self.sample_id_all { count * 8 } else { 0 }
    }

    /// Passes over the counter values of a sample.
    pub(super) fn skip_read(&self, bytes: &mut Bytes<'_>) -> Option<()> {
        let has = |bit: u64| u64::from(self.read_format & bit != 0);
        let times = has(READ_TIME_ENABLED) + has(READ_TIME_RUNNING);
        let each = 1 + has(READ_ID) + has(READ_LOST);
        if has(READ_GROUP) == 0 {
            return bytes.skip(times + each, 8);
        }
        let count = bytes.u64()?;
        bytes.skip(times, 8)?;
        bytes.skip(count, each * 8)
    }

    /// Passes over the last branches of a sample.
    pub(super) fn skip_branches(&self, bytes: &mut Bytes<'_>) -> Option<()> {
        let count = bytes.u64()?;
        if self.branch_sample_type & BRANCH_HW_INDEX != 0 {
            bytes.u64()?;
        }
        bytes.skip(count, 24)?;
        if self.branch_sample_type & BRANCH_COUNTERS != 0 {
            bytes.skip(count, 8)?;
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[u64]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    #[test]
    fn an_id_is_found_before_the_event_is_known() {
        let first = Layout { sample_type: IDENTIFIER | IP | ID, sample_id_all: true, ..Layout::default() };
        assert_eq!(first.id_of_sample(&words(&[7, 1, 7])), Some(7));
        assert_eq!(first.id_of_other(&words(&[1, 2, 3, 9])), Some(9));
        let fourth = Layout { sample_type: IP | TID | ADDR | ID | CPU, sample_id_all: true, ..first };
        assert_eq!(fourth.id_of_sample(&words(&[1, 2, 3, 8, 5])), Some(8));
        assert_eq!(fourth.id_of_other(&words(&[1, 8, 5])), Some(8));
        assert_eq!((fourth.id_of_sample(&[0; 31]), fourth.id_of_other(&[0; 15])), (None, None));
        assert_eq!(Layout::default().id_of_sample(&[0; 64]), None);
    }

    #[test]
    fn counter_values_are_as_long_as_their_format() {
        let left = |read_format: u64, given: &[u64]| {
            let given = words(given);
            let mut bytes = Bytes::new(&given);
            let layout = Layout { read_format, ..Layout::default() };
            layout.skip_read(&mut bytes).map(|()| bytes.rest().len() / 8)
        };
        assert_eq!(left(0, &[1, 99]), Some(1));
        assert_eq!(
            left(READ_TIME_ENABLED | READ_TIME_RUNNING | READ_ID | READ_LOST, &[1, 2, 3, 4, 5, 99]),
            Some(1)
        );
        assert_eq!(left(READ_GROUP | READ_TIME_ENABLED | READ_ID, &[2, 7, 1, 1, 2, 2, 99]), Some(1));
        assert_eq!(left(READ_GROUP, &[u64::MAX, 1]), None);
    }
}
