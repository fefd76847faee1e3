//! Runs the emulated machine and reads its console.

use super::console;
use super::parts::Parts;
use anyhow::{Context as _, Result};
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

/// Many times what a boot and all checks take.
const PATIENCE: Duration = Duration::from_secs(300);
/// One CPU and one instruction per nanosecond of virtual time, whatever the host does: only so are counts known beforehand.
const MACHINE: [&str; 18] = [
    "-M",
    "virt",
    "-cpu",
    "max",
    "-m",
    "1024",
    "-smp",
    "1",
    "-icount",
    "shift=0,sleep=off",
    "-display",
    "none",
    "-serial",
    "stdio",
    "-monitor",
    "none",
    "-nic",
    "none",
];
/// A panic ends the machine, for `-no-reboot` takes the restart for its end.
const KERNEL_ARGUMENTS: &str = "console=ttyAMA0 panic=-1 quiet";

/// The machine; killed when dropped.
struct Machine(Child);

impl Drop for Machine {
    fn drop(&mut self) {
        // An error is that it has ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Boots, shows what checks say as they say it, and returns all lines once the machine is off or the time is up.
pub fn run(parts: &Parts, image: &Path) -> Result<Vec<String>> {
    let mut qemu = parts.qemu.command();
    qemu.args(MACHINE).arg("-no-reboot").arg("-kernel").arg(&parts.kernel).arg("-initrd").arg(image);
    qemu.args(["-append", KERNEL_ARGUMENTS]).stdin(Stdio::null()).stdout(Stdio::piped());
    eprintln!("xtask: booting an aarch64 machine");
    let mut machine = Machine(qemu.spawn().context("cannot start qemu-system-aarch64")?);
    let console = machine.0.stdout.take().context("no console")?;
    let (sender, receiver) = channel();
    thread::spawn(move || {
        // Bytes that are no text must not end it: the firmware writes some.
        let lines = BufReader::new(console).split(b'\n').map_while(Result::ok);
        lines.map(|line| String::from_utf8_lossy(&line).into_owned()).try_for_each(|line| sender.send(line))
    });
    let deadline = Instant::now() + PATIENCE;
    let mut lines = Vec::new();
    while let Ok(line) = receiver.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
        if let Some(told) = console::told(&line) {
            println!("vm: {told}");
        }
        lines.push(line);
    }
    if Instant::now() >= deadline {
        lines.push(format!("(xtask: still running after {} s, so ended)", PATIENCE.as_secs()));
    }
    Ok(lines)
}
