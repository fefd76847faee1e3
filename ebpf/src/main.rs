//! The kernel side of waytrace: filters, timestamps, counts and aggregates; never interprets.
//!
//! * `alloc` – allocator calls by uprobe: sites, live blocks, peak, stack samples
//! * `mappings` – mmap, munmap, mremap and brk by system-call tracepoint
//! * `lifecycle` – forks, execs and exits of targets
//! * `counters` – perf events per (thread, window), at context switches and on a timer
//! * `phases` – the same per stretch of so many counts of one event, on its overflow
//! * `access` – registers and memory of user code at a timer's tick, for the forward walk
//! * `tasks` – the numbers the kernel keeps per task, by iterator
//!
//! Built for `bpfel-unknown-none`; on the host this is an empty program, so that workspace-wide commands pass.
#![cfg_attr(target_arch = "bpf", no_std, no_main)]
#![cfg_attr(target_arch = "bpf", feature(asm_experimental_arch))]

#[cfg(target_arch = "bpf")]
mod access;
#[cfg(target_arch = "bpf")]
mod alloc;
#[cfg(target_arch = "bpf")]
mod counters;
#[cfg(target_arch = "bpf")]
mod lifecycle;
#[cfg(target_arch = "bpf")]
mod loss;
#[cfg(target_arch = "bpf")]
mod mappings;
#[cfg(target_arch = "bpf")]
mod phases;
#[cfg(target_arch = "bpf")]
mod regs;
#[cfg(target_arch = "bpf")]
mod ring;
#[cfg(target_arch = "bpf")]
mod settings;
#[cfg(target_arch = "bpf")]
mod target;
#[cfg(target_arch = "bpf")]
mod tasks;

#[cfg(target_arch = "bpf")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// The kernel lets only GPL-compatible programs use the helpers these need.
#[cfg(target_arch = "bpf")]
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[cfg(not(target_arch = "bpf"))]
fn main() {}
