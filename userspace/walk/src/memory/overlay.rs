//! The walk's own stores: a copy-on-write layer of 64-byte lines in front of the target's memory.
//!
//! A line knows which of its bytes were stored and which of those have a known value. Lines are found through an
//! open-addressed table whose slots carry the number of the walk, so that clearing it for the next walk costs nothing.

/// Bytes of a line.
const LINE: u64 = 64;
/// Slots at the start; a power of two. Walks store to a few dozen lines.
const FIRST_SLOTS: usize = 256;

/// Everything the walk has stored so far.
pub struct Overlay {
    lines: Vec<Line>,
    slots: Vec<Slot>,
    walk: u32,
}

#[derive(Clone, Copy)]
struct Slot {
    walk: u32,
    line: u32,
}

struct Line {
    number: u64,
    bytes: [u8; LINE as usize],
    stored: u64,
    known: u64,
}

impl Default for Overlay {
    fn default() -> Self {
        Self { lines: Vec::new(), slots: vec![Slot { walk: 0, line: 0 }; FIRST_SLOTS], walk: 1 }
    }
}

impl Overlay {
    /// Forgets all stores.
    pub fn clear(&mut self) {
        self.lines.clear();
        self.walk = self.walk.wrapping_add(1);
        if self.walk == 0 {
            self.slots.fill(Slot { walk: 0, line: 0 });
            self.walk = 1;
        }
    }

    /// Stores up to 64 bytes; those whose bit is not set in `known` are 0 and become unknown.
    #[inline]
    pub fn store(&mut self, address: u64, bytes: &[u8], known: u64) {
        let offset = (address % LINE) as usize;
        let first = bytes.len().min(LINE as usize - offset);
        self.store_in_line(address / LINE, offset, &bytes[..first], known);
        if first < bytes.len() {
            self.store_in_line(next_line(address), 0, &bytes[first..], known >> first);
        }
    }

    /// Whether none of these bytes (at most 64) was stored.
    #[inline]
    pub fn covers_none(&self, address: u64, width: usize) -> bool {
        self.lines.is_empty() || self.written(address, width) == 0
    }

    /// Reads bytes (at most 64) if all of them were stored into one line; gives which are known, all others are 0.
    #[inline]
    pub fn load(&self, address: u64, into: &mut [u8]) -> Option<u64> {
        let offset = (address % LINE) as usize;
        let line = self.find(address / LINE)?;
        let bytes = line.bytes.get(offset..offset + into.len())?;
        let needed = if into.len() >= LINE as usize { u64::MAX } else { (1 << into.len()) - 1 };
        if line.stored >> offset & needed != needed {
            return None;
        }
        into.copy_from_slice(bytes);
        Some(line.known >> offset & needed)
    }

    /// Which of these bytes (at most 64) were stored, the lowest bit for the first.
    #[inline]
    pub fn written(&self, address: u64, width: usize) -> u64 {
        let offset = address % LINE;
        let mut stored = self.find(address / LINE).map_or(0, |line| line.stored >> offset);
        if offset as usize + width > LINE as usize {
            stored |= self.find(next_line(address)).map_or(0, |line| line.stored << (LINE - offset));
        }
        if width >= LINE as usize { stored } else { stored & ((1 << width) - 1) }
    }

    /// Puts the stored bytes over `into` (at most 64); gives `known` changed to what is known of them.
    pub fn apply(&self, address: u64, into: &mut [u8], mut known: u64) -> u64 {
        for (index, byte) in into.iter_mut().enumerate() {
            let at = address.wrapping_add(index as u64);
            let offset = at % LINE;
            let Some(line) = self.find(at / LINE) else { continue };
            if line.stored >> offset & 1 == 1 {
                *byte = line.bytes[offset as usize];
                known = (known & !(1 << index)) | ((line.known >> offset & 1) << index);
            }
        }
        known
    }

    fn store_in_line(&mut self, number: u64, offset: usize, bytes: &[u8], known: u64) {
        let index = self.position(number);
        let line = &mut self.lines[index];
        line.bytes[offset..offset + bytes.len()].copy_from_slice(bytes);
        let width_mask = if bytes.len() >= LINE as usize { u64::MAX } else { (1 << bytes.len()) - 1 };
        let mask = width_mask << offset;
        line.stored |= mask;
        line.known = (line.known & !mask) | (known << offset & mask);
    }

