//! Where the workspace and its build folder are.

use anyhow::{Context as _, Result};
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder that holds the workspace's `Cargo.toml`.
pub fn root() -> Result<&'static Path> {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask is not inside a workspace")
}

/// The build folder: this program runs from it, and cargo marks it with `CACHEDIR.TAG`.
pub fn target_dir() -> Result<PathBuf> {
    let program = env::current_exe().context("cannot tell where xtask runs from")?;
    let marked = |folder: &&Path| folder.join("CACHEDIR.TAG").is_file();
    let folder = program.ancestors().find(marked);
    folder
        .map(Path::to_owned)
        .with_context(|| format!("{} is not in a cargo build folder", program.display()))
}

/// The cargo that runs this task, in the workspace's root.
pub fn cargo() -> Result<Command> {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root()?);
    Ok(command)
}

/// Builds the programs that are shipped, optimised, and returns the folder that holds them.
pub fn build_release() -> Result<PathBuf> {
    let mut build = cargo()?;
    build.args(["build", "--release", "--package", "waytrace", "--package", "traverse-array"]);
    anyhow::ensure!(build.status().context("cannot start cargo")?.success(), "the release build failed");
    Ok(target_dir()?.join("release"))
}
