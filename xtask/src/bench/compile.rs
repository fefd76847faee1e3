//! Compiles the C programs that benchmarks measure.

use anyhow::{Context as _, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Compiles `source` to `folder`, optimised, with frame pointers or not. The compiler keeps the calls of the
/// allocator as they are written.
pub fn program(source: &Path, folder: &Path, flags: &[&str]) -> Result<PathBuf> {
    let stem = source.file_stem().with_context(|| format!("{} is no program", source.display()))?;
    let output = folder.join(stem).with_extension(flags.concat().trim_start_matches('-'));
    let mut compiler = Command::new("cc");
    compiler.args(["-O2", "-g", "-fno-builtin", "-pthread"]).args(flags).arg(source).arg("-o").arg(&output);
    let result = compiler.output().context("cannot start cc; `cargo xtask setup` says how to get it")?;
    ensure!(
        result.status.success(),
        "cc refused {}: {}",
        source.display(),
        String::from_utf8_lossy(&result.stderr)
    );
    Ok(output)
}
