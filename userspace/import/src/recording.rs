//! One recording, read once for what there is and once for its batches.

use std::path::{Path, PathBuf};

use waytrace_model::batch::{Batch, Epilogue};
use waytrace_model::counter::EventInfo;
use waytrace_model::run::RunHeader;

use crate::heimdallr::{self, Directory};
use crate::item::{Facts, Item};
use crate::survey::Survey;
use crate::{Directions, Error, Format, perf_data, script};

mod allocations;
mod begin;
mod clocks;
mod read;

/// How recordings are read.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// What they are; found out where it is `None`.
    pub format: Option<Format>,
    /// What their events sample.
    pub directions: Directions,
    /// Put the first allocation at the first sample where their clocks have no time in common.
    pub align_clocks: bool,
    /// Length of windows in nanoseconds, at least what makes two thousand of them.
    pub interval_ns: Option<u64>,
    /// waytrace's own command line.
    pub command: String,
}

/// A recording that can become a run.
#[derive(Debug)]
pub struct Recording {
    source: Option<Source>,
    directions: Directions,
    facts: Facts,
    survey: Survey,
    directory: Option<Directory>,
    clocks: clocks::Clocks,
    header: RunHeader,
    events: Vec<EventInfo>,
    duration_ns: u64,
}

/// Where its samples are.
#[derive(Debug, Clone)]
struct Source {
    path: PathBuf,
    format: Format,
}

impl Source {
    fn scan(&self, directions: &Directions, take: &mut dyn FnMut(u64, Item)) -> Result<Facts, Error> {
        match self.format {
            Format::PerfScript => script::scan(&self.path, directions, take),
            Format::PerfData | Format::Heimdallr => perf_data::scan(&self.path, directions, take),
        }
    }

    fn survey(&self, directions: &Directions) -> Result<(Facts, Survey), Error> {
        let mut survey = Survey::default();
        let facts = self.scan(directions, &mut |time_ns, item| survey.see(time_ns, &item))?;
        let path = self.path.clone();
        if survey.samples + survey.kernel_samples == 0 {
            return Err(Error::Empty { path, what: "it holds no sample" });
        }
        if survey.addressed == 0 {
            let samples = survey.samples + survey.kernel_samples;
            return Err(Error::NoAddresses { path, samples, mend: facts.mend });
        }
        Ok((facts, survey))
    }
}

/// Reads what is at `path` for the first time: one recording, or one for each run of Heimdallr's.
///
/// # Errors
/// [`Error`]: nothing that can be read, damage, or no sample with an address.
pub fn open(path: &Path, options: &Options) -> Result<Vec<Recording>, Error> {
    let format = match options.format {
        Some(format) => format,
        None => Format::detect(path)?,
    };
    if format != Format::Heimdallr {
        let source = Source { path: path.to_owned(), format };
        return Ok(vec![Recording::new(Some(source), None, options)?]);
    }
    let folders = heimdallr::directories(path)?;
    if folders.is_empty() {
        let what = "no directory <program>.<mode>.<run> with access.dat, time.log or cmd.log is there";
        return Err(Error::Empty { path: path.to_owned(), what });
    }
    let of_folder = |folder: &PathBuf| {
        let mut directory = Directory::read(folder)?;
        let source = directory.samples.clone().map(|path| Source { path, format });
        match Recording::new(source, Some(directory), options) {
            // A run whose samples are of no use still has its times and allocations.
            Err(error @ (Error::Empty { .. } | Error::NoAddresses { .. })) => {
                directory = Directory::read(folder)?;
                directory.notes.push(error.to_string());
                Recording::new(None, Some(directory), options)
            }
            recording => recording,
        }
    };
    folders.iter().map(of_folder).collect()
}

impl Recording {
    /// What is known when the run begins.
    pub fn header(&self) -> &RunHeader {
        &self.header
    }

    /// Events whose readings the run has: times and memory, where the recording tells them.
    pub fn events(&self) -> &[EventInfo] {
        &self.events
    }

    /// Samples of user code with an address.
    pub fn accesses(&self) -> u64 {
        self.survey.addressed
    }

    /// Reads it for the second time, handing over window after window; gives what is known at the end.
    ///
    /// # Errors
    /// [`Error`] where the file can no longer be read, and what `take` fails with.
    pub fn read<E: From<Error>>(self, take: &mut dyn FnMut(Batch) -> Result<(), E>) -> Result<Epilogue, E> {
        read::read(self, take)
    }
}
