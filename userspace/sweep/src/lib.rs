//! Way sweeps: how a live process fares with fewer and fewer ways of the last-level cache.
//!
//! A [`Request`] becomes a [`Sweep`] by looking at the machine, of which nothing is changed yet. [`Sweep::run`] then takes the
//! points of [`plan`] one by one:
//!
//! ```text
//! set the mask (control) → press what lies outside of it out (press) → wait until that has its effect (settle)
//!        → count for a window, under the guard → read the masks back → hand the point on
//! ```
//!
//! Whatever is changed is in a journal first ([`waytrace_hw::undo`]) and taken back at every end. Points hold raw readings;
//! curves are made of them elsewhere (`waytrace-analysis`). Time is a trait, as are co-runners, so that a simulated host can be
//! swept step by step.
//!
//! Not verified on hardware: the machines it was developed on have neither CAT nor a PMU.

pub mod control;
pub mod corunner;
pub mod counters;
mod error;
pub mod guard;
mod monitors;
pub mod pace;
pub mod plan;
mod point;
pub mod position;
mod prepare;
mod press;
mod run;
pub mod settle;
pub mod slo;
mod target;

pub use error::SweepError;
pub use prepare::{Parts, Request};
pub use run::{Sink, Sweep};
