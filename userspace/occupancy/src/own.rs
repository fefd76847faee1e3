//! Monitoring groups of our own: written into a journal before they are made, so that they go also after `kill -9`.

use waytrace_hw::Root;
use waytrace_hw::rdt::CacheAllocation;
use waytrace_hw::undo::{Journal, Undo, Undone, Watchdog};
use waytrace_model::cache_report::Interface;

use super::OccupancyError;

/// All that was made. Dropped, it is removed.
#[derive(Debug)]
pub struct Own {
    root: Root,
    /// What they are for: `watch`. It is in their names and their journal's.
    purpose: &'static str,
    made: u32,
    // In this order: the watchdog has nothing to do once the journal is undone.
    journal: Option<Journal>,
    watchdog: Option<Watchdog>,
}

impl Own {
    /// Nothing yet.
    pub fn new(root: Root, purpose: &'static str) -> Self {
        Self { root, purpose, made: 0, journal: None, watchdog: None }
    }

    /// Makes a group in a class, and returns its name.
    ///
    /// # Errors
    /// No monitor is left, no right, or no journal.
    pub fn make(
        &mut self,
        allocation: &mut dyn CacheAllocation,
        class: &str,
    ) -> Result<String, OccupancyError> {
        let interface = allocation.interface();
        let wanted = format!("waytrace-{}-{}-{}", self.purpose, std::process::id(), self.made);
        self.made += 1;
        let undo = |name: String| Undo::CreatedMonitor { interface, class: class.to_owned(), name };
        if interface == Interface::Resctrl {
            self.write_down(undo(wanted.clone()))?;
            return Ok(allocation.create_monitor(class, &wanted)?);
        }
        // Registers' monitors are not made but named, and nobody has it yet.
        let name = allocation.create_monitor(class, &wanted)?;
        self.write_down(undo(name.clone()))?;
        Ok(name)
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
    pub fn remove(mut self) -> Undone {
        let undone = self.journal.take().map(Journal::undo);
        if let Some(watchdog) = self.watchdog.take() {
            watchdog.dismiss();
        }
        undone.unwrap_or(Undone { restored: true, ..Undone::default() })
    }
}
