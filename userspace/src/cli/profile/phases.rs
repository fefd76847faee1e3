//! `--phase-cycles` and `--phase-event`: what ends a phase, tried on waytrace itself before any target is touched.

use anyhow::{Context as _, bail};
use waytrace_hw::Machine;
use waytrace_hw::counter::{Inherit, open_on_thread};
use waytrace_hw::events::resolve_perf;
use waytrace_model::phase::PhaseRule;
use waytrace_model::units::parse_count;
use waytrace_trace::collect::phases::PhaseEvent;

/// Arguments.
#[derive(Debug, clap::Args)]
pub struct PhaseArgs {
    /// Also measure each thread by phases of so many unhalted reference cycles, for instance 20M.
    #[arg(long, value_name = "COUNT", value_parser = parse_count)]
    phase_cycles: Option<u64>,
    /// Count another event instead, in its own unit: task-clock (nanoseconds) works on every machine.
    #[arg(long, value_name = "EVENT", default_value = "ref-cycles", requires = "phase_cycles")]
    phase_event: String,
}

/// What ends a phase.
#[derive(Debug)]
pub struct Phases {
    /// As the session opens it.
    pub event: PhaseEvent,
    /// As the run records it.
    pub rule: PhaseRule,
}

/// Shorter phases than this would cost the target more than they show; the kernel takes periods below 2^63.
const PERIOD: std::ops::RangeInclusive<u64> = 100_000..=i64::MAX as u64;

impl Phases {
    /// Checks the arguments; `None` where no phases are asked for.
    pub fn new(machine: &Machine, args: &PhaseArgs) -> anyhow::Result<Option<Self>> {
        let Some(period) = args.phase_cycles else { return Ok(None) };
        if !PERIOD.contains(&period) {
            bail!("--phase-cycles is at least 100k and less than 2^63");
        }
        let found = resolve_perf(machine, &args.phase_event).and_then(|(event, attr)| {
            open_on_thread(&attr, 0, period, Inherit::Threads)?;
            Ok(Self { event: PhaseEvent { attr, period }, rule: PhaseRule { event, period } })
        });
        found.map(Some).with_context(|| {
            format!(
                "--phase-cycles cannot count `{}` (`--phase-event task-clock` works everywhere, with nanoseconds for \
                 cycles)",
                args.phase_event
            )
        })
    }
}
