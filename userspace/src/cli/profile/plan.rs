//! What to measure: typed arguments, checked against the machine.

use anyhow::{anyhow, bail};
use waytrace_hw::Machine;
use waytrace_hw::events::{EventSpec, Source, default_events, resolve_list};
use waytrace_hw::sampling::{self, SamplingSource};
use waytrace_model::access::AccessKind;
use waytrace_model::counter::EventInfo;
use waytrace_model::units::{parse_duration_ns, parse_percent, parse_size_bytes};
use waytrace_trace::access::{Mode, Precise, RATES_HZ, Rate};
use waytrace_trace::collect::perf::Perf;
use waytrace_trace::probes::Detail;
use waytrace_trace::session::AllocationMode;
use waytrace_trace::usdt::Wanted;

use super::super::samples::{Bound, bound};
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

/// Where allocations are taken from, within a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum AllocSource {
    /// The allocator's own samples where the target offers them (USDT otel_memory), else probes.
    Auto,
    /// Probes on the allocator's functions, part of the time.
    Probes,
    /// The allocator's own samples, or an error.
    Usdt,
}

impl From<AllocSource> for Wanted {
    fn from(source: AllocSource) -> Self {
        match source {
            AllocSource::Auto => Self::Auto,
            AllocSource::Probes => Self::Probes,
            AllocSource::Usdt => Self::Usdt,
        }
    }
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
    /// Where allocations are taken from; --exact always probes.
    #[arg(long, value_enum, value_name = "SOURCE", default_value = "auto", conflicts_with_all = ["exact", "detail"])]
    pub alloc_source: AllocSource,
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
    /// Sample loads by this event, as perf spells it, or at an address: mem:0xADDR[/LEN][:rw] [default: what this machine
    /// has].
    #[arg(long, value_name = "EVENT")]
    read_event: Option<String>,
    /// The same for stores; an address is mem:0xADDR[/LEN][:w].
    #[arg(long, value_name = "EVENT")]
    write_event: Option<String>,
    /// Sample every so many accesses; needs an event that samples them.
    #[arg(long, value_name = "COUNT", conflicts_with = "freq", value_parser = clap::value_parser!(u64).range(1..=MOST_PERIOD))]
    period: Option<u64>,
    /// Access samples kept in the run, a random choice of all there were; 0 keeps all.
    #[arg(long, value_name = "COUNT", default_value = "1000000", value_parser = bound)]
    max_samples: Bound,
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
    /// Where samples of memory accesses come from and how often, or none at all.
    pub accesses: Option<Mode>,
    /// Accesses were asked for by name, or how to sample them was.
    pub accesses_named: bool,
    /// What all collectors together may cost the target, in percent of its CPU time; `None` where one has no bound.
    pub budget_pct: Option<f64>,
    /// Access samples kept in the run; `None` for all.
    pub max_samples: Option<u64>,
    /// The collectors were asked for by name.
    pub explicit: bool,
    /// Live blocks tracked at once.
    pub max_live: u32,
    /// Size of the ring.
    pub ring_bytes: u32,
}

