//! Compiles workloads, each at most once as long as its source does not change.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use thiserror::Error;

use crate::paths;

/// Why a workload cannot be had.
#[derive(Debug, Error)]
pub enum BuildError {
    /// This machine has no such compiler or tool: a reason to skip.
    #[error("no `{tool}` on this machine; install it (Debian: apt-get install {package})")]
    NoTool {
        /// Program looked for.
        tool: &'static str,
        /// Debian package that has it.
        package: &'static str,
    },
    /// The compiler refused: a fault of the workload.
    #[error("`{command}` failed:\n{stderr}")]
    Failed {
        /// What was run.
        command: String,
        /// What it said.
        stderr: String,
    },
    /// A file could not be read or written.
    #[error("{path}: {source}; the workloads are built there, so it must be writable")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// How a workload is built. All are optimised and without frame pointers unless said otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Variant {
    /// Dynamic, with symbols and debug information.
    Plain,
    /// The same without optimisation.
    Unoptimised,
    /// The same with frame pointers.
    FramePointers,
    /// Linked statically, with symbols.
    Static,
    /// Dynamic, without `.symtab` and debug information.
    Stripped,
    /// Linked statically, without any symbol: no allocator can be found in it by name.
    StaticStripped,
    /// Linked statically with musl.
    Musl,
    /// A library to be preloaded, not a program.
    Library,
}

impl Variant {
    fn suffix(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Unoptimised => "-O0",
            Self::FramePointers => "-fp",
            Self::Static => "-static",
            Self::Stripped => "-stripped",
            Self::StaticStripped => "-static-stripped",
            Self::Musl => "-musl",
            Self::Library => ".so",
        }
    }

    fn c_flags(self) -> &'static [&'static str] {
        match self {
            Self::Plain => &["-fomit-frame-pointer"],
            Self::Unoptimised => &["-O0"],
            Self::FramePointers => &["-fno-omit-frame-pointer", "-mno-omit-leaf-frame-pointer"],
            Self::Static | Self::Musl => &["-fomit-frame-pointer", "-static", "-DSTATIC"],
            Self::Stripped => &["-fomit-frame-pointer", "-s"],
            Self::StaticStripped => &["-fomit-frame-pointer", "-static", "-DSTATIC", "-s"],
            Self::Library => &["-fPIC", "-shared"],
        }
    }
}

/// Compiles `workloads/<file>` and gives back the executable, in `<target>/workloads/`.
///
/// # Errors
/// [`BuildError::NoTool`] without a compiler for its language, [`BuildError::Failed`] when that refuses the source,
/// [`BuildError::Io`] when a file cannot be read or written.
pub fn workload(file: &str, variant: Variant) -> Result<PathBuf, BuildError> {
    let source = paths::workload_source(file);
    let folder = paths::target_dir().join("workloads");
    fs::create_dir_all(&folder).map_err(io_error(&folder))?;
    let (stem, extension) = file.rsplit_once('.').unwrap_or((file, ""));
    let output = folder.join(format!("{stem}{}", variant.suffix()));
    // Tests run in parallel: one compiles, the others wait for it. Unlocked when the file closes.
    let lock_path = output.with_extension("lock");
    let lock = File::create(&lock_path).map_err(io_error(&lock_path))?;
    lock.lock().map_err(io_error(&lock_path))?;
    let headers = ["workload.h", "access.h", "static_probe.h"].map(paths::workload_source);
    if is_fresh(&output, &[&source, &headers[0], &headers[1], &headers[2]]) {
        return Ok(output);
    }
    // Under another name first: a half-written file must never look fresh.
    let unfinished = output.with_extension("unfinished");
    let mut command = match extension {
        "rs" => rust_command(&source, &unfinished),
        "go" => go_command(&source, &unfinished, &folder),
        "cpp" => c_command("c++", &source, &unfinished, variant),
        _ if variant == Variant::Musl => c_command("musl-gcc", &source, &unfinished, variant),
        _ => c_command("cc", &source, &unfinished, variant),
    };
    run(&mut command)?;
    fs::rename(&unfinished, &output).map_err(io_error(&output))?;
    Ok(output)
}

/// The compiler keeps the workload's calls as written: no builtin `malloc` to fold, no debug-only differences.
fn c_command(compiler: &'static str, source: &Path, output: &Path, variant: Variant) -> Command {
    let mut command = Command::new(compiler);
    command.args(["-O2", "-g", "-Wall", "-Wextra", "-Werror", "-fno-builtin", "-pthread"]);
    command.args(variant.c_flags()).arg(source).arg("-o").arg(output);
    command
}

fn rust_command(source: &Path, output: &Path) -> Command {
    let mut command = Command::new("rustc");
    command.args(["--edition", "2024", "-O", "-C", "debuginfo=1", "-D", "warnings"]);
    command.arg(source).arg("-o").arg(output);
    command
}

/// Static, as Go programs are that use no C. The compiler's cache stays in `folder`; what git thinks of the tree is no
/// matter.
fn go_command(source: &Path, output: &Path, folder: &Path) -> Command {
    let mut command = Command::new("go");
    command.args(["build", "-trimpath", "-buildvcs=false", "-o"]).arg(output).arg(source);
    command.env("CGO_ENABLED", "0").env("GOCACHE", folder.join("go-cache"));
    command
}

fn run(command: &mut Command) -> Result<(), BuildError> {
    let output = match command.output() {
        Ok(output) => output,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(missing(command)),
        Err(source) => return Err(BuildError::Io { path: command.get_program().into(), source }),
    };
    if output.status.success() {
        return Ok(());
    }
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(BuildError::Failed { command: format!("{command:?}"), stderr })
}

fn missing(command: &Command) -> BuildError {
    match command.get_program().to_str() {
        Some("musl-gcc") => BuildError::NoTool { tool: "musl-gcc", package: "musl-tools" },
        Some("c++") => BuildError::NoTool { tool: "c++", package: "g++" },
        Some("go") => BuildError::NoTool { tool: "go", package: "golang-go" },
        Some("rustc") => BuildError::NoTool { tool: "rustc", package: "rustc" },
        _ => BuildError::NoTool { tool: "cc", package: "gcc" },
    }
}

fn is_fresh(output: &Path, sources: &[&Path]) -> bool {
    let modified = |path: &Path| fs::metadata(path).and_then(|data| data.modified());
    let Ok(built) = modified(output) else { return false };
    sources.iter().all(|source| modified(source).unwrap_or(SystemTime::UNIX_EPOCH) < built)
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> BuildError + use<> {
    let path = path.to_owned();
    move |source| BuildError::Io { path, source }
}
