//! A directory of event files with its `mapfile.csv`: Intel's perfmon repository, or `pmu-events/arch` of a kernel's source.
//!
//! Opening reads the index only; the files of a CPU are read when it is asked for.

use std::fs;
use std::path::{Path, PathBuf};

use super::event::Event;
use super::json::{self, Context, Parsed, StandardEvents};
use super::mapfile::{self, Row};
use super::metric::Metric;
use super::source::Rejected;
use super::units::CORE;
use super::{CatalogueError, CpuId, limits};

/// Folders of the kernel's `pmu-events/arch` that hold CPUs a [`CpuId`] can name.
const ARCHITECTURES: [&str; 3] = ["", "x86", "arm64"];

/// An open directory.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    models: Vec<Model>,
    rejected: Vec<Rejected>,
}

/// A CPU model of the index.
#[derive(Debug, Clone)]
pub struct Model {
    /// Name of its folder, as `SKX`.
    pub name: String,
    /// Version of its events.
    pub version: String,
    /// The CPUs it is for, as its rows write them.
    pub patterns: Vec<String>,
    rows: Vec<Row>,
    /// Files of metrics, which need not be there.
    metrics: Vec<Row>,
    base: PathBuf,
}

/// Events of a model, and what could not be used.
#[derive(Debug, Default)]
pub struct Loaded {
    /// Its events, one of a name for each PMU.
    pub events: Vec<Event>,
    /// Its metrics, one of a name for each PMU.
    pub metrics: Vec<Metric>,
    /// Entries and files left out.
    pub rejected: Vec<Rejected>,
}

impl Directory {
    /// Reads the index of `path`.
    ///
    /// # Errors
    /// [`CatalogueError::NoMapfile`], [`CatalogueError::Read`].
    pub fn open(path: &Path) -> Result<Self, CatalogueError> {
        let mut directory = Self { path: path.to_owned(), models: Vec::new(), rejected: Vec::new() };
        let mut found = false;
        for folder in ARCHITECTURES {
            let base = path.join(folder);
            let file = base.join("mapfile.csv");
            if file.is_file() {
                found = true;
                directory.add(&base, mapfile::read(&file)?);
            }
        }
        if !found {
            fs::read_dir(path).map_err(|source| CatalogueError::Read { path: path.to_owned(), source })?;
            return Err(CatalogueError::NoMapfile(path.to_owned()));
        }
        Ok(directory)
    }

    fn add(&mut self, base: &Path, mapfile: mapfile::Mapfile) {
        let file = base.join("mapfile.csv").display().to_string();
        let rejected = mapfile.rejected.into_iter();
        self.rejected.extend(rejected.map(|(name, reason)| Rejected { file: file.clone(), name, reason }));
        let (metrics, others): (Vec<Row>, Vec<Row>) =
            mapfile.rows.into_iter().partition(|row| row.kind == "metrics");
        for row in others.into_iter().filter(|row| is_of_events(&row.kind)) {
            let known = self
                .models
                .iter_mut()
                .find(|model| model.base == base && model.patterns.contains(&row.pattern));
            match known {
                Some(model) => model.rows.push(row),
                None => self.models.push(Model {
                    name: folder(&row.file),
                    version: row.version.clone(),
                    patterns: vec![row.pattern.clone()],
                    base: base.to_owned(),
                    rows: vec![row],
                    metrics: Vec::new(),
                }),
            }
        }
        for row in metrics {
            let is_of = |model: &&mut Model| model.base == base && model.patterns.contains(&row.pattern);
            if let Some(model) = self.models.iter_mut().find(is_of) {
                model.metrics.push(row);
            }
        }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Models whose files are there, those with the same files as one.
    pub fn models(&self) -> Vec<Model> {
        let mut models: Vec<Model> = Vec::new();
        for model in self.models.iter().filter(|model| model.is_present()) {
            match models.iter_mut().find(|known| known.files() == model.files()) {
                Some(known) => known.patterns.extend(model.patterns.iter().cloned()),
                None => models.push(model.clone()),
            }
        }
        models
    }

    /// What is wrong with its index.
    pub fn rejected(&self) -> &[Rejected] {
        &self.rejected
    }

    /// The first model that is for `cpu` and has files.
    pub fn find(&self, cpu: &CpuId) -> Option<&Model> {
        self.models.iter().find(|model| model.is_present() && model.is_for(cpu))
    }

    /// A file the index names for `cpu` that is not there.
    pub fn absent(&self, cpu: &CpuId) -> Option<PathBuf> {
        self.models.iter().find(|model| model.is_for(cpu))?.paths().into_iter().next()
    }
}

/// Tables of bits of other events and of latencies hold no events.
fn is_of_events(kind: &str) -> bool {
    matches!(kind, "core" | "hybridcore" | "uncore" | "uncore experimental")
}

/// `SKX/events/skylakex_core.json` → `SKX`, `arm/neoverse-n1` → `arm-neoverse-n1`.
fn folder(file: &str) -> String {
    match file.split_once('/') {
        Some((folder, _)) if file.ends_with(".json") => folder.to_owned(),
        _ => file.trim_end_matches(".json").replace('/', "-"),
    }
}

/// Whether the pattern of a `mapfile.csv` means `cpu`.
pub fn pattern_is_for(row: &str, matches: impl Fn(&str) -> bool, cpu: &CpuId) -> bool {
    let masked = || row.parse::<CpuId>().is_ok_and(|row| row.any_stepping() == cpu.any_stepping());
    cpu.spellings().iter().any(|id| matches(id)) || (matches!(cpu, CpuId::Arm { .. }) && masked())
}

impl Model {
    fn is_for(&self, cpu: &CpuId) -> bool {
        self.rows.first().is_some_and(|row| pattern_is_for(&row.pattern, |id| row.matcher.matches(id), cpu))
    }

