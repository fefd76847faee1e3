//! What one probe point means, packed into the 64-bit cookie the kernel hands to its handler.
//!
//! The kernel side knows no function names: the cookie says which registers hold size, count and pointer, and how
//! far the return address lies above the stack pointer at the probed instruction.

/// What the probed function does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Op {
    /// Returns a new block.
    Alloc = 0,
    /// Stores a new block where an argument points to, and returns 0 (`posix_memalign`).
    AllocOut = 1,
    /// Resizes a block.
    Realloc = 2,
    /// Gives a block back.
    Free = 3,
}

/// How the size of a freed block can be known without having seen its allocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum FreedSize {
    /// Not at all.
    Unknown = 0,
    /// From glibc's chunk header: the word before the block, low three bits masked, less 8.
    GlibcChunk = 1,
    /// The caller passes it in the size register.
    Argument = 2,
}

/// No such argument.
pub const NO_ARG: u8 = 7;

/// An unpacked cookie. Arguments are numbered from 0 in the order of the calling convention.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cookie {
    /// What the function does.
    pub op: Op,
    /// Argument with the size.
    pub size_arg: u8,
    /// Argument the size is multiplied by (`calloc`), or [`NO_ARG`].
    pub count_arg: u8,
    /// Argument with the block, or with the place the block is stored at, or [`NO_ARG`].
    pub ptr_arg: u8,
    /// How a freed block's size can be known.
    pub freed_size: FreedSize,
    /// Bytes from the stack pointer at the probed instruction up to the return address.
    pub return_slot: u16,
    /// A return probe sees the result too.
    pub returns: bool,
}

impl Cookie {
    /// Packs it. Layout, from bit 0: op 4, size 4, count 4, pointer 4, freed 4, returns 1, reserved 11, slot 16.
    pub const fn pack(self) -> u64 {
        (self.op as u64)
            | (self.size_arg as u64) << 4
            | (self.count_arg as u64) << 8
            | (self.ptr_arg as u64) << 12
            | (self.freed_size as u64) << 16
            | (self.returns as u64) << 20
            | (self.return_slot as u64) << 32
    }

    /// Reads it back. Unknown bits of an operation read as [`Op::Free`], which at worst counts nothing.
    #[inline(always)]
    pub const fn unpack(bits: u64) -> Self {
        const fn nibble(bits: u64, shift: u32) -> u8 {
            (bits >> shift & 0xf) as u8
        }
        Self {
            op: match nibble(bits, 0) {
                0 => Op::Alloc,
                1 => Op::AllocOut,
                2 => Op::Realloc,
                _ => Op::Free,
            },
            size_arg: nibble(bits, 4),
            count_arg: nibble(bits, 8),
            ptr_arg: nibble(bits, 12),
            freed_size: match nibble(bits, 16) {
                1 => FreedSize::GlibcChunk,
                2 => FreedSize::Argument,
                _ => FreedSize::Unknown,
            },
            returns: bits >> 20 & 1 == 1,
            return_slot: (bits >> 32) as u16,
        }
    }
}
