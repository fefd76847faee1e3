//! Shows and runs commands.

use anyhow::{Context as _, Result};
use std::process::{Command, Stdio};

/// Shows a command and runs it; whether it succeeded.
pub fn step(command: &mut Command) -> Result<bool> {
    let program = command.get_program().to_string_lossy().into_owned();
    let name = program.rsplit('/').next().unwrap_or_default();
    let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy()).collect();
    eprintln!("xtask: $ {name} {}", words.join(" "));
    let status = command.status().with_context(|| format!("cannot start {program}"))?;
    Ok(status.success())
}

/// Shows a line of shell and runs it without a terminal to ask questions on; whether it succeeded.
pub fn line(line: &str) -> Result<bool> {
    eprintln!("xtask: $ {line}");
    let mut shell = Command::new("sh");
    shell.args(["-c", line]).env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
    Ok(shell.status().context("cannot start sh")?.success())
}
