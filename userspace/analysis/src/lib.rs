//! Numbers derived from runs. Pure functions of the model's types: no I/O, no clock, no randomness of their own.
#![forbid(unsafe_code)]

pub mod access;
pub mod compare;
pub mod correlate;
pub mod curve;
pub mod diff;
pub mod duty;
mod interval;
pub mod packing;
pub mod pairing;
pub mod rank;
pub mod slope;
pub mod spread;
