//! The files the dynamic loader will map for a program that is not running yet.
//!
//! An approximation of the loader: it knows `LD_PRELOAD`, `LD_LIBRARY_PATH`, run paths with `$ORIGIN`, the
//! directories of `/etc/ld.so.conf` and the standard ones, and interpreters of scripts; not hardware-capability
//! subdirectories, nor what the program opens itself later. Source: ld.so(8), execve(2).

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::elf::{Elf, ImageFile};
use crate::error::Error;

/// Looks up an environment variable of the program to be started.
pub(crate) type Environment<'e> = &'e dyn Fn(&str) -> Option<OsString>;

const STANDARD: [&str; 7] = [
    "/lib/x86_64-linux-gnu",
    "/usr/lib/x86_64-linux-gnu",
    "/lib64",
    "/usr/lib64",
    "/lib",
    "/usr/lib",
    "/usr/local/lib",
];
/// Files followed at most: no real program has as many libraries.
const FILES: usize = 2000;
/// Interpreters followed from one script to the next; the kernel stops at 5.
const INTERPRETERS: usize = 5;

/// The program itself (of a script, its interpreter) and every library it will be given, each once.
///
/// # Errors
/// [`Error::Read`] or [`Error::Elf`] if the program itself cannot be read; libraries not found are left out.
pub(crate) fn files(program: &Path, environment: Environment<'_>) -> Result<Vec<PathBuf>, Error> {
    let program = interpreter(program, environment)?;
    let common = common_directories(environment);
    let mut files = vec![program];
    files.extend(preloaded(environment).iter().filter_map(|name| locate(name, &common)));
    let mut next = 0;
    while let Some(path) = files.get(next).cloned().filter(|_| next < FILES) {
        next += 1;
        let file = match ImageFile::open(&path) {
            Ok(file) => file,
            Err(error) if next == 1 => return Err(error),
            Err(_) => continue,
        };
        let elf = match file.elf() {
            Ok(elf) => elf,
            Err(error) if next == 1 => return Err(error),
            Err(_) => continue,
        };
        for library in libraries(&elf, &path, &common) {
            if !files.contains(&library) {
                files.push(library);
            }
        }
    }
    Ok(files)
}

fn libraries(elf: &Elf<'_>, path: &Path, common: &[PathBuf]) -> Vec<PathBuf> {
    let linkage = elf.linkage();
    let origin = path.parent().unwrap_or(Path::new("/")).to_owned();
    let expand = |directory: &OsStr| match directory.to_string_lossy() {
        text if text.contains('$') => {
            let origin = origin.to_string_lossy();
            PathBuf::from(text.replace("${ORIGIN}", &origin).replace("$ORIGIN", &origin))
        }
        _ => PathBuf::from(directory),
    };
    let mut directories: Vec<PathBuf> =
        linkage.run_paths.iter().flat_map(|list| split(list)).map(expand).collect();
    directories.extend_from_slice(common);
    let interpreter = linkage.interpreter.map(|name| OsStr::from_bytes(name).to_owned());
    let needed = linkage.needed.iter().map(|name| OsStr::from_bytes(name).to_owned());
    needed.chain(interpreter).filter_map(|name| locate(&name, &directories)).collect()
}

/// A name with a slash is a path; others are searched for.
fn locate(name: &OsStr, directories: &[PathBuf]) -> Option<PathBuf> {
    if name.as_bytes().contains(&b'/') {
        return Path::new(name).is_file().then(|| canonical(Path::new(name)));
    }
    directories
        .iter()
        .map(|directory| directory.join(name))
        .find(|path| path.is_file())
        .map(|path| canonical(&path))
}

