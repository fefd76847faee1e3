//! Functions, frames and stacks, each stored once per run.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use rusqlite::{Connection, params};
use waytrace_model::stack::Frame;

use crate::codec::Address;
use crate::store::RunId;

/// What tells functions apart: name, module, source file.
type FunctionKey<'a> = (Option<&'a str>, Option<&'a str>, Option<&'a str>);

/// Numbers what it has stored of one run.
pub(super) struct Interner<'c, 'f> {
    connection: &'c Connection,
    run: RunId,
    functions: HashMap<FunctionKey<'f>, i64>,
    frames: HashMap<&'f Frame, i64>,
    stacks: HashMap<&'f [Frame], i64>,
}

impl<'c, 'f> Interner<'c, 'f> {
    pub(super) fn new(connection: &'c Connection, run: RunId) -> Self {
        Self { connection, run, functions: HashMap::new(), frames: HashMap::new(), stacks: HashMap::new() }
    }

    /// Number of a stack, stored if it is new. The empty stack has a number and no rows.
    pub(super) fn stack(&mut self, frames: &'f [Frame]) -> rusqlite::Result<i64> {
        if let Some(stack) = self.stacks.get(frames) {
            return Ok(*stack);
        }
        let stack = self.stacks.len() as i64;
        for (depth, frame) in frames.iter().enumerate() {
            let frame = self.frame(frame)?;
            self.connection
                .prepare_cached("INSERT INTO stack (run_id, stack, depth, frame) VALUES (?1, ?2, ?3, ?4)")?
                .execute(params![self.run.0, stack, depth as i64, frame])?;
        }
        self.stacks.insert(frames, stack);
        Ok(stack)
    }

    fn frame(&mut self, frame: &'f Frame) -> rusqlite::Result<i64> {
        if let Some(number) = self.frames.get(frame) {
            return Ok(*number);
        }
        let function = self.function(frame)?;
        let number = self.frames.len() as i64;
        self.connection
            .prepare_cached(
                "INSERT INTO frame (run_id, frame, function, \"offset\", line, inlined)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![
                self.run.0,
                number,
                function,
                Address(frame.offset),
                frame.line,
                frame.inlined
            ])?;
        self.frames.insert(frame, number);
        Ok(number)
    }

    fn function(&mut self, frame: &'f Frame) -> rusqlite::Result<i64> {
        let key = (frame.function.as_deref(), frame.module.as_deref(), frame.file.as_deref());
        let next = self.functions.len() as i64;
        let vacant = match self.functions.entry(key) {
            Entry::Occupied(known) => return Ok(*known.get()),
            Entry::Vacant(vacant) => vacant,
        };
        self.connection
            .prepare_cached(
                "INSERT INTO function (run_id, function, name, module, file) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![self.run.0, next, key.0, key.1, key.2])?;
        Ok(*vacant.insert(next))
    }
}
