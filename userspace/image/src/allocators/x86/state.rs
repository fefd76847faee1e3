//! Where a function's arguments, its callee's result and the stack pointer are, followed through its instructions.
//!
//! Not an emulator: a value is one of a few symbols, and whatever is computed from them is unknown.

use iced_x86::{
    Code, Instruction, InstructionInfoFactory, Mnemonic, OpAccess, OpKind, Register as Reg, UsedMemory,
};

use crate::allocators::kind::Register;

/// What a register or stack slot holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Value {
    Unknown,
    /// The function's own argument, unchanged.
    Argument(u8),
    /// What the last allocator call returned, unchanged.
    Result,
    /// A number independent of the arguments.
    Constant,
    /// The stack pointer at entry plus so many bytes.
    Stack(i32),
    /// Where `errno` is.
    Errno,
}

/// A store to memory outside the function's frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Store {
    pub base: Value,
    pub value: Value,
    pub thread_local: bool,
}

/// Registers and stack slots at one instruction.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct State {
    registers: [Value; 16],
    /// By distance from the stack pointer at entry, ascending.
    slots: Vec<(i32, Value)>,
}

const ARGUMENTS: [Reg; 6] = [Reg::RDI, Reg::RSI, Reg::RDX, Reg::RCX, Reg::R8, Reg::R9];
const SCRATCH: [Reg; 9] =
    [Reg::RAX, Reg::RCX, Reg::RDX, Reg::RSI, Reg::RDI, Reg::R8, Reg::R9, Reg::R10, Reg::R11];

impl State {
    /// At a function's first instruction, the stack pointer on its return address.
    pub fn entry() -> Self {
        let mut state = Self { registers: [Value::Unknown; 16], slots: Vec::new() };
        for (number, register) in ARGUMENTS.into_iter().enumerate() {
            state.set(register, Value::Argument(number as u8));
        }
        state.set(Reg::RSP, Value::Stack(0));
        state
    }

    /// At the first instruction of a function called from here.
    pub fn entry_of_callee(&self) -> Self {
        let mut state = Self { registers: self.registers, slots: Vec::new() };
        for value in &mut state.registers {
            if matches!(value, Value::Stack(_)) {
                *value = Value::Unknown;
            }
        }
        state.set(Reg::RSP, Value::Stack(0));
        state
    }

    /// Bytes from the stack pointer up to the return address.
    pub fn depth_bytes(&self) -> Option<u32> {
        match self.get(Reg::RSP) {
            Value::Stack(offset) => u32::try_from(-i64::from(offset)).ok(),
            _ => None,
        }
    }

    pub fn get(&self, register: Reg) -> Value {
        index(register).map_or(Value::Unknown, |at| self.registers[at])
    }

    fn set(&mut self, register: Reg, value: Value) {
        if let Some(at) = index(register) {
            self.registers[at] = value;
        }
    }

    /// An argument register that now holds the argument which was in `original` at entry; that one if it still does.
    pub fn holder(&self, original: Register) -> Option<Register> {
        let holds = |register: &Register| {
            self.get(ARGUMENTS[usize::from(register.number())]) == Value::Argument(original.number())
        };
        Some(original).filter(holds).or_else(|| Register::ALL.into_iter().find(holds))
    }

    /// Whether the argument that a callee expects in `register` is the function's own argument `own`.
    pub fn passes(&self, register: Register, own: Register) -> bool {
        self.get(ARGUMENTS[usize::from(register.number())]) == Value::Argument(own.number())
    }

    /// Effect of a call that returns `result`.
    pub fn after_call(&mut self, result: Value) {
        for register in SCRATCH {
            self.set(register, Value::Unknown);
        }
        self.set(Reg::RAX, result);
    }

    /// Effect of one instruction that is no call; the store it makes outside the frame, if any.
    pub fn step(&mut self, instruction: &Instruction, infos: &mut InstructionInfoFactory) -> Option<Store> {
        match instruction.mnemonic() {
            Mnemonic::Push => {
                self.move_stack(-8);
                let value = operand(self, instruction, 0);
                self.store_slot(self.get(Reg::RSP), 8, value);
                None
            }
            Mnemonic::Pop if instruction.op0_kind() == OpKind::Register => {
                let value = self.load_slot(self.get(Reg::RSP));
                self.move_stack(8);
                self.set(instruction.op0_register(), value);
                None
            }
            Mnemonic::Leave => {
                self.set(Reg::RSP, self.get(Reg::RBP));
                let value = self.load_slot(self.get(Reg::RSP));
                self.set(Reg::RBP, value);
                self.move_stack(8);
                None
            }
            Mnemonic::Mov => self.step_mov(instruction),
            _ => self.step_other(instruction, infos),
        }
    }

