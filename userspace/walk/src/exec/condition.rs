//! Conditions on flags: `jcc`, `setcc`, `cmovcc`.

use iced_x86::{ConditionCode, Instruction, Mnemonic};

use super::Execute;
use crate::code::{Operand, Operation};
use crate::end::Reason;
use crate::machine::Machine;
use crate::state::{Flag, Flags, Value};

/// The executor of an instruction with a condition.
pub fn select(instruction: &Instruction) -> Option<Execute> {
    let is_loop = matches!(instruction.mnemonic(), Mnemonic::Loope | Mnemonic::Loopne);
    if instruction.condition_code() == ConditionCode::None || is_loop {
        return None;
    }
    if instruction.is_jcc_short_or_near() {
        return Some(jump);
    }
    let name = instruction.mnemonic();
    match instruction.op_count() {
        1 if is_set(name) => Some(set),
        2 if is_move(name) => Some(cmov),
        _ => None,
    }
}

fn is_set(name: Mnemonic) -> bool {
    (Mnemonic::Seta as u32..=Mnemonic::Sets as u32).contains(&(name as u32))
}

fn is_move(name: Mnemonic) -> bool {
    (Mnemonic::Cmova as u32..=Mnemonic::Cmovs as u32).contains(&(name as u32))
}

/// Whether a condition holds, if the flags it needs are known.
#[inline]
fn holds(flags: Flags, condition: ConditionCode) -> Option<bool> {
    let get = |flag| flags.get(flag);
    let differ = |a: Option<bool>, b: Option<bool>| a.zip(b).map(|(a, b)| a != b);
    let either = |a: Option<bool>, b: Option<bool>| match (a, b) {
        (Some(true), _) | (_, Some(true)) => Some(true),
        (Some(false), Some(false)) => Some(false),
        _ => None,
    };
    let not = |state: Option<bool>| state.map(|state| !state);
    let less = || differ(get(Flag::Sign), get(Flag::Overflow));
    match condition {
        ConditionCode::None => None,
        ConditionCode::o => get(Flag::Overflow),
        ConditionCode::no => not(get(Flag::Overflow)),
        ConditionCode::b => get(Flag::Carry),
        ConditionCode::ae => not(get(Flag::Carry)),
        ConditionCode::e => get(Flag::Zero),
        ConditionCode::ne => not(get(Flag::Zero)),
        ConditionCode::be => either(get(Flag::Carry), get(Flag::Zero)),
        ConditionCode::a => not(either(get(Flag::Carry), get(Flag::Zero))),
        ConditionCode::s => get(Flag::Sign),
        ConditionCode::ns => not(get(Flag::Sign)),
        ConditionCode::p => get(Flag::Parity),
        ConditionCode::np => not(get(Flag::Parity)),
        ConditionCode::l => less(),
        ConditionCode::ge => not(less()),
        ConditionCode::le => either(less(), get(Flag::Zero)),
        ConditionCode::g => not(either(less(), get(Flag::Zero))),
    }
}

#[inline]
fn condition(machine: &Machine<'_>, operation: &Operation) -> Option<bool> {
    holds(machine.state.flags, operation.instruction.condition_code())
}

fn jump(machine: &mut Machine<'_>, operation: &Operation) -> Result<(), Reason> {
    if condition(machine, operation).ok_or(Reason::UnknownBranch)? {
        machine.state.rip = machine.ip.wrapping_add(operation.target);
    }
    Ok(())
}

fn set(machine: &mut Machine<'_>, operation: &Operation) -> Result<(), Reason> {
    let state = condition(machine, operation);
    let value = match state {
        Some(state) => Value::known(u64::from(state)),
        None => Value::partly(0, !1),
    };
    machine.write(operation, 0, value)
}

/// The source is read, and the upper half of a 32-bit destination cleared, whether the condition holds or not.
fn cmov(machine: &mut Machine<'_>, operation: &Operation) -> Result<(), Reason> {
    let source = machine.read(operation, 1)?;
    let Operand::General { number, width, high } = operation.operands[0] else { return Ok(()) };
    let old = machine.general(number, width, high);
    let value = match condition(machine, operation) {
        Some(true) => source,
        Some(false) => old,
        None if source == old => old,
        None => Value::UNKNOWN,
    };
    machine.write(operation, 0, value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_of_two_flags_may_be_decided_by_one() {
        let mut flags = Flags::UNKNOWN;
        assert_eq!(holds(flags, ConditionCode::be), None);
        flags.set(Flag::Zero, Some(true));
        assert_eq!(holds(flags, ConditionCode::be), Some(true));
        assert_eq!(holds(flags, ConditionCode::a), Some(false));
        assert_eq!(holds(flags, ConditionCode::le), Some(true));
        assert_eq!(holds(flags, ConditionCode::l), None);
        flags.set(Flag::Zero, Some(false));
        assert_eq!(holds(flags, ConditionCode::be), None);
    }

    #[test]
    fn signed_conditions_compare_sign_and_overflow() {
        let flags = Flags::known(Flag::Sign as u64 | Flag::Overflow as u64);
        assert_eq!(holds(flags, ConditionCode::l), Some(false));
        assert_eq!(holds(flags, ConditionCode::g), Some(true));
        assert_eq!(holds(Flags::known(Flag::Sign as u64), ConditionCode::l), Some(true));
    }
}
