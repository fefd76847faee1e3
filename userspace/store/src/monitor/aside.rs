//! A damaged database is put aside, log and all, so that a new one can begin and what is left can be saved.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::time::rfc3339;

/// Where SQLite keeps the application id, by its file format.
const APPLICATION_ID_AT: usize = 68;

/// Whether a file that is no readable database carries waytrace's mark in its header.
pub fn is_ours(path: &Path) -> bool {
    let mut header = [0; APPLICATION_ID_AT + 4];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut header));
    read.is_ok() && header.ends_with(b"WTRC")
}

/// Renames the database and its log to `<name>.corrupt-<time>`, or with a number behind that, and gives the new name back.
///
/// # Errors
/// The directory cannot be written.
pub fn set_aside(path: &Path, now_unix_ns: u64) -> io::Result<PathBuf> {
    let time: String = rfc3339(now_unix_ns).chars().take(19).filter(|c| !matches!(c, '-' | ':')).collect();
    let named = |at: u32| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".corrupt-{time}Z"));
        if at > 0 {
            name.push(format!("-{at}"));
        }
        PathBuf::from(name)
    };
    let aside = (0..1000).map(named).find(|name| !name.exists());
    let aside = aside.ok_or_else(|| io::Error::from(io::ErrorKind::AlreadyExists))?;
    // The log goes along: what is in it is not in the file yet. The index of the log is made anew.
    for (suffix, goes) in [("-wal", true), ("-shm", false)] {
        let with = |path: &Path| {
            let mut name = path.as_os_str().to_owned();
            name.push(suffix);
            PathBuf::from(name)
        };
        let moved = if goes { fs::rename(with(path), with(&aside)) } else { fs::remove_file(with(path)) };
        match moved {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    fs::rename(path, &aside)?;
    Ok(aside)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_goes_along_and_nothing_is_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("runs.db");
        for text in ["one", "two"] {
            fs::write(&path, text).unwrap();
            fs::write(directory.path().join("runs.db-wal"), "log").unwrap();
            fs::write(directory.path().join("runs.db-shm"), "index").unwrap();
            let aside = set_aside(&path, 1_700_000_000_000_000_000).unwrap();
            assert_eq!(fs::read_to_string(&aside).unwrap(), text);
            assert!(!path.exists());
        }
        let mut names: Vec<String> = fs::read_dir(directory.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        let first = "runs.db.corrupt-20231114T221320Z";
        assert_eq!(
            names,
            [first.to_owned(), format!("{first}-1"), format!("{first}-1-wal"), format!("{first}-wal")]
        );
        assert!(set_aside(&path, 0).is_err());
    }
}
