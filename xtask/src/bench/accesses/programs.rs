//! Builds the programs of known accesses in `tests/workloads/`: C, C++, Rust and Go.

use super::super::compile;
use super::super::context::Context;
use super::super::peers;
use crate::workspace;
use anyhow::{Context as _, Result, bail, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The executable of a source, in the folder of benchmarks.
pub fn build(context: &Context, file: &str) -> Result<PathBuf> {
    let source = workspace::root()?.join("tests/workloads").join(file);
    let output = context.folder.join(file.replace('.', "-"));
    let mut compiler = match file.rsplit_once('.') {
        Some((_, "rs")) => rust(&source, &output),
        Some((_, "go")) => go(&source, &output, &context.folder),
        Some((_, "cpp")) => cpp(&source, &output),
        _ => return compile::program(&source, &context.folder, &[]),
    };
    let name = compiler.get_program().to_string_lossy().into_owned();
    if let Some(why) = peers::missing(&name) {
        bail!(why);
    }
    let result = compiler.output().with_context(|| format!("cannot start {name}"))?;
    ensure!(result.status.success(), "{name} refused {file}: {}", String::from_utf8_lossy(&result.stderr));
    Ok(output)
}

fn cpp(source: &Path, output: &Path) -> Command {
    let mut compiler = Command::new("c++");
    compiler.args(["-O2", "-g", "-fno-builtin", "-pthread"]).arg(source).arg("-o").arg(output);
    compiler
}

fn rust(source: &Path, output: &Path) -> Command {
    let mut compiler = Command::new("rustc");
    compiler.args(["--edition", "2024", "-O", "-C", "debuginfo=1"]).arg(source).arg("-o").arg(output);
    compiler
}

/// Static; the compiler's cache stays with the benchmarks.
fn go(source: &Path, output: &Path, folder: &Path) -> Command {
    let mut compiler = Command::new("go");
    compiler.args(["build", "-trimpath", "-buildvcs=false", "-o"]).arg(output).arg(source);
    compiler.env("CGO_ENABLED", "0").env("GOCACHE", folder.join("go-cache"));
    compiler
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    #[test]
    fn a_source_that_is_not_there_is_named() {
        let folder = TempDir::new().unwrap();
        let context = Context::for_tests(folder.path());
        let error = build(&context, "access_nothing.c").unwrap_err().to_string();
        assert!(error.contains("access_nothing.c"), "{error}");
    }
}
