//! Journals that are left: of processes that are gone, and those kept on purpose.

use std::path::PathBuf;

use super::journal::{self, Lock, Locked};
use super::lines::Header;
use super::{UndoError, Undone, place};
use crate::Root;

/// Changes that are still in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// What they are for.
    pub purpose: String,
    /// Process that made them.
    pub pid: u32,
    /// Its command line.
    pub command: String,
    /// They are there on purpose (`doctor --fix`); otherwise their process was killed.
    pub kept: bool,
    /// How many.
    pub changes: usize,
    /// The journal.
    pub path: PathBuf,
}

/// What became of one journal.
#[derive(Debug)]
pub enum Outcome {
    /// It was undone.
    Undone(Undone),
    /// Its process lives, or another takes it back just now.
    Busy,
    /// Somebody else has taken it back.
    Gone,
}

/// Journals of a root whose processes are gone, or are kept. One that is damaged counts as left.
pub fn pending(root: &Root) -> Vec<Pending> {
    let directory = place::directory(root);
    let purposes = place::purposes(root, &directory).into_iter();
    let found = purposes.filter_map(|purpose| {
        let path = directory.join(place::name(root, &purpose));
        let unknown =
            Pending { purpose, pid: 0, command: String::new(), kept: false, changes: 0, path: path.clone() };
        let Ok(lines) = journal::read(&path) else { return Some(unknown) };
        let header = lines.header?;
        let is_left = !lines.undos.is_empty() && (header.kept || !header.owner.is_alive());
        is_left.then_some(Pending {
            pid: header.owner.pid,
            command: header.owner.command,
            kept: header.kept,
            changes: lines.undos.len(),
            ..unknown
        })
    });
    found.collect()
}

/// Takes back what a journal of a root says, unless its process lives.
///
/// # Errors
/// The journal cannot be read.
pub fn restore(root: &Root, purpose: &str) -> Result<Outcome, UndoError> {
    let directory = place::directory(root);
    let path = directory.join(place::name(root, purpose));
    match Locked::open(&path, false)? {
        Lock::None => Ok(Outcome::Gone),
        Lock::Theirs => Ok(Outcome::Busy),
        Lock::Ours(file) => {
            place::check(&directory)?;
            take_back(root, file, None)
        }
    }
}

/// Takes back what a journal says whose lock is ours; where `expected` is given, only if it is still that one.
pub fn take_back(root: &Root, mut file: Locked, expected: Option<&Header>) -> Result<Outcome, UndoError> {
    let lines = file.lines()?;
    let header = match lines.header {
        Some(header) if expected.is_none_or(|expected| *expected == header) => header,
        Some(_) => return Ok(Outcome::Gone),
        // It was killed before it changed anything.
        None => return Ok(Outcome::Undone(Undone { restored: true, ..Undone::default() })),
    };
    Ok(Outcome::Undone(file.undo(root, &header, &lines.undos)))
}
