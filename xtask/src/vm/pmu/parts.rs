//! What the emulated machine takes: QEMU, a C compiler for aarch64, a kernel, and a Rust compiler with std's source.
//!
//! Programs are looked for in `PATH`, then among what `setup --vm` unpacked.

use crate::packages;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};
use waytrace_ebpf_toolchain::{Compiler, Search};

pub const QEMU: &str = "qemu-system-aarch64";
pub const GCC: &str = "aarch64-linux-gnu-gcc";
pub const AR: &str = "aarch64-linux-gnu-ar";
/// Where the kernels of Debian's installer lie, which are Debian's own; below it a folder per release.
pub const KERNELS: &str = "usr/lib/debian-installer/images";
/// From the release's folder on.
pub const KERNEL: &str = "arm64/text/debian-installer/arm64/linux";

/// Everything there is to be.
pub struct Parts {
    pub qemu: Program,
    pub gcc: Program,
    pub kernel: PathBuf,
    pub compiler: Compiler,
}

/// A program, and where the libraries it was unpacked with are, if it was.
pub struct Program {
    pub path: PathBuf,
    pub libraries: Vec<PathBuf>,
}

impl Program {
    fn find(name: &str, unpacked: &Path) -> Option<Self> {
        if packages::on_path(name) {
            return Some(Self { path: name.into(), libraries: Vec::new() });
        }
        let path = unpacked.join("usr/bin").join(name);
        path.exists().then(|| Self { path, libraries: libraries(unpacked) })
    }

    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        if let Some(path) = self.library_path() {
            command.env("LD_LIBRARY_PATH", path);
        }
        command
    }

    /// `LD_LIBRARY_PATH` with its libraries in front; `None` where it needs none.
    pub fn library_path(&self) -> Option<OsString> {
        if self.libraries.is_empty() {
            return None;
        }
        let others = env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
        let others = env::split_paths(&others).filter(|folder| !folder.as_os_str().is_empty());
        env::join_paths(self.libraries.iter().cloned().chain(others)).ok()
    }
}

/// Folders as `usr/lib/x86_64-linux-gnu` of unpacked packages.
fn libraries(unpacked: &Path) -> Vec<PathBuf> {
    let of_architecture = |path: &PathBuf| path.to_string_lossy().ends_with("-linux-gnu") && path.is_dir();
    let below = |folder: &str| entries(&unpacked.join(folder)).into_iter().filter(of_architecture);
    below("usr/lib").chain(below("lib")).collect()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

/// Where `setup --vm` unpacks packages.
pub fn unpacked(folder: &Path) -> PathBuf {
    folder.join("root")
}

/// The kernel of the newest release unpacked.
fn kernel(unpacked: &Path) -> Option<PathBuf> {
    entries(&unpacked.join(KERNELS))
        .into_iter()
        .rev()
        .map(|release| release.join(KERNEL))
        .find(|file| file.is_file())
}

/// The packages that would bring what is missing, by Debian's names; the kernel's has a release in it.
pub fn lacking(folder: &Path) -> Vec<&'static str> {
    let unpacked = unpacked(folder);
    let mut packages = Vec::new();
    if Program::find(QEMU, &unpacked).is_none() {
        packages.push("qemu-system-arm");
    }
    if Program::find(GCC, &unpacked).is_none() {
        packages.extend(["gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross"]);
    }
    if kernel(&unpacked).is_none() {
        packages.push("debian-installer-netboot-arm64");
    }
    packages
}

/// Finds all parts.
///
/// # Errors
/// What is missing, each with its name.
pub fn find(folder: &Path) -> Result<Parts, Vec<String>> {
    let unpacked = unpacked(folder);
    let mut missing = Vec::new();
    let mut program = |name: &str| {
        let found = Program::find(name, &unpacked);
        if found.is_none() {
            missing.push(format!("no {name}"));
        }
        found
    };
    let (qemu, gcc) = (program(QEMU), program(GCC));
    let kernel = kernel(&unpacked);
    if kernel.is_none() {
        missing.push("no aarch64 kernel".to_owned());
    }
    let compiler = Search::from_env().find().map(|toolchain| toolchain.compiler);
    let has_std = |compiler: &Compiler| {
        let sysroot = compiler.rustc.ancestors().nth(2);
        sysroot.is_some_and(|root| root.join("lib/rustlib/src/rust/library/std/Cargo.toml").is_file())
    };
    let compiler = compiler.ok().filter(has_std);
    if compiler.is_none() {
        missing.push(
            "no Rust compiler with the source of std, which `rustup component add rust-src` brings"
                .to_owned(),
        );
    }
    match (qemu, gcc, kernel, compiler) {
        (Some(qemu), Some(gcc), Some(kernel), Some(compiler)) => Ok(Parts { qemu, gcc, kernel, compiler }),
        _ => Err(missing),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    fn put(folder: &Path, path: &str) {
        let path = folder.join("root").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }

    #[test]
    fn the_newest_kernel_unpacked_is_taken() {
        let dir = TempDir::new().unwrap();
        assert!(lacking(dir.path()).contains(&"debian-installer-netboot-arm64"));
        assert!(find(dir.path()).is_err_and(|missing| missing.iter().any(|one| one == "no aarch64 kernel")));
        for release in ["12", "13"] {
            put(dir.path(), &format!("{KERNELS}/{release}/{KERNEL}"));
        }
        assert!(!lacking(dir.path()).contains(&"debian-installer-netboot-arm64"));
        let kernel = kernel(&unpacked(dir.path())).unwrap();
        assert!(kernel.ends_with(format!("13/{KERNEL}")), "{}", kernel.display());
    }

    #[test]
    fn what_is_unpacked_finds_its_libraries() {
        let dir = TempDir::new().unwrap();
        put(dir.path(), "usr/bin/no-such-emulator");
        put(dir.path(), "usr/lib/x86_64-linux-gnu/liba.so");
        put(dir.path(), "lib/x86_64-linux-gnu/libb.so");
        put(dir.path(), "usr/lib/gcc/x");
        let program = Program::find("no-such-emulator", &unpacked(dir.path())).unwrap();
        let path = program.library_path().unwrap().into_string().unwrap();
        let root = dir.path().join("root").display().to_string();
        let ours = format!("{root}/usr/lib/x86_64-linux-gnu:{root}/lib/x86_64-linux-gnu");
        assert!(path.starts_with(&ours), "{path}");
        assert!(Program::find("sh", dir.path()).unwrap().library_path().is_none());
    }
}
