//! Copies registers and memory into a ring of their own, whose reader is woken: a walk is the better the less has
//! happened since.

use core::ffi::c_void;

use aya_ebpf::EbpfContext;
use aya_ebpf::bindings::{bpf_perf_event_data, pt_regs};
use aya_ebpf::helpers::generated::{bpf_get_current_task, bpf_probe_read_user};
use aya_ebpf::helpers::{bpf_get_smp_processor_id, bpf_ktime_get_ns, bpf_probe_read_kernel};
use aya_ebpf::macros::map;
use aya_ebpf::maps::{LruHashMap, RingBuf};
use aya_ebpf::programs::PerfEventContext;
use waytrace_abi::access::{
    Capture, HOT_LINES, Hot, LINE_BYTES, LINES, LINES_PER_REGISTER, MAX_HOT, POINTERS, REGISTERS, RSP,
    STACK_BELOW_BYTES, STACK_LINES,
};

use crate::settings::constant;
use crate::target::Task;

/// `task_struct.thread.fsbase`.
#[unsafe(no_mangle)]
static TASK_FS_BASE: u32 = 0;

/// Captures. The user side may ask for another size.
#[map]
static ACCESS_RING: RingBuf = RingBuf::with_byte_size(1 << 20, 0);

/// Lines to capture, by process.
#[map]
static ACCESS_HOT: LruHashMap<u32, Hot> = LruHashMap::with_max_entries(MAX_HOT, 0);

/// Registers at the moment of an overflow: those of user code, or the kernel's own.
#[derive(Clone, Copy)]
pub struct Interrupted(*const pt_regs);

impl Interrupted {
    /// Those of an overflow's context.
    #[inline(always)]
    pub fn of(ctx: &PerfEventContext) -> Self {
        let data: *const bpf_perf_event_data = ctx.as_ptr().cast_const().cast();
        // SAFETY: the context of a perf event program; only the address of a field is taken.
        Self(unsafe { &raw const (*data).regs })
    }

    /// Whether user code was interrupted.
    #[inline(always)]
    pub fn is_user(self) -> bool {
        self.cs() & 3 == 3
    }

    #[inline(always)]
    fn cs(self) -> u64 {
        // SAFETY: a field of the context, which the verifier checks; volatile, for it must be read as one word.
        unsafe { core::ptr::read_volatile(&raw const (*self.0).cs) }
    }
}

/// Emits what there is to know of the thread now.
///
/// # Errors
/// When the ring has no room.
#[inline(always)]
pub fn emit(interrupted: Interrupted, task: Task, cause: u32) -> Result<(), ()> {
    let Some(mut entry) = ACCESS_RING.reserve::<Capture>(0) else { return Err(()) };
    let capture = entry.as_mut_ptr();
    let regs = interrupted.0;
    macro_rules! register {
        ($field:ident) => {
            core::ptr::read_volatile(&raw const (*regs).$field)
        };
    }
    // SAFETY: the ring gave room for a whole record. All of it is written but lines that are not captured, which the
    // reader does not look at. Registers are read as in `Interrupted::cs`.
    unsafe {
        (*capture).cause = cause;
        (*capture).cpu = bpf_get_smp_processor_id();
        (*capture).tgid = task.tgid;
        (*capture).tid = task.tid;
        (*capture).at_ns = bpf_ktime_get_ns();
        (*capture).ip = register!(rip);
        (*capture).flags = register!(eflags);
        (*capture).fs_base = fs_base();
        (*capture).cs = interrupted.cs();
        (*capture).general = [
            register!(rax),
            register!(rcx),
            register!(rdx),
            register!(rbx),
            register!(rsp),
            register!(rbp),
            register!(rsi),
            register!(rdi),
            register!(r8),
            register!(r9),
            register!(r10),
            register!(r11),
            register!(r12),
            register!(r13),
            register!(r14),
            register!(r15),
        ];
        (*capture).captured = copy_lines(capture);
        (*capture).hot_captured = [0; HOT_LINES / 64];
    }
    copy_hot_lines(capture, task.tgid);
    entry.submit(0);
    Ok(())
}

