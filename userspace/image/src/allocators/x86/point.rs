//! The cheapest instruction of a function to put a probe on.
//!
//! It is the first one that the kernel emulates, that every call passes exactly once, where the arguments still are
//! in registers and the return address is at a known distance from the stack pointer. For functions that free, a
//! place behind the test for null is better: `free(NULL)` then costs nothing.

use iced_x86::{Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory};

use super::body::first_reentered;
use super::callee::Code;
use super::null_test::NullTest;
use super::state::State;
use crate::allocators::kind::{AllocFn, Arguments};
use crate::emulated::{is_emulated, is_probeable};

/// What may be probed in this target.
#[derive(Debug, Clone, Copy)]
pub(in crate::allocators) struct Options {
    /// Allow probes on `call`: not in a process with a shadow stack.
    pub calls: bool,
}

/// A chosen instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::allocators) struct Point {
    pub address: u64,
    /// Bytes from the stack pointer up to the return address.
    pub return_slot: u16,
    /// Where the arguments are there.
    pub arguments: Arguments,
    /// The kernel must single-step it.
    pub single_stepped: bool,
}

/// Instructions looked at for a place; allocators with a fast path branch within the first dozen.
const PREFIX: usize = 48;

/// Chooses for the function at `entry`; `None` if the kernel would refuse a probe even there.
pub(in crate::allocators) fn choose(
    code: &Code<'_, '_>,
    entry: u64,
    function: AllocFn,
    arguments: Arguments,
    options: Options,
) -> Option<Point> {
    let prefix = Prefix::walk(code, entry, function, arguments, options);
    let behind_test = prefix.found.iter().filter(|found| found.behind_null_test);
    let mut limit = None;
    // Only looked for when it matters: most functions begin with the instruction to take.
    let mut usable = |found: &&Found| {
        found.index == 0
            || found.index < *limit.get_or_insert_with(|| first_reentered(code, &prefix.addresses))
    };
    if let Some(found) = behind_test.chain(&prefix.found).find(&mut usable) {
        return Some(found.point);
    }
    let bytes = code.bytes(entry);
    let first = Decoder::with_ip(64, bytes, entry, DecoderOptions::NONE).decode();
    let refused = !is_probeable(&first, bytes.get(..first.len()).unwrap_or_default());
    (!refused).then_some(Point { address: entry, return_slot: 0, arguments, single_stepped: true })
}

struct Found {
    point: Point,
    /// Position among the instructions of the prefix.
    index: usize,
    behind_null_test: bool,
}

/// The instructions every call passes, from the entry up to the first branch that parts the ways.
#[derive(Default)]
struct Prefix {
    addresses: Vec<u64>,
    found: Vec<Found>,
}

impl Prefix {
    fn walk(
        code: &Code<'_, '_>,
        entry: u64,
        function: AllocFn,
        arguments: Arguments,
        options: Options,
    ) -> Self {
        let mut prefix = Self::default();
        let mut infos = InstructionInfoFactory::new();
        let mut state = State::entry();
        let (mut test, mut behind_null_test) = (NullTest::default(), false);
        let mut address = entry;
        while prefix.addresses.len() < PREFIX {
            let bytes = code.bytes(address);
            let instruction = Decoder::with_ip(64, bytes, address, DecoderOptions::NONE).decode();
            let Some(bytes) = bytes.get(..instruction.len()).filter(|_| !instruction.is_invalid()) else {
                break;
            };
            let point = place(&instruction, bytes, &state, arguments, options);
            let index = prefix.addresses.len();
            prefix.addresses.push(address);
            prefix.found.extend(point.map(|point| Found { point, index, behind_null_test }));
            address = match instruction.flow_control() {
                FlowControl::Next => {
                    test.step(&instruction, &state, arguments);
                    state.step(&instruction, &mut infos);
                    instruction.next_ip()
                }
                FlowControl::ConditionalBranch if function.is_free() => {
                    let Some((_, not_null)) = test.edges(&instruction) else { break };
                    behind_null_test = true;
                    not_null
                }
                _ => break,
            };
        }
        prefix
    }
}

fn place(
    instruction: &Instruction,
    bytes: &[u8],
    state: &State,
    arguments: Arguments,
    options: Options,
) -> Option<Point> {
    is_emulated(instruction, bytes, options.calls).then_some(())?;
    Some(Point {
        address: instruction.ip(),
        return_slot: state.depth_bytes()?.try_into().ok()?,
        arguments: arguments.relocate(|register| state.holder(register))?,
        single_stepped: false,
    })
}
