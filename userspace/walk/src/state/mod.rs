//! What the walk knows about a thread: registers and flags, each bit known or unknown.

mod flags;
mod value;
mod vector;

pub use flags::{Flag, Flags};
pub use value::{Value, mask};
pub use vector::Vector;

/// Numbers of the general registers in [`State::general`], as instructions encode them.
pub mod register {
    /// `rax`.
    pub const RAX: u8 = 0;
    /// `rcx`.
    pub const RCX: u8 = 1;
    /// `rdx`.
    pub const RDX: u8 = 2;
    /// `rbx`.
    pub const RBX: u8 = 3;
    /// `rsp`.
    pub const RSP: u8 = 4;
    /// `rbp`.
    pub const RBP: u8 = 5;
    /// `rsi`.
    pub const RSI: u8 = 6;
    /// `rdi`.
    pub const RDI: u8 = 7;
    /// `r11`; `r8` to `r15` are 8 to 15.
    pub const R11: u8 = 11;
}

/// The registers of a thread in 64-bit user mode.
#[derive(Clone, Debug)]
pub struct State {
    /// The general registers by number ([`register`]).
    pub general: [Value; 16],
    /// Address of the next instruction.
    pub rip: u64,
    /// The status flags and the direction flag.
    pub flags: Flags,
    /// `zmm0` to `zmm31`, of which `xmm` and `ymm` are the lower parts.
    pub vectors: [Vector; 32],
    /// The mask registers `k0` to `k7`.
    pub masks: [Value; 8],
    /// Base of the `fs` segment (thread-local storage), if known.
    pub fs_base: Option<u64>,
    /// Base of the `gs` segment, if known.
    pub gs_base: Option<u64>,
}

impl State {
    /// A state of which only the address of the next instruction is known.
    pub fn unknown(rip: u64) -> Self {
        Self {
            general: [Value::UNKNOWN; 16],
            rip,
            flags: Flags::UNKNOWN,
            vectors: [Vector::UNKNOWN; 32],
            masks: [Value::UNKNOWN; 8],
            fs_base: None,
            gs_base: None,
        }
    }

    /// What a sample holds: general registers in encoding order (`rax rcx rdx rbx rsp rbp rsi rdi r8`…`r15`), `rip`
    /// and `rflags`. Vectors, masks and segment bases are unknown.
    pub fn captured(general: [u64; 16], rip: u64, rflags: u64) -> Self {
        Self { general: general.map(Value::known), flags: Flags::known(rflags), ..Self::unknown(rip) }
    }
}
