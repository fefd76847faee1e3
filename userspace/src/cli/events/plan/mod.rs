//! `waytrace events plan`: all events in the fewest runs without multiplexing, with the proof of how few there can be.

pub mod problem;
mod text;
mod together;

use std::process::ExitCode;
use std::time::Instant;

use anyhow::{anyhow, bail};
use serde::Serialize;
use waytrace_analysis::packing::{self, Counter, Plan, Problem, pack, validate};
use waytrace_hw::catalogue::Event;
use waytrace_model::units::parse_duration_ns;

use super::super::Outcome;
use super::super::output::{plain, print, print_json, say};
use super::gather::{From, Only, gather};

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    from: From,
    #[command(flatten)]
    only: Only,
    /// Count these in one run: a comma-separated list of events, patterns and metrics, or a group of metrics, of which each is
    /// counted in one run; may be repeated.
    #[arg(long, value_name = "GROUP")]
    keep_together: Vec<String>,
    /// Plan for SMT switched on or off, which may change how many counters a core has [default: as here; on for --cpu].
    #[arg(long, value_name = "STATE")]
    smt: Option<Smt>,
    /// Leave the fixed counter of cycles to the NMI watchdog [default: as here; free for --cpu].
    #[arg(long)]
    nmi_watchdog: bool,
    /// How long one run of the command takes, as 2s, for an estimate of the whole.
    #[arg(long, value_name = "TIME", value_parser = parse_duration_ns)]
    run_time: Option<u64>,
    /// Show what each run counts.
    #[arg(long)]
    runs: bool,
    /// Print the plan as one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Smt {
    On,
    Off,
}

/// Version of the JSON object; fields are only ever added within one.
const SCHEMA_VERSION: u32 = 1;
/// Names a certificate shows.
const EXAMPLES: usize = 3;

/// A plan as it is printed.
#[derive(Debug, Serialize)]
struct Report {
    schema_version: u32,
    cpu: String,
    source: String,
    events: usize,
    lower_bound: usize,
    planning_time_ms: f64,
    run_time_ns: Option<u64>,
    runs: Vec<Run>,
    units: Vec<UnitRow>,
    unplaceable: Vec<Unplaceable>,
    /// Events counted in a further run, because of what they are kept together with there.
    counted_again: usize,
    /// Sets that were to be kept together, with the run that counts them.
    together: Vec<Together>,
    /// Sets to keep together that no run can count.
    separated: Vec<String>,
    /// The same with the reason.
    not_together: Vec<Unplaceable>,
}

