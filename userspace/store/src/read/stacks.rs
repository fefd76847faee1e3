//! Stacks by number.

use std::collections::HashMap;

use rusqlite::Connection;
use waytrace_model::stack::Frame;

use crate::codec::Address;
use crate::store::RunId;

/// Frames by stack number, innermost first. A stack without frames has no entry.
pub(super) type Stacks = HashMap<i64, Vec<Frame>>;

/// All stacks of a run.
pub(super) fn load(connection: &Connection, run: RunId) -> rusqlite::Result<Stacks> {
    let mut stacks = Stacks::new();
    let mut statement = connection.prepare_cached(
        "SELECT stack.stack, name, module, file, \"offset\", line, inlined FROM stack
         JOIN frame USING (run_id, frame) JOIN function USING (run_id, function)
         WHERE stack.run_id = ?1 ORDER BY stack.stack, depth",
    )?;
    let mut rows = statement.query([run.0])?;
    while let Some(row) = rows.next()? {
        let Address(offset) = row.get("offset")?;
        stacks.entry(row.get("stack")?).or_default().push(Frame {
            function: row.get("name")?,
            module: row.get("module")?,
            offset,
            file: row.get("file")?,
            line: row.get("line")?,
            inlined: row.get("inlined")?,
        });
    }
    Ok(stacks)
}
