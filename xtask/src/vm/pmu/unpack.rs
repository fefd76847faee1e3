//! Gets what the emulated machine takes: Debian's packages, unpacked into the build folder. Nothing is installed, so nothing the
//! machine has is replaced, and no rights are needed but for refreshing apt's lists.

use super::parts::{self, KERNEL, KERNELS};
use crate::{packages, shell};
use anyhow::{Context as _, Result};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What apt calls the package with the kernel, one per release.
const KERNEL_PACKAGE: &str = "^debian-installer-[0-9]+-netboot-arm64$";

/// Gets what is missing; whether everything is there now. Silent but for one line when nothing was missing.
pub fn run() -> Result<bool> {
    let folder = crate::vm::folder()?;
    let wanted = parts::lacking(&folder);
    if !wanted.is_empty() {
        if !packages::on_path("apt-get") || !packages::on_path("dpkg-deb") {
            eprintln!("xtask: no apt to get these with: {}", wanted.join(" "));
            return Ok(false);
        }
        get(&folder, &wanted)?;
    }
    match parts::find(&folder) {
        Ok(parts) => {
            println!("vm:              {}, {}", parts.qemu.path.display(), parts.kernel.display());
            Ok(true)
        }
        Err(missing) => {
            eprintln!("xtask: vm: {}", missing.join("; "));
            Ok(false)
        }
    }
}

/// Downloads packages with what they depend on and this machine has not, and unpacks them. What fails shows in the next search.
fn get(folder: &Path, wanted: &[&str]) -> Result<()> {
    if packages::can_install()? {
        shell::line("apt-get update -qq")?;
    }
    let mut names = Vec::new();
    for name in wanted {
        names.push(if name.starts_with("debian-installer") { kernel_package()? } else { (*name).to_owned() });
    }
    let archives = folder.join("archives");
    let partial = archives.join("partial");
    fs::create_dir_all(&partial).with_context(|| format!("cannot make {}", partial.display()))?;
    let mut apt = Command::new("apt-get");
    // Quiet, or it announces removals that a download does not make.
    apt.args(["install", "-qq", "--download-only", "--no-install-recommends"]);
    // Locks are for installing; apt's own user may not write here.
    apt.args(["-o", "Debug::NoLocking=1", "-o", "APT::Sandbox::User=root", "-o"]);
    apt.arg(option("Dir::Cache::archives=", &archives)).args(&names);
    if shell::step(&mut apt)? {
        for package in packages_in(&archives)? {
            unpack(&package, &parts::unpacked(folder))?;
        }
    }
    fs::remove_dir_all(&archives).with_context(|| format!("cannot remove {}", archives.display()))
}

fn option(name: &str, value: &Path) -> std::ffi::OsString {
    let mut option = std::ffi::OsString::from(name);
    option.push(value);
    option
}

/// The newest release's.
fn kernel_package() -> Result<String> {
    let mut search = Command::new("apt-cache");
    search.args(["search", "--names-only", KERNEL_PACKAGE]);
    let output = search.output().context("cannot start apt-cache")?;
    let listing = String::from_utf8_lossy(&output.stdout);
    newest(&listing).with_context(|| format!("apt knows no package {KERNEL_PACKAGE}; only Debian has it"))
}

/// Of lines as `debian-installer-12-netboot-arm64 - description`.
fn newest(listing: &str) -> Option<String> {
    let names = listing.lines().filter_map(|line| line.split_whitespace().next());
    let release = |name: &&str| name.split('-').nth(2).and_then(|number| number.parse::<u32>().ok());
    names.max_by_key(release).map(str::to_owned)
}

fn packages_in(archives: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(archives).with_context(|| format!("cannot list {}", archives.display()))?;
    let paths = entries.flatten().map(|entry| entry.path());
    Ok(paths.filter(|path| path.extension() == Some(OsStr::new("deb"))).collect())
}

/// Of the installer only the kernel: the rest is hundreds of megabytes.
fn unpack(package: &Path, root: &Path) -> Result<()> {
    fs::create_dir_all(root).with_context(|| format!("cannot make {}", root.display()))?;
    let is_installer =
        package.file_name().is_some_and(|name| name.to_string_lossy().starts_with("debian-installer-"));
    let only = if is_installer { format!("--wildcards './{KERNELS}/*/{KERNEL}'") } else { String::new() };
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("dpkg-deb --fsys-tarfile \"$0\" | tar -x --no-same-owner -C \"$1\" {only}")]);
    let status = shell.arg(package).arg(root).status().context("cannot start sh")?;
    if !status.success() {
        eprintln!("xtask: {} cannot be unpacked", package.display());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_installer_is_taken() {
        let listing = "debian-installer-9-netboot-arm64 - x\ndebian-installer-12-netboot-arm64 - y\n";
        assert_eq!(newest(listing).as_deref(), Some("debian-installer-12-netboot-arm64"));
        assert_eq!(newest(""), None);
    }
}
