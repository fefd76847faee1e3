//! Everything about allocation functions that depends on the instruction set: which instructions a probe may sit on
//! cheaply, where in a function that is, and whether a function only passes the work on.

mod body;
mod callee;
mod null_test;
mod point;
mod state;
mod wrapper;

pub(super) use body::nested_returns;
pub(super) use callee::Code;
pub(super) use point::{Options, Point, choose};
pub(super) use wrapper::{Target, Wrapping, analyse, passes_null_on};
