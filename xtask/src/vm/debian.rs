//! `test --debian`: the service as packaged, under systemd as first process, on the kernels of Debian's releases: the oldest is one without
//! `uprobe_multi` links. `tests/debian/check.sh` says on the console what it found.
//!
//! ```text
//! debootstrap ─► RELEASE.ext4, kernel, initrd    once; the machine's disk, which no boot changes
//! waytrace, packaging/, tests/debian/ ─► share.ext4    each time; a second disk
//! ```
//!
//! The machine is emulated, instruction by instruction, so that it runs where no other can be nested; all is twenty times slower in it.

use super::{boot, folder, verdict};
use crate::privilege::Rights;
use crate::{packages, shell, workspace};
use anyhow::{Context as _, Result, ensure};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

/// Linux 6.1 with systemd 252, Linux 6.12 with systemd 257.
const RELEASES: [&str; 2] = ["bookworm", "trixie"];
const MIRROR: &str = "http://deb.debian.org/debian";
/// Beside what makes a system: a target with its load, and what the checks ask with.
const INCLUDED: &str =
    "systemd-sysv,dbus,udev,linux-image-cloud-amd64,redis-server,redis-tools,procps,curl,libcap2-bin";
/// Programs, and Debian's packages of them.
const TOOLS: [(&str, &str); 3] =
    [("qemu-system-x86_64", "qemu-system-x86"), ("debootstrap", "debootstrap"), ("mke2fs", "e2fsprogs")];
/// Boot and checks take five minutes.
const PATIENCE: Duration = Duration::from_secs(900);
/// Without cmpxchg16b, whose emulation in QEMU 7.2 breaks newer kernels' allocator.
const MACHINE: [&str; 8] = ["-accel", "tcg,thread=multi", "-cpu", "max,-cx16", "-smp", "2", "-m", "2048"];
/// A login on the console would hang up on who else uses it.
const KERNEL_ARGUMENTS: &str =
    "root=/dev/vda rw console=ttyS0 panic=-1 quiet systemd.mask=serial-getty@ttyS0.service";
/// Runs the checks once the system is up, and ends it.
const CHECKS: &str = "[Unit]
After=basic.target
[Service]
Type=oneshot
StandardOutput=tty
StandardError=tty
TTYPath=/dev/ttyS0
ExecStart=/bin/bash -c 'mount -o ro /dev/vdb /opt && bash /opt/check.sh'
ExecStopPost=systemctl poweroff --force
";

/// What one release boots from.
struct Disk {
    image: PathBuf,
    kernel: PathBuf,
    initrd: PathBuf,
}

/// The task, on all releases even if one fails.
pub fn run() -> Result<ExitCode> {
    if let Some(why) = lacking()? {
        println!("SKIP: debian: {why}");
        return Ok(ExitCode::SUCCESS);
    }
    let folder = folder()?.join("debian");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let share = share(&folder)?;
    let mut verdicts = Vec::new();
    for release in RELEASES {
        let disk = disk(&folder, release)?;
        eprintln!("xtask: booting {release}");
        let mut qemu = Command::new(TOOLS[0].0);
        qemu.args(MACHINE).arg("-kernel").arg(&disk.kernel).arg("-initrd").arg(&disk.initrd);
        qemu.args(["-append", KERNEL_ARGUMENTS]);
        for (image, how) in [(&disk.image, "snapshot=on"), (&share, "readonly=on")] {
            qemu.arg("-drive").arg(format!("file={},format=raw,if=virtio,{how}", image.display()));
        }
        verdicts.push(verdict(&boot::run(&mut qemu, PATIENCE)?));
    }
    Ok(verdicts.into_iter().find(|verdict| *verdict != ExitCode::SUCCESS).unwrap_or(ExitCode::SUCCESS))
}

