//! Taking changes back: the last one first, each tried again before it is given up.

use std::thread::sleep;
use std::time::Duration;

use super::lines::Header;
use super::{Undo, Undone, caches, files, members};
use crate::Root;

/// Pauses before a change is tried again: another tool may hold resctrl's lock, or a device be slow to answer.
const PAUSES: [Duration; 3] = [Duration::ZERO, Duration::from_millis(2), Duration::from_millis(20)];

/// What came of one change.
#[derive(Debug, PartialEq, Eq)]
pub enum Effect {
    /// It is taken back.
    Done(String),
    /// Nothing was to be done: it had not been made, or had been taken back.
    Nothing,
    /// It is somebody else's now.
    Left(String),
}

/// What it could not.
pub type Tried = Result<Effect, String>;

/// Takes all back.
pub fn all(root: &Root, header: &Header, undos: &[Undo]) -> Undone {
    let mut undone = Undone { restored: true, ..Undone::default() };
    let mut failed = Vec::new();
    for undo in undos.iter().rev() {
        match patiently(root, header, undo, undos) {
            Ok(effect) => undone.note(effect),
            Err(_) => failed.push(undo),
        }
    }
    // What stood in the way may be back by now: of two limits neither may pass the other.
    for undo in failed {
        match patiently(root, header, undo, undos) {
            Ok(effect) => undone.note(effect),
            Err(error) => {
                undone.restored = false;
                undone.left.push(error);
            }
        }
    }
    undone
}

impl Undone {
    fn note(&mut self, effect: Effect) {
        match effect {
            Effect::Done(line) => self.done.push(line),
            Effect::Nothing => {}
            Effect::Left(line) => self.left.push(line),
        }
    }
}

fn patiently(root: &Root, header: &Header, undo: &Undo, all: &[Undo]) -> Tried {
    let mut last = one(root, header, undo, all);
    for pause in PAUSES {
        if last.is_ok() {
            break;
        }
        sleep(pause);
        last = one(root, header, undo, all);
    }
    last
}

fn one(root: &Root, header: &Header, undo: &Undo, all: &[Undo]) -> Tried {
    match undo {
        Undo::File { path, old, ours } => files::text(root, path, old, ours),
        Undo::Mounted { path } => files::mount(root, path),
        Undo::LoadedModule { name } => files::module(root, name),
        Undo::CreatedClass { interface, name } => caches::created(root, header, *interface, name),
        Undo::CreatedMonitor { interface, class, name } => {
            caches::created_monitor(root, header, *interface, class, name)
        }
        Undo::Settings { interface, class, old, ours } => {
            caches::settings(root, header, *interface, class, old, ours)
        }
        Undo::Tasks { interface, class, monitor, from, tids } => {
            let place = members::Place { interface: *interface, class, monitor: monitor.as_deref(), from };
            members::tasks(root, header, &place, tids, all)
        }
        Undo::Cpus { interface, class, monitor, from, cpus } => {
            let place = members::Place { interface: *interface, class, monitor: monitor.as_deref(), from };
            members::cpus(root, header, &place, cpus)
        }
    }
}
