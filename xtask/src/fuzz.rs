//! `fuzz`: libFuzzer on the loaders of files from elsewhere, target after target, each for a while.
//!
//! cargo-fuzz builds with sanitizers, which stable compilers keep to those who say they know (`RUSTC_BOOTSTRAP`). What was
//! found to reach new code is kept in the build folder and begun with the next time.

use crate::{FAILED, INCOMPLETE, shell, workspace};
use anyhow::{Context as _, Result};
use std::fs;
use std::path::Path;
use std::process::{ExitCode, Stdio};

/// The package of the targets, from the root.
const PACKAGE: &str = "tests/fuzz";
/// An input that takes longer, in seconds, is a finding; so is one that takes more memory, in MiB.
const TIMEOUT_S: u64 = 10;
const MEMORY_MIB: u64 = 2048;

/// Feed the loaders of files from elsewhere with libFuzzer
#[derive(clap::Args)]
pub struct Args {
    /// How long each target runs
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Only this target [default: all]
    target: Option<String>,
}

/// The task. All targets run even if one finds something.
pub fn run(args: &Args) -> Result<ExitCode> {
    let package = workspace::root()?.join(PACKAGE);
    let mut targets = targets(&package)?;
    if let Some(target) = &args.target {
        if !targets.contains(target) {
            eprintln!("xtask: no target `{target}`; there are {}", targets.join(", "));
            return Ok(ExitCode::from(INCOMPLETE));
        }
        targets.retain(|one| one == target);
    }
    let mut there = workspace::cargo()?;
    there.args(["fuzz", "--version"]).stdout(Stdio::null()).stderr(Stdio::null());
    if !there.status().context("cannot start cargo")?.success() {
        println!("SKIP: cargo-fuzz is not installed: cargo install cargo-fuzz --locked");
        return Ok(ExitCode::SUCCESS);
    }
    let mut failed = Vec::new();
    for target in targets {
        if !fuzz(&package, &target, args.seconds)? {
            failed.push(target);
        }
    }
    if failed.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("xtask: {} did not pass; the input is named above", failed.join(", "));
    Ok(ExitCode::from(FAILED))
}

/// One target; whether nothing was found.
fn fuzz(package: &Path, target: &str, seconds: u64) -> Result<bool> {
    let place = workspace::target_dir()?.join("fuzz");
    let folder = |name: &str| -> Result<String> {
        let folder = place.join(name).join(target);
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(folder.to_string_lossy().into_owned())
    };
    let (corpus, findings, files) = (folder("corpus")?, folder("findings")?, folder("files")?);
    let seeds = package.join("seeds").join(target);
    let mut cargo = workspace::cargo()?;
    cargo.current_dir(package).env("RUSTC_BOOTSTRAP", "1").env("TMPDIR", &files);
    cargo.args(["fuzz", "run", "--fuzz-dir", "."]).arg("--target-dir").arg(&place);
    cargo.args([target, &corpus]).arg(seeds).args([
        "--".to_owned(),
        format!("-max_total_time={seconds}"),
        format!("-timeout={TIMEOUT_S}"),
        format!("-rss_limit_mb={MEMORY_MIB}"),
        format!("-artifact_prefix={findings}/"),
        "-print_final_stats=1".to_owned(),
        "-verbosity=0".to_owned(),
    ]);
    let passed = shell::step(&mut cargo)?;
    fs::remove_dir_all(&files).with_context(|| format!("cannot remove {files}"))?;
    Ok(passed)
}

/// Names of the targets, in order: one file each.
fn targets(package: &Path) -> Result<Vec<String>> {
    let folder = package.join("targets");
    let entries = fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))?;
    let paths = entries.flatten().map(|entry| entry.path());
    let mut names: Vec<String> =
        paths.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())).collect();
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_is_declared_and_has_a_seed() {
        let package = workspace::root().unwrap().join(PACKAGE);
        let manifest = fs::read_to_string(package.join("Cargo.toml")).unwrap();
        let targets = targets(&package).unwrap();
        assert!(!targets.is_empty());
        for target in &targets {
            assert!(manifest.contains(&format!("path = \"targets/{target}.rs\"")), "{target}");
            let seeds = fs::read_dir(package.join("seeds").join(target)).unwrap();
            assert!(seeds.count() > 0, "{target} has no seed");
        }
    }
}
