//! What the fuzz targets share: a folder of their own for loaders that read files, and inputs of several parts.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use waytrace_import::{Error, Options, open};

/// What stands between the parts of an input, so that a seed can be written by hand.
const BETWEEN: &[u8] = b"\n====\n";

/// A folder of this process below the one for temporary files. Whoever runs a target removes it.
///
/// # Panics
/// It cannot be made.
pub fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = std::env::temp_dir().join(format!("waytrace-fuzz-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder for files");
        folder
    })
}

/// Writes a file below [`folder`], and the folders it is in.
///
/// # Panics
/// It cannot be written.
pub fn write(path: &str, bytes: &[u8]) -> PathBuf {
    let path = folder().join(path);
    if fs::write(&path, bytes).is_err() {
        fs::create_dir_all(path.parent().unwrap_or(folder())).expect("a folder for files");
        fs::write(&path, bytes).expect("a file");
    }
    path
}

/// The parts of an input; those it does not have are empty.
pub fn parts<const N: usize>(mut data: &[u8]) -> [&[u8]; N] {
    let mut parts: [&[u8]; N] = [&[]; N];
    for (number, part) in parts.iter_mut().enumerate() {
        let end = data.windows(BETWEEN.len()).position(|window| window == BETWEEN);
        match end.filter(|_| number + 1 < N) {
            Some(end) => {
                *part = &data[..end];
                data = &data[end + BETWEEN.len()..];
            }
            None => {
                *part = data;
                break;
            }
        }
    }
    parts
}

/// Reads a recording to its end, and checks what holds of every run.
///
/// # Panics
/// It does not hold.
pub fn import(path: &Path, options: &Options) {
    for recording in open(path, options).unwrap_or_default() {
        let announced = recording.accesses();
        let (mut accesses, mut end_ns) = (0, 0);
        let read = recording.read(&mut |batch| {
            accesses += batch.accesses.len() as u64;
            assert_eq!(batch.window.start_ns, end_ns, "windows have a gap");
            end_ns = batch.window.end_ns;
            Ok::<(), Error>(())
        });
        if let Ok(epilogue) = read {
            assert_eq!((accesses, end_ns), (announced, epilogue.duration_ns));
        }
    }
}
