//! What to measure: typed arguments, checked against the machine.

use anyhow::bail;
use waytrace_hw::Machine;
use waytrace_hw::events::{EventSpec, Source, default_events, resolve_list};
use waytrace_model::counter::EventInfo;
use waytrace_model::units::{parse_duration_ns, parse_percent, parse_size_bytes};
use waytrace_trace::access::{RATES_HZ, Rate};
use waytrace_trace::collect::perf::Perf;
use waytrace_trace::probes::Detail;
use waytrace_trace::session::AllocationMode;

use super::phases::{PhaseArgs, Phases};

/// What a collector is called on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Collector {
    /// Counters per thread and window.
    Counters,
    /// Allocator calls and mappings.
    Allocations,
    /// Sampled memory accesses.
    Accesses,
}

/// How much each call is asked, in exact mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum DetailArg {
    /// Counts, sizes and callers; the cheapest.
    Counts,
    /// Also live bytes, peak, lifetimes and temporaries.
    Lifetimes,
    /// Also the stack of every call, for programs built with frame pointers.
    Stacks,
}

/// Arguments that say what to measure.
#[derive(Debug, clap::Args)]
pub struct MeasureArgs {
    /// Window length.
    #[arg(long, value_name = "TIME", default_value = "100ms", value_parser = parse_duration_ns)]
    interval: u64,
    /// Collect only these [default: all that can run].
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    collect: Vec<Collector>,
    /// Events to count, as perf names them [default: what this machine has].
    #[arg(long, value_name = "LIST")]
    events: Option<String>,
    /// See every allocator call, whatever it costs the target.
    #[arg(long, conflicts_with = "budget")]
    exact: bool,
    /// How much each call is asked; implies --exact.
    #[arg(long, value_enum, value_name = "LEVEL", conflicts_with = "budget")]
    detail: Option<DetailArg>,
    /// Smallest block whose lifetime is kept one by one, with --exact.
    #[arg(long, value_name = "SIZE", default_value = "4KiB", value_parser = parse_size_bytes)]
    min_size: u64,
    /// What the allocator probes may cost the target, of its CPU time.
    #[arg(long, value_name = "PERCENT", default_value = "1%", value_parser = parse_percent)]
    budget: f64,
    #[command(flatten)]
    phases: PhaseArgs,
    /// Access samples for each second of a thread's CPU time [default: what the budget pays for].
    #[arg(long, value_name = "HZ", value_parser = parse_rate)]
    freq: Option<f64>,
    /// Live blocks tracked at once, with --exact.
    #[arg(long, value_name = "COUNT", default_value_t = 1 << 20, value_parser = clap::value_parser!(u32).range(1..=1 << 26))]
    max_live: u32,
    /// Size of the ring between kernel and user side; a power of two.
    #[arg(long, value_name = "SIZE", default_value = "8MiB", value_parser = parse_size_bytes)]
    ring: u64,
}

/// What to measure, checked.
#[derive(Debug)]
pub struct Plan {
    /// Window length.
    pub interval_ns: u64,
    /// Events, or none of them.
    pub events: Option<Vec<EventSpec>>,
    /// The events were asked for by name.
    pub events_named: bool,
    /// What ends phases, or none.
    pub phases: Option<Phases>,
    /// How to measure allocations, or not.
    pub allocations: Option<AllocationMode>,
    /// How often to sample memory accesses, or not at all.
    pub accesses: Option<Rate>,
    /// What all collectors together may cost the target, in percent of its CPU time; `None` where one has no bound.
    pub budget_pct: Option<f64>,
    /// The collectors were asked for by name.
    pub explicit: bool,
    /// Live blocks tracked at once.
    pub max_live: u32,
    /// Size of the ring.
    pub ring_bytes: u32,
}

/// Shorter windows than this cost more than they show.
const LEAST_INTERVAL_NS: u64 = 1_000_000;
const RING_BYTES: std::ops::RangeInclusive<u64> = 1 << 16..=1 << 28;

