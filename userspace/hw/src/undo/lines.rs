//! A journal as text: a line that says whose it is, then one for each change.
//!
//! A line is written and synced before its change is made. So a line that breaks off at the end, where its process was
//! killed, is of no change.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Undo;
use super::owner::Owner;

const VERSION: u32 = 1;

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Of what follows.
    version: u32,
    /// What the changes are for.
    pub purpose: String,
    /// Whose they are.
    #[serde(flatten)]
    pub owner: Owner,
    /// Where the machine's files are.
    pub root: PathBuf,
    /// The changes outlive their process.
    pub kept: bool,
    /// resctrl was mounted when it was begun.
    pub resctrl_mounted: bool,
}

impl Header {
    /// One of this process.
    pub fn new(purpose: &str, root: PathBuf, kept: bool, resctrl_mounted: bool) -> Self {
        Self {
            version: VERSION,
            purpose: purpose.to_owned(),
            owner: Owner::this(),
            root,
            kept,
            resctrl_mounted,
        }
    }
}

/// What a journal says.
#[derive(Debug, Default)]
pub struct Lines {
    /// Its first line; `None` where it was killed before it said anything.
    pub header: Option<Header>,
    /// Changes, in the order in which they were made.
    pub undos: Vec<Undo>,
    /// Bytes of whole lines.
    pub whole_bytes: u64,
}

/// Reads a journal. `None`: it is damaged.
pub fn parse(text: &[u8]) -> Option<Lines> {
    let end = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
    let mut lines = Lines { whole_bytes: end as u64, ..Lines::default() };
    let whole = text.get(..end)?;
    for line in whole.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        if lines.header.is_some() {
            lines.undos.push(serde_json::from_slice(line).ok()?);
        } else {
            let header: Header = serde_json::from_slice(line).ok()?;
            lines.header = (header.version == VERSION).then_some(header);
            lines.header.as_ref()?;
        }
    }
    Some(lines)
}

/// A line, with its end.
pub fn line<T: Serialize>(value: &T) -> std::io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    Ok(line)
}