    fn step_mov(&mut self, instruction: &Instruction) -> Option<Store> {
        if instruction.op0_kind() == OpKind::Memory {
            let value = operand(self, instruction, 1);
            return self.store(address(self, instruction), access_bytes(instruction), value, instruction);
        }
        let target = instruction.op0_register();
        let value = match instruction.op1_kind() {
            OpKind::Register if target.is_gpr64() => self.get(instruction.op1_register()),
            OpKind::Memory if target.is_gpr64() => self.load_slot(address(self, instruction)),
            OpKind::Register | OpKind::Memory => Value::Unknown,
            _ => Value::Constant,
        };
        self.set(target.full_register(), value);
        None
    }

    fn step_other(&mut self, instruction: &Instruction, infos: &mut InstructionInfoFactory) -> Option<Store> {
        let value = computed(self, instruction);
        let info = infos.info(instruction);
        for used in info.used_registers().iter().filter(|used| writes(used.access())) {
            self.set(used.register().full_register(), Value::Unknown);
        }
        if let Some((target, value)) = value {
            self.set(target, value);
        }
        let mut outside = None;
        for memory in info.used_memory().iter().filter(|memory| writes(memory.access())) {
            let place = place(self, memory);
            let bytes = memory.memory_size().size().max(1) as i32;
            outside = self.store(place, bytes, Value::Unknown, instruction).or(outside);
        }
        outside
    }

    fn store(&mut self, place: Value, bytes: i32, value: Value, instruction: &Instruction) -> Option<Store> {
        match place {
            Value::Stack(_) => {
                self.store_slot(place, bytes, value);
                None
            }
            base => {
                let thread_local = matches!(instruction.memory_segment(), Reg::FS);
                Some(Store { base, value, thread_local })
            }
        }
    }

    fn move_stack(&mut self, bytes: i32) {
        let moved = match self.get(Reg::RSP) {
            Value::Stack(offset) => offset.checked_add(bytes).map_or(Value::Unknown, Value::Stack),
            _ => Value::Unknown,
        };
        self.set(Reg::RSP, moved);
    }

    fn store_slot(&mut self, place: Value, bytes: i32, value: Value) {
        let Value::Stack(at) = place else { return };
        self.slots.retain(|(slot, _)| slot.saturating_add(8) <= at || *slot >= at.saturating_add(bytes));
        if bytes == 8 && value != Value::Unknown {
            let position = self.slots.partition_point(|(slot, _)| *slot < at);
            self.slots.insert(position, (at, value));
        }
    }

    fn load_slot(&self, place: Value) -> Value {
        let Value::Stack(at) = place else { return Value::Unknown };
        self.slots.iter().find(|(slot, _)| *slot == at).map_or(Value::Unknown, |(_, value)| *value)
    }
}

fn index(register: Reg) -> Option<usize> {
    register.is_gpr64().then(|| register as usize - Reg::RAX as usize)
}

fn writes(access: OpAccess) -> bool {
    matches!(access, OpAccess::Write | OpAccess::CondWrite | OpAccess::ReadWrite | OpAccess::ReadCondWrite)
}

fn operand(state: &State, instruction: &Instruction, number: u32) -> Value {
    match instruction.op_kind(number) {
        OpKind::Register => state.get(instruction.op_register(number)),
        OpKind::Memory => Value::Unknown,
        _ => Value::Constant,
    }
}

fn access_bytes(instruction: &Instruction) -> i32 {
    instruction.memory_size().size().max(1) as i32
}

/// Symbolic address of the memory operand: a place in the frame, or the symbol its base register holds.
fn address(state: &State, instruction: &Instruction) -> Value {
    let displacement = instruction.memory_displacement64() as i64;
    offset(state, instruction.memory_base(), instruction.memory_index(), displacement)
}

fn place(state: &State, memory: &UsedMemory) -> Value {
    offset(state, memory.base(), memory.index(), memory.displacement() as i64)
}

fn offset(state: &State, base: Reg, index: Reg, displacement: i64) -> Value {
    match state.get(base) {
        Value::Stack(at) if index == Reg::None => {
            i32::try_from(i64::from(at).saturating_add(displacement)).map_or(Value::Unknown, Value::Stack)
        }
        Value::Stack(_) => Value::Unknown,
        value => value,
    }
}

