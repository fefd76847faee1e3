//! A machine in a temporary folder, with compilers and tools that are shell scripts.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tempfile::TempDir;
use waytrace_ebpf_toolchain::Search;

/// One machine at a time: a script cannot be run while a child that another test forks has it open for writing.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// The folders of the machine: `path/`, `cargo/bin/`, `usr/`, `toolchains/<name>/`.
pub struct Machine {
    dir: TempDir,
    listing: String,
    _alone: MutexGuard<'static, ()>,
}

/// One fake compiler.
#[derive(Clone, Copy)]
pub struct Rustc {
    pub release: &'static str,
    pub llvm: &'static str,
    pub source: bool,
}

/// As rustup installs it by default, and as waytrace wants it.
pub const NIGHTLY: Rustc = Rustc { release: "1.97.0-nightly", llvm: "22.1.2", source: true };
pub const STABLE: Rustc = Rustc { release: "1.95.0", llvm: "22.1.2", source: true };

impl Machine {
    pub fn new() -> Self {
        let alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        Self { dir: TempDir::new().unwrap(), listing: String::new(), _alone: alone }
    }

    pub fn path(&self, relative: &str) -> PathBuf {
        self.dir.path().join(relative)
    }

    pub fn search(&self) -> Search {
        Search {
            path: vec![self.path("path")],
            cargo_home: Some(self.path("cargo")),
            prefix: self.path("usr"),
        }
    }

    pub fn linker(self) -> Self {
        script(&self.path("cargo/bin/bpf-linker"), "");
        self
    }

    /// A rustup without toolchains; [`Machine::toolchain`] adds them.
    pub fn rustup(self) -> Self {
        let list = format!("[ \"$*\" = 'toolchain list -v' ] && cat <<'END'\n{}END", self.listing);
        script(&self.path("path/rustup"), &list);
        self
    }

    pub fn toolchain(mut self, name: &str, rustc: Rustc) -> Self {
        let sysroot = self.path("toolchains").join(name);
        compiler(&sysroot, &sysroot.join("lib"), rustc);
        self.listing += &format!("{name}-x86_64-unknown-linux-gnu (active) {}\n", sysroot.display());
        self.rustup()
    }

    pub fn distribution(self, rustc: Rustc) -> Self {
        let usr = self.path("usr");
        compiler(&usr, &usr.join("lib/x86_64-linux-gnu"), rustc);
        // The majors other programs use lie in the same folder.
        fs::write(usr.join("lib/x86_64-linux-gnu/libLLVM-14.so.1"), b"\x7fELF").unwrap();
        self
    }
}

fn compiler(sysroot: &Path, llvm_dir: &Path, rustc: Rustc) {
    let Rustc { release, llvm, source } = rustc;
    let answer = format!(
        "[ \"$1\" = -vV ] && printf 'rustc {release}\\nrelease: {release}\\nLLVM version: {llvm}\\n'"
    );
    script(&sysroot.join("bin/rustc"), &answer);
    script(&sysroot.join("bin/cargo"), "");
    fs::create_dir_all(llvm_dir).unwrap();
    fs::write(llvm_dir.join("libLLVM-22-rust.so"), "INPUT(libLLVM.so.22.1)").unwrap();
    fs::write(llvm_dir.join("libLLVM.so.22.1"), b"\x7fELF").unwrap();
    if source {
        let core = sysroot.join("lib/rustlib/src/rust/library/core");
        fs::create_dir_all(&core).unwrap();
        fs::write(core.join("Cargo.toml"), "").unwrap();
    }
}

pub fn script(path: &Path, body: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, format!("#!/bin/sh\n{body}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}