#[derive(Debug, Serialize)]
struct Together {
    /// The list as given, or the metric.
    name: String,
    /// From 1.
    run: usize,
    events: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Run {
    groups: Vec<Group>,
}

#[derive(Debug, Serialize)]
struct Group {
    pmu: String,
    events: Vec<Placed>,
}

#[derive(Debug, Serialize)]
struct Placed {
    name: String,
    /// `3`, `fixed 1`; null where none is needed.
    counter: Option<String>,
}

#[derive(Debug, Serialize)]
struct UnitRow {
    pmu: String,
    events: usize,
    runs: usize,
    lower_bound: usize,
    certificate: String,
}

#[derive(Debug, Serialize)]
struct Unplaceable {
    name: String,
    reason: String,
}

/// Runs the command.
pub fn run(args: &Args) -> Outcome {
    let mut gathered = gather(&args.from)?;
    args.only.retain(&mut gathered.events);
    if gathered.machine.is_some() {
        leave_out_what_no_plan_helps(&mut gathered.events);
    }
    gathered.complain();
    if gathered.events.is_empty() {
        bail!("no event is left to plan for; `waytrace events list` shows what there is");
    }
    let mut setup = gathered.setup();
    setup.smt_off = args.smt.map_or(setup.smt_off, |smt| smt == Smt::Off);
    setup.nmi_watchdog |= args.nmi_watchdog;
    let began = Instant::now();
    let known = gathered.events.len();
    let kept = together::keep(&args.keep_together, &mut gathered.events, &gathered.metrics, setup)?;
    let problem = problem::pose(&gathered.events, kept.sets.clone(), setup);
    let plan = pack(&problem).map_err(|error| anyhow!("planning: {error}"))?;
    let planning_time_ms = began.elapsed().as_secs_f64() * 1e3;
    if let Some(fault) = validate::faults(&problem, &plan).first() {
        bail!("the plan is wrong, which is a mistake in waytrace: {fault}");
    }
    let mut report = report(&problem, &plan);
    report.cpu = gathered.cpu_name();
    report.source = gathered.sources.join(" and ");
    report.planning_time_ms = planning_time_ms;
    report.run_time_ns = args.run_time;
    report.events = known;
    keep_account(&mut report, &kept, &plan, &gathered.events);
    if args.json {
        print_json(&report)?;
    } else {
        print(&text::render(&report, args.runs))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A breakpoint needs an address, which a plan has not.
fn leave_out_what_no_plan_helps(events: &mut Vec<Event>) {
    events.retain(|event| event.pmu != "breakpoint");
}

/// What came of `--keep-together`.
fn keep_account(report: &mut Report, kept: &together::Kept, plan: &Plan, events: &[Event]) {
    let run_of = |item: usize| {
        let counts = |run: &packing::Run| {
            run.groups.iter().flat_map(|group| &group.placed).any(|placed| placed.item == item)
        };
        plan.runs.iter().position(counts).map(|run| run + 1)
    };
    let name = |place: &usize| events.get(*place).map(|event| event.name.clone());
    report.counted_again = kept.again;
    for (wanted, set) in &kept.wanted {
        let run = kept.sets.get(*set).and_then(|set| set.first()).and_then(|item| run_of(*item));
        match run.filter(|_| !plan.separated.contains(set)) {
            Some(run) => report.together.push(Together {
                name: wanted.name.clone(),
                run,
                events: wanted.events.iter().filter_map(name).collect(),
            }),
            None => report.separated.push(wanted.name.clone()),
        }
    }
    for (name, reason) in &kept.apart {
        report.separated.push(name.clone());
        report.not_together.push(Unplaceable { name: name.clone(), reason: reason.clone() });
    }
    for altered in kept.altered.iter().take(EXAMPLES) {
        say(&format!("{} is planned without its further terms", plain(altered)));
    }
}

fn report(problem: &Problem, plan: &Plan) -> Report {
    let unit_name = |unit: usize| problem.units.get(unit).map_or_else(String::new, |unit| unit.name.clone());
    let item_name = |item: usize| problem.items.get(item).map_or_else(String::new, |item| item.name.clone());
    let placed = |placed: &packing::Placed| Placed {
        name: item_name(placed.item),
        counter: match placed.counter {
            Counter::General(number) => Some(number.to_string()),
            Counter::Fixed(number) => Some(format!("fixed {number}")),
            Counter::Own => None,
        },
    };
    let group = |group: &packing::UnitGroup| Group {
        pmu: unit_name(group.unit),
        events: group.placed.iter().map(placed).collect(),
    };
    let row = |(unit, bound): (usize, &packing::UnitBound)| UnitRow {
        pmu: unit_name(unit),
        events: bound.items,
        runs: bound.runs,
        lower_bound: bound.lower_bound,
        certificate: bound.certificate.explain(problem, unit, EXAMPLES),
    };
    let unplaceable = |one: &packing::Unplaceable| Unplaceable {
        name: item_name(one.item),
        reason: one.reason.explain(problem, one.item),
    };
    Report {
        schema_version: SCHEMA_VERSION,
        cpu: String::new(),
        source: String::new(),
        events: problem.items.len(),
        lower_bound: plan.lower_bound(),
        planning_time_ms: 0.0,
        run_time_ns: None,
        runs: plan.runs.iter().map(|run| Run { groups: run.groups.iter().map(group).collect() }).collect(),
        units: plan.units.iter().enumerate().map(row).collect(),
        unplaceable: plan.unplaceable.iter().map(unplaceable).collect(),
        counted_again: 0,
        together: Vec::new(),
        separated: Vec::new(),
        not_together: Vec::new(),
    }
}