/// Copies the lines registers and the stack pointer lead to, and says which could be read.
#[inline(always)]
fn copy_lines(capture: *mut Capture) -> u64 {
    let mut captured = 0;
    for register in 0..REGISTERS {
        // SAFETY: `capture` is a whole record, and the index within its arrays.
        let value = unsafe { (*capture).general[register] };
        if register != RSP && POINTERS.contains(&value) {
            captured |= copy_pair(capture, register * LINES_PER_REGISTER, value);
        }
    }
    // SAFETY: as above.
    let lowest = unsafe { (*capture).general[RSP] }.wrapping_sub(STACK_BELOW_BYTES);
    for pair in 0..STACK_LINES / 2 {
        let address = lowest.wrapping_add((pair * 2 * LINE_BYTES) as u64);
        captured |= copy_pair(capture, REGISTERS * LINES_PER_REGISTER + pair * 2, address);
    }
    captured
}

/// The smallest page of x86-64.
const PAGE_BYTES: u64 = 4096;

const _: () = assert!(LINES <= 64 && LINES_PER_REGISTER == 2 && STACK_LINES % 2 == 0);

/// Copies the line around an address and the next one; bits of those that are mapped and present.
#[inline(always)]
fn copy_pair(capture: *mut Capture, line: usize, address: u64) -> u64 {
    let from = address & !(LINE_BYTES as u64 - 1);
    // SAFETY: `capture` is a whole record with two lines from this one on.
    let into: *mut c_void = unsafe { (&raw mut (*capture).lines[line]).cast() };
    if copy(into, from, 2 * LINE_BYTES as u32) {
        return 3 << line;
    }
    // A register that is no pointer costs a fault, and only one: both lines are there or none, unless a page ends between.
    let is_last_of_page = from & (PAGE_BYTES - 1) == PAGE_BYTES - LINE_BYTES as u64;
    if is_last_of_page && copy(into, from, LINE_BYTES as u32) { 1 << line } else { 0 }
}

/// Copies the lines that walks of the process keep needing.
#[inline(always)]
fn copy_hot_lines(capture: *mut Capture, tgid: u32) {
    let Some(hot) = ACCESS_HOT.get_ptr(tgid) else { return };
    for word in 0..HOT_LINES / 64 {
        let mut captured = 0;
        for bit in 0..64 {
            let line = word * 64 + bit;
            // SAFETY: a map value is readable during the program run, and the index within its array; the user side may
            // change it at any time, so that the address is read once. An unused place holds 0.
            let address = unsafe { core::ptr::read_volatile(&raw const (*hot).lines[line]) };
            if address == 0 {
                break;
            }
            // SAFETY: `capture` is a whole record.
            let into = unsafe {
                (*capture).hot[line] = address;
                (&raw mut (*capture).hot_lines[line]).cast()
            };
            if copy(into, address, LINE_BYTES as u32) {
                captured |= 1 << bit;
            }
        }
        // SAFETY: as above.
        unsafe { (*capture).hot_captured[word] = captured };
    }
}

/// Copies user memory; `false` if it is not mapped or not present.
#[inline(always)]
fn copy(into: *mut c_void, from: u64, bytes: u32) -> bool {
    // SAFETY: `into` has room for so many bytes; the helper checks the source.
    unsafe { bpf_probe_read_user(into, bytes, from as *const c_void) == 0 }
}

/// Base of the thread's `fs` segment. The kernel saves it when the thread leaves its CPU, and nearly all programs set it
/// once per thread, through the kernel.
#[inline(always)]
fn fs_base() -> u64 {
    // SAFETY: the helper has no preconditions; the kernel's own offset leads to a word of its task.
    unsafe {
        let task = bpf_get_current_task() as *const u8;
        bpf_probe_read_kernel(task.add(constant(&TASK_FS_BASE) as usize).cast::<u64>()).unwrap_or(0)
    }
}
