//! Samples of user code: for the forward walk registers, and the memory it is about to need; where the sample has the
//! address, sums.
//!
//! * `sample` – the timer's tick
//! * `check` – two breakpoints, between which a walk is compared with the processor
//! * `capture` – what both put into the ring
//! * `heat` – samples with an address, summed up by page and line
//!
//! Time in the kernel makes no accesses of user code, so a tick that finds the thread there is only counted.

mod capture;
mod check;
mod heat;
mod sample;
