//! The ring that carries records to the user side. A record without room is counted, never waited for.

use aya_ebpf::macros::map;
use aya_ebpf::maps::RingBuf;

use crate::loss;

/// Do not wake the reader: it polls, so that a busy target does not pay for wake-ups.
pub const NO_WAKEUP: u64 = aya_ebpf::bindings::BPF_RB_NO_WAKEUP as u64;

/// All records of all programs. The user side may ask for another size.
#[map]
pub static RING: RingBuf = RingBuf::with_byte_size(8 << 20, 0);

/// Writes one record, or counts its loss; whether there was room.
#[inline(always)]
pub fn emit<T: waytrace_abi::pod::Pod>(record: &T) -> bool {
    match RING.reserve::<T>(0) {
        Some(mut entry) => {
            entry.write(*record);
            entry.submit(NO_WAKEUP);
            true
        }
        None => {
            loss::count(waytrace_abi::loss::RING_FULL);
            false
        }
    }
}
