//! `waytrace events search`: event codes and unit masks that count though nobody documents them.

mod journal;
mod live;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use serde::Serialize;
use waytrace_hw::catalogue::CpuId;
use waytrace_hw::pmu::{self, Pmu};
use waytrace_hw::search::{Candidate, End, Verdict, search};
use waytrace_hw::{Machine, Root, topology};
use waytrace_model::units::parse_duration_ns;

use super::gather::{From, SourceArgs, gather};
use crate::cli::Outcome;
use crate::cli::bench::signals::Signals;
use crate::cli::exit::INCOMPLETE;
use crate::cli::output::{print, print_json, say, terminal_columns};
use crate::cli::table::{Table, left, right};
use journal::{Notes, Subject};
use live::Live;

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
NOT VERIFIED ON HARDWARE. Selecting events at random has hung and reset machines. The search stops at a machine check, a memory
error, a kernel oops or a lock-up, and never tries again what was being counted when the machine went down; that does not make it
safe. Use a machine nobody needs.

Exit code: 0 if all was tried, 1 if it stopped before.

Examples:
  waytrace events search --i-know-this-pokes-hardware --codes 0xd0-0xdf
  waytrace events search --i-know-this-pokes-hardware --pmu uncore_imc_0 --time 50ms")]
pub struct Args {
    /// Says that you know what this does to a machine.
    #[arg(long)]
    i_know_this_pokes_hardware: bool,
    /// PMU [default: that of the cores].
    #[arg(long, value_name = "NAME")]
    pmu: Option<String>,
    /// CPU it is counted on [default: the first that the PMU counts on].
    #[arg(long, value_name = "N")]
    on: Option<u32>,
    /// Event codes, first to last.
    #[arg(long, value_name = "RANGE", default_value = "0x01-0xfe", value_parser = range)]
    codes: RangeInclusive<u64>,
    /// Unit masks, first to last.
    #[arg(long, value_name = "RANGE", default_value = "0x00-0xff", value_parser = range)]
    umasks: RangeInclusive<u64>,
    /// How long each is counted.
    #[arg(long, value_name = "TIME", default_value = "10ms")]
    time: String,
    /// File of what was found, with which a search goes on [default: beside the store, by PMU].
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
    /// Print what counts as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    sources: SourceArgs,
}

/// One that counts.
#[derive(Serialize)]
struct Found {
    #[serde(flatten)]
    candidate: Candidate,
    value: u64,
    /// Events of the catalogue with this code and mask; none: undocumented.
    names: Vec<String>,
}

/// As `--json` prints it; docs/events.md describes every field.
#[derive(Serialize)]
struct Report {
    schema_version: u32,
    cpu: String,
    pmu: String,
    complete: bool,
    tried: usize,
    refused: usize,
    found: Vec<Found>,
    suspects: Vec<(Candidate, String)>,
}

/// Runs the command.
pub fn run(args: &Args) -> Outcome {
    ensure!(
        args.i_know_this_pokes_hardware,
        "selecting undocumented events has hung and reset machines; on a machine nobody needs say --i-know-this-pokes-hardware"
    );
    let period = Duration::from_nanos(parse_duration_ns(&args.time).context("--time")?);
    let machine = Machine::live();
    let pmu = choose(machine.root(), args.pmu.as_deref())?;
    let cpu = cpu(machine.root(), &pmu, args.on)?;
    let known = known(&args.sources, &pmu)?;
    let cpu_id =
        CpuId::running(machine.root()).map_or_else(|_| "unknown CPU".to_owned(), |id| id.to_string());
    let subject = Subject { cpu: cpu_id, pmu: pmu.name.clone() };
    let beside = || waytrace_store::default_path().with_file_name(format!("search-{}.jsonl", pmu.name));
    let mut notes = Notes::open(&args.journal.clone().unwrap_or_else(beside), &subject)?;
    let mut bench = Live::new(machine, &pmu.name, cpu, period)?;
    let mut signals = Signals::block().context("blocking signals")?;
    let wanted = || {
        let umasks = args.umasks.clone();
        args.codes.clone().flat_map(move |code| umasks.clone().map(move |umask| Candidate { code, umask }))
    };
    let left: Vec<Candidate> = wanted().filter(|candidate| !notes.ended.contains_key(candidate)).collect();
    say(&format!("{} of {} on CPU {cpu}, {} candidates left", pmu.name, subject.cpu, left.len()));
    let end = search(&mut bench, &mut notes, left, || !signals.interrupted())?;
    match &end {
        End::Complete => {}
        End::Interrupted => say("interrupted; the same command goes on"),
        End::Harm { candidate: Some(Candidate { code, umask }), sign } => {
            say(&format!("stopped at code {code:#x}, umask {umask:#x}: {sign}; it is not tried again"));
        }
        End::Harm { candidate: None, sign } => say(&format!("nothing was tried: {sign}")),
    }
    let report = report(subject, &notes.ended, &known, end == End::Complete);
    if args.json {
        print_json(&report)?;
    } else {
        print(&table(&report).render(terminal_columns().unwrap_or(usize::MAX)))?;
    }
    Ok(if report.complete { ExitCode::SUCCESS } else { ExitCode::from(INCOMPLETE) })
}

