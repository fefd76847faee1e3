//! Stacks by frame pointer, for every call: right where the program keeps frame pointers, and cheap enough for all.

use aya_ebpf::EbpfContext;
use aya_ebpf::bindings::BPF_F_USER_STACK;
use aya_ebpf::helpers::generated::bpf_get_stackid;
use aya_ebpf::macros::map;
use aya_ebpf::maps::StackTrace;
use waytrace_abi::allocation::{MAX_STACKS, NO_STACK};

use crate::loss;
use crate::settings::constant;

/// 1 if every call's stack is taken.
#[unsafe(no_mangle)]
static EVERY_STACK: u32 = 0;

/// Stacks by number.
#[map]
static STACKS: StackTrace = StackTrace::with_max_entries(MAX_STACKS, 0);

/// The number of this call's stack; [`NO_STACK`] where it is not asked for, or could not be taken.
#[inline(always)]
pub fn stack(ctx: &impl EbpfContext) -> u32 {
    if constant(&EVERY_STACK) == 0 {
        return NO_STACK;
    }
    let map = (&raw const STACKS).cast_mut().cast();
    // SAFETY: the context is the one the kernel passed in, and `map` is the address the loader replaces by the map.
    let number = unsafe { bpf_get_stackid(ctx.as_ptr(), map, BPF_F_USER_STACK.into()) };
    if number < 0 {
        loss::count(waytrace_abi::loss::STACKS_FULL);
        return NO_STACK;
    }
    number as u32
}
