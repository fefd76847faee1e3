//! Reading and writing resctrl's files, with what the kernel says of a refusal.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::rdt::RdtError;

/// Where resctrl is mounted.
#[derive(Debug, Clone)]
pub struct Files(PathBuf);

impl Files {
    pub fn new(mount: PathBuf) -> Self {
        Self(mount)
    }

    pub fn path(&self, rel: &str) -> PathBuf {
        self.0.join(rel)
    }

    /// Text of a file, without white space around it.
    pub fn read(&self, rel: &str) -> Result<String, RdtError> {
        let path = self.path(rel);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(text.trim().to_owned()),
            Err(source) => Err(RdtError::Read { path, source }),
        }
    }

    /// The same of a file that older kernels and other machines do not have.
    pub fn read_optional(&self, rel: &str) -> Result<Option<String>, RdtError> {
        match self.read(rel) {
            Ok(text) => Ok(Some(text)),
            Err(RdtError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
            // The kernel gives ENODEV and EINVAL for files of features that are switched off.
            Err(RdtError::Read { source, .. })
                if matches!(source.raw_os_error(), Some(libc::ENODEV | libc::EINVAL | libc::EOPNOTSUPP)) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// A number, parsed by `parse`.
    pub fn parsed<T>(
        &self,
        rel: &str,
        expected: &'static str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<T, RdtError> {
        let text = self.read(rel)?;
        parse(&text).ok_or_else(|| RdtError::Malformed { path: self.path(rel), text, expected })
    }

    /// Names of directories in a directory, sorted; none where there is no such directory.
    pub fn directories(&self, rel: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(rel)).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        names.sort_unstable();
        names
    }

    pub fn is_dir(&self, rel: &str) -> bool {
        self.path(rel).is_dir()
    }

    /// Writes a control file in one call: the kernel takes a write as one command.
    pub fn write(&self, rel: &str, text: &str) -> Result<(), RdtError> {
        let path = self.path(rel);
        let opened = OpenOptions::new().write(true).truncate(true).open(&path);
        let written = opened.and_then(|mut file| match file.write(text.as_bytes()) {
            Ok(count) if count == text.len() => Ok(()),
            Ok(_) => Err(io::Error::from(io::ErrorKind::WriteZero)),
            Err(error) => Err(error),
        });
        written.map_err(|source| {
            self.refused(
                format!("writing `{}` to {}", text.trim_end().replace('\n', "; "), path.display()),
                source,
            )
        })
    }

    pub fn make(&self, rel: &str) -> Result<(), RdtError> {
        let path = self.path(rel);
        fs::create_dir(&path).map_err(|source| self.refused(format!("making {}", path.display()), source))
    }

    pub fn remove(&self, rel: &str) -> Result<(), RdtError> {
        let path = self.path(rel);
        fs::remove_dir(&path).map_err(|source| self.refused(format!("removing {}", path.display()), source))
    }

    fn refused(&self, what: String, source: io::Error) -> RdtError {
        RdtError::Refused { what, status: last_command(&self.0), source }
    }
}

/// What the kernel says of the last command, unless it is that all is well.
fn last_command(mount: &Path) -> Option<String> {
    let text = fs::read_to_string(mount.join("info/last_cmd_status")).ok()?;
    let text: String = text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    (!text.is_empty() && text != "ok").then_some(text)
}