    #[inline]
    fn find(&self, number: u64) -> Option<&Line> {
        let slot = self.slots[self.slot_of(number)];
        if slot.walk == self.walk { self.lines.get(slot.line as usize) } else { None }
    }

    /// The line's index, made if there is none yet.
    fn position(&mut self, number: u64) -> usize {
        let slot = self.slot_of(number);
        if self.slots[slot].walk == self.walk {
            return self.slots[slot].line as usize;
        }
        let index = self.lines.len();
        self.lines.push(Line { number, bytes: [0; LINE as usize], stored: 0, known: 0 });
        if self.lines.len() * 2 > self.slots.len() {
            self.grow();
        } else {
            self.slots[slot] = Slot { walk: self.walk, line: index as u32 };
        }
        index
    }

    /// The slot that holds the line, or the free one where it belongs. Half the slots are free.
    #[inline]
    fn slot_of(&self, number: u64) -> usize {
        let wrap = self.slots.len() - 1;
        let mut slot = (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize & wrap;
        while self.slots[slot].walk == self.walk
            && self.lines.get(self.slots[slot].line as usize).is_some_and(|line| line.number != number)
        {
            slot = (slot + 1) & wrap;
        }
        slot
    }

    fn grow(&mut self) {
        self.slots = vec![Slot { walk: 0, line: 0 }; self.slots.len() * 2];
        for index in 0..self.lines.len() {
            let slot = self.slot_of(self.lines[index].number);
            self.slots[slot] = Slot { walk: self.walk, line: index as u32 };
        }
    }
}

/// The line after that of `address`, around the end of the address space.
fn next_line(address: u64) -> u64 {
    address.wrapping_add(LINE) / LINE
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(overlay: &Overlay, address: u64, width: usize) -> (Vec<u8>, u64) {
        let mut into = vec![0xee; width];
        let known = overlay.apply(address, &mut into, u64::MAX);
        (into, known & ((1 << width) - 1))
    }

    #[test]
    fn a_store_across_lines_is_read_back_and_leaves_its_neighbours() {
        let mut overlay = Overlay::default();
        overlay.store(0x103e, &[1, 2, 3, 4], u64::MAX);
        assert_eq!(bytes(&overlay, 0x103d, 6), (vec![0xee, 1, 2, 3, 4, 0xee], 0b11_1111));
        assert_eq!(overlay.written(0x103d, 6), 0b01_1110);
        assert!(overlay.covers_none(0x1042, 8));
    }

    #[test]
    fn only_what_was_stored_whole_into_one_line_is_read_in_one_go() {
        let mut overlay = Overlay::default();
        overlay.store(0x1004, &[1, 2, 0, 4], 0b1011);
        let mut into = [0xee; 4];
        assert_eq!((overlay.load(0x1004, &mut into), into), (Some(0b1011), [1, 2, 0, 4]));
        assert_eq!(overlay.load(0x1005, &mut into), None);
        overlay.store(0x103e, &[1, 2, 3, 4], u64::MAX);
        assert_eq!(overlay.load(0x103e, &mut into), None);
    }

    #[test]
    fn unknown_bytes_stay_unknown_until_stored_again() {
        let mut overlay = Overlay::default();
        overlay.store(0x2000, &[0; 4], 0b0101);
        assert_eq!(bytes(&overlay, 0x2000, 4).1, 0b0101);
        overlay.store(0x2001, &[9], 1);
        assert_eq!(bytes(&overlay, 0x2000, 4), (vec![0, 9, 0, 0], 0b0111));
    }

    #[test]
    fn the_table_grows_and_a_new_walk_finds_nothing() {
        let mut overlay = Overlay::default();
        for line in 0..1000_u64 {
            overlay.store(line * LINE, &[line as u8], 1);
        }
        assert!((0..1000).all(|line| bytes(&overlay, line * LINE, 1).0 == [line as u8]));
        overlay.clear();
        assert!((0..1000).all(|line| overlay.covers_none(line * LINE, 64)));
    }

    #[test]
    fn a_store_at_the_end_of_the_address_space_wraps() {
        let mut overlay = Overlay::default();
        overlay.store(u64::MAX, &[1, 2], u64::MAX);
        assert_eq!(bytes(&overlay, u64::MAX, 2), (vec![1, 2], 0b11));
        assert_eq!(bytes(&overlay, 0, 1).0, [2]);
    }
}
