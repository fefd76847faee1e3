//! The vector and mask registers in the XSAVE area by which `ptrace` passes them.

use std::arch::x86_64::__cpuid_count;
use std::ops::Range;

use super::start::{Start, Vector};

/// Offsets in the XSAVE area (SDM volume 1, 13.4).
const MXCSR: usize = 24;
const XMM: usize = 160;
const COMPONENTS: usize = 512;
const YMM_HIGH: usize = 576;
/// x87, SSE and AVX state, which every processor with AVX has.
const BASIC: u64 = 0b111;
/// Mask registers, upper halves of `zmm0`-`zmm15`, and `zmm16`-`zmm31`: number and bytes of the components.
const AVX512: [(u32, usize); 3] = [(5, 64), (6, 512), (7, 1024)];

/// A thread's XSAVE area.
pub struct Extended {
    /// As long as this machine makes it, once it has been read.
    pub area: Vec<u8>,
    /// As it was before the first block, so that none leaves x87 state to the next.
    fresh: Vec<u8>,
    /// Where the components of [`AVX512`] begin; none if the processor has no AVX-512.
    avx512: Option<[usize; 3]>,
}

impl Default for Extended {
    fn default() -> Self {
        Self { area: vec![0; 16384], fresh: Vec::new(), avx512: None }
    }
}

impl Extended {
    /// Takes the area as what every block starts from.
    pub fn keep_fresh(&mut self) {
        self.fresh.clone_from(&self.area);
        let offsets = AVX512.map(|(component, bytes)| (component_offset(component), bytes));
        let has_all = offsets.iter().all(|(offset, bytes)| *offset != 0 && offset + bytes <= self.area.len());
        self.avx512 = has_all.then(|| offsets.map(|(offset, _)| offset));
    }

    /// Clears of a start what the processor has not.
    pub fn restrict(&self, start: &mut Start) {
        if self.avx512.is_none() {
            start.masks = [0; 8];
            start.vectors[..16].iter_mut().for_each(|vector| vector[32..].fill(0));
            start.vectors[16..].fill([0; 64]);
        }
    }

    /// Fills the area with what a block starts from.
    pub fn load(&mut self, start: &Start) {
        self.area.copy_from_slice(&self.fresh);
        self.put(MXCSR, &start.mxcsr.to_le_bytes());
        let more = if self.avx512.is_some() { &AVX512[..] } else { &[] };
        let components = more.iter().fold(BASIC, |all, (component, _)| all | 1 << component);
        self.put(COMPONENTS, &components.to_le_bytes());
        for (number, vector) in start.vectors.iter().enumerate() {
            for (bytes, place) in self.parts(number).into_iter().flatten() {
                self.put(place, &vector[bytes]);
            }
        }
        if let Some([masks, ..]) = self.avx512 {
            for (number, mask) in start.masks.iter().enumerate() {
                self.put(masks + 8 * number, &mask.to_le_bytes());
            }
        }
    }

    /// `zmm` of this number; what the processor has not of it is 0.
    pub fn vector(&self, number: usize) -> Vector {
        let mut vector = [0; 64];
        for (bytes, place) in self.parts(number).into_iter().flatten() {
            let count = bytes.len();
            vector[bytes].copy_from_slice(&self.area[place..place + count]);
        }
        vector
    }

    /// `k` of this number.
    pub fn mask(&self, number: usize) -> u64 {
        let bytes = self.avx512.and_then(|[masks, ..]| self.area[masks + 8 * number..].first_chunk());
        bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes))
    }

    /// Which bytes of a vector register are where.
    fn parts(&self, number: usize) -> [Option<(Range<usize>, usize)>; 3] {
        if number < 16 {
            let high = self.avx512.map(|[_, high, _]| (32..64, high + 32 * number));
            [Some((0..16, XMM + 16 * number)), Some((16..32, YMM_HIGH + 16 * number)), high]
        } else {
            [self.avx512.map(|[.., upper]| (0..64, upper + 64 * (number - 16))), None, None]
        }
    }

    fn put(&mut self, place: usize, bytes: &[u8]) {
        self.area[place..place + bytes.len()].copy_from_slice(bytes);
    }
}

/// Where a component is in an XSAVE area that is not compacted; 0 if the processor has none.
fn component_offset(component: u32) -> usize {
    let place = __cpuid_count(0xd, component);
    if place.eax == 0 { 0 } else { place.ebx as usize }
}
