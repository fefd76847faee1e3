//! A memory access of the walked code.

/// One access: what a load or store of the target's code touches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// Virtual address of the first byte.
    pub address: u64,
    /// Bytes from there, at least 1.
    pub width_bytes: u16,
    /// Whether it reads or writes.
    pub kind: Kind,
    /// Address of the instruction.
    pub ip: u64,
}

/// Direction of an access. An instruction that reads and writes its operand makes a load and then a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Memory is read.
    Load,
    /// Memory is written.
    Store,
}
