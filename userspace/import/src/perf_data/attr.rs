//! `struct perf_event_attr` as a file holds it, of whatever size the recording perf knew.

use waytrace_hw::sampling::bytes::Bytes;
use waytrace_hw::sampling::layout::Layout;

use crate::item::Clock;

/// Bytes of the first version; there are none smaller.
pub const LEAST_BYTES: usize = 64;

const TYPE_BREAKPOINT: u32 = 5;
const TYPE_RAW: u32 = 4;

const FLAG_FREQ: u64 = 1 << 10;
const FLAG_SAMPLE_ID_ALL: u64 = 1 << 18;
const FLAG_USE_CLOCKID: u64 = 1 << 25;

/// An event of a recording.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Attr {
    pub layout: Layout,
    pub clock: Clock,
    /// Samples a second, where a frequency was asked for.
    pub rate_hz: Option<u64>,
    /// Events per sample, where a period was.
    pub period: Option<u64>,
    /// Name made of its numbers, where the file gives it no other.
    pub name: String,
}

impl Attr {
    /// Reads one; what is beyond the end of `bytes` is zero, as the kernel has it.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        if bytes.len() < LEAST_BYTES {
            return None;
        }
        let mut whole = bytes.to_vec();
        whole.resize(whole.len().max(128), 0);
        let mut bytes = Bytes::new(&whole);
        let (kind, _size) = (bytes.u32()?, bytes.u32()?);
        let (config, period_or_hz) = (bytes.u64()?, bytes.u64()?);
        let (sample_type, read_format, flags) = (bytes.u64()?, bytes.u64()?, bytes.u64()?);
        let (_wakeup, bp_type) = (bytes.u32()?, bytes.u32()?);
        let (config1, _config2) = (bytes.u64()?, bytes.u64()?);
        let (branch_sample_type, sample_regs_user) = (bytes.u64()?, bytes.u64()?);
        let (_stack, clock) = (bytes.u32()?, bytes.u32()?);
        let sample_regs_intr = bytes.u64()?;
        let has = |flag: u64| flags & flag != 0;
        Some(Self {
            layout: Layout {
                sample_type,
                read_format,
                branch_sample_type,
                sample_regs_user,
                sample_regs_intr,
                sample_id_all: has(FLAG_SAMPLE_ID_ALL),
            },
            clock: if has(FLAG_USE_CLOCKID) { Clock::Id(clock as i32) } else { Clock::Perf },
            rate_hz: has(FLAG_FREQ).then_some(period_or_hz),
            period: (!has(FLAG_FREQ) && period_or_hz > 0).then_some(period_or_hz),
            name: name(kind, config, config1, bp_type),
        })
    }
}

fn name(kind: u32, config: u64, config1: u64, bp_type: u32) -> String {
    match kind {
        TYPE_BREAKPOINT => {
            let letters: String = [(1, 'r'), (2, 'w'), (4, 'x')]
                .into_iter()
                .filter_map(|(bit, c)| (bp_type & bit != 0).then_some(c))
                .collect();
            format!("mem:{config1:#x}:{letters}")
        }
        TYPE_RAW => format!("r{config:x}"),
        other => format!("type {other} config {config:#x}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attr_of_any_version() {
        let mut bytes = vec![0; 72];
        bytes[0] = 4;
        bytes[8..16].copy_from_slice(&0x4003e_u64.to_le_bytes());
        bytes[16..24].copy_from_slice(&5000_u64.to_le_bytes());
        bytes[24..32].copy_from_slice(&0xf_u64.to_le_bytes());
        bytes[40..48].copy_from_slice(&(FLAG_FREQ | FLAG_SAMPLE_ID_ALL).to_le_bytes());
        let attr = Attr::parse(&bytes).unwrap();
        assert_eq!((attr.name.as_str(), attr.rate_hz, attr.period), ("r4003e", Some(5000), None));
        assert_eq!(
            (attr.layout.sample_type, attr.layout.sample_id_all, attr.clock),
            (0xf, true, Clock::Perf)
        );
        bytes.resize(120, 0);
        bytes[43] = 2;
        bytes[92] = 4;
        assert_eq!(Attr::parse(&bytes).unwrap().clock, Clock::RAW);
        assert_eq!(Attr::parse(&bytes[..63]), None);
        assert_eq!(name(5, 0, 0x40_4040, 3), "mem:0x404040:rw");
    }
}
