//! Accesses by function and source line.

use std::cmp::Reverse;
use std::collections::HashMap;

use waytrace_model::access::{Access, Code};
use waytrace_model::access_report::{FunctionAccesses, LineAccesses};
use waytrace_model::stack::Frame;

use super::sums::Sums;
use super::table::Table;

/// Lines shown of a function.
const MOST_LINES: usize = 8;

/// Accesses of each instruction.
#[derive(Debug, Default)]
pub(super) struct Functions(Table<u32, Sums>);

/// Instructions of one function, inlined into the same callers.
#[derive(Default)]
struct Merge<'c> {
    /// The lowest key of its instructions, which orders functions of the same name.
    id: u32,
    sums: Sums,
    lines: HashMap<(&'c str, u32), Sums>,
}

impl Functions {
    pub(super) fn add(&mut self, access: &Access) {
        if let Some(code) = access.code {
            self.0.entry(code).or_default().add(access);
        }
    }

    /// Most accesses first. An instruction without any frame has no function.
    pub(super) fn report(&self, code: &[Code]) -> Vec<FunctionAccesses> {
        let mut by_function: HashMap<Vec<Frame>, Merge<'_>> = HashMap::new();
        for instruction in code {
            let Some(sums) = self.0.get(&instruction.id) else { continue };
            let Some(innermost) = instruction.frames.first() else { continue };
            let new = || Merge { id: instruction.id, ..Merge::default() };
            let frames = instruction.frames.iter().map(function).collect();
            let merge = by_function.entry(frames).or_insert_with(new);
            merge.id = merge.id.min(instruction.id);
            merge.sums.merge(*sums);
            if let (Some(file), Some(line)) = (&innermost.file, innermost.line) {
                merge.lines.entry((file, line)).or_default().merge(*sums);
            }
        }
        let mut functions: Vec<_> = by_function.into_iter().collect();
        functions.sort_by_cached_key(|(frames, merge)| {
            let labels: Vec<String> = frames.iter().map(Frame::label).collect();
            (Reverse(merge.sums.total()), labels, merge.id)
        });
        functions.into_iter().map(|(frames, merge)| merge.report(frames)).collect()
    }
}

impl Merge<'_> {
    fn report(self, frames: Vec<Frame>) -> FunctionAccesses {
        let line = |((file, line), sums): ((&str, u32), Sums)| LineAccesses {
            file: file.to_owned(),
            line,
            loads: sums.loads,
            stores: sums.stores,
        };
        let mut lines: Vec<LineAccesses> = self.lines.into_iter().map(line).collect();
        lines.sort_by(|a, b| {
            let most = |line: &LineAccesses| Reverse(line.loads.saturating_add(line.stores));
            (most(a), &a.file, a.line).cmp(&(most(b), &b.file, b.line))
        });
        lines.truncate(MOST_LINES);
        FunctionAccesses { frames, loads: self.sums.loads, stores: self.sums.stores, lines }
    }
}

/// What tells functions apart: where in them an instruction is does not.
fn function(frame: &Frame) -> Frame {
    Frame {
        function: frame.function.clone(),
        module: frame.module.clone(),
        inlined: frame.inlined,
        ..Frame::default()
    }
}
