//! `waytrace export`: one run in a format other tools read.

use std::io::{BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::ValueEnum;
use waytrace_model::detail::RunDetail;
use waytrace_report::{Error, csv, folded, json, perfetto, pprof, svg};
use waytrace_store::{RunView, Store};

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
    /// What to write; docs/export.md describes each format.
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    format: Format,
    /// Where to write it, replacing what is there; `-` is stdout [default: stdout].
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    store: StoreArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Windows, threads and metrics as one long table.
    Csv,
    /// The complete run.
    Json,
    /// Stacks with their bytes, for FlameGraph, inferno and speedscope.
    Folded,
    /// gzip-compressed profile, for go tool pprof, Pyroscope and Parca.
    Pprof,
    /// Chrome trace events, for ui.perfetto.dev.
    Perfetto,
    /// A flame graph by bytes.
    Svg,
}

/// Runs the command.
pub fn run(args: &Args) -> Outcome {
    let path = args.output.as_deref().filter(|path| *path != Path::new("-"));
    if path.is_none() && args.format == Format::Pprof && std::io::stdout().is_terminal() {
        bail!("pprof is binary and stdout is a terminal; name a file with -o, or redirect stdout");
    }
    let store = Store::open_existing(args.store.db.as_deref())?;
    let view = store.view(store.find(&args.run)?)?;
    let run = Run { detail: view.detail()?, view };
    if run.detail.sites.is_empty() && matches!(args.format, Format::Folded | Format::Pprof) {
        eprintln!(
            "waytrace: run `{}` has no allocation sites; the output has no stacks",
            run.detail.report.run.name
        );
    }
    match path {
        Some(path) => to_file(args.format, &run, path)?,
        None => to_stdout(args.format, &run)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// A run as it is written: all but its traced allocations, and where to read those.
struct Run<'s> {
    detail: RunDetail,
    view: RunView<'s>,
}

fn to_file(format: Format, run: &Run<'_>, path: &Path) -> anyhow::Result<()> {
    let mut file = NewFile::create(path, Existing::Replace)?;
    write(format, run, &mut file).with_context(|| path.display().to_string())?;
    file.finish()
}

fn to_stdout(format: Format, run: &Run<'_>) -> anyhow::Result<()> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    write(format, run, &mut out)?;
    out.flush().context("cannot write to stdout")
}

fn write(format: Format, run: &Run<'_>, out: &mut impl Write) -> Result<(), Error> {
    let detail = &run.detail;
    match format {
        Format::Csv => csv::write(detail, out),
        Format::Json => json::write(detail, run.view.traced(), out),
        Format::Folded => folded::write(detail, out),
        Format::Pprof => pprof::write(detail, out),
        Format::Perfetto => perfetto::write(detail, run.view.traced(), out),
        Format::Svg => svg::write(detail, out),
    }
}
