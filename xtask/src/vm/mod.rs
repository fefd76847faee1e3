//! Tests that take a machine of their own, which QEMU emulates: `test --vm` counts on a PMU, `test --debian` runs the packaged service
//! under systemd on other kernels. Both are opt-in; where something is missing they say SKIP, what, and how to get it, and succeed.

mod boot;
mod console;
pub mod debian;
pub mod pmu;

use crate::{FAILED, workspace};
use anyhow::Result;
use std::path::PathBuf;
use std::process::ExitCode;

/// Where everything of these tasks lies; nothing is installed.
fn folder() -> Result<PathBuf> {
    Ok(workspace::target_dir()?.join("vm"))
}

/// What a machine's console comes to.
fn verdict(lines: &[String]) -> ExitCode {
    let judged = console::judge(lines);
    if judged.complaints.is_empty() {
        println!("vm: {} checks passed", judged.passed);
        return ExitCode::SUCCESS;
    }
    for complaint in &judged.complaints {
        eprintln!("xtask: vm: {complaint}");
    }
    if judged.is_cut_short {
        eprintln!("xtask: vm: the end of the console:\n{}", console::end(lines));
    }
    ExitCode::from(FAILED)
}
