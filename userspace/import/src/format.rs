//! Which kind of recording a path is.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use crate::{Error, heimdallr, script};

/// Lines of a text looked at: perf prints comments before the first sample.
const LOOKED_AT: usize = 200;

/// A kind of recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A file `perf record` wrote.
    PerfData,
    /// What `perf script` printed.
    PerfScript,
    /// A directory of Heimdallr's: of one run, or of all.
    Heimdallr,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::PerfData, Self::PerfScript, Self::Heimdallr];

    /// The spelling on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PerfData => "perf-data",
            Self::PerfScript => "perf-script",
            Self::Heimdallr => "heimdallr",
        }
    }

    /// Reads the spelling back.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.as_str() == text)
    }

    /// The kind of what is at `path`.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::Unknown`]; [`Error::Form`] for a directory perf wrote.
    pub fn detect(path: &Path) -> Result<Self, Error> {
        if std::fs::metadata(path).map_err(Error::read(path))?.is_dir() {
            if path.join("data.0").exists() || path.join("header").exists() {
                let what = "a directory of `perf record --threads`".to_owned();
                return Err(Error::Form { path: path.to_owned(), what });
            }
            return Ok(Self::Heimdallr).and_then(|format| {
                let found = heimdallr::directories(path)?;
                if found.is_empty() { Err(Error::Unknown(path.to_owned())) } else { Ok(format) }
            });
        }
        let file = File::open(path).map_err(Error::read(path))?;
        let mut reader = BufReader::new(file);
        let start = reader.fill_buf().map_err(Error::read(path))?;
        if start.starts_with(b"PERFILE2") || start.starts_with(b"2ELIFREP") {
            return Ok(Self::PerfData);
        }
        // A line without an end would be as long as the file.
        let lines = reader.take(1 << 20).split(b'\n').take(LOOKED_AT).map_while(Result::ok);
        let is_sample = |line: Vec<u8>| script::is_sample(&String::from_utf8_lossy(&line));
        if lines.into_iter().any(is_sample) {
            Ok(Self::PerfScript)
        } else {
            Err(Error::Unknown(path.to_owned()))
        }
    }
}
