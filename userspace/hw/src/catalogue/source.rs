//! Which source knows a CPU: a directory given, the imported files, the tables compiled in. The first one wins.

use std::path::Path;

use serde::Serialize;

use super::cache::{self, Cache};
use super::directory::Directory;
use super::event::Event;
use super::metric::Metric;
use super::{CatalogueError, CpuId};

/// The events of one CPU.
#[derive(Debug)]
pub struct Catalogue {
    /// The CPU asked for.
    pub cpu: CpuId,
    /// Where they come from, with the model and version where they are given.
    pub source: String,
    /// The events.
    pub events: Vec<Event>,
    /// What is computed of them, where the source says.
    pub metrics: Vec<Metric>,
    /// Entries left out, and why.
    pub rejected: Vec<Rejected>,
}

/// An entry of a source that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rejected {
    /// File.
    pub file: String,
    /// Event, or the line of an index; empty where it is the whole file.
    pub name: String,
    /// What is wrong.
    pub reason: String,
}

/// What a source knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Known {
    /// Source.
    pub source: String,
    /// CPUs, as patterns.
    pub cpus: Vec<String>,
}

/// Sources, in the order they are asked.
#[derive(Debug)]
pub struct Sources {
    directory: Option<Directory>,
    cache: Cache,
}

impl Sources {
    /// Opens them: the event files in `directory`, if any, and what was imported into `cache`.
    ///
    /// # Errors
    /// As [`Directory::open`].
    pub fn open(directory: Option<&Path>, cache: Cache) -> Result<Self, CatalogueError> {
        Ok(Self { directory: directory.map(Directory::open).transpose()?, cache })
    }

    /// Events of a CPU, from the first source that knows it.
    ///
    /// # Errors
    /// [`CatalogueError::UnknownCpu`] where none does; those of reading files.
    pub fn load(&self, cpu: &CpuId) -> Result<Catalogue, CatalogueError> {
        let catalogue = |source, events, metrics, rejected| Catalogue {
            cpu: cpu.clone(),
            source,
            events,
            metrics,
            rejected,
        };
        if let Some(directory) = &self.directory
            && let Some(model) = directory.find(cpu)
        {
            let source = format!("{} {} of {}", model.name, model.version, directory.path().display());
            let loaded = model.load()?;
            return Ok(catalogue(source, loaded.events, loaded.metrics, loaded.rejected));
        }
        if let Some((path, header)) = self.cache.find(cpu) {
            let source = format!("imported: {} {}", header.name, header.version);
            let (events, metrics) = cache::load(&path)?;
            return Ok(catalogue(source, events, metrics, Vec::new()));
        }
        #[cfg(all(target_arch = "x86_64", feature = "intel-tables"))]
        if let Some(events) = super::tables::load(cpu) {
            return Ok(catalogue(TABLES.to_owned(), events, Vec::new(), Vec::new()));
        }
        Err(self.unknown(cpu))
    }

    /// What each source knows, in the order they are asked.
    pub fn known(&self) -> Vec<Known> {
        let mut known = Vec::new();
        if let Some(directory) = &self.directory {
            let cpus = directory.models().into_iter().flat_map(|model| model.patterns).collect();
            known.push(Known { source: directory.path().display().to_string(), cpus });
        }
        let cpus = self.cache.headers().into_iter().flat_map(|(_, header)| header.patterns).collect();
        known.push(Known { source: format!("imported, in {}", self.cache.path().display()), cpus });
        #[cfg(all(target_arch = "x86_64", feature = "intel-tables"))]
        known.push(Known { source: TABLES.to_owned(), cpus: super::tables::cpus() });
        known
    }

    /// Calls `take` with every CPU of every source: its id or pattern, the source, and its events.
    pub fn each(&self, mut take: impl FnMut(String, &str, Result<Vec<Event>, CatalogueError>)) {
        if let Some(directory) = &self.directory {
            let source = directory.path().display().to_string();
            for model in directory.models() {
                take(model.patterns.join(" "), &source, model.load().map(|loaded| loaded.events));
            }
        }
        for (path, header) in self.cache.headers() {
            let source = format!("imported: {} {}", header.name, header.version);
            take(header.patterns.join(" "), &source, cache::load(&path).map(|(events, _)| events));
        }
        #[cfg(all(target_arch = "x86_64", feature = "intel-tables"))]
        for cpu in super::tables::cpus() {
            if let Some(events) = cpu.parse().ok().and_then(|id| super::tables::load(&id)) {
                take(cpu, TABLES, Ok(events));
            }
        }
    }

    fn unknown(&self, cpu: &CpuId) -> CatalogueError {
        let known = self.known();
        let asked: Vec<String> =
            known.iter().map(|known| format!("{}: {} CPUs", known.source, known.cpus.len())).collect();
        let mut asked = asked.join("; ");
        if let Some(file) = self.directory.as_ref().and_then(|directory| directory.absent(cpu)) {
            asked += &format!("; its mapfile.csv names {}, which is not there", file.display());
        }
        let family = cpu.family();
        let mut alike: Vec<String> = known.into_iter().flat_map(|known| known.cpus).collect();
        alike.retain(|pattern| pattern.starts_with(&family));
        if let (true, Some(directory)) = (alike.is_empty(), &self.directory) {
            alike = directory.models().into_iter().flat_map(|model| model.patterns).collect();
        }
        alike.sort_unstable();
        alike.dedup();
        alike.truncate(ALIKE);
        CatalogueError::UnknownCpu { cpu: cpu.to_string(), asked, alike }
    }
}

/// CPUs an error names that are known.
const ALIKE: usize = 8;

#[cfg(all(target_arch = "x86_64", feature = "intel-tables"))]
const TABLES: &str = "built in (x86 crate, 2022)";

#[cfg(test)]
#[path = "source_tests.rs"]
mod tests;
