//! `tidy`: the project's invariants that a program can check (`ARCHITECTURE.md`), one file per rule.
//!
//! Rules read text, not syntax: they are quick, need no compiler, and name the line. What clippy checks is left to it.

mod arrows;
mod dependencies;
mod documents;
mod header;
mod leftovers;
mod length;
mod manifest;
mod paths;
mod tree;
mod unsafety;

use crate::{FAILED, workspace};
use anyhow::Result;
use std::process::ExitCode;
use tree::{Tree, Violation};

/// Each looks at the whole tree and says what is wrong.
const RULES: [fn(&Tree) -> Vec<Violation>; 8] = [
    length::check,
    header::check,
    arrows::check,
    unsafety::check,
    dependencies::check,
    leftovers::check,
    paths::check,
    documents::check,
];

/// The task.
pub fn run() -> Result<ExitCode> {
    Ok(if check()? { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}

/// Prints every violation; whether there was none.
pub fn check() -> Result<bool> {
    let tree = Tree::read(workspace::root()?)?;
    let mut violations: Vec<_> = RULES.iter().flat_map(|rule| rule(&tree)).collect();
    violations.sort();
    for violation in &violations {
        println!("{violation}");
    }
    eprintln!("xtask: tidy: {} files, {} violations", tree.files().len(), violations.len());
    Ok(violations.is_empty())
}