    fn paths(&self) -> Vec<PathBuf> {
        self.rows.iter().map(|row| self.base.join(&row.file)).collect()
    }

    fn is_present(&self) -> bool {
        self.paths().iter().any(|path| path.exists())
    }

    fn files(&self) -> Vec<(&Path, &str)> {
        let rows = self.rows.iter().chain(&self.metrics);
        rows.map(|row| (self.base.as_path(), row.file.as_str())).collect()
    }

    /// Reads its files.
    ///
    /// # Errors
    /// [`CatalogueError::Read`] and [`CatalogueError::BadFile`] for a file that is there and cannot be read as a whole; single
    /// entries are left out and reported.
    pub fn load(&self) -> Result<Loaded, CatalogueError> {
        let mut loaded = Loaded::default();
        let standard = self.standard_events()?;
        for row in &self.rows {
            let path = self.base.join(&row.file);
            let context =
                Context { pmu: core_pmu(&row.role), experimental: row.kind.ends_with("experimental") };
            if path.is_dir() {
                for file in json_files(&path)? {
                    loaded.add(&file, &context, &standard)?;
                }
            } else if path.is_file() {
                loaded.add(&path, &context, &standard)?;
            } else {
                let reason = "named by mapfile.csv and not there".to_owned();
                loaded.rejected.push(Rejected {
                    file: path.display().to_string(),
                    name: String::new(),
                    reason,
                });
            }
        }
        for row in &self.metrics {
            let path = self.base.join(&row.file);
            if path.is_file() {
                let context = Context { pmu: core_pmu(&row.role), experimental: false };
                loaded.add(&path, &context, &standard)?;
            }
        }
        loaded.deduplicate();
        Ok(loaded)
    }

    /// Arm's standard events lie beside the vendors' folders.
    fn standard_events(&self) -> Result<StandardEvents, CatalogueError> {
        let mut all = StandardEvents::new();
        if self.rows.iter().any(|row| row.file.contains('/') && !row.file.ends_with(".json")) {
            for path in json_files(&self.base)? {
                let bytes = limits::read(&path, limits::FILE_BYTES)?;
                json::standard(&bytes, &mut all)
                    .map_err(|reason| CatalogueError::BadFile { path, reason })?;
            }
        }
        Ok(all)
    }
}

/// The PMU of a hybrid CPU's kind of core.
fn core_pmu(role: &str) -> String {
    match role.to_ascii_lowercase().as_str() {
        "" => CORE.to_owned(),
        "lowpower_atom" => "cpu_lowpower".to_owned(),
        role => format!("cpu_{role}"),
    }
}

fn json_files(dir: &Path) -> Result<Vec<PathBuf>, CatalogueError> {
    let entries =
        fs::read_dir(dir).map_err(|source| CatalogueError::Read { path: dir.to_owned(), source })?;
    let paths = entries.flatten().map(|entry| entry.path());
    let mut files: Vec<PathBuf> =
        paths.filter(|path| is_json(path) && !is_of_groups(path) && path.is_file()).collect();
    files.sort_unstable();
    Ok(files)
}

fn is_json(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "json")
}

/// The kernel's descriptions of groups of metrics.
fn is_of_groups(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == "metricgroups.json")
}

impl Loaded {
    fn add(
        &mut self,
        path: &Path,
        context: &Context,
        standard: &StandardEvents,
    ) -> Result<(), CatalogueError> {
        let bytes = limits::read(path, limits::FILE_BYTES)?;
        let Parsed { events, metrics, rejected } = json::parse(&bytes, context, standard)
            .map_err(|reason| CatalogueError::BadFile { path: path.to_owned(), reason })?;
        self.events.extend(events);
        self.metrics.extend(metrics);
        let file = path.display().to_string();
        self.rejected.extend(rejected.into_iter().map(|(name, reason)| Rejected {
            file: file.clone(),
            name,
            reason,
        }));
        if self.events.len().max(self.metrics.len()) > limits::EVENTS {
            let reason = format!("more than {} events or metrics of one CPU", limits::EVENTS);
            return Err(CatalogueError::BadFile { path: path.to_owned(), reason });
        }
        Ok(())
    }

    /// The first of a name holds: the validated file is named before the experimental one.
    fn deduplicate(&mut self) {
        let mut seen = std::collections::HashSet::new();
        self.events.retain(|event| seen.insert((event.pmu.clone(), event.name.clone())));
        let mut seen = std::collections::HashSet::new();
        self.metrics.retain(|metric| seen.insert((metric.pmu.clone(), metric.name.clone())));
    }
}

#[cfg(test)]
#[path = "directory_tests.rs"]
pub(super) mod tests;
