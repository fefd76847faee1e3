//! `test`: builds and runs the tests. Live ones run the release binary, one at a time, because each of them
//! measures and two would measure each other.

use crate::{FAILED, INCOMPLETE, packages, setup, shell, vm, workspace};
use anyhow::Result;
use std::process::ExitCode;

const LIVE_TESTS: &str = "waytrace-tests";
/// Targets and allocators the live tests attach to; a test whose package is missing says SKIP and why.
const LIVE_PACKAGES: [&str; 9] = [
    "redis-server",
    "redis-tools",
    "memcached",
    "python3",
    "gcc",
    "busybox-static",
    "libjemalloc2",
    "libtcmalloc-minimal4",
    "libmimalloc2.0",
];

#[derive(clap::Args, Default)]
pub struct Args {
    /// Only the tests that need neither root nor the kernel programs
    #[arg(long)]
    unit: bool,
    /// Only the counting on an emulated PMU, in a machine booted for it; in no other run
    #[arg(long, conflicts_with_all = ["unit", "filter"])]
    vm: bool,
    /// Only the packaged service under systemd, in machines booted for it with Debian's kernels; in no other run
    #[arg(long, conflicts_with_all = ["unit", "vm", "filter"])]
    debian: bool,
    /// Only tests whose name contains this
    filter: Option<String>,
}

/// The task. All tests run even if some fail.
pub fn run(args: &Args) -> Result<ExitCode> {
    if args.vm {
        return vm::pmu::run();
    }
    if args.debian {
        return vm::debian::run();
    }
    if args.unit {
        return Ok(exit(unit(args)?));
    }
    if !setup::ensure()? {
        return Ok(ExitCode::from(INCOMPLETE));
    }
    packages::ensure(&LIVE_PACKAGES)?;
    let unit = unit(args)?;
    let live = live(args)?;
    Ok(exit(unit && live))
}

fn exit(passed: bool) -> ExitCode {
    if passed { ExitCode::SUCCESS } else { ExitCode::from(FAILED) }
}

fn unit(args: &Args) -> Result<bool> {
    let mut test = workspace::cargo()?;
    test.args([
        "test",
        "--no-fail-fast",
        "--workspace",
        "--exclude",
        "waytrace-ebpf",
        "--exclude",
        LIVE_TESTS,
    ]);
    shell::step(test.args(&args.filter))
}

fn live(args: &Args) -> Result<bool> {
    let release = workspace::build_release()?;
    let mut test = workspace::cargo()?;
    test.args(["test", "--no-fail-fast", "--package", LIVE_TESTS]).args(&args.filter);
    test.args(["--", "--test-threads=1"]).env("WAYTRACE_BIN", release.join("waytrace"));
    shell::step(&mut test)
}
