//! Ring records, decoded. A total function over bytes: what is too short or unknown is nothing.

use waytrace_abi::allocation::Traced;
use waytrace_abi::lifecycle::Lifecycle;
use waytrace_abi::mapping::MapChange;
use waytrace_abi::phase::PhaseEnd;
use waytrace_abi::pod;
use waytrace_abi::sample::{Head, STACK_BYTES, StackSample};
use waytrace_abi::tag;

/// One record.
#[derive(Debug, Clone)]
pub enum Record {
    /// A traced block was freed.
    Traced(Traced),
    /// A stack to unwind.
    Stack(StackCopy),
    /// The address space changed.
    Map(MapChange),
    /// A thread or process began, ended or replaced its program.
    Lifecycle(Lifecycle),
    /// A thread's phase ended.
    Phase(PhaseEnd),
}

/// A stack sample without the bytes that were not copied.
#[derive(Debug, Clone)]
pub struct StackCopy {
    /// Registers, and whose they are.
    pub head: Head,
    /// The stack from `head.sp` upwards.
    pub stack: Box<[u8]>,
}

/// Decodes one record; `None` for what this version does not know.
pub fn decode(bytes: &[u8]) -> Option<Record> {
    match pod::read_tag(bytes)? {
        tag::TRACED => pod::read(bytes).map(Record::Traced),
        tag::STACK | tag::SAMPLE => decode_stack(bytes).map(Record::Stack),
        tag::MAP => pod::read(bytes).map(Record::Map),
        tag::LIFECYCLE => pod::read(bytes).map(Record::Lifecycle),
        tag::PHASE => pod::read(bytes).map(Record::Phase),
        _ => None,
    }
}

fn decode_stack(bytes: &[u8]) -> Option<StackCopy> {
    let (head, stack) = bytes.split_at_checked(size_of::<StackSample>() - STACK_BYTES)?;
    let head: Head = pod::read(head)?;
    let length = usize::try_from(head.stack_bytes).ok()?.min(STACK_BYTES);
    Some(StackCopy { head, stack: stack.get(..length)?.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes_of(words: &[u64]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    #[test]
    fn a_stack_keeps_only_what_was_copied() {
        let mut bytes =
            bytes_of(&[u64::from(tag::STACK) | 7 << 32, 42 | 43 << 32, 100, 0, 0x1000, 0x2000, 0x3000, 3]);
        bytes.extend([1, 2, 3, 4, 5]);
        let Some(Record::Stack(stack)) = decode(&bytes) else { panic!("no stack") };
        let head = stack.head;
        assert_eq!((head.site, head.tgid, head.tid, head.size_bytes), (7, 42, 43, 100));
        assert_eq!((head.ip, head.sp, head.bp, &*stack.stack), (0x1000, 0x2000, 0x3000, &[1, 2, 3][..]));
    }

    #[test]
    fn a_phase_is_read_field_by_field() {
        let mut words = vec![u64::from(tag::PHASE), 42 | 43 << 32, 5, 1_000, 2_000, 900];
        words.extend((0..3 * waytrace_abi::counter::MAX_EVENTS as u64).map(|n| n + 100));
        let bytes = bytes_of(&words);
        let Some(Record::Phase(phase)) = decode(&bytes) else { panic!("no phase") };
        assert_eq!((phase.tgid, phase.tid, phase.index), (42, 43, 5));
        assert_eq!((phase.start_ns, phase.end_ns, phase.cpu_ns), (1_000, 2_000, 900));
        let second = phase.sums.values[1];
        assert_eq!((second.value, second.time_enabled_ns, second.time_running_ns), (103, 104, 105));
        assert!((0..bytes.len()).all(|end| decode(&bytes[..end]).is_none()));
    }

    #[test]
    fn short_and_unknown_records_are_nothing() {
        for tag in 0..=9u64 {
            let whole = bytes_of(&[tag, u64::MAX, u64::MAX, u64::MAX]);
            for end in 0..whole.len() {
                assert!(decode(&whole[..end]).is_none(), "tag {tag}, {end} bytes");
            }
        }
        assert!(decode(&bytes_of(&[99; 20])).is_none());
    }
}
