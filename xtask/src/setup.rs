//! `setup`: finds or installs what building the kernel programs and the test workloads takes.
//!
//! Steps, each said: core's source or a nightly through rustup; where that cannot be had, the distribution's
//! compiler; then bpf-linker from crates.io; then a C compiler. What is there already is left as it is.

use crate::{INCOMPLETE, packages, shell, vm};
use anyhow::Result;
use std::process::ExitCode;
use waytrace_ebpf_toolchain::{DISTRIBUTION_INSTALL, LINKER_INSTALL, Missing, Search, Toolchain};

const C_COMPILER: [&str; 2] = ["gcc", "libc6-dev"];

#[derive(clap::Args)]
pub struct Args {
    /// Also get what `test --vm` takes: an emulator, a kernel and a C compiler for aarch64, unpacked into the build folder
    #[arg(long)]
    vm: bool,
}

/// The task: prepares and says what is used.
pub fn run(args: &Args) -> Result<ExitCode> {
    let Some(toolchain) = prepare()? else { return Ok(ExitCode::from(INCOMPLETE)) };
    let compiler = &toolchain.compiler;
    println!("kernel programs: rustc {} ({})", compiler.version, compiler.rustc.display());
    println!("bpf linker:      {} with {}", toolchain.linker.display(), compiler.llvm.display());
    println!("test workloads:  cc");
    if args.vm && !vm::pmu::setup()? {
        return Ok(ExitCode::from(INCOMPLETE));
    }
    Ok(ExitCode::SUCCESS)
}

/// For tasks that need everything: silent when nothing is missing. False after having said what is.
pub fn ensure() -> Result<bool> {
    Ok(prepare()?.is_some())
}

fn prepare() -> Result<Option<Toolchain>> {
    if let Err(missing) = find() {
        install_toolchain(&missing)?;
    }
    if !packages::on_path("cc") && packages::can_install()? {
        packages::install(&C_COMPILER)?;
    }
    match find() {
        Ok(toolchain) if packages::on_path("cc") => Ok(Some(toolchain)),
        found => {
            explain(found.err().as_ref())?;
            Ok(None)
        }
    }
}

fn find() -> Result<Toolchain, Missing> {
    Search::from_env().find()
}

/// Tries the short way to a compiler, then the distribution's, then the linker. Failures show in the next search.
fn install_toolchain(missing: &Missing) -> Result<()> {
    for reason in missing.reasons() {
        eprintln!("xtask: {reason}");
    }
    if missing.compilers.is_some() {
        let through_rustup = missing.commands().into_iter().find(|command| command.starts_with("rustup"));
        if let Some(command) = through_rustup {
            shell::line(command)?;
        }
        if find().is_err_and(|still| still.compilers.is_some()) && packages::can_install()? {
            shell::line(DISTRIBUTION_INSTALL)?;
        }
    }
    if missing.linker {
        eprintln!("xtask: building bpf-linker takes two to three minutes");
        shell::line(LINKER_INSTALL)?;
    }
    Ok(())
}

/// Ends a set-up that could not mend everything with the commands to type.
fn explain(missing: Option<&Missing>) -> Result<()> {
    eprintln!("\nxtask: set-up is incomplete. To mend it, type");
    for command in missing.map(Missing::commands).unwrap_or_default() {
        eprintln!("    {}", packages::as_root(command)?);
    }
    if !packages::on_path("cc") {
        eprintln!("    {}", packages::as_root(&packages::install_line(&C_COMPILER))?);
    }
    let by_rustup =
        |missing: &Missing| missing.commands().iter().any(|command| command.starts_with("rustup"));
    if missing.is_some_and(by_rustup) {
        eprintln!("or, in place of rustup,\n    {}", packages::as_root(DISTRIBUTION_INSTALL)?);
    }
    if let Some(missing) = missing {
        eprintln!("because {}", missing.reasons().join("; "));
    }
    Ok(())
}