/// Why it cannot be done here.
fn lacking() -> Result<Option<String>> {
    let packages: Vec<&str> = TOOLS
        .iter()
        .filter(|(program, _)| !packages::on_path(program))
        .map(|(_, package)| *package)
        .collect();
    if !packages.is_empty() {
        return Ok(Some(format!("to get what is missing: {}", packages::install_line(&packages))));
    }
    Ok((!Rights::mine()?.is_root()).then(|| "debootstrap needs root".to_owned()))
}

/// The disk of what is tested.
fn share(folder: &Path) -> Result<PathBuf> {
    let (root, contents, image) = (workspace::root()?, folder.join("share"), folder.join("share.ext4"));
    fs::create_dir_all(&contents).with_context(|| format!("cannot make {}", contents.display()))?;
    for file in [
        workspace::build_release()?.join("waytrace"),
        root.join("packaging/waytrace.service"),
        root.join("packaging/waytrace.sysctl"),
        root.join("packaging/waytrace.toml"),
        root.join("tests/debian/check.sh"),
    ] {
        let name = file.file_name().context("a file without a name")?;
        fs::copy(&file, contents.join(name)).with_context(|| format!("cannot copy {}", file.display()))?;
    }
    make_image(&contents, &image, "512M")?;
    Ok(image)
}

/// The disk of a release, made the first time.
fn disk(folder: &Path, release: &str) -> Result<Disk> {
    let of = |what: &str| folder.join(format!("{release}.{what}"));
    let disk = Disk { image: of("ext4"), kernel: of("kernel"), initrd: of("initrd") };
    // It is made last.
    if disk.image.is_file() {
        return Ok(disk);
    }
    eprintln!("xtask: getting Debian {release}, some 200 MB, takes minutes the first time");
    let root = of("root");
    if root.exists() {
        fs::remove_dir_all(&root).with_context(|| format!("cannot remove {}", root.display()))?;
    }
    let mut debootstrap = Command::new("debootstrap");
    debootstrap.args(["--variant=minbase", "--include", INCLUDED, release]).arg(&root).arg(MIRROR);
    ensure!(shell::step(&mut debootstrap)?, "Debian {release} cannot be had");
    let units = root.join("etc/systemd/system");
    fs::write(units.join("checks.service"), CHECKS).context("cannot write the unit of the checks")?;
    fs::create_dir_all(units.join("multi-user.target.wants")).context("cannot make a folder")?;
    symlink("../checks.service", units.join("multi-user.target.wants/checks.service"))
        .context("cannot enable the checks")?;
    for (begin, to) in [("vmlinuz-", &disk.kernel), ("initrd.img-", &disk.initrd)] {
        let from = booted(&root.join("boot"), begin)?;
        fs::copy(&from, to).with_context(|| format!("cannot copy {}", from.display()))?;
    }
    let part = of("part");
    make_image(&root, &part, "2G")?;
    fs::rename(&part, &disk.image).context("cannot name the image")?;
    fs::remove_dir_all(&root).with_context(|| format!("cannot remove {}", root.display()))?;
    Ok(disk)
}

/// The file of a kernel that begins so.
fn booted(boot: &Path, begin: &str) -> Result<PathBuf> {
    let entries = fs::read_dir(boot).with_context(|| format!("cannot read {}", boot.display()))?;
    let mut names = entries.flatten().map(|entry| entry.path());
    let is_it =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(begin));
    names.find(is_it).with_context(|| format!("no {begin}* in {}", boot.display()))
}

fn make_image(contents: &Path, image: &Path, size: &str) -> Result<()> {
    if image.exists() {
        fs::remove_file(image).with_context(|| format!("cannot remove {}", image.display()))?;
    }
    let mut mke2fs = Command::new("mke2fs");
    mke2fs.args(["-q", "-t", "ext4", "-d"]).arg(contents).arg(image).arg(size);
    ensure!(shell::step(&mut mke2fs)?, "cannot make {}", image.display());
    Ok(())
}
