//! `run`: builds waytrace and becomes it, so that its exit code and the signals it gets are its own.

use crate::privilege::Rights;
use crate::{INCOMPLETE, packages, setup, workspace};
use anyhow::{Context as _, Result};
use std::env;
use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, ExitCode};

/// Build waytrace and run it: `cargo xtask run -- profile --demo`
#[derive(clap::Args)]
pub struct Args {
    /// Arguments of waytrace
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<OsString>,
}

/// The task.
pub fn run(args: &Args) -> Result<ExitCode> {
    if !setup::ensure()? {
        return Ok(ExitCode::from(INCOMPLETE));
    }
    let binary = workspace::build_release()?.join("waytrace");
    let mut command = with_rights(&binary)?;
    command.args(&args.args);
    without_cargo(&mut command)?;
    Err(command.exec()).with_context(|| format!("cannot run {}", binary.display()))
}

/// The binary itself, or under sudo where this process may not trace. Without sudo it runs as it is: some
/// commands need no rights, and the others say which they lack.
fn with_rights(binary: &Path) -> Result<Command> {
    if Rights::mine()?.can_trace() {
        return Ok(Command::new(binary));
    }
    if !packages::on_path("sudo") {
        eprintln!(
            "xtask: neither root nor the capabilities of docs/permissions.md, and no sudo: run this as root"
        );
        return Ok(Command::new(binary));
    }
    eprintln!("xtask: tracing needs rights this user has not; going on under sudo");
    let mut sudo = Command::new("sudo");
    sudo.arg("--").arg(binary);
    Ok(sudo)
}

/// Takes away what cargo and rustup put into the environment, which programs started by waytrace would inherit.
fn without_cargo(command: &mut Command) -> Result<()> {
    let ours = |name: &OsStr| {
        let name = name.to_string_lossy();
        name == "CARGO"
            || name.starts_with("RUSTUP_TOOLCHAIN")
            || name == "RUST_RECURSION_COUNT"
            || ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_"].iter().any(|prefix| name.starts_with(prefix))
    };
    for (name, _) in env::vars_os().filter(|(name, _)| ours(name)) {
        command.env_remove(name);
    }
    let Some(libraries) = env::var_os("LD_LIBRARY_PATH") else { return Ok(()) };
    let kept = library_path(&libraries, &workspace::target_dir()?);
    if kept.is_empty() {
        command.env_remove("LD_LIBRARY_PATH")
    } else {
        command.env("LD_LIBRARY_PATH", kept)
    };
    Ok(())
}

/// `LD_LIBRARY_PATH` without the folders of the build and of the compiler, which `cargo run` adds.
fn library_path(libraries: &OsStr, target_dir: &Path) -> OsString {
    let added = |folder: &Path| {
        folder.starts_with(target_dir)
            || folder.join("rustlib").is_dir()
            || folder.ancestors().any(|above| above.ends_with("rustlib"))
    };
    let kept = env::split_paths(libraries).filter(|folder| !added(folder) && !folder.as_os_str().is_empty());
    env::join_paths(kept).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        run: Args,
    }

    #[test]
    fn arguments_pass_through_as_they_are() {
        let passed = |line: &str| {
            let words = ["run"].into_iter().chain(line.split(' '));
            Cli::try_parse_from(words).unwrap().run.args.join(OsStr::new(" ")).into_string().unwrap()
        };
        assert_eq!(passed("-- profile --demo --json"), "profile --demo --json");
        assert_eq!(passed("-- profile -- ls --help -- x"), "profile -- ls --help -- x");
        assert_eq!(passed("profile -- ls --help"), "profile -- ls --help");
        assert_eq!(passed("-- --help"), "--help");
    }

    #[test]
    fn only_what_cargo_added_leaves_the_library_path() {
        let toolchain = tempfile::TempDir::new().unwrap();
        std::fs::create_dir(toolchain.path().join("rustlib")).unwrap();
        let added = format!("/build/debug/deps:{0}:{0}/rustlib/x86_64/lib:", toolchain.path().display());
        let path = |rest: &str| library_path(OsStr::new(&format!("{added}{rest}")), Path::new("/build"));
        assert_eq!(path("/opt/mine/lib"), "/opt/mine/lib");
        assert_eq!(path(""), "");
    }
}
