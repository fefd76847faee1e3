//! Runs the compiler for the kernel programs, shielded from the environment of the cargo that called us.

use crate::{Origin, Toolchain};
use std::ffi::OsString;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io, process};

/// The package and the binary that hold the kernel programs.
const PACKAGE: &str = "waytrace-ebpf";
const TARGET: &str = "bpfel-unknown-none";
/// Variables of cargo that concern the user's network or the running job server, not one build's settings.
const KEPT: [&str; 5] = ["CARGO_HOME", "CARGO_MAKEFLAGS", "CARGO_NET_", "CARGO_HTTP_", "CARGO_REGISTR"];

/// Why the kernel programs could not be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A file or folder of the build could not be written or read.
    #[error("{path}: {source}; check the space and the rights of the target folder", path = .path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Cargo could not be started.
    #[error("cannot start {cargo}: {source}; `cargo xtask setup` looks for another", cargo = .cargo.display())]
    Start {
        /// The cargo tried.
        cargo: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The compiler refused the programs, or the linker failed.
    #[error("the kernel programs do not build with {rustc}:\n{messages}", rustc = .rustc.display())]
    Compile {
        /// The compiler used.
        rustc: PathBuf,
        /// All it printed.
        messages: String,
    },
}

impl BuildError {
    fn file(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        |source| Self::File { path, source }
    }
}

/// A finished build.
#[derive(Debug)]
pub struct Built {
    /// The ELF object with the programs and their BTF.
    pub object: PathBuf,
    /// The compiler's warnings, empty when it had none.
    pub warnings: String,
}

impl Toolchain {
    /// Builds the kernel programs of `workspace_root` for an x86-64 kernel into `target_dir`, which must not
    /// be a folder the calling cargo holds the lock of.
    ///
    /// # Errors
    /// [`BuildError::Compile`] carries the compiler's messages; the others name the file concerned.
    pub fn build(&self, workspace_root: &Path, target_dir: &Path) -> Result<Built, BuildError> {
        let llvm_dir = self.llvm_dir(target_dir)?;
        let output = self
            .cargo(workspace_root, target_dir, &llvm_dir)
            .output()
            .map_err(|source| BuildError::Start { cargo: self.compiler.cargo.clone(), source })?;
        let messages = String::from_utf8_lossy(&output.stderr).into_owned();
        if !output.status.success() {
            return Err(BuildError::Compile { rustc: self.compiler.rustc.clone(), messages });
        }
        let object = target_dir.join(TARGET).join("release").join(PACKAGE);
        object.metadata().map_err(BuildError::file(&object))?;
        Ok(Built { object, warnings: messages })
    }

    /// A folder with the right libLLVM and no other: bpf-linker loads the first it meets in
    /// `LD_LIBRARY_PATH`, and a distribution's library folder may hold several majors.
    fn llvm_dir(&self, target_dir: &Path) -> Result<PathBuf, BuildError> {
        let origin = match self.compiler.origin {
            Origin::Rustup => "rustup",
            Origin::Distribution => "distribution",
        };
        let dir = target_dir.join(format!("llvm-{origin}"));
        fs::create_dir_all(&dir).map_err(BuildError::file(&dir))?;
        let link = dir.join("libLLVM.so");
        if fs::read_link(&link).ok().as_ref() != Some(&self.compiler.llvm) {
            // Renamed into place, because another build may be reading the folder. The name does not begin
            // with `libLLVM` until then.
            let fresh = dir.join(format!("new-{}", process::id()));
            symlink(&self.compiler.llvm, &fresh).map_err(BuildError::file(&fresh))?;
            fs::rename(&fresh, &link).map_err(BuildError::file(&link))?;
        }
        Ok(dir)
    }

    fn cargo(&self, workspace_root: &Path, target_dir: &Path, llvm_dir: &Path) -> Command {
        let mut command = Command::new(&self.compiler.cargo);
        command.current_dir(workspace_root);
        command.args(["build", "--quiet", "--release", "--package", PACKAGE, "--bin", PACKAGE]);
        command.args(["--target", TARGET, "-Zbuild-std=core", "--target-dir"]).arg(target_dir);
        for (name, _) in env::vars_os().filter(|(name, _)| leaks(&name.to_string_lossy())) {
            command.env_remove(name);
        }
        command.env("RUSTC", &self.compiler.rustc);
        command.env("RUSTC_BOOTSTRAP", "1");
        command.env("CARGO_ENCODED_RUSTFLAGS", self.rustflags());
        command.env("LD_LIBRARY_PATH", llvm_dir);
        command.env("PATH", self.path());
        command
    }

    /// Full debug info and `--btf` make the linker write the BTF that maps and programs are loaded with.
    fn rustflags(&self) -> OsString {
        let mut flags =
            OsString::from("--cfg=bpf_target_arch=\"x86_64\"\x1f-Cdebuginfo=2\x1f-Clink-arg=--btf");
        flags.push("\x1f-Clinker=");
        flags.push(&self.linker);
        flags
    }

    /// `PATH` with the compiler's folder first: bpf-linker asks `rustc` for the host's architecture.
    fn path(&self) -> OsString {
        let bin = self.compiler.rustc.parent().map(Path::to_owned);
        let old = env::var_os("PATH").unwrap_or_default();
        env::join_paths(bin.into_iter().chain(env::split_paths(&old))).unwrap_or(old)
    }
}

/// Whether a variable of the calling cargo would steer this build: its compiler, flags, profile or target.
fn leaks(name: &str) -> bool {
    let cargo = name.starts_with("CARGO") && !KEPT.iter().any(|kept| name.starts_with(kept));
    cargo || (name.starts_with("RUST") && name != "RUSTUP_HOME")
}
