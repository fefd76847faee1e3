//! The files of the workspace, read once, and what a rule says about them.

use anyhow::{Context as _, Result};
use std::path::{Path, PathBuf};
use std::{fmt, fs};

/// A file by its path from the root. One that is not text has none.
#[derive(Debug)]
pub struct Source {
    pub path: PathBuf,
    pub text: String,
}

/// One broken rule. Orders by file and line.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    path: PathBuf,
    line: usize,
    message: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path.display(), self.line, self.message)
    }
}

impl Source {
    /// A violation in this file; `line` counts from 1.
    pub fn violation(&self, line: usize, message: impl Into<String>) -> Violation {
        Violation { path: self.path.clone(), line, message: message.into() }
    }

    /// Lines with their numbers, from 1.
    pub fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line))
    }

    pub fn has_extension(&self, wanted: &[&str]) -> bool {
        self.path.extension().is_some_and(|extension| wanted.iter().any(|one| extension == *one))
    }

    pub fn is_named(&self, name: &str) -> bool {
        self.path.file_name().is_some_and(|file| file == name)
    }

    pub fn is_rust(&self) -> bool {
        self.has_extension(&["rs"])
    }
}

/// All files of a workspace, in order of their paths.
#[derive(Debug)]
pub struct Tree {
    files: Vec<Source>,
}

impl Tree {
    /// Reads the tree below `root`, but not git's own folder, build folders and `fixtures`, whose files
    /// are data.
    pub fn read(root: &Path) -> Result<Self> {
        let mut files = Vec::new();
        let mut folders = vec![root.to_owned()];
        while let Some(folder) = folders.pop() {
            let entries =
                fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))?;
            for entry in entries {
                let entry = entry.with_context(|| format!("cannot list {}", folder.display()))?;
                let path = entry.path();
                let kind = entry.file_type().with_context(|| format!("cannot look at {}", path.display()))?;
                if kind.is_dir() && !is_skipped(&path) {
                    folders.push(path);
                } else if kind.is_file() {
                    files.push(source(root, &path)?);
                }
            }
        }
        files.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(Self { files })
    }

    pub fn files(&self) -> &[Source] {
        &self.files
    }

    pub fn rust_files(&self) -> impl Iterator<Item = &Source> {
        self.files.iter().filter(|file| file.is_rust())
    }

    pub fn file(&self, path: &str) -> Option<&Source> {
        self.files.iter().find(|file| file.path == Path::new(path))
    }

    /// A tree from memory: pairs of path and text.
    #[cfg(test)]
    pub fn of(files: &[(&str, &str)]) -> Self {
        let source = |(path, text): &(&str, &str)| Source { path: path.into(), text: (*text).to_owned() };
        Self { files: files.iter().map(source).collect() }
    }
}

fn is_skipped(folder: &Path) -> bool {
    let named = |name: &str| folder.file_name().is_some_and(|file| file == name);
    named(".git") || named("target") || named("fixtures") || folder.join("CACHEDIR.TAG").is_file()
}

fn source(root: &Path, path: &Path) -> Result<Source> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let text = String::from_utf8(bytes).unwrap_or_default();
    Ok(Source { path: path.strip_prefix(root).unwrap_or(path).to_owned(), text })
}

/// What rules say, as the user sees it: for tests.
#[cfg(test)]
pub fn shown(violations: &[Violation]) -> Vec<String> {
    violations.iter().map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    #[test]
    fn build_folders_and_fixtures_are_left_out() {
        let dir = TempDir::new().unwrap();
        for (path, bytes) in [
            ("src/lib.rs", &b"//! text"[..]),
            (".ci/run", b"echo"),
            ("target/debug/x.rs", b""),
            ("out/CACHEDIR.TAG", b""),
            ("out/x.rs", b""),
            ("tests/fixtures/x.rs", b""),
            ("picture.png", b"\xff\xfe"),
        ] {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        let tree = Tree::read(dir.path()).unwrap();
        let paths: Vec<_> = tree.files().iter().map(|file| file.path.to_str().unwrap()).collect();
        assert_eq!(paths, [".ci/run", "picture.png", "src/lib.rs"]);
    }
}
