//! `waytrace report`: one run as a self-contained HTML page, or its memory accesses as a picture; of a way sweep its curves; of a range of a
//! target's history its charts.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use waytrace_model::detail::RunDetail;
use waytrace_model::units::{format_bytes, parse_duration_ns};
use waytrace_report::View;
use waytrace_store::{Recorded, RunView, Store};

use super::file::{Existing, NewFile};
use super::{Outcome, StoreArgs, history};

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "RUN is an id, a name, the beginning of one name, `last`, or `last~1` for the one before. Way sweeps of `cache sweep` \
                  go by name; `last` counts them, too. Of these the page and the plot show the curves. With --since it is the name of a target."
)]
pub struct Args {
    /// Which run or sweep, or with --since which target.
    #[arg(value_name = "RUN")]
    run: String,
    /// The page; `-` is stdout [default: <run name>.html in this directory].
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace the file if it exists.
    #[arg(long)]
    force: bool,
    /// Draw the memory accesses, or a sweep's curves, as SVG, instead of the page unless `--output` asks for it too; `-` is stdout.
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    #[command(flatten)]
    heat: HeatArgs,
    #[command(flatten)]
    history: history::RangeArgs,
    #[command(flatten)]
    store: StoreArgs,
}

/// What part of the memory accesses is drawn, in the page and in the plot.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Heat map of memory accesses")]
struct HeatArgs {
    /// Bytes of a block as a power of two: unused addresses are cut out where more than a block is unused.
    #[arg(long, value_name = "BITS", default_value_t = 12, value_parser = clap::value_parser!(u8).range(0..=40))]
    block_bits: u8,
    /// Lowest address drawn.
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    block_min: Option<u64>,
    /// Highest address drawn.
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    block_max: Option<u64>,
    /// Time since the start of the run from which on accesses are drawn.
    #[arg(long, value_name = "TIME", value_parser = parse_duration_ns)]
    time_min: Option<u64>,
    /// Time since the start of the run up to which accesses are drawn.
    #[arg(long, value_name = "TIME", value_parser = parse_duration_ns)]
    time_max: Option<u64>,
    /// Width of the narrowest cell.
    #[arg(long, value_name = "TIME", default_value = "1ms", value_parser = time_unit)]
    time_unit: u64,
}

impl HeatArgs {
    fn view(&self) -> anyhow::Result<View> {
        let (block_min, block_max) = (self.block_min.unwrap_or(0), self.block_max.unwrap_or(u64::MAX));
        if block_min > block_max {
            bail!(
                "--block-min {block_min:#x} is above --block-max {block_max:#x}; no address is between them"
            );
        }
        let time_min_ns = self.time_min.unwrap_or(0);
        if self.time_max.is_some_and(|max_ns| time_min_ns >= max_ns) {
            bail!("--time-min is not before --time-max; no time is between them");
        }
        Ok(View {
            block_bits: self.block_bits,
            block_min,
            block_max,
            time_min_ns,
            time_max_ns: self.time_max,
            time_unit_ns: self.time_unit,
        })
    }
}

/// Runs the command.
pub fn run(args: &Args) -> Outcome {
    if let Some(range) = args.history.range()? {
        history::refuse(args.plot.is_some(), "--plot")?;
        let history = history::read(args.store.db.as_deref(), &args.run, range)?;
        let path = args.output.clone().unwrap_or_else(|| file_name(&history.target).into());
        put(&path, args.force, || Ok(waytrace_report::history::page(&history).into_bytes()))?;
        return Ok(ExitCode::SUCCESS);
    }
    let heat = args.heat.view()?;
    let store = Store::open_existing(args.store.db.as_deref())?;
    match store.find_recorded(&args.run)? {
        Recorded::Run(id) => {
            let view = store.view(id)?;
            let run = Run { detail: view.detail()?, view, heat };
            outputs(args, &run.detail.report.run.name, || run.plot(), || run.page())?;
        }
        Recorded::Sweep(id) => {
            let sweep = super::curves::report(&store, id)?;
            let plot = || Ok(waytrace_report::curve::svg(&sweep).into_bytes());
            outputs(args, &sweep.sweep.name, plot, || Ok(waytrace_report::curve::page(&sweep).into_bytes()))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The plot where it is asked for, and the page unless only the plot is.
fn outputs(
    args: &Args,
    name: &str,
    plot: impl FnOnce() -> anyhow::Result<Vec<u8>>,
    page: impl FnOnce() -> anyhow::Result<Vec<u8>>,
) -> anyhow::Result<()> {
    if let Some(path) = &args.plot {
        put(path, args.force, plot)?;
    }
    if args.plot.is_none() || args.output.is_some() {
        let path = args.output.clone().unwrap_or_else(|| file_name(name).into());
        put(&path, args.force, page)?;
    }
    Ok(())
}

/// A run, and what part of it is drawn.
struct Run<'s> {
    detail: RunDetail,
    view: RunView<'s>,
    heat: View,
}

impl Run<'_> {
    fn page(&self) -> anyhow::Result<Vec<u8>> {
        let (traced, accesses) = (self.view.traced(), self.view.accesses());
        Ok(waytrace_report::html::page(&self.detail, traced, accesses, &self.heat)?.into_bytes())
    }

    fn plot(&self) -> anyhow::Result<Vec<u8>> {
        let (traced, accesses) = (self.view.traced(), self.view.accesses());
        let mut drawing = Vec::new();
        waytrace_report::plot::write(&self.detail, traced, accesses, &self.heat, &mut drawing)?;
        Ok(drawing)
    }
}

/// Writes what `make` gives to `path`, or to stdout. Whether the file may be written is found out first.
fn put(path: &Path, force: bool, make: impl FnOnce() -> anyhow::Result<Vec<u8>>) -> anyhow::Result<()> {
    if path == Path::new("-") {
        return super::output::print(&String::from_utf8_lossy(&make()?));
    }
    let existing = if force { Existing::Replace } else { Existing::Keep };
    let mut file = NewFile::create(path, existing)?;
    let bytes = make()?;
    file.write_all(&bytes).with_context(|| format!("cannot write {}", path.display()))?;
    file.finish()?;
    eprintln!("waytrace: wrote {} ({})", path.display(), format_bytes(bytes.len() as f64));
    Ok(())
}

/// An address, in hexadecimal with `0x`, else in decimal.
fn address(text: &str) -> Result<u64, String> {
    let parsed = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    parsed.map_err(|_| format!("`{text}` is no address; write it like 0x7f3a00000000"))
}

/// A duration of at least a microsecond, the finest the page knows.
fn time_unit(text: &str) -> Result<u64, String> {
    let ns = parse_duration_ns(text).map_err(|error| error.to_string())?;
    if ns < 1000 { Err(format!("`{text}` is too short; the narrowest cell is 1us")) } else { Ok(ns) }
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
    use super::{address, file_name, time_unit};

    #[test]
    fn addresses_are_hexadecimal_or_decimal() {
        assert_eq!(address("0x7f3a00000000"), Ok(0x7f3a_0000_0000));
        assert_eq!(address("4096"), Ok(4096));
        for text in ["", "0x", "7f3a", "-1", "0x10000000000000000"] {
            let error = address(text).unwrap_err();
            assert!(error.contains("write it like"), "{error}");
        }
    }

    #[test]
    fn cells_are_no_narrower_than_a_microsecond() {
        assert_eq!(time_unit("1us"), Ok(1000));
        assert!(time_unit("10ns").unwrap_err().contains("1us") && time_unit("soon").is_err());
    }

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
