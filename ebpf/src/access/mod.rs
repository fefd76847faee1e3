//! Samples of user code for the forward walk: registers, and the memory it is about to need.
//!
//! * `sample` – the timer's tick
//! * `check` – two breakpoints, between which a walk is compared with the processor
//! * `capture` – what both put into the ring
//!
//! Time in the kernel makes no accesses of user code, so a tick that finds the thread there is only counted.

mod capture;
mod check;
mod sample;
