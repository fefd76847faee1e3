//! All instructions of a function that direct jumps lead to, and what its calls lead to.

use std::collections::{HashMap, HashSet};

use iced_x86::{Decoder, DecoderOptions, FlowControl, Instruction, OpKind};

use super::callee::{Callee, Code};

/// Instructions looked at in one function: the largest allocators' fit, runaway decoding does not.
const BODY: usize = 4000;
/// Instructions looked at in a function it calls: enough for a check or two before the jump.
const INNER: usize = 200;

/// Shows every instruction reachable from `entry` by falling through and direct jumps, each once.
pub(super) fn visit(code: &Code<'_, '_>, entry: u64, limit: usize, mut show: impl FnMut(&Instruction)) {
    let mut seen = HashSet::new();
    let mut pending = vec![entry];
    while let Some(start) = pending.pop() {
        let mut decoder = Decoder::with_ip(64, code.bytes(start), start, DecoderOptions::NONE);
        while decoder.can_decode() && seen.len() < limit && seen.insert(decoder.ip()) {
            let instruction = decoder.decode();
            show(&instruction);
            pending.extend(jump_target(&instruction));
            if !continues(&instruction) {
                break;
            }
        }
    }
}

/// Where a direct jump goes.
fn jump_target(instruction: &Instruction) -> Option<u64> {
    let flow = instruction.flow_control();
    let jumps = matches!(flow, FlowControl::ConditionalBranch | FlowControl::UnconditionalBranch);
    (jumps && instruction.op0_kind() == OpKind::NearBranch64).then(|| instruction.near_branch64())
}

fn continues(instruction: &Instruction) -> bool {
    matches!(
        instruction.flow_control(),
        FlowControl::Next | FlowControl::ConditionalBranch | FlowControl::Call | FlowControl::IndirectCall
    )
}

/// Index of the first instruction of `prefix` that can also be reached other than from the one before it.
/// Coming back to the entry itself is a call of its own.
pub(super) fn first_reentered(code: &Code<'_, '_>, prefix: &[u64]) -> usize {
    let mut first = prefix.len();
    let Some(entry) = prefix.first() else { return first };
    visit(code, *entry, BODY, |instruction| {
        let next = continues(instruction).then(|| instruction.next_ip());
        for to in jump_target(instruction).into_iter().chain(next) {
            let position = prefix.iter().position(|address| *address == to);
            if let Some(index) = position.filter(|index| *index > 0 && prefix[index - 1] != instruction.ip())
            {
                first = first.min(index);
            }
        }
    });
    first
}

/// Addresses to which allocation functions return that the function at `entry` calls: directly, or through a
/// function that ends in a jump to one.
pub(in crate::allocators) fn nested_returns(code: &Code<'_, '_>, entry: u64) -> Vec<u64> {
    let mut returns = Vec::new();
    let mut known: HashMap<u64, bool> = HashMap::new();
    visit(code, entry, BODY, |instruction| {
        if matches!(instruction.flow_control(), FlowControl::Call | FlowControl::IndirectCall) {
            let nests = match code.callee(instruction) {
                Callee::Allocator { .. } => true,
                Callee::Code(inner) => *known.entry(inner).or_insert_with(|| jumps_to_allocator(code, inner)),
                _ => false,
            };
            returns.extend(nests.then(|| instruction.next_ip()));
        }
    });
    returns
}

fn jumps_to_allocator(code: &Code<'_, '_>, entry: u64) -> bool {
    let mut found = false;
    visit(code, entry, INNER, |instruction| {
        let jumps = matches!(
            instruction.flow_control(),
            FlowControl::UnconditionalBranch | FlowControl::IndirectBranch | FlowControl::ConditionalBranch
        );
        found |= jumps && matches!(code.callee(instruction), Callee::Allocator { .. });
    });
    found
}
