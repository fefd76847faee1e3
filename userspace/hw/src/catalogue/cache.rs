//! Imported event files, in a form that is small and quick to read: for each CPU model a gzip file of JSON lines, the first
//! the header and each further one an event, or after these a metric.
//!
//! Each file stands alone, so a damaged one costs one CPU. A file is replaced by renaming, so none is ever half there.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};

use super::directory::{Directory, Loaded, pattern_is_for};
use super::event::Event;
use super::metric::Metric;
use super::pattern::Pattern;
use super::source::Rejected;
use super::{CatalogueError, CpuId, limits};

const SCHEMA_VERSION: u32 = 1;
const SUFFIX: &str = ".events.gz";
/// Most bytes of an unpacked file, far more than the files it came from may have in use.
const UNPACKED_BYTES: u64 = 256 << 20;
const HEADER_BYTES: u64 = 1 << 20;

/// A directory of imported files.
#[derive(Debug, Clone)]
pub struct Cache(PathBuf);

/// First line of a file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Header {
    schema_version: u32,
    /// Model, as `SKX`.
    pub name: String,
    /// Version of its events.
    pub version: String,
    /// The CPUs it is for.
    pub patterns: Vec<String>,
    /// Events that follow.
    pub events: usize,
    /// Metrics that follow them.
    #[serde(default)]
    pub metrics: usize,
}

/// What an import did.
#[derive(Debug, Default, Serialize)]
pub struct Imported {
    /// CPU models written.
    pub models: usize,
    /// Patterns of CPUs they are for.
    pub cpus: usize,
    /// Events written.
    pub events: usize,
    /// Metrics written.
    pub metrics: usize,
    /// Size of all files written, bytes.
    pub size_bytes: u64,
    /// Entries, lines and files left out.
    pub rejected: Vec<Rejected>,
}

impl Cache {
    /// A cache in `dir`, which need not exist.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self(dir.into())
    }

    /// Its directory.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Writes all models of a directory whose files are there. What was imported for the same CPUs before is replaced. A model
    /// with a damaged file is left out and reported.
    ///
    /// # Errors
    /// [`CatalogueError::Write`].
    pub fn import(&self, directory: &Directory) -> Result<Imported, CatalogueError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| CatalogueError::Write { path, source }
        };
        fs::create_dir_all(&self.0).map_err(failed(&self.0))?;
        let before = self.headers();
        let mut imported = Imported { rejected: directory.rejected().to_vec(), ..Imported::default() };
        let mut written: HashSet<PathBuf> = HashSet::new();
        let mut patterns: HashSet<String> = HashSet::new();
        for model in directory.models() {
            let Loaded { events, metrics, rejected } = match model.load() {
                Ok(loaded) => loaded,
                Err(error) => {
                    let file = directory.path().display().to_string();
                    imported.rejected.push(Rejected { file, name: model.name, reason: error.to_string() });
                    continue;
                }
            };
            let header = Header {
                schema_version: SCHEMA_VERSION,
                name: model.name,
                version: model.version,
                patterns: model.patterns,
                events: events.len(),
                metrics: metrics.len(),
            };
            let path = self.free_name(&header.name, &written);
            imported.size_bytes += write(&path, &header, &events, &metrics).map_err(failed(&path))?;
            imported.models += 1;
            imported.cpus += header.patterns.len();
            imported.events += events.len();
            imported.metrics += metrics.len();
            imported.rejected.extend(rejected);
            patterns.extend(header.patterns);
            written.insert(path);
        }
        for (path, header) in before {
            if !written.contains(&path) && header.patterns.iter().any(|pattern| patterns.contains(pattern)) {
                fs::remove_file(&path).map_err(failed(&path))?;
            }
        }
        Ok(imported)
    }

    /// A file name for a model that this import has not used yet: two models may share a folder.
    fn free_name(&self, name: &str, written: &HashSet<PathBuf>) -> PathBuf {
        let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '_' };
        let name: String = name.chars().map(plain).take(100).collect();
        let candidate = |number: usize| match number {
            1 => self.0.join(format!("{name}{SUFFIX}")),
            _ => self.0.join(format!("{name}.{number}{SUFFIX}")),
        };
        (1..).map(candidate).find(|path| !written.contains(path)).unwrap_or_else(|| candidate(0))
    }

    /// Its files with their headers, by name; files that are none are left out.
    pub fn headers(&self) -> Vec<(PathBuf, Header)> {
        let Ok(entries) = fs::read_dir(&self.0) else { return Vec::new() };
        let is_ours = |path: &PathBuf| path.to_str().is_some_and(|path| path.ends_with(SUFFIX));
        let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(is_ours).collect();
        paths.sort_unstable();
        paths.into_iter().filter_map(|path| header(&path).map(|header| (path, header))).collect()
    }

    /// The file for `cpu`.
    pub fn find(&self, cpu: &CpuId) -> Option<(PathBuf, Header)> {
        let is_for = |pattern: &String| {
            Pattern::parse(pattern)
                .is_some_and(|parsed| pattern_is_for(pattern, |id| parsed.matches(id), cpu))
        };
        self.headers().into_iter().find(|(_, header)| header.patterns.iter().any(is_for))
    }
}

