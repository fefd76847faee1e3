//! `waytrace report`: one run as a self-contained HTML page.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use waytrace_model::units::format_bytes;
use waytrace_store::Store;

use super::file::{Existing, NewFile};
use super::{Outcome, StoreArgs};

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "RUN is an id, a name, the beginning of one name, `last`, or `last~1` for the one before."
)]
pub struct Args {
    /// Which run.
    #[arg(value_name = "RUN")]
    run: String,
    /// The page; `-` is stdout [default: <run name>.html in this directory].
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace the file if it exists.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    store: StoreArgs,
}

/// Runs the command.
pub fn run(args: &Args) -> Outcome {
    let store = Store::open_existing(args.store.db.as_deref())?;
    let view = store.view(store.find(&args.run)?)?;
    let detail = view.detail()?;
    let page = || waytrace_report::html::page(&detail, view.traced());
    if args.output.as_deref() == Some(Path::new("-")) {
        super::output::print(&page()?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let path = args.output.clone().unwrap_or_else(|| file_name(&detail.report.run.name).into());
    let existing = if args.force { Existing::Replace } else { Existing::Keep };
    let mut file = NewFile::create(&path, existing)?;
    let page = page()?;
    file.write_all(page.as_bytes()).with_context(|| format!("cannot write {}", path.display()))?;
    file.finish()?;
    eprintln!("waytrace: wrote {} ({})", path.display(), format_bytes(page.len() as f64));
    Ok(ExitCode::SUCCESS)
}

/// The run's name as a file name that is visible and stays in its directory.
fn file_name(run: &str) -> String {
    let is_safe = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '+' | '@');
    let name: String = run.chars().map(|c| if is_safe(c) { c } else { '_' }).collect();
    let name = name.trim_start_matches(['.', '-']);
    format!("{}.html", if name.is_empty() { "run" } else { name })
}

#[cfg(test)]
mod tests {
    use super::file_name;

    #[test]
    fn names_stay_in_their_directory() {
        let cases = [
            ("redis-server-3", "redis-server-3.html"),
            ("../../etc/passwd", "_.._etc_passwd.html"),
            ("-rf /", "rf__.html"),
            ("..", "run.html"),
        ];
        for (run, name) in cases {
            assert_eq!(file_name(run), name);
        }
    }
}
