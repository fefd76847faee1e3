//! `test --vm`: the shipped counting code on a PMU, which most virtual machines have not. Boots an emulated aarch64 machine
//! whose first process is `tests/guest`, and judges what it says on the console.
//!
//! Opt-in. Where something is missing it says SKIP, what, and how to get it, and succeeds.

mod boot;
mod build;
mod console;
mod cpio;
mod parts;
mod unpack;

use crate::{FAILED, workspace};
use anyhow::{Context as _, Result};
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

/// Gets what is missing: the second half of `setup --vm`.
pub use unpack::run as setup;

/// Where everything of this task lies; nothing is installed.
fn folder() -> Result<PathBuf> {
    Ok(workspace::target_dir()?.join("vm"))
}

/// The task.
pub fn run() -> Result<ExitCode> {
    let folder = folder()?;
    let parts = match parts::find(&folder) {
        Ok(parts) => parts,
        Err(missing) => {
            println!("SKIP: vm: {}; to get it: cargo xtask setup --vm", missing.join("; "));
            return Ok(ExitCode::SUCCESS);
        }
    };
    let Some(programs) = build::programs(&parts, &folder.join("build"))? else {
        eprintln!("xtask: waytrace does not build for aarch64");
        return Ok(ExitCode::from(FAILED));
    };
    let image = folder.join("initramfs");
    fs::write(&image, initramfs(&programs)?).with_context(|| format!("cannot write {}", image.display()))?;
    let lines = boot::run(&parts, &image)?;
    let judged = console::judge(&lines);
    if judged.complaints.is_empty() {
        println!("vm: {} checks passed", judged.passed);
        return Ok(ExitCode::SUCCESS);
    }
    for complaint in &judged.complaints {
        eprintln!("xtask: vm: {complaint}");
    }
    if judged.is_cut_short {
        eprintln!("xtask: vm: the end of the console:\n{}", console::end(&lines));
    }
    Ok(ExitCode::from(FAILED))
}

/// The guest as first process, waytrace beside it, and the console the kernel opens for the first process.
fn initramfs(programs: &build::Programs) -> Result<Vec<u8>> {
    let read = |path: &PathBuf| fs::read(path).with_context(|| format!("cannot read {}", path.display()));
    let mut archive = cpio::Archive::default();
    for folder in ["dev", "proc", "sys", "tmp", "bin"] {
        archive.folder(folder)?;
    }
    archive.character_device("dev/console", 5, 1)?;
    archive.program("init", &read(&programs.guest)?)?;
    archive.program("bin/waytrace", &read(&programs.waytrace)?)?;
    archive.finish()
}
