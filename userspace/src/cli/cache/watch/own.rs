//! Monitoring groups of our own: written into a journal before they are made, so that they go also after `kill -9`.

use waytrace_hw::Root;
use waytrace_hw::rdt::{CacheAllocation, RdtError};
use waytrace_hw::undo::{Journal, Undo, Watchdog};
use waytrace_model::cache_report::Interface;

use super::super::super::output::say;

/// All that was made. Dropped, it is removed.
pub struct Own {
    root: Root,
    made: u32,
    // In this order: the watchdog has nothing to do once the journal is undone.
    journal: Option<Journal>,
    watchdog: Option<Watchdog>,
}

impl Own {
    /// Nothing yet.
    pub fn new(root: Root) -> Self {
        Self { root, made: 0, journal: None, watchdog: None }
    }

    /// Makes a group in a class, and returns its name.
    ///
    /// # Errors
    /// No monitor is left, no right, or no journal.
    pub fn make(&mut self, allocation: &mut dyn CacheAllocation, class: &str) -> anyhow::Result<String> {
        let interface = allocation.interface();
        let wanted = format!("waytrace-watch-{}-{}", std::process::id(), self.made);
        self.made += 1;
        let (class, undo) = (class.to_owned(), |name: String| Undo::CreatedMonitor {
            interface,
            class: class.to_owned(),
            name,
        });
        if interface == Interface::Resctrl {
            self.write_down(undo(wanted.clone()))?;
            return Ok(allocation.create_monitor(&class, &wanted)?);
        }
        // Registers' monitors are not made but named, and nobody has it yet.
        let name = allocation.create_monitor(&class, &wanted)?;
        self.write_down(undo(name.clone()))?;
        Ok(name)
    }

    fn write_down(&mut self, undo: Undo) -> anyhow::Result<()> {
        if self.journal.is_none() {
            let journal = Journal::open(&self.root, &format!("watch-{}", std::process::id()))?;
            self.watchdog = Some(Watchdog::start(&journal, &std::env::current_exe()?)?);
            self.journal = Some(journal);
        }
        if let Some(journal) = &mut self.journal {
            journal.add(undo)?;
        }
        Ok(())
    }

    /// Removes them all. Whether all is as before.
    pub fn remove(mut self) -> bool {
        let undone = self.journal.take().map(Journal::undo);
        if let Some(watchdog) = self.watchdog.take() {
            watchdog.dismiss();
        }
        let Some(undone) = undone else { return true };
        for line in &undone.left {
            say(line);
        }
        undone.restored
    }
}

/// Whether a class or group is not there any more.
pub fn is_gone(error: &RdtError) -> bool {
    match error {
        RdtError::NoClass { .. } | RdtError::NoMonitor { .. } => true,
        RdtError::Read { source, .. } | RdtError::Refused { source, .. } => {
            matches!(source.raw_os_error(), Some(libc::ENODEV | libc::ENOENT))
        }
        _ => false,
    }
}
