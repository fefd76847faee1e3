//! What the kernel programs and the user side agree on: records, map values, limits and cookies.
//!
//! Every struct is `repr(C)`, made of integers only, without implicit padding, so that any bit pattern is valid and
//! the user side may read it from untrusted bytes. Times are `CLOCK_MONOTONIC` nanoseconds.
#![no_std]

pub mod access;
pub mod allocation;
pub mod cookie;
pub mod counter;
pub mod heat;
pub mod lifecycle;
pub mod loss;
pub mod mapping;
pub mod phase;
pub mod pod;
pub mod sample;
pub mod settings;
pub mod tag;
pub mod usdt;
