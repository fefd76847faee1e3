//! Totals and histograms of all targets. Handlers can be preempted by other targets' handlers on the same CPU, so
//! even per-CPU words are added to atomically; without sharing that costs a few cycles.

use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, PerCpuArray};
use waytrace_abi::allocation::{BUCKETS, Bucket, Peak, Totals};

use crate::loss::{add, add_return};

#[map]
static TOTALS: PerCpuArray<Totals> = PerCpuArray::with_max_entries(1, 0);

#[map]
static PEAK: Array<Peak> = Array::with_max_entries(1, 0);

/// Adds to fields of this CPU's totals.
macro_rules! count {
    ($($field:ident += $amount:expr),+ $(,)?) => {
        if let Some(totals) = TOTALS.get_ptr_mut(0) {
            // SAFETY: a map value; only field addresses are taken.
            unsafe { $( add(&raw mut (*totals).$field, $amount); )+ }
        }
    };
}

/// Counts one successful allocation.
#[inline(always)]
pub fn allocated(size_bytes: u64) {
    if let Some(totals) = TOTALS.get_ptr_mut(0) {
        // SAFETY: a map value; only a field address is taken.
        bucket(unsafe { &raw mut (*totals).sizes }, size_bytes, 1, size_bytes);
    }
}

/// Records how long a freed block lived.
#[inline(always)]
pub fn lived(age_ns: u64, size_bytes: u64) {
    if let Some(totals) = TOTALS.get_ptr_mut(0) {
        // SAFETY: a map value; only a field address is taken.
        bucket(unsafe { &raw mut (*totals).lifetimes }, age_ns, 1, size_bytes);
    }
}

/// Counts the free of a block whose allocation was not seen, of unknown size if `None`.
#[inline(always)]
pub fn freed_unseen(size_bytes: Option<u64>) {
    match size_bytes {
        Some(bytes) => count!(unseen_free_count += 1, unseen_freed_bytes += bytes),
        None => count!(unseen_free_count += 1, unsized_free_count += 1),
    }
}

/// Books the difference of a block resized in place.
#[inline(always)]
pub fn resized(old_bytes: u64, new_bytes: u64) {
    if new_bytes > old_bytes {
        count!(grown_bytes += new_bytes - old_bytes);
    } else {
        count!(shrunk_bytes += old_bytes - new_bytes);
    }
}

/// Counts a hit that is neither an allocation nor a free.
#[inline(always)]
pub fn other_hit() {
    count!(other_hit_count += 1);
}

/// Counts a return-probe hit.
#[inline(always)]
pub fn returned() {
    count!(return_count += 1);
}

/// Counts a stack sample.
#[inline(always)]
pub fn sampled() {
    count!(sample_count += 1);
}

/// Adds to the bucket of a value.
#[inline(always)]
pub fn bucket(histogram: *mut [Bucket; BUCKETS as usize], value: u64, count: u64, bytes: u64) {
    // SAFETY: the exponent is below `BUCKETS`; only field addresses are taken.
    unsafe {
        let bucket = histogram.cast::<Bucket>().add(log2(value) as usize);
        add(&raw mut (*bucket).count, count);
        add(&raw mut (*bucket).bytes, bytes);
    }
}

/// Exponents by the upper six bits of a de Bruijn product; see [`log2`].
static EXPONENTS: [u8; 64] = exponents();
const DE_BRUIJN: u64 = 0x03f7_9d71_b4cb_0a89;

const fn exponents() -> [u8; 64] {
    let mut table = [0; 64];
    let mut exponent = 0;
    while exponent < 64 {
        let smeared = u64::MAX >> (63 - exponent);
        table[(smeared.wrapping_mul(DE_BRUIJN) >> 58) as usize] = exponent as u8;
        exponent += 1;
    }
    table
}

/// floor(log2(value)), 0 for 0. BPF cannot count leading zeros; a de Bruijn sequence looks the answer up without a
/// branch (Leiserson, Prokop, Randall, 1998), where branches would multiply the paths the verifier walks.
#[inline(always)]
fn log2(value: u64) -> u32 {
    let mut smeared = value | 1;
    smeared |= smeared >> 1;
    smeared |= smeared >> 2;
    smeared |= smeared >> 4;
    smeared |= smeared >> 8;
    smeared |= smeared >> 16;
    smeared |= smeared >> 32;
    let index = (smeared.wrapping_mul(DE_BRUIJN) >> 58) as usize;
    u32::from(EXPONENTS[index & 63]) & 63
}

/// The peak epoch now.
#[inline(always)]
pub fn peak_epoch() -> u64 {
    // SAFETY: a map value is readable.
    PEAK.get_ptr(0).map_or(0, |peak| unsafe { core::ptr::read_volatile(&raw const (*peak).epoch) })
}

/// Adds to the live bytes, and opens a new epoch at a new maximum. Two threads that reach one at the same moment
/// may both open an epoch; the maximum stays right to within the smaller block.
#[inline(always)]
pub fn grow(size_bytes: u64) {
    let Some(peak) = PEAK.get_ptr_mut(0) else { return };
    // SAFETY: a map value; fields are accessed atomically or volatile.
    unsafe {
        let live = add_return(&raw mut (*peak).live_bytes, size_bytes);
        let highest = &raw mut (*peak).peak_bytes;
        if live > core::ptr::read_volatile(highest) {
            core::ptr::write_volatile(highest, live);
            add(&raw mut (*peak).epoch, 1);
        }
    }
}

/// Takes from the live bytes.
#[inline(always)]
pub fn shrink(size_bytes: u64) {
    if let Some(peak) = PEAK.get_ptr_mut(0) {
        // SAFETY: a map value; only a field address is taken.
        unsafe { add(&raw mut (*peak).live_bytes, size_bytes.wrapping_neg()) };
    }
}
