//! Recognises the test of a pointer argument for null and the branch that depends on it.

use iced_x86::{Instruction, Mnemonic, OpKind, RflagsBits};

use super::state::{State, Value};
use crate::allocators::kind::Arguments;

/// Whether the zero flag says, at this instruction, that the pointer argument is null.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(super) struct NullTest {
    pending: bool,
}

impl NullTest {
    /// Takes note of one instruction, `state` being that before it.
    pub fn step(&mut self, instruction: &Instruction, state: &State, arguments: Arguments) {
        let pointer = arguments.pointer.map(|register| Value::Argument(register.number()));
        let is_pointer = |number: u32| {
            instruction.op_kind(number) == OpKind::Register
                && Some(state.get(instruction.op_register(number))) == pointer
        };
        match instruction.mnemonic() {
            Mnemonic::Test if is_pointer(0) && is_pointer(1) => self.pending = true,
            Mnemonic::Cmp
                if is_pointer(0) && instruction.try_immediate(1).is_ok_and(|number| number == 0) =>
            {
                self.pending = true;
            }
            _ if instruction.rflags_modified() & RflagsBits::ZF != 0 => self.pending = false,
            _ => {}
        }
    }

    /// Of the branch `instruction`, where it goes with a null pointer and where with another; `None` if it depends
    /// on something else.
    pub fn edges(self, instruction: &Instruction) -> Option<(u64, u64)> {
        let (taken, not_taken) = (instruction.near_branch_target(), instruction.next_ip());
        match instruction.mnemonic() {
            Mnemonic::Je if self.pending => Some((taken, not_taken)),
            Mnemonic::Jne if self.pending => Some((not_taken, taken)),
            _ => None,
        }
    }
}
