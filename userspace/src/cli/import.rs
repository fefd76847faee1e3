//! `waytrace import`: recordings of other tools become runs in the store.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use indicatif::ProgressBar;
use serde::Serialize;
use waytrace_import::{Directions, Format, Options, Recording};
use waytrace_model::collector::{CollectorReport, Loss};
use waytrace_model::units::{format_count, format_ns, parse_duration_ns};
use waytrace_store::{Store, StoreError};

use super::output::{plain, print, print_json, say};
use super::samples::{Bound, bound};
use super::{Outcome, StoreArgs};

const EXAMPLES: &str = "\
Reads perf.data, the text of `perf script` with addresses, and directories Heimdallr wrote (one run, or all of them).

Examples:
  perf mem record -- ./server; waytrace import perf.data
  perf script --ns -F comm,pid,tid,cpu,time,period,event,addr,ip,sym,dso > a.txt; waytrace import a.txt
  waytrace import traces_npb --read-event r4003E --write-event r20016";

/// How long an import goes on before it shows how far it is.
const DELAY: Duration = Duration::from_secs(2);

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Files and directories.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// What they are [default: found out].
    #[arg(long, value_name = "FORMAT", value_parser = format)]
    format: Option<Format>,
    /// Name of the run; for a path that holds one.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Samples of the event whose name contains this are loads, where they do not tell themselves.
    #[arg(long, value_name = "EVENT")]
    read_event: Option<String>,
    /// Samples of the event whose name contains this are stores, where they do not tell themselves.
    #[arg(long, value_name = "EVENT")]
    write_event: Option<String>,
    /// Put the first allocation at the first sample, where their clocks have no time in common.
    #[arg(long)]
    align_clocks: bool,
    /// Length of windows [default: 100ms, longer for long recordings].
    #[arg(long, value_name = "DURATION", value_parser = interval)]
    interval: Option<u64>,
    /// Access samples kept in each run, a random choice of all there are; 0 keeps all.
    #[arg(long, value_name = "COUNT", default_value = "0", value_parser = bound)]
    max_samples: Bound,
    /// Print what was imported as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    store: StoreArgs,
}

fn format(text: &str) -> Result<Format, String> {
    Format::parse(text).ok_or_else(|| format!("there are {}", Format::ALL.map(Format::as_str).join(", ")))
}

fn interval(text: &str) -> Result<u64, String> {
    match parse_duration_ns(text) {
        Ok(0) => Err("a window has a length; write for instance 100ms".to_owned()),
        Ok(interval_ns) => Ok(interval_ns),
        Err(error) => Err(error.to_string()),
    }
}

/// One run made.
#[derive(Debug, Serialize)]
struct Imported {
    path: PathBuf,
    run: i64,
    name: String,
    accesses: u64,
    duration_ns: u64,
    collectors: Vec<CollectorReport>,
    loss: Loss,
}

/// Runs the command. What was imported before an error stays.
pub fn run(args: &Args) -> Outcome {
    let options = Options {
        format: args.format,
        directions: Directions { read_event: args.read_event.clone(), write_event: args.write_event.clone() },
        align_clocks: args.align_clocks,
        interval_ns: args.interval,
        command: std::env::args().collect::<Vec<_>>().join(" "),
    };
    let mut recordings = Vec::new();
    for path in &args.paths {
        recordings
            .extend(waytrace_import::open(path, &options)?.into_iter().map(|recording| (path, recording)));
    }
    if args.name.is_some() && recordings.len() != 1 {
        bail!("--name is for one run, and there are {}; leave it out", recordings.len());
    }
    let store = Store::open(args.store.db.as_deref())?;
    let mut imported = Vec::new();
    for (path, recording) in recordings {
        let one = import(&store, path, recording, args)?;
        if !args.json {
            print(&sentence(&one))?;
        }
        imported.push(one);
    }
    if args.json {
        print_json(&imported)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn import(store: &Store, path: &Path, recording: Recording, args: &Args) -> anyhow::Result<Imported> {
    let mut header = recording.header().clone();
    if let Some(name) = &args.name {
        name.clone_into(&mut header.name);
    }
    let begun = store.begin_run(&header, recording.events());
    let is_taken = matches!(begun, Err(StoreError::NameTaken { .. }));
    let mut writer = begun.with_context(|| match is_taken {
        true => format!("importing {}: give the run another name with --name", path.display()),
        false => format!("importing {}", path.display()),
    })?;
    writer.keep_accesses(args.max_samples.0);
    let (accesses, name) = (recording.accesses(), writer.name().to_owned());
    let mut progress = Progress::new(accesses);
    let read = recording.read(&mut |batch| {
        progress.advance(batch.accesses.len() as u64);
        writer.append(&batch).map_err(anyhow::Error::from)
    });
    progress.clear();
    let epilogue = read.with_context(|| format!("importing {}", path.display()))?;
    let run = writer.finish(&epilogue)?;
    let (duration_ns, collectors, loss) = (epilogue.duration_ns, epilogue.collectors, epilogue.loss);
    Ok(Imported { path: path.to_owned(), run: run.0, name, accesses, duration_ns, collectors, loss })
}

/// A bar on stderr, if that is a terminal, once an import takes long.
struct Progress {
    began: Instant,
    accesses: u64,
    done: u64,
    bar: Option<ProgressBar>,
}

impl Progress {
    fn new(accesses: u64) -> Self {
        Self { began: Instant::now(), accesses, done: 0, bar: None }
    }

    fn advance(&mut self, accesses: u64) {
        self.done += accesses;
        if self.began.elapsed() >= DELAY {
            self.bar.get_or_insert_with(|| ProgressBar::new(self.accesses)).set_position(self.done);
        }
    }

    fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn sentence(imported: &Imported) -> String {
    for collector in &imported.collectors {
        if let Some(reason) = &collector.reason {
            say(&format!("{}: {}", collector.name, plain(reason)));
        }
    }
    for (kind, count) in &imported.loss.0 {
        say(&format!("the recording itself lost {count} records ({kind})"));
    }
    format!(
        "run {} `{}`: {} accesses in {}, from {}\n",
        imported.run,
        plain(&imported.name),
        format_count(imported.accesses as f64),
        format_ns(imported.duration_ns as f64),
        plain(&imported.path.display().to_string()),
    )
}
