//! `waytrace events import`: event files become part of what waytrace knows.

use std::path::PathBuf;
use std::process::ExitCode;

use serde::Serialize;
use waytrace_hw::catalogue::{Directory, Imported, Rejected};
use waytrace_model::units::format_bytes;

use super::super::Outcome;
use super::super::output::{plain, print, print_json, say};
use super::gather::cache;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Top directory of Intel's perfmon files, or `tools/perf/pmu-events/arch` of a kernel's source.
    dir: PathBuf,
    /// Directory to write to [default: $XDG_DATA_HOME/waytrace/events].
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
    /// Print the result as one JSON object.
    #[arg(long)]
    json: bool,
}

const SCHEMA_VERSION: u32 = 1;
/// Entries left out that are shown one by one.
const SHOWN: usize = 10;

#[derive(Serialize)]
struct Report<'a> {
    schema_version: u32,
    path: String,
    #[serde(flatten)]
    imported: &'a Imported,
}

/// Runs the command.
pub fn run(args: &Args) -> Outcome {
    let directory = Directory::open(&args.dir)?;
    let cache = cache(args.cache.clone());
    let imported = cache.import(&directory)?;
    if imported.models == 0 {
        anyhow::bail!(
            "{}: mapfile.csv is there, and the events of no CPU could be read{}",
            args.dir.display(),
            imported.rejected.first().map_or_else(String::new, |first| format!("; {}", first.reason))
        );
    }
    for Rejected { file, name, reason } in imported.rejected.iter().take(SHOWN) {
        say(&plain(&format!("{file}: left out {name}: {reason}")));
    }
    if imported.rejected.len() > SHOWN {
        say(&format!("and {} more left out; --json lists them", imported.rejected.len() - SHOWN));
    }
    let path = cache.path().display().to_string();
    if args.json {
        print_json(&Report { schema_version: SCHEMA_VERSION, path, imported: &imported })?;
    } else {
        print(&format!(
            "{} events and {} metrics of {} CPU models ({} ids) imported into {path}, {}\n",
            imported.events,
            imported.metrics,
            imported.models,
            imported.cpus,
            format_bytes(imported.size_bytes as f64)
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}
