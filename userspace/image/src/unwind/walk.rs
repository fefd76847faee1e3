//! The walk from frame to frame. What depends on the architecture is here and in the types of [`super::space`].
//!
//! framehop steps; this decides where the next address is to be looked up, whether it can be one at all, and why
//! the walk ends. framehop's rule cache keeps the frame-pointer rule for an address whose table could not be
//! evaluated because the copied bytes ended; the cache is dropped then, or one short copy would spoil later stacks.

use framehop::x86_64::{CacheX86_64, UnwindRegsX86_64};
use framehop::{Error, FrameAddress, Unwinder};

use super::coverage::Coverage;
use super::space::{Place, Space};
use super::{End, Registers, Stack};

/// Offsets of the interrupted registers from the stack pointer at a signal trampoline.
const SAVED_BP: u64 = 120;
const SAVED_SP: u64 = 160;
const SAVED_IP: u64 = 168;

/// The bytes copied, and the reads that missed them.
struct Memory<'a> {
    base: u64,
    bytes: &'a [u8],
    missed: Vec<u64>,
}

impl Memory<'_> {
    fn read(&mut self, address: u64) -> Result<u64, ()> {
        self.get(address).ok_or_else(|| self.missed.push(address))
    }

    fn get(&self, address: u64) -> Option<u64> {
        let at = usize::try_from(address.checked_sub(self.base)?).ok()?;
        let bytes = self.bytes.get(at..at.checked_add(8)?)?;
        Some(u64::from_le_bytes(bytes.try_into().ok()?))
    }

    /// Whether a read went beyond the end: with more bytes the walk might have gone on.
    fn ran_out(&self) -> bool {
        let end = self.base.saturating_add(self.bytes.len() as u64);
        self.missed.iter().any(|&address| address.saturating_add(8) > end)
    }
}

pub(super) fn walk(
    space: &mut Space,
    start: FrameAddress,
    registers: Registers,
    stack: &[u8],
    max_frames: usize,
) -> Stack {
    let mut memory = Memory { base: registers.sp, bytes: stack, missed: Vec::new() };
    let mut state = UnwindRegsX86_64::new(registers.ip, registers.sp, registers.bp);
    let mut frame = start;
    let mut addresses = vec![start.address_for_lookup()];
    let end = loop {
        match step(space, frame, &mut state, &mut memory) {
            Err(end) => break end,
            Ok(_) if addresses.len() >= max_frames => break End::Limit,
            Ok(next) => {
                addresses.push(next.address_for_lookup());
                frame = next;
            }
        }
    };
    Stack { addresses, end }
}

/// Goes from a signal trampoline to what the signal interrupted. The kernel left its registers where the stack
/// pointer now is; the table says so with expressions that read memory, which framehop does not evaluate.
/// Source: `struct rt_sigframe` and `struct sigcontext_64` of the kernel's `arch/x86`.
fn interrupted(state: &mut UnwindRegsX86_64, memory: &Memory<'_>) -> Result<FrameAddress, End> {
    let saved =
        |offset: u64| state.sp().checked_add(offset).and_then(|at| memory.get(at)).ok_or(End::Truncated);
    let (bp, sp, ip) = (saved(SAVED_BP)?, saved(SAVED_SP)?, saved(SAVED_IP)?);
    *state = UnwindRegsX86_64::new(ip, sp, bp);
    Ok(FrameAddress::from_instruction_pointer(ip))
}

/// Goes from `frame` to its caller.
fn step(
    space: &mut Space,
    frame: FrameAddress,
    state: &mut UnwindRegsX86_64,
    memory: &mut Memory<'_>,
) -> Result<FrameAddress, End> {
    let address = frame.address_for_lookup();
    let stuck = End::NoUnwindInfo { address };
    let place = space.place(address);
    match place {
        Place::Nowhere | Place::File(Coverage::Refused) => return Err(stuck),
        Place::File(Coverage::Signal) => return known(space, interrupted(state, memory)?, stuck),
        Place::Generated | Place::File(Coverage::Uncovered | Coverage::Covered) => {}
    }
    let (sp, bp) = (state.sp(), state.bp());
    memory.missed.clear();
    let guess = matches!(place, Place::Generated | Place::File(Coverage::Uncovered));
    let result =
        space.unwinder.unwind_frame(frame, state, &mut space.cache, &mut |address| memory.read(address));
    if let [first, ..] = memory.missed[..] {
        let in_a_rule = result == Err(Error::CouldNotReadStack(first)) && memory.missed.len() == 1;
        // In the innermost frame, registers popped already may be stated to lie below the stack pointer.
        let below_the_leaf = !frame.is_return_address() && first < sp && result.is_ok();
        if !in_a_rule && !below_the_leaf {
            space.cache = CacheX86_64::new();
        }
        if memory.ran_out() {
            return Err(End::Truncated);
        }
        if !below_the_leaf {
            return Err(stuck);
        }
    }
    let return_address = match result {
        // Without tables a frame pointer of 0 ends the chain, except where it was never the chain's.
        Ok(None) if guess && !frame.is_return_address() => return Err(stuck),
        Ok(None) => return Err(End::Complete),
        Err(Error::FramepointerUnwindingMovedBackwards) if guess && bp == 0 && frame.is_return_address() => {
            return Err(End::Complete);
        }
        Err(_) => return Err(stuck),
        Ok(Some(return_address)) => return_address,
    };
    // A caller's frame lies above.
    if state.sp() <= sp {
        return Err(stuck);
    }
    let next = FrameAddress::from_return_address(return_address).ok_or(End::Complete)?;
    let address = next.address_for_lookup();
    known(space, next, if guess { stuck } else { End::NoUnwindInfo { address } })
}

/// `next`, if it can be code; else `otherwise`.
fn known(space: &mut Space, next: FrameAddress, otherwise: End) -> Result<FrameAddress, End> {
    match space.place(next.address_for_lookup()) {
        Place::Nowhere => Err(otherwise),
        _ => Ok(next),
    }
}