/// The PMU named, or the cores'; it must take both fields.
fn choose(root: &Root, name: Option<&str>) -> anyhow::Result<Pmu> {
    let takes = |pmu: &Pmu| ["event", "umask"].iter().all(|field| pmu.formats.contains_key(*field));
    let all: Vec<Pmu> =
        pmu::names(root).iter().filter_map(|name| Pmu::load(root, name)).filter(takes).collect();
    let names: Vec<&str> = all.iter().map(|pmu| pmu.name.as_str()).collect();
    if names.is_empty() {
        bail!(
            "no PMU here has event codes and unit masks to search (a virtual machine shows none, unless its hypervisor is told \
             to); run it on the hardware"
        );
    }
    let there_are = names.join(", ");
    let chosen = all.into_iter().find(|pmu| name.map_or_else(|| pmu.is_core(), |name| pmu.name == name));
    let name = name.unwrap_or("of the cores");
    chosen.with_context(|| format!("no PMU {name} with event codes and unit masks; there are {there_are}"))
}

fn cpu(root: &Root, pmu: &Pmu, wanted: Option<u32>) -> anyhow::Result<u32> {
    let own = match (&pmu.cpumask, &pmu.cpus) {
        (Some(cpus), _) | (None, Some(cpus)) => cpus.clone(),
        (None, None) => topology::cpus_online(root)?,
    };
    let cpu = wanted.or_else(|| own.first().copied()).context("the PMU names no CPU")?;
    ensure!(
        own.contains(&cpu),
        "{} does not count on CPU {cpu}, but on {}",
        pmu.name,
        topology::format_list(&own)
    );
    Ok(cpu)
}

/// Names of the events of the PMU by code and mask.
fn known(sources: &SourceArgs, pmu: &Pmu) -> anyhow::Result<BTreeMap<Candidate, Vec<String>>> {
    let gathered = gather(&From { cpu: None, sources: sources.clone() })?;
    let unit = pmu.name.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end_matches('_');
    let mut names: BTreeMap<Candidate, Vec<String>> = BTreeMap::new();
    for event in gathered.events {
        let is_its = event.pmu == pmu.name || event.pmu == unit || (pmu.is_core() && event.pmu == "cpu");
        for &code in event.fields.codes.iter().filter(|_| is_its) {
            names.entry(Candidate { code, umask: event.fields.umask }).or_default().push(event.name.clone());
        }
    }
    Ok(names)
}

fn report(
    subject: Subject,
    ended: &BTreeMap<Candidate, Verdict>,
    known: &BTreeMap<Candidate, Vec<String>>,
    complete: bool,
) -> Report {
    let (mut found, mut suspects, mut refused) = (Vec::new(), Vec::new(), 0);
    for (candidate, verdict) in ended {
        match verdict {
            Verdict::Counts { value } => {
                let names = known.get(candidate).cloned().unwrap_or_default();
                found.push(Found { candidate: *candidate, value: *value, names });
            }
            Verdict::Suspect { sign } => suspects.push((*candidate, sign.clone())),
            Verdict::Refused { .. } => refused += 1,
            Verdict::Silent => {}
        }
    }
    let Subject { cpu, pmu } = subject;
    Report { schema_version: 1, cpu, pmu, complete, tried: ended.len(), refused, found, suspects }
}

