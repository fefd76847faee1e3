//! Runs the emulated machine and reads its console.

use super::console;
use anyhow::{Context as _, Result};
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

/// No window, no network, and the first serial port for console. A restart is the end.
const BARE: [&str; 9] =
    ["-no-reboot", "-display", "none", "-serial", "stdio", "-monitor", "none", "-nic", "none"];

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
pub fn run(qemu: &mut Command, patience: Duration) -> Result<Vec<String>> {
    qemu.args(BARE).stdin(Stdio::null()).stdout(Stdio::piped());
    let program = qemu.get_program().to_string_lossy().into_owned();
    let mut machine = Machine(qemu.spawn().with_context(|| format!("cannot start {program}"))?);
    let console = machine.0.stdout.take().context("no console")?;
    let (sender, receiver) = channel();
    thread::spawn(move || {
        // Bytes that are no text must not end it: the firmware writes some.
        let lines = BufReader::new(console).split(b'\n').map_while(Result::ok);
        lines.map(|line| String::from_utf8_lossy(&line).into_owned()).try_for_each(|line| sender.send(line))
    });
    let deadline = Instant::now() + patience;
    let mut lines = Vec::new();
    while let Ok(line) = receiver.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
        if let Some(told) = console::told(&line) {
            println!("vm: {told}");
        }
        lines.push(line);
    }
    if Instant::now() >= deadline {
        lines.push(format!("(xtask: still running after {} s, so ended)", patience.as_secs()));
    }
    Ok(lines)
}
