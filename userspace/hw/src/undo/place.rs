//! Where journals are: a directory that a reboot empties, as it resets what they are about.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use super::UndoError;
use crate::Root;

const DIRECTORY: &str = "run/waytrace";
const SUFFIX: &str = ".journal";

/// The directory: `WAYTRACE_RUN_DIR`, or below the root where it has a `run` as machines do, or the machine's own.
pub fn directory(root: &Root) -> PathBuf {
    match std::env::var_os("WAYTRACE_RUN_DIR").filter(|dir| !dir.is_empty()) {
        Some(dir) => PathBuf::from(dir),
        None if root.exists("run") => root.path(DIRECTORY),
        None => Path::new("/").join(DIRECTORY),
    }
}

/// Makes the directory where there is none. What a journal says is done with our rights, so nobody else may write one.
pub fn make(directory: &Path) -> Result<(), UndoError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
    made.map_err(UndoError::io("making", directory))?;
    check(directory)
}

/// Whether only we and root can write in a directory.
pub fn check(directory: &Path) -> Result<(), UndoError> {
    let metadata = fs::metadata(directory).map_err(UndoError::io("reading", directory))?;
    // SAFETY: geteuid passes nothing and cannot fail.
    let own = unsafe { libc::geteuid() };
    let is_ours = metadata.uid() == 0 || metadata.uid() == own;
    if is_ours && metadata.mode() & 0o022 == 0 {
        Ok(())
    } else {
        Err(UndoError::Insecure { path: directory.to_owned() })
    }
}

/// Name of a purpose's journal: one for each root.
pub fn name(root: &Root, purpose: &str) -> String {
    format!("{purpose}{}", tail(root))
}

/// Purposes of the root's journals that are in a directory, sorted.
pub fn purposes(root: &Root, directory: &Path) -> Vec<String> {
    let tail = tail(root);
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut purposes: Vec<String> = names
        .filter_map(|name| name.strip_suffix(&tail).map(str::to_owned))
        .filter(|purpose| !purpose.contains('@'))
        .collect();
    purposes.sort_unstable();
    purposes
}

/// What follows the purpose: the live root's journals have no more, the others a number of their path.
fn tail(root: &Root) -> String {
    if root.is_live() {
        return SUFFIX.to_owned();
    }
    format!("@{:016x}{SUFFIX}", fnv(real(root).as_os_str()))
}

/// The root's path, the same by whatever way it is named.
pub fn real(root: &Root) -> PathBuf {
    let path = root.path("");
    // A simulated host that is gone has no real path any more, and the absolute one is as good.
    fs::canonicalize(&path).or_else(|_| std::path::absolute(&path)).unwrap_or(path)
}

/// FNV-1a.
fn fnv(text: &OsStr) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    text.as_bytes().iter().fold(0xcbf2_9ce4_8422_2325, step)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::testing::Tree;

    #[test]
    fn each_root_has_journals_of_its_own() {
        let (one, other) = (Tree::new(&[("run/x", "")]), Tree::new(&[]));
        assert_eq!(name(&Root::default(), "sweep"), "sweep.journal");
        assert_ne!(name(&one.root, "sweep"), name(&other.root, "sweep"));
        let same = Root::new(one.root.path("run/.."));
        assert_eq!(name(&one.root, "sweep"), name(&same, "sweep"));
        for root in [&one.root, &other.root, &Root::default()] {
            fs::write(one.root.path("run").join(name(root, "sweep")), "").unwrap();
        }
        for root in [&one.root, &other.root, &Root::default()] {
            assert_eq!(purposes(root, &one.root.path("run")), ["sweep"]);
        }
    }

    #[test]
    fn a_directory_others_can_write_is_refused() {
        let tree = Tree::new(&[]);
        let directory = tree.root.path("run/waytrace");
        make(&directory).unwrap();
        make(&directory).unwrap();
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o777)).unwrap();
        assert!(matches!(make(&directory), Err(UndoError::Insecure { .. })));
    }
}
