//! Build, test and check waytrace: `cargo xtask <task>`, one file per task.
//!
//! Exit codes: 0 ok, 1 what was checked or run failed, 2 something must be installed first, 3 the task itself failed.

mod bench;
mod ci;
mod exit;
mod fuzz;
mod packages;
mod privilege;
mod run;
mod setup;
mod shell;
mod test;
mod tidy;
mod vm;
mod workspace;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

use exit::{FAILED, INCOMPLETE, INTERNAL};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Build, test and check waytrace", disable_version_flag = true)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Find or install what building the kernel programs and the test workloads takes
    Setup(setup::Args),
    Run(run::Args),
    /// Build and run the tests
    Test(test::Args),
    /// Measure what waytrace costs and how right it is
    Bench(bench::Args),
    Fuzz(fuzz::Args),
    Ci(ci::Args),
    /// Check the project's own rules: sizes, headers, dependency arrows, documents
    Tidy,
}

fn main() -> ExitCode {
    let result = match Cli::parse().task {
        Task::Setup(args) => setup::run(&args),
        Task::Run(args) => run::run(&args),
        Task::Test(args) => test::run(&args),
        Task::Bench(args) => bench::run(&args),
        Task::Fuzz(args) => fuzz::run(&args),
        Task::Ci(args) => ci::run(&args),
        Task::Tidy => tidy::run(),
    };
    result.unwrap_or_else(|error| {
        eprintln!("xtask: {error:#}");
        ExitCode::from(INTERNAL)
    })
}
