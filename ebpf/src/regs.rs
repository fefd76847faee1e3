//! User registers at a uprobe, for x86-64. Everything that depends on the architecture is here.

use aya_ebpf::EbpfContext;
use aya_ebpf::bindings::pt_regs;
use aya_ebpf::helpers::{bpf_probe_read_kernel, bpf_probe_read_user};

/// Registers of the interrupted user code.
#[derive(Clone, Copy)]
pub struct Regs(*const pt_regs);

macro_rules! register {
    ($($(#[$doc:meta])* $name:ident = $field:ident),+ $(,)?) => { $(
        $(#[$doc])*
        #[inline(always)]
        pub fn $name(self) -> u64 {
            // SAFETY: the context of a uprobe program is a readable `pt_regs`; the verifier checks the access.
            unsafe { (*self.0).$field }
        }
    )+ };
}

impl Regs {
    /// The registers of a probe's context.
    #[inline(always)]
    pub fn of(ctx: &impl EbpfContext) -> Self {
        Self(ctx.as_ptr().cast_const().cast())
    }

    register! {
        /// Stack pointer.
        sp = rsp,
        /// Frame pointer register, whatever the program keeps in it.
        bp = rbp,
        /// Instruction pointer; in a return probe the address returned to.
        ip = rip,
        /// Result register.
        ret = rax,
    }

    /// Integer argument `n` of the System V calling convention; 0 beyond the fourth.
    #[inline(always)]
    pub fn arg(self, n: u8) -> u64 {
        // All are read before one is chosen: chosen first, the compiler would compute an address within the context,
        // which the verifier refuses.
        // SAFETY: as in `register!`.
        let [first, second, third, fourth] = unsafe {
            [
                core::ptr::read_volatile(&raw const (*self.0).rdi),
                core::ptr::read_volatile(&raw const (*self.0).rsi),
                core::ptr::read_volatile(&raw const (*self.0).rdx),
                core::ptr::read_volatile(&raw const (*self.0).rcx),
            ]
        };
        match n {
            0 => first,
            1 => second,
            2 => third,
            3 => fourth,
            _ => 0,
        }
    }

    /// The register at an offset in `pt_regs`.
    #[inline(always)]
    pub fn at(self, offset: u16) -> Option<u64> {
        // The verifier lets no program read its context at an offset it does not know; the helper may read any memory.
        // SAFETY: the helper checks the address and fails instead of faulting.
        unsafe { bpf_probe_read_kernel(self.0.byte_add(usize::from(offset)).cast::<u64>()) }.ok()
    }
}

/// Reads a word of user memory; `None` if it is not mapped or not present.
#[inline(always)]
pub fn user_word(address: u64) -> Option<u64> {
    // SAFETY: the helper checks the address and fails instead of faulting.
    unsafe { bpf_probe_read_user(address as *const u64) }.ok()
}