fn canonical(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

fn split(list: &[u8]) -> impl Iterator<Item = &OsStr> {
    list.split(|&b| b == b':' || b == b';').filter(|part| !part.is_empty()).map(OsStr::from_bytes)
}

fn common_directories(environment: Environment<'_>) -> Vec<PathBuf> {
    let listed = environment("LD_LIBRARY_PATH").unwrap_or_default();
    let mut directories: Vec<PathBuf> = split(listed.as_bytes()).map(PathBuf::from).collect();
    configured(Path::new("/etc/ld.so.conf"), &mut directories, 0);
    directories.extend(STANDARD.map(PathBuf::from));
    directories
}

/// Directories of a loader configuration file; it may include others by a pattern for file names.
fn configured(path: &Path, directories: &mut Vec<PathBuf>, depth: u32) {
    for line in fs::read_to_string(path).unwrap_or_default().lines() {
        let line = line.split('#').next().unwrap_or_default().trim();
        match line.strip_prefix("include ") {
            Some(pattern) if depth < 4 => {
                let pattern = path.parent().unwrap_or(Path::new("/")).join(pattern.trim());
                let suffix = pattern.file_name().unwrap_or_default().to_string_lossy().replace('*', "");
                let entries =
                    pattern.parent().and_then(|parent| fs::read_dir(parent).ok()).into_iter().flatten();
                let mut found: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
                found.retain(|file| file.to_string_lossy().ends_with(&suffix));
                found.sort();
                found.iter().for_each(|file| configured(file, directories, depth + 1));
            }
            Some(_) => {}
            None if line.starts_with('/') => directories.push(PathBuf::from(line)),
            None => {}
        }
    }
}

fn preloaded(environment: Environment<'_>) -> Vec<OsString> {
    let names = |list: &[u8]| -> Vec<OsString> {
        let parts = list.split(|b| matches!(b, b':' | b' ' | b'\n' | b'\t'));
        parts.filter(|part| !part.is_empty()).map(|part| OsStr::from_bytes(part).to_owned()).collect()
    };
    let mut all = names(environment("LD_PRELOAD").unwrap_or_default().as_bytes());
    all.extend(names(&fs::read("/etc/ld.so.preload").unwrap_or_default()));
    all
}

/// The program that runs: for a script, what its first line names.
fn interpreter(program: &Path, environment: Environment<'_>) -> Result<PathBuf, Error> {
    let mut program = program.to_owned();
    for _ in 0..INTERPRETERS {
        let mut start = Vec::new();
        let read = |source| Error::Read { path: program.clone(), source };
        let file = fs::File::open(&program).map_err(read)?;
        std::io::Read::read_to_end(&mut std::io::Read::take(file, 256), &mut start).map_err(read)?;
        let Some(line) = start.strip_prefix(b"#!") else { break };
        let line =
            String::from_utf8_lossy(line.split(|&b| b == b'\n').next().unwrap_or_default()).into_owned();
        let mut words = line.split_ascii_whitespace();
        let Some(first) = words.next() else { break };
        let by_name = words.find(|word| !word.starts_with('-') && !word.contains('='));
        program = match by_name {
            Some(name) if first.ends_with("/env") => {
                let path = environment("PATH").unwrap_or_default();
                let directories: Vec<PathBuf> = split(path.as_bytes()).map(PathBuf::from).collect();
                locate(OsStr::new(name), &directories).unwrap_or_else(|| PathBuf::from(first))
            }
            _ => PathBuf::from(first),
        };
    }
    Ok(canonical(&program))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::process::{Command, Stdio};

    use super::*;
    use crate::process::mappings;

    fn nothing(_: &str) -> Option<OsString> {
        None
    }

    /// Files mapped executable by `command` once it waits for input, but for the kernel's own.
    fn mapped(command: &mut Command, ready: u64) -> BTreeSet<PathBuf> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let files = || -> BTreeSet<PathBuf> {
            let all = mappings(child.id()).unwrap();
            all.iter().filter(|m| m.executable).filter_map(|m| Some(canonical(m.path()?))).collect()
        };
        // Waiting in read(2), it has been loaded whole.
        let waits = || {
            fs::read_to_string(format!("/proc/{}/syscall", child.id()))
                .unwrap()
                .starts_with(&format!("{ready} "))
        };
        while !waits() {
            std::thread::yield_now();
        }
        let files = files();
        child.kill().unwrap();
        child.wait().unwrap();
        files
    }

    #[test]
    fn the_loader_maps_what_was_foreseen() {
        let read = libc::SYS_read as u64;
        let preload = ["libjemalloc.so.2", "libmimalloc.so.2", "libm.so.6"]
            .iter()
            .map(|name| Path::new("/usr/lib/x86_64-linux-gnu").join(name))
            .find(|path| path.is_file());
        for library in [None, preload] {
            let environment =
                |name: &str| library.clone().filter(|_| name == "LD_PRELOAD").map(OsString::from);
            let mut command = Command::new("/bin/cat");
            command.env_clear().envs(environment("LD_PRELOAD").map(|value| ("LD_PRELOAD", value)));
            let foreseen = files(Path::new("/bin/cat"), &environment).unwrap();
            assert_eq!(
                foreseen.into_iter().collect::<BTreeSet<_>>(),
                mapped(&mut command, read),
                "{library:?}"
            );
        }
    }

    #[test]
    fn a_script_is_what_interprets_it() {
        let directory = tempfile::tempdir().unwrap();
        let script = directory.path().join("script");
        let path = |name: &str| (name == "PATH").then(|| OsString::from("/nowhere:/bin"));
        for line in ["#!/bin/cat -n\n", "#!/usr/bin/env cat\n", "#! /usr/bin/env -S LC_ALL=C cat\n"] {
            fs::write(&script, line).unwrap();
            assert_eq!(interpreter(&script, &path).unwrap(), canonical(Path::new("/bin/cat")), "{line}");
        }
        fs::write(&script, "no program").unwrap();
        assert!(matches!(files(&script, &nothing), Err(Error::Elf { .. })));
        assert!(matches!(files(Path::new("/nonexistent"), &nothing), Err(Error::Read { .. })));
        // A script that interprets itself.
        fs::write(&script, format!("#!{}\n", script.display())).unwrap();
        assert!(files(&script, &nothing).is_err());
    }
}
