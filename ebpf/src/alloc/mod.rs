//! Allocator calls. Data walk of one call:
//!
//! entry probe → thread state (size, caller) → return probe → site totals, histogram, live map, peak, maybe a stack
//! sample; free probe → live map → site totals. Where lifetimes are not asked for, most allocator functions have no
//! return probe and the entry alone counts.
//!
//! An allocator that hands out samples of its own by static probes (`usdt`) is not probed anywhere else: its totals are
//! sums of weights, and every sample's stack goes to the user side, which finds the caller.
//!
//! A call inside another probed call of the same thread is not counted: the outer one is, once and with the right
//! caller. "Inside" is told by the stack pointer, so that a return the kernel missed heals itself.

mod enter;
mod exit;
mod frames;
mod free;
mod live;
mod record;
mod sample;
mod site;
pub mod thread;
mod totals;
mod usdt;

use crate::settings::constant;

/// 1 if live blocks, peak and lifetimes are kept.
#[unsafe(no_mangle)]
static LIFETIMES: u32 = 0;

/// Smallest block whose lifetime is traced one by one.
#[unsafe(no_mangle)]
static MIN_TRACED_BYTES: u64 = u64::MAX;

/// Whether live blocks, peak and lifetimes are kept.
#[inline(always)]
fn keeps_lifetimes() -> bool {
    constant(&LIFETIMES) != 0
}

/// Smallest block whose lifetime is traced one by one.
#[inline(always)]
fn min_traced_bytes() -> u64 {
    constant(&MIN_TRACED_BYTES)
}