/// Shorter windows than this cost more than they show.
const LEAST_INTERVAL_NS: u64 = 1_000_000;
/// `perf_event_open` refuses a period with the highest bit set.
const MOST_PERIOD: u64 = i64::MAX as u64;
/// Samples a second of a hardware source where no rate is given.
const USUAL_HZ: f64 = 1000.0;
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
        if args.alloc_source == AllocSource::Usdt && !wants(Collector::Allocations) {
            bail!("--alloc-source needs the allocations collector; add it to --collect");
        }
        let phases = Phases::new(&machine, &args.phases)?;
        if phases.is_some() && !wants(Collector::Counters) {
            bail!("--phase-cycles needs the counters collector; add it to --collect");
        }
        let asked = [
            ("--read-event", args.read_event.is_some()),
            ("--write-event", args.write_event.is_some()),
            ("--period", args.period.is_some()),
        ];
        if let Some((option, _)) = asked.iter().find(|(_, given)| *given && !wants(Collector::Accesses)) {
            bail!("{option} needs the accesses collector; add it to --collect");
        }
        let accesses = if wants(Collector::Accesses) {
            Some(accesses(&machine, args, wants(Collector::Allocations))?)
        } else {
            None
        };
        let events = if wants(Collector::Counters) { Some(events(&machine, args)?) } else { None };
        Ok(Self {
            interval_ns: args.interval,
            events,
            events_named: args.events.is_some(),
            phases,
            allocations: wants(Collector::Allocations).then(|| mode(args, wants(Collector::Accesses))),
            accesses,
            accesses_named: args.collect.contains(&Collector::Accesses) || args.freq.is_some(),
            budget_pct: budget_pct(args),
            max_samples: args.max_samples.0,
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
        let shares = with_accesses && args.freq.is_none() && !names_a_source(args);
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

/// What is given by name is not to be replaced by a walk.
fn names_a_source(args: &MeasureArgs) -> bool {
    args.read_event.is_some() || args.write_event.is_some() || args.period.is_some()
}

fn accesses(machine: &Machine, args: &MeasureArgs, with_allocations: bool) -> anyhow::Result<Mode> {
    let walk = rate(args, with_allocations);
    let source = match source(machine, args.read_event.as_deref(), args.write_event.as_deref()) {
        Ok(source) => source,
        Err(error) if names_a_source(args) => return Err(error),
        Err(_) => return Ok(Mode::Walk(walk)),
    };
    let hz = args.freq.unwrap_or(USUAL_HZ).round() as u64;
    let rate = args.period.map_or(sampling::Rate::Frequency(hz), sampling::Rate::Period);
    let fallback = (!names_a_source(args)).then_some(walk);
    Ok(Mode::Hardware(Precise { source, rate, fallback }))
}

/// The machine's source, or what is named: events, or addresses to watch.
fn source(machine: &Machine, read: Option<&str>, write: Option<&str>) -> anyhow::Result<SamplingSource> {
    let asked = [(read, AccessKind::Load), (write, AccessKind::Store)];
    let watches: Vec<SamplingSource> = asked
        .into_iter()
        .filter_map(|(text, kind)| watch(text?.trim(), kind))
        .collect::<anyhow::Result<_>>()?;
    let named = asked.iter().filter(|(text, _)| text.is_some()).count();
    if watches.is_empty() {
        return Ok(SamplingSource::find(machine, read, write)?);
    }
    if watches.len() < named {
        bail!("--read-event and --write-event are an address and an event; name two of a kind");
    }
    watches
        .into_iter()
        .reduce(|mut all, more| {
            all.events.extend(more.events);
            all.notes.extend(more.notes);
            all
        })
        .ok_or_else(|| anyhow!("no event is named"))
}

/// User addresses end here at the latest: half of 57 bits (Documentation/arch/x86/x86_64/5level-paging.rst).
const ADDRESSES_END: u64 = 1 << 56;
/// Debug registers do not say what an access was, so it is taken for what it was asked for as.
const EITHER: &str =
    "a debug register does not tell loads from stores: stores to the address are among the loads";

/// An address in perf's spelling, `mem:0xADDR[/LEN][:rw|w]`; `None` where the text is none.
fn watch(text: &str, kind: AccessKind) -> Option<anyhow::Result<SamplingSource>> {
    let place = text.strip_prefix("mem:")?;
    let (place, accesses) = match place.split_once(':') {
        Some((place, accesses)) => (place, Some(accesses)),
        None => (place, None),
    };
    let (address, len) = place.split_once('/').unwrap_or((place, "8"));
    let address = address.strip_prefix("0x").and_then(|digits| u64::from_str_radix(digits, 16).ok());
    let len: Option<u64> = len.parse().ok().filter(|len| [1, 2, 4, 8].contains(len));
    let (Some(address), Some(len)) = (address, len) else {
        return Some(Err(anyhow!(
            "`{text}` is no address to watch; write mem:0xADDR[/LEN] with a LEN of 1, 2, 4 or 8"
        )));
    };
    if address >= ADDRESSES_END {
        return Some(Err(anyhow!(
            "`{text}`: no program has memory there; name an address below {ADDRESSES_END:#x}"
        )));
    }
    if address % len != 0 {
        return Some(Err(anyhow!("`{text}`: the address has to be a multiple of the {len} bytes watched")));
    }
    match (kind, accesses) {
        (AccessKind::Store, None | Some("w")) => Some(Ok(SamplingSource::watch(address, len, true))),
        (AccessKind::Load, None | Some("rw")) => {
            let mut source = SamplingSource::watch(address, len, false);
            source.events.iter_mut().for_each(|event| event.kind = Some(AccessKind::Load));
            source.notes.push(EITHER.to_owned());
            Some(Ok(source))
        }
        (AccessKind::Load, _) => Some(Err(anyhow!("`{text}`: --read-event watches an address as `:rw`"))),
        (AccessKind::Store, _) => Some(Err(anyhow!("`{text}`: --write-event watches an address as `:w`"))),
    }
}

/// A sampling rate in Hz.
fn parse_rate(text: &str) -> Result<f64, String> {
    let hz = text.parse().ok().filter(|hz| RATES_HZ.contains(hz));
    hz.ok_or_else(|| format!("a rate is a number of Hz from {} to {}", RATES_HZ.start(), RATES_HZ.end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_watched_as_perf_spells_them() {
        let [load, store] = [AccessKind::Load, AccessKind::Store];
        assert!(watch("cpu/mem-loads/", load).is_none() && watch("memory", store).is_none());
        for (text, kind, address, len) in [
            ("mem:0x1000", store, 0x1000, 8),
            ("mem:0x1004/4:w", store, 0x1004, 4),
            ("mem:0x1001/1", load, 0x1001, 1),
            ("mem:0x7fff12345678:rw", load, 0x7fff_1234_5678, 8),
        ] {
            let mut expected = SamplingSource::watch(address, len, kind == store);
            expected.events[0].kind = Some(kind);
            let found = watch(text, kind).unwrap().unwrap();
            assert_eq!(found.events, expected.events, "{text}");
            assert_eq!(found.notes.is_empty(), kind == store, "{text}");
        }
        for (text, kind, told) in [
            ("mem:1000", store, "no address"),
            ("mem:", store, "no address"),
            ("mem:0x1000/3", store, "1, 2, 4 or 8"),
            ("mem:0x1000/", store, "1, 2, 4 or 8"),
            ("mem:0x10000000000000000", load, "no address"),
            ("mem:0x1004/8", load, "multiple of the 8"),
            ("mem:0xffff800000001000", store, "below 0x100000000000000"),
            ("mem:0x1000:rw", store, "--write-event"),
            ("mem:0x1000:w", load, "--read-event"),
            ("mem:0x1000:x", load, "--read-event"),
        ] {
            let error = watch(text, kind).unwrap().unwrap_err().to_string();
            assert!(error.contains(told) && error.contains(text), "{text}: {error}");
        }
    }

    #[test]
    fn two_addresses_are_one_source_and_an_address_does_not_go_with_an_event() {
        let machine = Machine::live();
        let both = source(&machine, Some("mem:0x1000"), Some("mem:0x2000/4")).unwrap();
        let kinds: Vec<_> = both.events.iter().map(|event| event.kind).collect();
        assert_eq!(kinds, [Some(AccessKind::Load), Some(AccessKind::Store)]);
        let mixed = source(&machine, Some("mem:0x1000"), Some("cpu/mem-stores/")).unwrap_err();
        assert!(mixed.to_string().contains("two of a kind"), "{mixed}");
    }
}