/// Register results of the few computations that keep a symbol.
fn computed(state: &State, instruction: &Instruction) -> Option<(Reg, Value)> {
    let register =
        |number| (instruction.op_kind(number) == OpKind::Register).then(|| instruction.op_register(number));
    let target = (instruction.op_count() > 0).then(|| register(0)).flatten()?;
    match (instruction.mnemonic(), instruction.op_count()) {
        (Mnemonic::Xor | Mnemonic::Sub, 2) if register(1) == Some(target) => {
            Some((target.full_register(), Value::Constant))
        }
        (Mnemonic::Add | Mnemonic::Sub, 2) => {
            let (Value::Stack(at), None) = (state.get(target), register(1)) else { return None };
            let immediate = i32::try_from(instruction.try_immediate(1).ok()? as i64).ok()?;
            let change =
                if instruction.mnemonic() == Mnemonic::Sub { immediate.checked_neg()? } else { immediate };
            Some((target, Value::Stack(at.checked_add(change)?)))
        }
        (Mnemonic::Lea, 2) if target.is_gpr64() => match address(state, instruction) {
            place @ Value::Stack(_) => Some((target, place)),
            // `lea rbx,[rdi]` is a copy; with anything added it is another value.
            value if is_copy(instruction) => Some((target, value)),
            _ => None,
        },
        _ if instruction.code() == Code::Endbr64 => None,
        _ => None,
    }
}

fn is_copy(instruction: &Instruction) -> bool {
    instruction.memory_displacement64() == 0 && instruction.memory_index() == Reg::None
}

#[cfg(test)]
mod tests {
    use iced_x86::{Decoder, DecoderOptions};

    use super::*;

    fn run(bytes: &[u8]) -> (State, Option<Store>) {
        let mut state = State::entry();
        let mut infos = InstructionInfoFactory::new();
        let mut store = None;
        for instruction in &mut Decoder::with_ip(64, bytes, 0x1000, DecoderOptions::NONE) {
            store = state.step(&instruction, &mut infos).or(store);
        }
        (state, store)
    }

    #[test]
    fn frames_with_and_without_a_frame_pointer_are_measured() {
        // push rbp; mov rbp,rsp; push rbx; sub rsp,0x18
        let (state, _) = run(&[0x55, 0x48, 0x89, 0xe5, 0x53, 0x48, 0x83, 0xec, 0x18]);
        assert_eq!(state.depth_bytes(), Some(40));
        // the same, then lea rsp,[rbp-8]; pop rbx; pop rbp
        let (state, _) =
            run(&[0x55, 0x48, 0x89, 0xe5, 0x53, 0x48, 0x83, 0xec, 0x18, 0x48, 0x8d, 0x65, 0xf8, 0x5b, 0x5d]);
        assert_eq!(state.depth_bytes(), Some(0));
        // push rbp; mov rbp,rsp; sub rsp,0x20; leave
        let (state, _) = run(&[0x55, 0x48, 0x89, 0xe5, 0x48, 0x83, 0xec, 0x20, 0xc9]);
        assert_eq!(state.depth_bytes(), Some(0));
        // and rsp,-16: no longer known
        let (state, _) = run(&[0x48, 0x83, 0xe4, 0xf0]);
        assert_eq!(state.depth_bytes(), None);
    }

    #[test]
    fn arguments_are_followed_through_copies_and_spills() {
        // mov rsi,rdi; xor edi,edi
        let (state, _) = run(&[0x48, 0x89, 0xfe, 0x31, 0xff]);
        assert_eq!(state.holder(Register::Rdi), Some(Register::Rsi));
        assert_eq!(state.holder(Register::Rsi), None);
        // sub rsp,0x18; mov [rsp+8],rdi; mov edi,0; mov rdx,[rsp+8]
        let (state, store) = run(&[
            0x48, 0x83, 0xec, 0x18, 0x48, 0x89, 0x7c, 0x24, 0x08, 0xbf, 0, 0, 0, 0, 0x48, 0x8b, 0x54, 0x24,
            0x08,
        ]);
        assert_eq!(state.holder(Register::Rdi), Some(Register::Rdx));
        assert_eq!(store, None);
        // lea rsi,[rdi+1]: another value
        let (state, _) = run(&[0x48, 0x8d, 0x77, 0x01]);
        assert_eq!(state.holder(Register::Rsi), None);
        assert_eq!(state.holder(Register::Rdi), Some(Register::Rdi));
        // mov esi,edi: cut to 32 bits
        assert_eq!(run(&[0x89, 0xfe]).0.holder(Register::Rsi), None);
    }

    #[test]
    fn stores_outside_the_frame_are_seen() {
        // mov [rdi],rsi
        let (_, store) = run(&[0x48, 0x89, 0x37]);
        assert_eq!(
            store,
            Some(Store { base: Value::Argument(0), value: Value::Argument(1), thread_local: false })
        );
        // mov dword fs:[rax],12
        let (_, store) = run(&[0x64, 0xc7, 0x00, 0x0c, 0, 0, 0]);
        assert!(store.is_some_and(|store| store.thread_local));
        // add qword [rdi],1
        let (_, store) = run(&[0x48, 0x83, 0x07, 0x01]);
        assert_eq!(store.map(|store| store.value), Some(Value::Unknown));
    }
}