/// Reads the events and metrics of a file.
///
/// # Errors
/// [`CatalogueError::BadFile`] where it is damaged, [`CatalogueError::Read`].
pub fn load(path: &Path) -> Result<(Vec<Event>, Vec<Metric>), CatalogueError> {
    let failed = |source| CatalogueError::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    let bytes = limits::bounded(GzDecoder::new(file), UNPACKED_BYTES).map_err(failed)?;
    let bad = |reason: String| CatalogueError::BadFile { path: path.to_owned(), reason };
    let mut lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let header = lines.next().and_then(|line| serde_json::from_slice::<Header>(line).ok());
    let header = header.ok_or_else(|| bad("it has no header; import the event files again".to_owned()))?;
    let wrong = |(number, error): (usize, serde_json::Error)| {
        bad(format!("line {number}: {error}; import the event files again"))
    };
    let (mut events, mut metrics): (Vec<Event>, Vec<Metric>) = (Vec::new(), Vec::new());
    for (number, line) in (2..).zip(lines) {
        if events.len() < header.events {
            events.push(serde_json::from_slice(line).map_err(|error| wrong((number, error)))?);
        } else {
            metrics.push(serde_json::from_slice(line).map_err(|error| wrong((number, error)))?);
        }
    }
    let there = [(events.len(), header.events, "events"), (metrics.len(), header.metrics, "metrics")];
    match there.iter().find(|(found, said, _)| found != said) {
        None => Ok((events, metrics)),
        Some((found, said, what)) => {
            Err(bad(format!("{found} of {said} {what}; import the event files again")))
        }
    }
}

fn header(path: &Path) -> Option<Header> {
    let mut line = Vec::new();
    let reader = GzDecoder::new(File::open(path).ok()?).take(HEADER_BYTES);
    BufReader::new(reader).read_until(b'\n', &mut line).ok()?;
    serde_json::from_slice::<Header>(&line).ok().filter(|header| header.schema_version == SCHEMA_VERSION)
}

/// Writes a file beside its place and renames it; its size in bytes.
fn write(path: &Path, header: &Header, events: &[Event], metrics: &[Metric]) -> std::io::Result<u64> {
    let unfinished = path.with_extension("tmp");
    let write = || {
        let mut encoder = GzEncoder::new(File::create(&unfinished)?, Compression::best());
        serde_json::to_writer(&mut encoder, header)?;
        for event in events {
            encoder.write_all(b"\n")?;
            serde_json::to_writer(&mut encoder, event)?;
        }
        for metric in metrics {
            encoder.write_all(b"\n")?;
            serde_json::to_writer(&mut encoder, metric)?;
        }
        let file = encoder.finish()?;
        file.sync_all()?;
        fs::rename(&unfinished, path)?;
        Ok(file.metadata()?.len())
    };
    write().inspect_err(|_| {
        let _ = fs::remove_file(&unfinished);
    })
}

#[cfg(test)]
#[path = "cache_tests.rs"]
mod tests;
