//! Files that appear whole or not at all: written beside their place under another name, then put there.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

/// What to do with a file that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// Put the new file in its place.
    Replace,
    /// Leave it and fail.
    Keep,
}

/// A file being written. Dropped before [`NewFile::finish`], it leaves nothing behind.
#[derive(Debug)]
pub struct NewFile {
    path: PathBuf,
    existing: Existing,
    /// Absent when `path` is no regular file (a pipe, `/dev/stdout`) and is written straight.
    temporary: Option<PathBuf>,
    out: BufWriter<File>,
}

impl NewFile {
    /// Begins the file at `path`.
    ///
    /// # Errors
    /// `path` exists and is to be kept, is a directory, or its directory cannot be written.
    pub fn create(path: &Path, existing: Existing) -> anyhow::Result<Self> {
        // The link's target is what the user means; renaming over the link would cut it off.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let there = fs::metadata(&path).ok();
        if there.as_ref().is_some_and(fs::Metadata::is_dir) {
            bail!("{} is a directory; name a file in it", path.display());
        }
        let is_regular = there.as_ref().is_none_or(fs::Metadata::is_file);
        if there.is_some() && is_regular && existing == Existing::Keep {
            return Err(refusal(&path));
        }
        let temporary = is_regular.then(|| beside(&path));
        let (name, is_new) = (temporary.as_deref().unwrap_or(&path), temporary.is_some());
        let file = OpenOptions::new()
            .write(true)
            .create_new(is_new)
            .open(name)
            .with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self { path, existing, temporary, out: BufWriter::new(file) })
    }

    /// Puts the complete file in its place.
    ///
    /// # Errors
    /// The disk is full, or something appeared at the path meanwhile that is to be kept.
    pub fn finish(mut self) -> anyhow::Result<()> {
        let context = || format!("cannot write {}", self.path.display());
        self.out.flush().with_context(context)?;
        let Some(temporary) = &self.temporary else { return Ok(()) };
        if self.existing == Existing::Keep {
            // Unlike a rename, a link never replaces; some file systems have none, there the check has to do.
            match fs::hard_link(temporary, &self.path) {
                Ok(()) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    return Err(refusal(&self.path));
                }
                Err(_) if self.path.exists() => return Err(refusal(&self.path)),
                Err(_) => {}
            }
        }
        fs::rename(temporary, &self.path).with_context(context)?;
        self.temporary = None;
        Ok(())
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if let Some(temporary) = &self.temporary {
            let _ = fs::remove_file(temporary);
        }
    }
}

fn refusal(path: &Path) -> anyhow::Error {
    anyhow::anyhow!("{} exists; --force replaces it, -o FILE names another", path.display())
}

/// A hidden name in the same directory, so that the file can be moved without copying.
fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}.part", std::process::id()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory of this test that goes with it.
    struct Place(PathBuf);

    impl Place {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("waytrace-file-{}-{name}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(fs::canonicalize(path).unwrap())
        }

        fn names(&self) -> Vec<String> {
            let entries = fs::read_dir(&self.0).unwrap();
            let mut names: Vec<String> =
                entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            names
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn write(path: &Path, existing: Existing, text: &str) -> anyhow::Result<()> {
        let mut file = NewFile::create(path, existing)?;
        file.write_all(text.as_bytes())?;
        file.finish()
    }

    #[test]
    fn an_existing_file_is_kept_unless_told_otherwise() {
        let place = Place::new("kept");
        let path = place.0.join("a.html");
        write(&path, Existing::Keep, "one").unwrap();
        let refused = write(&path, Existing::Keep, "two").unwrap_err().to_string();
        assert!(refused.contains("--force"), "{refused}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "one");
        write(&path, Existing::Replace, "three").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "three");
        assert_eq!(place.names(), ["a.html"], "nothing else is left");
    }

    #[test]
    fn a_file_that_appears_meanwhile_is_kept() {
        let place = Place::new("meanwhile");
        let path = place.0.join("a.html");
        let file = NewFile::create(&path, Existing::Keep).unwrap();
        fs::write(&path, "somebody else's").unwrap();
        assert!(file.finish().is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "somebody else's");
        assert_eq!(place.names(), ["a.html"]);
    }

    #[test]
    fn an_unfinished_file_leaves_nothing() {
        let place = Place::new("unfinished");
        let mut file = NewFile::create(&place.0.join("a.html"), Existing::Keep).unwrap();
        file.write_all(b"half").unwrap();
        drop(file);
        assert_eq!(place.names(), Vec::<String>::new());
    }

    #[test]
    fn a_link_keeps_pointing() {
        let place = Place::new("link");
        let (target, link) = (place.0.join("target"), place.0.join("link"));
        fs::write(&target, "old").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        write(&link, Existing::Replace, "new").unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), "new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    }

    #[test]
    fn a_directory_is_refused() {
        let place = Place::new("directory");
        let refused = write(&place.0, Existing::Replace, "").unwrap_err().to_string();
        assert!(refused.ends_with("is a directory; name a file in it"), "{refused}");
    }
}
