//! Stacks of real programs whose call chains are known, taken as the kernel side takes them: registers and bytes.

mod damage;
mod programs;
pub(crate) mod support;