impl Plan {
    /// Checks the arguments.
    pub fn new(args: &MeasureArgs) -> anyhow::Result<Self> {
        if args.interval < LEAST_INTERVAL_NS {
            bail!("--interval is at least 1ms");
        }
        if !RING_BYTES.contains(&args.ring) || !args.ring.is_power_of_two() {
            bail!("--ring is a power of two from 64KiB to 256MiB");
        }
        let machine = Machine::live();
        let wants = |collector| args.collect.is_empty() || args.collect.contains(&collector);
        if args.events.is_some() && !wants(Collector::Counters) {
            bail!("--events needs the counters collector; add it to --collect");
        }
        let phases = Phases::new(&machine, &args.phases)?;
        if phases.is_some() && !wants(Collector::Counters) {
            bail!("--phase-cycles needs the counters collector; add it to --collect");
        }
        let events = if wants(Collector::Counters) { Some(events(&machine, args)?) } else { None };
        Ok(Self {
            interval_ns: args.interval,
            events,
            events_named: args.events.is_some(),
            phases,
            allocations: wants(Collector::Allocations).then(|| mode(args, wants(Collector::Accesses))),
            accesses: wants(Collector::Accesses).then(|| rate(args, wants(Collector::Allocations))),
            budget_pct: budget_pct(args),
            explicit: args.collect.contains(&Collector::Allocations),
            max_live: args.max_live,
            ring_bytes: args.ring as u32,
        })
    }

    /// The events as the run records them.
    pub fn event_infos(&self) -> Vec<EventInfo> {
        self.events.iter().flatten().map(EventSpec::info).collect()
    }
}

fn events(machine: &Machine, args: &MeasureArgs) -> anyhow::Result<Vec<EventSpec>> {
    let events = match &args.events {
        Some(list) => resolve_list(machine, list)?,
        None => default_events(machine),
    };
    let perf = events.iter().filter(|event| matches!(event.source, Source::Perf(_))).count();
    if perf > Perf::MAX {
        bail!(
            "{perf} of the events are perf events, and at most {} can be read at a context switch; leave some out",
            Perf::MAX
        );
    }
    Ok(events)
}

/// Share of the budget that is the access sampler's where allocations are measured within it, too.
const SAMPLER_SHARE: f64 = 0.5;

/// With `--exact`, or a rate of samples that was asked for, nothing bounds the cost.
fn budget_pct(args: &MeasureArgs) -> Option<f64> {
    let wants = |collector| args.collect.is_empty() || args.collect.contains(&collector);
    let (allocations, accesses) = (wants(Collector::Allocations), wants(Collector::Accesses));
    let bounded = !(allocations && is_exact(args) || accesses && args.freq.is_some());
    (bounded && (allocations || accesses)).then_some(args.budget)
}

fn is_exact(args: &MeasureArgs) -> bool {
    args.exact || args.detail.is_some()
}

fn mode(args: &MeasureArgs, with_accesses: bool) -> AllocationMode {
    if !is_exact(args) {
        // A rate asked for is paid for beside the budget.
        let shares = with_accesses && args.freq.is_none();
        let share = if shares { 1.0 - SAMPLER_SHARE } else { 1.0 };
        return AllocationMode::Budgeted { budget_pct: args.budget * share };
    }
    let detail = match args.detail {
        Some(DetailArg::Counts) => Detail::Counts,
        Some(DetailArg::Lifetimes) | None => Detail::Lifetimes,
        Some(DetailArg::Stacks) => Detail::Stacks,
    };
    AllocationMode::Exact { detail, min_traced_bytes: args.min_size }
}

fn rate(args: &MeasureArgs, with_allocations: bool) -> Rate {
    let share = if with_allocations && !is_exact(args) { SAMPLER_SHARE } else { 1.0 };
    args.freq.map_or(Rate::Budget(args.budget * share), Rate::Hz)
}

/// A sampling rate in Hz.
fn parse_rate(text: &str) -> Result<f64, String> {
    let hz = text.parse().ok().filter(|hz| RATES_HZ.contains(hz));
    hz.ok_or_else(|| format!("a rate is a number of Hz from {} to {}", RATES_HZ.start(), RATES_HZ.end()))
}
