//! What an executor works on: the state, the operands of its instruction, memory, and the record of accesses.

use crate::access::{Access, Kind};
use crate::code::{Address, Base, Operand, Operation, Segment};
use crate::end::Reason;
use crate::memory::{Memory, Overlay, Unreadable};
use crate::state::{State, Value, Vector, mask};

/// The machine one instruction runs on.
pub struct Machine<'a> {
    /// Registers and flags. `rip` is already that of the next instruction.
    pub state: &'a mut State,
    /// Address of the instruction that runs.
    pub ip: u64,
    pub(crate) overlay: &'a mut Overlay,
    pub(crate) memory: &'a mut dyn Memory,
    pub(crate) accesses: &'a mut Vec<Access>,
}

impl Machine<'_> {
    /// Reads an operand as a word: a general or mask register, memory of up to 8 bytes (a load), an immediate, or the
    /// lowest 8 bytes of a vector register. Zero-extended from the operand's width; of anything else, unknown.
    #[inline]
    pub fn read(&mut self, operation: &Operation, operand: usize) -> Result<Value, Reason> {
        match operation.operands[operand] {
            Operand::General { number, width, high } => Ok(self.general(number, width, high)),
            Operand::Immediate(bits) => Ok(Value::known(bits)),
            Operand::Memory { width } => {
                let address = self.address(&operation.memory)?;
                self.load(address, width)
            }
            Operand::Vector { number, .. } => Ok(self.state.vectors[usize::from(number & 31)].value(0, 8)),
            Operand::Mask(number) => Ok(self.state.masks[usize::from(number & 7)]),
            Operand::None | Operand::Other => Ok(Value::UNKNOWN),
        }
    }

    /// Writes a word to a general register (32 bits clear the upper half, 8 and 16 bits keep the rest), a mask
    /// register or memory of up to 8 bytes (a store).
    #[inline]
    pub fn write(&mut self, operation: &Operation, operand: usize, value: Value) -> Result<(), Reason> {
        match operation.operands[operand] {
            Operand::General { number, width, high } => self.set_general(number, width, high, value),
            Operand::Memory { width } => {
                let address = self.address(&operation.memory)?;
                self.store(address, width, value);
            }
            Operand::Mask(number) => self.state.masks[usize::from(number & 7)] = value,
            Operand::Vector { .. } => {
                return self.write_vector(operation, operand, &Vector::from_value(value));
            }
            Operand::None | Operand::Immediate(_) | Operand::Other => {}
        }
        Ok(())
    }

    /// Reads an operand of up to 64 bytes: the whole vector register, memory of the operand's width (a load; zero
    /// above), or a general register.
    pub fn read_vector(&mut self, operation: &Operation, operand: usize) -> Result<Vector, Reason> {
        match operation.operands[operand] {
            Operand::Vector { number, .. } => Ok(self.state.vectors[usize::from(number & 31)]),
            Operand::Memory { width } => {
                let address = self.address(&operation.memory)?;
                self.load_vector(address, width)
            }
            _ => Ok(Vector::from_value(self.read(operation, operand)?)),
        }
    }

    /// Writes an operand of up to 64 bytes. A vector register takes its operand's width from `value`; the bytes above
    /// are cleared or kept as the encoding has it. Memory takes its operand's width (a store).
    pub fn write_vector(
        &mut self,
        operation: &Operation,
        operand: usize,
        value: &Vector,
    ) -> Result<(), Reason> {
        match operation.operands[operand] {
            Operand::Vector { number, width } => {
                let width = u16::from(width);
                let register = &mut self.state.vectors[usize::from(number & 31)];
                *register = if operation.clears_upper {
                    value.zero_extended(width)
                } else {
                    register.with(value, if width >= 64 { u64::MAX } else { (1 << width) - 1 })
                };
                Ok(())
            }
            Operand::Memory { width } => {
                let address = self.address(&operation.memory)?;
                self.store_vector(address, width, value);
                Ok(())
            }
            _ => self.write(operation, operand, value.value(0, 8)),
        }
    }

    /// A general register or a part of it, zero-extended.
    #[inline]
    pub fn general(&self, number: u8, width: u8, high: bool) -> Value {
        let whole = self.state.general[usize::from(number & 15)];
        if high {
            return Value::partly(whole.bits() >> 8, whole.known_bits() >> 8).zero_extended(0xff);
        }
        if width >= 8 { whole } else { whole.zero_extended(mask(width)) }
    }

    /// Writes a general register or a part of it, as instructions do.
    #[inline]
    pub fn set_general(&mut self, number: u8, width: u8, high: bool, value: Value) {
        let whole = &mut self.state.general[usize::from(number & 15)];
        *whole = match width {
            8 => value,
            4 => value.zero_extended(mask(4)),
            _ if high => whole.with(Value::partly(value.bits() << 8, value.known_bits() << 8), 0xff00),
            _ => whole.with(value, mask(width)),
        };
    }

    /// The address a memory operand names, segment included.
    ///
    /// # Errors
    /// If a register or segment base it needs is unknown, or it is indexed by a vector.
    #[inline]
    pub fn address(&self, memory: &Address) -> Result<u64, Reason> {
        if memory.is_vector_indexed {
            return Err(Reason::MaskedAccess);
        }
        let offset = self.offset(memory).ok_or(Reason::UnknownAddress)?;
        let base = match memory.segment {
            Segment::Flat => return Ok(offset),
            Segment::Fs => self.state.fs_base,
            Segment::Gs => self.state.gs_base,
        };
        base.map(|base| base.wrapping_add(offset)).ok_or(Reason::UnknownAddress)
    }

    /// The address a memory operand names within its segment: what `lea` gives.
    #[inline]
    pub fn offset(&self, memory: &Address) -> Option<u64> {
        let mut sum = memory.displacement;
        match memory.base {
            Base::None => {}
            Base::General(number) => {
                sum = sum.wrapping_add(self.state.general[usize::from(number & 15)].get(8)?);
            }
            Base::Instruction => sum = sum.wrapping_add(self.ip),
        }
        if let Some(number) = memory.index {
            let index = self.state.general[usize::from(number & 15)].get(8)?;
            sum = sum.wrapping_add(index.wrapping_mul(u64::from(memory.scale)));
        }
        Some(if memory.is_32_bit { sum & mask(4) } else { sum })
    }

    /// Loads a word of `width` (1 to 8) bytes, zero-extended, and records the access.
    #[inline]
    pub fn load(&mut self, address: u64, width: u16) -> Result<Value, Reason> {
        self.record(address, width, Kind::Load);
        let width = usize::from(width.min(8));
        let mut bytes = [0; 8];
        let known = self.fetch(address, &mut bytes[..width])?;
        let bits = u64::from_le_bytes(bytes);
        let width_mask = mask(width as u8);
        if known == u64::MAX {
            return Ok(Value::known(bits));
        }
        let known =
            (0..width).filter(|byte| known >> byte & 1 == 1).fold(0, |all, byte| all | 0xff << (8 * byte));
        Ok(Value::partly(bits, known | !width_mask))
    }

    /// Loads up to 64 bytes, zero above, and records the access.
    pub fn load_vector(&mut self, address: u64, width: u16) -> Result<Vector, Reason> {
        self.record(address, width, Kind::Load);
        let mut bytes = [0; 64];
        let width = usize::from(width.min(64));
        let known = self.fetch(address, &mut bytes[..width])?;
        let above = if width >= 64 { 0 } else { u64::MAX << width };
        Ok(Vector::partly(bytes, known | above))
    }

    /// Stores the lowest `width` (1 to 8) bytes of a word and records the access.
    #[inline]
    pub fn store(&mut self, address: u64, width: u16, value: Value) {
        self.record(address, width, Kind::Store);
        self.keep(address, width.min(8) as u8, value);
    }

    /// Puts a word into the overlay; a byte with an unknown bit is unknown.
    #[inline]
    fn keep(&mut self, address: u64, width: u8, value: Value) {
        let width = usize::from(width);
        let mut known = u64::MAX;
        if value.known_bits() != u64::MAX {
            for byte in 0..width {
                if value.known_bits() >> (8 * byte) & 0xff != 0xff {
                    known &= !(1 << byte);
                }
            }
        }
        self.overlay.store(address, &value.bits().to_le_bytes()[..width], known);
    }

    /// Stores the lowest `width` (1 to 64) bytes of a vector and records the access.
    pub fn store_vector(&mut self, address: u64, width: u16, value: &Vector) {
        self.record(address, width, Kind::Store);
        let width = usize::from(width.min(64));
        self.overlay.store(address, &value.bytes()[..width], value.known_bytes());
    }

    /// Stores two words of 4 or 8 bytes as one access.
    pub fn store_pair(&mut self, address: u64, word: u8, low: Value, high: Value) {
        self.record(address, 2 * u16::from(word), Kind::Store);
        self.keep(address, word, low);
        self.keep(address.wrapping_add(u64::from(word)), word, high);
    }

    /// Whether a byte that the instruction loads is there at all.
    ///
    /// # Errors
    /// If the target has nothing readable there.
    pub fn probe(&mut self, address: u64) -> Result<(), Reason> {
        self.fetch(address, &mut [0]).map(|_| ())
    }

    /// Records an access of any width and forgets what a store wrote, for instructions whose values are not followed.
    pub fn touch(&mut self, address: u64, width: u16, kind: Kind) {
        self.record(address, width, kind);
        if kind == Kind::Store {
            let mut done = 0;
            while done < width {
                let part = (width - done).min(64);
                self.overlay.store(address.wrapping_add(u64::from(done)), &[0; 64][..usize::from(part)], 0);
                done += part;
            }
        }
    }

    #[inline]
    fn record(&mut self, address: u64, width_bytes: u16, kind: Kind) {
        self.accesses.push(Access { address, width_bytes, kind, ip: self.ip });
    }

    /// What memory holds, the walk's own stores included; the result says which bytes are known, all others are 0.
    /// Bytes of `u64::MAX` beyond `into` mean nothing.
    #[inline]
    fn fetch(&mut self, address: u64, into: &mut [u8]) -> Result<u64, Reason> {
        if let Some(known) = self.overlay.load(address, into) {
            let needed = if into.len() >= 64 { u64::MAX } else { (1 << into.len()) - 1 };
            return Ok(if known == needed { u64::MAX } else { known });
        }
        if self.overlay.covers_none(address, into.len()) {
            return match self.memory.read(address, into) {
                Ok(()) => Ok(u64::MAX),
                Err(Unreadable::Unknown) => {
                    into.fill(0);
                    Ok(0)
                }
                Err(Unreadable::Unmapped) => Err(Reason::UnreadableMemory),
            };
        }
        self.fetch_mixed(address, into)
    }

    /// [`Machine::fetch`] where some bytes may be the walk's own.
    fn fetch_mixed(&mut self, address: u64, into: &mut [u8]) -> Result<u64, Reason> {
        let width = into.len();
        let needed = if width >= 64 { u64::MAX } else { (1 << width) - 1 };
        let mut known = u64::MAX;
        if self.overlay.written(address, width) & needed != needed {
            match self.memory.read(address, into) {
                Ok(()) => {}
                Err(Unreadable::Unknown) => known = 0,
                Err(Unreadable::Unmapped) => return Err(Reason::UnreadableMemory),
            }
        }
        let known = self.overlay.apply(address, into, known);
        for (index, byte) in into.iter_mut().enumerate() {
            if known >> index & 1 == 0 {
                *byte = 0;
            }
        }
        Ok(if known & needed == needed { u64::MAX } else { known })
    }
}
