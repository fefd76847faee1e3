//! What a call or jump reaches: an allocation function, one that never returns, or something unknown.

use std::cell::OnceCell;
use std::collections::HashMap;

use iced_x86::{Decoder, DecoderOptions, Instruction, Mnemonic, OpKind, Register as Reg};

use super::wrapper::Target;
use crate::allocators::kind::{AllocFn, Arguments};
use crate::allocators::names;
use crate::elf::Elf;

/// Destination of a call or jump.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::allocators) enum Callee {
    /// An allocation function.
    Allocator { target: Target, function: AllocFn, arguments: Arguments },
    /// A function that does not return.
    NoReturn,
    /// `__errno_location`.
    ErrnoLocation,
    /// Code of this file that is nothing of the above.
    Code(u64),
    /// Cannot be told.
    Unknown,
}

/// A file's code together with what its symbols and linkage say about destinations.
pub(in crate::allocators) struct Code<'a, 'd> {
    elf: &'a Elf<'d>,
    /// Named destinations inside the file, by address.
    named: HashMap<u64, Callee>,
    /// Names of functions in global-offset-table slots.
    slots: HashMap<u64, &'d [u8]>,
    /// Functions of the file by name, for calls of its own that go through a slot.
    own: OnceCell<HashMap<&'d [u8], u64>>,
}

impl<'a, 'd> Code<'a, 'd> {
    /// `functions`: the allocation functions the file defines.
    pub fn new(elf: &'a Elf<'d>, functions: impl Iterator<Item = (u64, AllocFn, Arguments)>) -> Self {
        let mut named: HashMap<u64, Callee> = HashMap::new();
        for symbol in elf.functions() {
            if names::never_returns(symbol.name) {
                named.insert(symbol.address, Callee::NoReturn);
            } else if names::is_errno_location(symbol.name) {
                named.insert(symbol.address, Callee::ErrnoLocation);
            }
        }
        named.extend(functions.map(|(address, function, arguments)| {
            (address, Callee::Allocator { target: Target::Local(address), function, arguments })
        }));
        Self { elf, named, slots: elf.import_slots(), own: OnceCell::new() }
    }

    /// Code from `address` on.
    pub fn bytes(&self, address: u64) -> &'d [u8] {
        self.elf.code_at(address)
    }

    /// Where the call or jump `instruction` goes.
    pub fn callee(&self, instruction: &Instruction) -> Callee {
        match instruction.op0_kind() {
            OpKind::NearBranch64 => self.direct(instruction.near_branch64()),
            OpKind::Memory => self.through_slot(instruction),
            _ => Callee::Unknown,
        }
    }

    fn direct(&self, address: u64) -> Callee {
        if let Some(callee) = self.named.get(&address) {
            return callee.clone();
        }
        // A linkage stub: an indirect jump, perhaps behind `endbr64`.
        let mut decoder = Decoder::with_ip(64, self.bytes(address), address, DecoderOptions::NONE);
        let mut first = decoder.decode();
        if first.mnemonic() == Mnemonic::Endbr64 {
            first = decoder.decode();
        }
        match first.mnemonic() {
            Mnemonic::Jmp if first.op0_kind() == OpKind::Memory => match self.through_slot(&first) {
                Callee::Unknown => Callee::Code(address),
                callee => callee,
            },
            _ => Callee::Code(address),
        }
    }

    fn own(&self, name: &[u8]) -> Option<u64> {
        let own = self.own.get_or_init(|| {
            self.elf
                .functions()
                .filter(|symbol| !symbol.local)
                .map(|symbol| (symbol.name, symbol.address))
                .collect()
        });
        own.get(name).copied()
    }

    fn through_slot(&self, instruction: &Instruction) -> Callee {
        if instruction.memory_base() != Reg::RIP {
            return Callee::Unknown;
        }
        let Some(name) = self.slots.get(&instruction.memory_displacement64()) else { return Callee::Unknown };
        match imported(name) {
            Callee::Unknown => self.own(name).map_or(Callee::Unknown, Callee::Code),
            callee => callee,
        }
    }
}

fn imported(name: &[u8]) -> Callee {
    if names::never_returns(name) {
        return Callee::NoReturn;
    }
    if names::is_errno_location(name) {
        return Callee::ErrnoLocation;
    }
    match names::lookup(name, false) {
        Some(meaning) => Callee::Allocator {
            target: Target::Import(String::from_utf8_lossy(name).into_owned()),
            function: meaning.function,
            arguments: meaning.arguments,
        },
        None => Callee::Unknown,
    }
}
