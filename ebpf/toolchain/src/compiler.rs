//! One compiler: what it is, and whether it can build for the bpf target.

use crate::missing::{CompilerGap, Lack, OLDEST};
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// bpf-linker 0.10.3 is built against this LLVM's C interface.
const LLVM_MAJOR: u32 = 22;

/// Where a compiler comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// One of rustup's toolchains.
    Rustup,
    /// The distribution's packages.
    Distribution,
}

/// A compiler that can build for the bpf target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compiler {
    /// Where it comes from.
    pub origin: Origin,
    /// The compiler itself (no rustup proxy).
    pub rustc: PathBuf,
    /// The cargo of the same release.
    pub cargo: PathBuf,
    /// The shared libLLVM that `rustc` was built with.
    pub llvm: PathBuf,
    /// The release it prints, e.g. `1.97.0-nightly`.
    pub version: String,
}

impl Compiler {
    /// Looks whether the compiler under `sysroot` (`bin/rustc`, `lib/…`) can be used.
    ///
    /// # Errors
    /// The first thing that lacks.
    pub(crate) fn probe(origin: Origin, sysroot: &Path) -> Result<Self, CompilerGap> {
        let rustc = sysroot.join("bin/rustc");
        let gap = |lack| CompilerGap { place: rustc.display().to_string(), lack };
        if !rustc.is_file() {
            return Err(gap(Lack::Compiler));
        }
        let (version, llvm_major) = versions(&rustc).ok_or_else(|| gap(Lack::Answer))?;
        if release(&version) < release(OLDEST) {
            return Err(gap(Lack::Age(version)));
        }
        if llvm_major != LLVM_MAJOR {
            return Err(gap(Lack::Llvm(llvm_major)));
        }
        if !sysroot.join("lib/rustlib/src/rust/library/core/Cargo.toml").is_file() {
            return Err(gap(Lack::Source));
        }
        let llvm = shared_llvm(sysroot, LLVM_MAJOR).ok_or_else(|| gap(Lack::SharedLlvm))?;
        let cargo = sysroot.join("bin/cargo");
        if !cargo.is_file() {
            return Err(gap(Lack::Cargo));
        }
        Ok(Self { origin, rustc, cargo, llvm, version })
    }
}

/// The release and the LLVM major that `rustc -vV` prints.
fn versions(rustc: &Path) -> Option<(String, u32)> {
    let output = Command::new(rustc).arg("-vV").output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?;
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let major = field("LLVM version:")?.split('.').next()?.parse().ok()?;
    Some((field("release:")?.to_owned(), major))
}

/// `1.97.0-nightly` → (1, 97).
fn release(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// The libLLVM of `major` in the library folders of `sysroot`: `lib` itself (rustup), `lib/<multiarch>`
/// (Debian), `lib64` (others). Files of that name that are not ELF are linker scripts.
fn shared_llvm(sysroot: &Path, major: u32) -> Option<PathBuf> {
    let lib = sysroot.join("lib");
    let mut folders = vec![lib.clone(), sysroot.join("lib64")];
    folders.extend(entries(&lib).into_iter().filter(|path| path.is_dir()));
    folders.iter().flat_map(|folder| entries(folder)).find(|path| is_llvm(path, major) && is_elf(path))
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> =
        folder.read_dir().into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

/// `libLLVM.so.22.1`, `libLLVM-22.so`, `libLLVM.so.22.1-rust-1.97.0-nightly`.
fn is_llvm(path: &Path, major: u32) -> bool {
    let rest = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_prefix("libLLVM"));
    let digits = rest.map(|rest| rest.trim_start_matches(|c: char| !c.is_ascii_digit()));
    digits.and_then(|digits| digits.split(|c: char| !c.is_ascii_digit()).next()) == Some(&major.to_string())
}

fn is_elf(path: &Path) -> bool {
    let mut magic = [0; 4];
    File::open(path).and_then(|mut file| file.read_exact(&mut magic)).is_ok() && magic == *b"\x7fELF"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn llvm_is_recognised_by_its_major() {
        for name in ["libLLVM.so.22.1", "libLLVM-22.so", "libLLVM.so.22.1-rust-1.97.0-nightly"] {
            assert!(is_llvm(Path::new(name), 22), "{name}");
        }
        for name in ["libLLVM-14.0.6.so.1", "libLLVM.so.2.2", "libLLVMCore.a", "libLTO.so.22.1"] {
            assert!(!is_llvm(Path::new(name), 22), "{name}");
        }
    }

    #[test]
    fn releases_compare_as_numbers() {
        assert!(release("1.100.0") > release("1.95.0-nightly"));
        assert_eq!(release("1.97.0-nightly"), Some((1, 97)));
        assert_eq!(release("dev"), None);
    }
}
