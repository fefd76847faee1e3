//! Monitoring groups of our own: written into a journal before they are made, so that they go also after `kill -9`.

use std::collections::BTreeMap;

use waytrace_hw::Root;
use waytrace_hw::rdt::{CacheAllocation, RdtError};
use waytrace_hw::undo::{Journal, Outcome, Undo, Undone, Watchdog, pending, restore};
use waytrace_model::cache_report::Interface;

use super::OccupancyError;
use super::groups::is_gone;

/// All that was made. Dropped, it is removed.
#[derive(Debug)]
pub struct Own {
    root: Root,
    /// What they are for: `watch`. It is in their names and their journal's.
    purpose: &'static str,
    /// By class, for each name ever made whether there is such a group now. Names are used again: the journal of a process that
    /// makes and removes groups for months is as long as it has ever had groups at once.
    made: BTreeMap<String, Vec<bool>>,
    journal: Option<Journal>,
    watchdog: Option<Watchdog>,
}

impl Own {
    /// Nothing yet.
    pub fn new(root: Root, purpose: &'static str) -> Self {
        Self { root, purpose, made: BTreeMap::new(), journal: None, watchdog: None }
    }

    /// Takes back what processes that are gone have left of this purpose; their watchdogs were killed with them. Returns what
    /// could not be taken back, a line each.
    pub fn take_back_left(root: &Root, purpose: &str) -> Vec<String> {
        let is_its = |name: &str| name.strip_prefix(purpose).is_some_and(|rest| rest.starts_with('-'));
        let left = pending(root).into_iter().filter(|pending| !pending.kept && is_its(&pending.purpose));
        let undone = left.map(|pending| restore(root, &pending.purpose));
        undone
            .flat_map(|outcome| match outcome {
                Ok(Outcome::Undone(undone)) if !undone.restored => undone.left,
                Ok(Outcome::Undone(_) | Outcome::Busy | Outcome::Gone) => Vec::new(),
                Err(error) => vec![error.to_string()],
            })
            .collect()
    }

    fn name(&self, number: usize) -> String {
        format!("{}{number}", self.prefix())
    }

    fn prefix(&self) -> String {
        format!("waytrace-{}-{}-", self.purpose, std::process::id())
    }

    /// Whether a group of that name is one of them.
    pub fn is_own(&self, name: &str) -> bool {
        name.starts_with(&self.prefix())
    }

    /// Makes a group in a class, and returns its name.
    ///
    /// # Errors
    /// No monitor is left, no right, or no journal.
    pub fn make(
        &mut self,
        allocation: &mut (impl CacheAllocation + ?Sized),
        class: &str,
    ) -> Result<String, OccupancyError> {
        let interface = allocation.interface();
        let undo = |name: String| Undo::CreatedMonitor { interface, class: class.to_owned(), name };
        let known = self.made.get(class).map_or(&[][..], Vec::as_slice);
        let number = known.iter().position(|is_there| !is_there).unwrap_or(known.len());
        let (wanted, is_known) = (self.name(number), number < known.len());
        if interface == Interface::Msr {
            // Registers' monitors are not made but named, and nobody has it yet.
            let name = allocation.create_monitor(class, &wanted)?;
            self.write_down(undo(name.clone()))?;
            return Ok(name);
        }
        if !is_known {
            self.write_down(undo(wanted.clone()))?;
            self.made.entry(class.to_owned()).or_default().push(false);
        }
        allocation.create_monitor(class, &wanted)?;
        self.note(class, number, true);
        Ok(wanted)
    }

    /// Removes one of them, if it is still there.
    ///
    /// # Errors
    /// No right, or it cannot be removed now; it is tried again at the end.
    pub fn remove(
        &mut self,
        allocation: &mut (impl CacheAllocation + ?Sized),
        class: &str,
        name: &str,
    ) -> Result<(), RdtError> {
        match allocation.remove_monitor(class, name) {
            Err(error) if !is_gone(&error) => return Err(error),
            Ok(()) | Err(_) => {}
        }
        if let Some(number) = name.strip_prefix(&self.prefix()).and_then(|number| number.parse().ok()) {
            self.note(class, number, false);
        }
        Ok(())
    }

    fn note(&mut self, class: &str, number: usize, is_there: bool) {
        if let Some(noted) = self.made.get_mut(class).and_then(|made| made.get_mut(number)) {
            *noted = is_there;
        }
    }

    fn write_down(&mut self, undo: Undo) -> Result<(), OccupancyError> {
        if self.journal.is_none() {
            let journal = Journal::open(&self.root, &format!("{}-{}", self.purpose, std::process::id()))?;
            let exe = std::env::current_exe().map_err(OccupancyError::OwnProgram)?;
            self.watchdog = Some(Watchdog::start(&journal, &exe)?);
            self.journal = Some(journal);
        }
        if let Some(journal) = &mut self.journal {
            journal.add(undo)?;
        }
        Ok(())
    }

    /// Removes them all.
    pub fn end(&mut self) -> Undone {
        let undone = self.journal.take().map(Journal::undo);
        if let Some(watchdog) = self.watchdog.take() {
            watchdog.dismiss();
        }
        undone.unwrap_or(Undone { restored: true, ..Undone::default() })
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        self.end();
    }
}
