//! `waytrace export`: one run, one way sweep, or a range of a target's history, in a format other tools read.

use std::io::{BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::ValueEnum;
use waytrace_model::detail::RunDetail;
use waytrace_report::flame::accesses::Weight as AccessWeight;
use waytrace_report::{Error, csv, folded, json, perfetto, pprof, svg};
use waytrace_store::{RunView, Store};

use super::file::{Existing, NewFile};
use super::{Outcome, StoreArgs, history};

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "RUN is an id, a name, the beginning of one name, `last`, or `last~1` for the one before. With --since it is the name of a target, \
                  and the format `csv` or `json`."
)]
pub struct Args {
    /// Which run; for `datamime` which sweep, with --since which target.
    #[arg(value_name = "RUN")]
    run: String,
    /// What to write; docs/export.md describes each format.
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    format: Format,
    /// What stacks are weighted by in `folded` and `svg`; pprof holds all.
    #[arg(short, long, value_enum, value_name = "WEIGHT", default_value_t = Weight::Bytes)]
    weight: Weight,
    /// Where to write it, replacing what is there; `-` is stdout, `datamime` takes a directory [default: stdout].
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    history: history::RangeArgs,
    #[command(flatten)]
    store: StoreArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Windows, threads and metrics as one long table.
    Csv,
    /// Sampled memory accesses, a row for each.
    AccessesCsv,
    /// Mappings and the accesses to each.
    RegionsCsv,
    /// The complete run.
    Json,
    /// Stacks with their weights, for FlameGraph, inferno and speedscope.
    Folded,
    /// gzip-compressed profile, for go tool pprof, Pyroscope and Parca.
    Pprof,
    /// Chrome trace events, for ui.perfetto.dev.
    Perfetto,
    /// A flame graph.
    Svg,
    /// The curves of a way sweep as files of Datamime's profiler, in the directory `--output`.
    Datamime,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Weight {
    /// Bytes allocated, by call path.
    Bytes,
    /// Sampled memory accesses, by function and mapping.
    Accesses,
    /// Cycles the sampled accesses took; needs a source that tells them.
    Latency,
}

impl Weight {
    /// `None` for allocations.
    fn of_accesses(self) -> Option<AccessWeight> {
        match self {
            Self::Bytes => None,
            Self::Accesses => Some(AccessWeight::Accesses),
            Self::Latency => Some(AccessWeight::Latency),
        }
    }
}

impl Format {
    fn shows_accesses_only(self) -> bool {
        matches!(self, Self::AccessesCsv | Self::RegionsCsv)
    }
}

/// Runs the command.
pub fn run(args: &Args) -> Outcome {
    let path = args.output.as_deref().filter(|path| *path != Path::new("-"));
    if let Some(range) = args.history.range()? {
        history::refuse(args.weight != Weight::Bytes, "--weight")?;
        let format = match args.format {
            Format::Csv => history::Format::Csv,
            Format::Json => history::Format::Json,
            _ => bail!("this format is of runs and sweeps; of the history there are `csv` and `json`"),
        };
        history::export(args.store.db.as_deref(), &args.run, range, format, path)?;
        return Ok(ExitCode::SUCCESS);
    }
    if path.is_none() && args.format == Format::Pprof && std::io::stdout().is_terminal() {
        bail!("pprof is binary and stdout is a terminal; name a file with -o, or redirect stdout");
    }
    if args.weight != Weight::Bytes && !matches!(args.format, Format::Folded | Format::Svg) {
        bail!("--weight is for `folded` and `svg`; leave it out, or choose one of these formats");
    }
    let store = Store::open_existing(args.store.db.as_deref())?;
    if args.format == Format::Datamime {
        let Some(directory) = path else {
            bail!("datamime is several files; name a directory for them with -o");
        };
        let sweep = super::curves::derived(store.sweep(&args.run)?);
        super::curves::to_datamime(&sweep, directory)?;
        return Ok(ExitCode::SUCCESS);
    }
    let view = store.view(store.find(&args.run)?)?;
    let run = Run { detail: view.detail()?, view, weight: args.weight };
    if let Some(missing) = run.missing(args.format) {
        eprintln!("waytrace: run `{}` has {missing}", run.detail.report.run.name);
    }
    match path {
        Some(path) => to_file(args.format, &run, path)?,
        None => to_stdout(args.format, &run)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// A run as it is written: all but its traced allocations and accesses, and where to read those.
struct Run<'s> {
    detail: RunDetail,
    view: RunView<'s>,
    weight: Weight,
}

impl Run<'_> {
    /// What an output will be without, where it is still written.
    fn missing(&self, format: Format) -> Option<&'static str> {
        let has_accesses = self.detail.report.accesses.is_some();
        let is_empty = self.detail.sites.is_empty();
        match format {
            Format::Folded if self.weight == Weight::Bytes && is_empty && has_accesses => {
                Some("no allocation sites; the output has no stacks, and `--weight accesses` has")
            }
            Format::Folded if self.weight == Weight::Bytes && is_empty => {
                Some("no allocation sites; the output has no stacks")
            }
            Format::Pprof if is_empty && !has_accesses => {
                Some("no allocation sites; the output has no stacks")
            }
            format if format.shows_accesses_only() && !has_accesses => Some(
                "no sampled accesses; the output has a header only. `profile --collect accesses` samples them",
            ),
            _ => None,
        }
    }
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
    let (detail, view) = (&run.detail, &run.view);
    match (format, run.weight.of_accesses()) {
        (Format::Csv, _) => csv::write(detail, out),
        (Format::AccessesCsv, _) => csv::accesses::write(detail, view.accesses(), out),
        (Format::RegionsCsv, _) => csv::regions::write(detail, out),
        (Format::Json, _) => json::write(detail, view.traced(), view.accesses(), out),
        (Format::Folded, None) => folded::write(detail, out),
        (Format::Folded, Some(weight)) => folded::accesses(detail, view.accesses(), weight, out),
        (Format::Pprof, _) => pprof::write(detail, view.accesses(), out),
        (Format::Perfetto, _) => perfetto::write(detail, view.traced(), out),
        (Format::Svg, None) => svg::write(detail, out),
        (Format::Svg, Some(weight)) => svg::accesses(detail, view.accesses(), weight, out),
        // Several files, which `run` has written.
        (Format::Datamime, _) => Ok(()),
    }
}
