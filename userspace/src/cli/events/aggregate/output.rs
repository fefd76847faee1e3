//! Where a result of any size goes: a file that appears whole or not at all, or stdout.

use std::io::{self, Write};
use std::path::Path;

use waytrace_model::units::format_bytes;

use super::super::super::file::{Existing, NewFile};
use super::super::super::output::say;

/// A file being written, or stdout.
#[derive(Debug)]
pub enum Output {
    File(NewFile),
    Stdout(io::Stdout),
}

impl Output {
    /// Begins the file at `path`, or with `-` writes to stdout.
    ///
    /// # Errors
    /// The file exists and is to be kept, or cannot be written.
    pub fn create(path: &Path, force: bool) -> anyhow::Result<Self> {
        if path == Path::new("-") {
            return Ok(Self::Stdout(io::stdout()));
        }
        let existing = if force { Existing::Replace } else { Existing::Keep };
        NewFile::create(path, existing).map(Self::File)
    }

    /// Puts the complete file in its place.
    ///
    /// # Errors
    /// The disk is full.
    pub fn finish(self) -> anyhow::Result<()> {
        match self {
            Self::File(file) => file.finish(),
            Self::Stdout(mut stdout) => Ok(stdout.flush()?),
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.write(bytes),
            Self::Stdout(stdout) => stdout.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::File(file) => file.flush(),
            Self::Stdout(stdout) => stdout.flush(),
        }
    }
}

/// Writes a result that is ready, and says so.
///
/// # Errors
/// As [`Output::create`] and [`Output::finish`].
pub fn put(path: &Path, force: bool, bytes: &[u8]) -> anyhow::Result<()> {
    let mut output = Output::create(path, force)?;
    output.write_all(bytes)?;
    output.finish()?;
    if path != Path::new("-") {
        say(&format!("wrote {} ({})", path.display(), format_bytes(bytes.len() as f64)));
    }
    Ok(())
}
