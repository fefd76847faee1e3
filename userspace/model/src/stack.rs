//! Symbolised stacks.

use serde::{Deserialize, Serialize};

/// One frame. Without a symbol it is still module + offset.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Frame {
    /// Demangled function, where known.
    pub function: Option<String>,
    /// File name of the mapped object (`redis-server`, `libc.so.6`, `[vdso]`, `[anon]`).
    pub module: Option<String>,
    /// With a function: bytes from its start. Without: the offset in the file, or the address where there is none.
    pub offset: u64,
    /// Source file, where debug information has it.
    pub file: Option<String>,
    /// Source line, from 1.
    pub line: Option<u32>,
    /// The frame was inlined into the next outer one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub inlined: bool,
}

impl Frame {
    /// One-line label: the function, else `module+0xoffset`.
    pub fn label(&self) -> String {
        match (&self.function, &self.module) {
            (Some(function), _) => function.clone(),
            (None, Some(module)) => format!("{module}+{:#x}", self.offset),
            (None, None) => format!("{:#x}", self.offset),
        }
    }
}

/// How stacks fared in a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StackQuality {
    /// Stacks captured.
    pub sampled_count: u64,
    /// Of these, stacks with at least one frame in the program's own executable.
    pub own_code_count: u64,
    /// Of these, stacks walked to the thread's outermost frame.
    pub complete_count: u64,
}
