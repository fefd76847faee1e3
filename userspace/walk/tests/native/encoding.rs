//! The accesses an instruction makes by its encoding: computed from iced's tables, independently of the walk's.

use iced_x86::{Instruction, InstructionInfoFactory, Mnemonic, OpAccess, Register};
use waytrace_walk::{Access, Kind, State};

/// Compares accesses with those iced's tables give, computed from the registers before, for instructions where the
/// tables say all.
pub fn disagreement(before: &State, instruction: &Instruction, accesses: &[Access]) -> Option<String> {
    let mut factory = InstructionInfoFactory::new();
    let used = factory.info(instruction).used_memory();
    let mut expected = Vec::new();
    for memory in used {
        let (loads, stores) = match memory.access() {
            OpAccess::None | OpAccess::NoMemAccess => continue,
            OpAccess::Read => (true, false),
            OpAccess::Write => (false, true),
            OpAccess::ReadWrite => (true, true),
            _ => return None,
        };
        let width = memory.memory_size().size() as u16;
        if width == 0 || memory.vsib_size() != 0 || says_less(instruction) {
            return None;
        }
        let address = memory.virtual_address(0, |register, _, _| value_of(before, register))?;
        expected.extend(loads.then_some((address, width, false)));
        expected.extend(stores.then_some((address, width, true)));
    }
    let mut made: Vec<_> =
        accesses.iter().map(|a| (a.address, a.width_bytes, a.kind == Kind::Store)).collect();
    made.sort_unstable();
    expected.sort_unstable();
    (made != expected).then(|| format!("accesses {made:x?}, but the encoding says {expected:x?}"))
}

/// Instructions of which the tables do not say which bytes they access, or call an access what moves no data.
fn says_less(instruction: &Instruction) -> bool {
    use Mnemonic::*;
    match instruction.mnemonic() {
        Bt | Btc | Btr | Bts => instruction.op1_register() != Register::None,
        Vmaskmovps | Vmaskmovpd | Vpmaskmovd | Vpmaskmovq | Enter => true,
        Clflush | Clflushopt | Clwb | Cldemote => true,
        _ => instruction.op_mask() != Register::None,
    }
}

fn value_of(state: &State, register: Register) -> Option<u64> {
    match register {
        Register::FS => state.fs_base,
        Register::GS => state.gs_base,
        Register::RIP | Register::EIP | Register::CS | Register::DS | Register::ES | Register::SS => Some(0),
        _ if register.is_gpr() => state.general[register.full_register().number()].get(register.size() as u8),
        _ => None,
    }
}

/// A flag that the manual leaves undefined and the walk knows. Shifts and rotations are not looked at: their count says
/// what they define.
pub fn undefined_flag(after: &State, instruction: &Instruction) -> Option<String> {
    use Mnemonic::*;
    if matches!(instruction.mnemonic(), Shl | Sal | Shr | Sar | Shld | Shrd | Rol | Ror | Rcl | Rcr) {
        return None;
    }
    let known = after.flags.known_bits() & waytrace_walk::code::flags(instruction.rflags_undefined());
    (known != 0).then(|| format!("flags {known:#x} are undefined, and the walk knows them"))
}