fn table(report: &Report) -> Table {
    let mut table = Table::new(vec![right("CODE"), right("UMASK"), right("COUNT"), left("KNOWN AS")]);
    let hex = |number: u64| format!("{number:#04x}");
    for Found { candidate, value, names } in &report.found {
        let names = if names.is_empty() { "(undocumented)".to_owned() } else { names.join(", ") };
        table.row(&[hex(candidate.code), hex(candidate.umask), value.to_string(), names]);
    }
    for (candidate, sign) in &report.suspects {
        table.row(&[
            hex(candidate.code),
            hex(candidate.umask),
            "-".to_owned(),
            format!("(not tried again: {sign})"),
        ]);
    }
    table
}

/// `0x10-0x1f`, `16-31`, or one number.
fn range(text: &str) -> Result<RangeInclusive<u64>, String> {
    let number = |part: &str| {
        let part = part.trim();
        let hex = part.strip_prefix("0x").map(|digits| u64::from_str_radix(digits, 16));
        hex.unwrap_or_else(|| part.parse()).ok().filter(|number| *number <= 0xffff)
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => Ok(first..=last),
        _ => Err(format!("`{text}` is no range of numbers up to 0xffff, as 0x10-0x1f")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_hexadecimal_or_decimal() {
        for (text, expected) in [("0x10-0x1f", 16..=31), ("7", 7..=7), ("0-0xffff", 0..=0xffff)] {
            assert_eq!(range(text), Ok(expected), "{text}");
        }
        for text in ["", "2-1", "0x10000", "a-b", "-1", "0x"] {
            assert!(range(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_counts_is_named_where_somebody_knows_it() {
        let at = |code| Candidate { code, umask: 1 };
        let ended = [
            (at(1), Verdict::Counts { value: 5 }),
            (at(2), Verdict::Counts { value: 6 }),
            (at(3), Verdict::Silent),
            (at(4), Verdict::Refused { reason: "Invalid".to_owned() }),
            (at(5), Verdict::Suspect { sign: "machine check".to_owned() }),
        ];
        let known = [(at(1), vec!["inst_retired.any".to_owned()]), (at(3), vec!["x".to_owned()])];
        let subject = Subject { cpu: "c".to_owned(), pmu: "cpu".to_owned() };
        let report = report(subject, &ended.into(), &known.into(), false);
        assert_eq!((report.tried, report.refused, report.suspects.len()), (5, 1, 1));
        let found: Vec<_> = report.found.iter().map(|one| (one.candidate.code, one.names.len())).collect();
        assert_eq!(found, [(1, 1), (2, 0)]);
        let text = table(&report).render(200);
        assert!(text.contains("inst_retired.any") && text.contains("(undocumented)"), "{text}");
        assert!(text.contains("(not tried again: machine check)"), "{text}");
    }

    #[test]
    fn a_machine_without_such_a_pmu_says_so() {
        let place = tempfile::tempdir().unwrap();
        let error = choose(&Root::new(place.path()), None).unwrap_err().to_string();
        assert!(error.contains("no PMU here has event codes and unit masks"), "{error}");
        let dir = place.path().join("sys/bus/event_source/devices/uncore_x");
        std::fs::create_dir_all(dir.join("format")).unwrap();
        for (file, text) in [("type", "12"), ("format/event", "config:0-7"), ("format/umask", "config:8-15")]
        {
            std::fs::write(dir.join(file), text).unwrap();
        }
        let root = Root::new(place.path());
        assert_eq!(choose(&root, Some("uncore_x")).unwrap().type_, 12);
        let error = choose(&root, None).unwrap_err().to_string();
        assert!(error.contains("there are uncore_x"), "{error}");
    }
}
