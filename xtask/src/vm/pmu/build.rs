//! Cross-compiles waytrace and the guest for aarch64, static, with a standard library built from source.

use super::parts::{AR, Parts};
use crate::{shell, workspace};
use anyhow::{Context as _, Result};
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

const TARGET: &str = "aarch64-unknown-linux-gnu";

/// Static programs for aarch64.
pub struct Programs {
    pub waytrace: PathBuf,
    pub guest: PathBuf,
}

/// Builds both into `target_dir`; `None` where that fails, the compiler having said why.
pub fn programs(parts: &Parts, target_dir: &Path) -> Result<Option<Programs>> {
    eprintln!("xtask: building waytrace and the standard library for aarch64 takes minutes the first time");
    for (package, binary) in [("waytrace-guest", "waytrace-guest"), ("waytrace", "waytrace")] {
        let mut cargo = cargo(parts, target_dir)?;
        cargo.args(["--package", package, "--bin", binary]);
        // Symbols are most of the size. The linker warns of functions that are not quite static; nothing in the machine calls them.
        if !shell::step(cargo.args(["--", "-Cstrip=symbols", "-Alinker_messages"]))? {
            return Ok(None);
        }
    }
    let release = target_dir.join(TARGET).join("release");
    Ok(Some(Programs { waytrace: release.join("waytrace"), guest: release.join("waytrace-guest") }))
}

fn cargo(parts: &Parts, target_dir: &Path) -> Result<Command> {
    let mut cargo = Command::new(&parts.compiler.cargo);
    cargo.current_dir(workspace::root()?);
    // Settings of the cargo that runs this task are for another compiler.
    for (name, _) in env::vars_os().filter(|(name, _)| is_of_compiler(&name.to_string_lossy())) {
        cargo.env_remove(name);
    }
    cargo.args(["rustc", "--quiet", "--release", "--target", TARGET, "-Zbuild-std=std,panic_unwind"]);
    cargo.arg("--target-dir").arg(target_dir);
    let gcc = &parts.gcc.path;
    cargo.env("RUSTC", &parts.compiler.rustc).env("RUSTC_BOOTSTRAP", "1");
    cargo
        .env("CC_aarch64_unknown_linux_gnu", gcc)
        .env("AR_aarch64_unknown_linux_gnu", gcc.with_file_name(AR));
    cargo.env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", gcc);
    cargo.env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUSTFLAGS", "-Ctarget-feature=+crt-static");
    // Kernel programs are written for x86-64's registers.
    cargo.env("WAYTRACE_EBPF", "stub");
    if let Some(libraries) = parts.gcc.library_path() {
        cargo.env("LD_LIBRARY_PATH", libraries);
    }
    // The compiler's folder first, for build scripts that ask `rustc`.
    let bin = parts.compiler.rustc.parent().map(Path::to_owned);
    let path = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths(bin.into_iter().chain(env::split_paths(&path)));
    cargo.env("PATH", path.context("PATH cannot be written")?);
    Ok(cargo)
}

/// Whether a variable chooses a compiler, its flags, a profile or a target.
fn is_of_compiler(name: &str) -> bool {
    const KEPT: [&str; 4] = ["CARGO_HOME", "CARGO_NET_", "CARGO_HTTP_", "CARGO_REGISTR"];
    let is_cargo = name.starts_with("CARGO") && !KEPT.iter().any(|kept| name.starts_with(kept));
    is_cargo || (name.starts_with("RUST") && name != "RUSTUP_HOME")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_for_another_compiler_do_not_come_along() {
        for name in
            ["CARGO_BUILD_TARGET", "CARGO", "RUSTFLAGS", "RUSTUP_TOOLCHAIN", "CARGO_PROFILE_RELEASE_LTO"]
        {
            assert!(is_of_compiler(name), "{name}");
        }
        for name in ["CARGO_HOME", "CARGO_HTTP_PROXY", "RUSTUP_HOME", "PATH", "HTTPS_PROXY"] {
            assert!(!is_of_compiler(name), "{name}");
        }
    }
}
