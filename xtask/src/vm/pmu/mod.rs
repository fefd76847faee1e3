//! `test --vm`: the shipped counting code on a PMU, which most virtual machines have not. Boots an emulated aarch64 machine
//! whose first process is `tests/guest`, and judges what it says on the console.

mod build;
mod cpio;
mod parts;
mod unpack;

use super::{boot, folder, verdict};
use crate::FAILED;
use anyhow::{Context as _, Result};
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Gets what is missing: the second half of `setup --vm`.
pub use unpack::run as setup;

/// Many times what a boot and all checks take.
const PATIENCE: Duration = Duration::from_secs(300);
/// One CPU and one instruction per nanosecond of virtual time, whatever the host does: only so are counts known beforehand.
const MACHINE: [&str; 10] =
    ["-M", "virt", "-cpu", "max", "-m", "1024", "-smp", "1", "-icount", "shift=0,sleep=off"];
/// A panic ends the machine, for `-no-reboot` takes the restart for its end.
const KERNEL_ARGUMENTS: &str = "console=ttyAMA0 panic=-1 quiet";

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
    eprintln!("xtask: booting an aarch64 machine");
    let mut qemu = parts.qemu.command();
    qemu.args(MACHINE).arg("-kernel").arg(&parts.kernel).arg("-initrd").arg(&image);
    qemu.args(["-append", KERNEL_ARGUMENTS]);
    Ok(verdict(&boot::run(&mut qemu, PATIENCE)?))
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
