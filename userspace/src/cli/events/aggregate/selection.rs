//! Which values count: by CPU, as gz/autoperf sorts them, by time, or by what else was counted meanwhile.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::bail;
use waytrace_hw::topology::parse_list;
use waytrace_model::units::parse_duration_ns;

use super::measurement::{Measurement, Place, Value};

/// Arguments of every command that reads measurements.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Which values")]
pub struct SelectionArgs {
    /// Of what CPUs count themselves: all, those of the sockets of `--cpus`, those of `--cpus`, or none.
    #[arg(long, value_name = "WHICH", default_value = "all")]
    core: Which,
    /// Of what units outside of cores count: all, those of the sockets of `--cpus`, those of sockets all of whose CPUs are
    /// in `--cpus`, or none.
    #[arg(long, value_name = "WHICH", default_value = "all")]
    uncore: Which,
    /// CPUs the command was pinned to, as 0-3,8.
    #[arg(long, value_name = "LIST", value_parser = cpus)]
    cpus: Option<Cpus>,
    /// Leave out what is before: a time as 2s, or an event, whose first occurrence in an execution is meant.
    #[arg(long, value_name = "TIME|EVENT", value_parser = bound)]
    from: Option<Bound>,
    /// Leave out what is after: a time, or an event, whose first occurrence after `--from` is meant.
    #[arg(long, value_name = "TIME|EVENT", value_parser = bound)]
    to: Option<Bound>,
    /// What the target would have done at its usual pace: values divided by the pace of their epoch, where `events measure`
    /// counted anchors (--pid, --cgroup).
    #[arg(long)]
    pub normalised: bool,
}

/// gz/autoperf's filters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Which {
    All,
    Shared,
    Exclusive,
    None,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Cpus(BTreeSet<u32>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Bound {
    TimeNs(u64),
    Event(String),
}

fn cpus(text: &str) -> Result<Cpus, String> {
    let list = parse_list(text).map_err(|_| format!("`{text}` is no list of CPUs; write it like 0-3,8"))?;
    if list.is_empty() {
        Err("it names no CPU; write it like 0-3,8".to_owned())
    } else {
        Ok(Cpus(list.into_iter().collect()))
    }
}

fn bound(text: &str) -> Result<Bound, String> {
    if let Ok(ns) = parse_duration_ns(text) {
        return Ok(Bound::TimeNs(ns));
    }
    match text.trim().starts_with(|c: char| c.is_alphabetic() || c == '_') {
        true => Ok(Bound::Event(text.trim().to_lowercase())),
        false => Err(format!("`{text}` is neither a time (2s, 250ms) nor the name of an event")),
    }
}

/// What was left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Values of each event that are not whole because it was multiplexed.
    pub multiplexed: BTreeMap<usize, u64>,
    /// Executions, or epochs, in which the event that begins or ends the region did not occur.
    pub unmarked: BTreeSet<u64>,
    /// Epochs whose pace is not known, where values are normalised by it.
    pub paceless: BTreeSet<u64>,
}

impl LeftOut {
    /// Says on stderr what is missing.
    pub fn complain(&self, name: &str) {
        let values: u64 = self.multiplexed.values().sum();
        if values > 0 {
            let events = self.multiplexed.len();
            super::super::super::output::say(&format!(
                "{name}: {values} values of {events} events left out: the events were multiplexed"
            ));
        }
        if !self.paceless.is_empty() {
            super::super::super::output::say(&format!(
                "{name}: {} epochs left out: their anchor was multiplexed or counted nothing, so their pace is not known",
                self.paceless.len()
            ));
        }
        if !self.unmarked.is_empty() {
            super::super::super::output::say(&format!(
                "{name}: {} executions left out: the event of --from or --to did not occur in them",
                self.unmarked.len()
            ));
        }
    }
}

/// Region of an epoch: first slot and start of it, and end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Region {
    slot: u32,
    start_ns: u64,
    end_ns: u64,
}

impl SelectionArgs {
    /// Gives every selected value to `take`, with slots and times counted from `--from`, and normalised if that was asked for.
    /// Those that are not whole come too: a sum without them would be wrong.
    ///
    /// # Errors
    /// A filter that asks for what the measurement does not tell.
    pub fn visit(&self, measurement: &Measurement, mut take: impl FnMut(&Value)) -> anyhow::Result<LeftOut> {
        if self.normalised && !measurement.has_pace() {
            bail!(
                "{} has no pace to normalise by: only epochs of --pid and --cgroup, or with hardware counters --all-cpus, count \
                 anchors; leave --normalised out",
                measurement.name
            );
        }
        let kept = self.places(measurement)?;
        let regions = self.regions(measurement)?;
        let markers = self.markers(measurement);
        let mut left_out = LeftOut::default();
        measurement.each(|value| {
            let is_core = measurement.events.get(value.event).is_none_or(|event| event.is_core);
            if value.is_extra || markers.contains(&value.event) || !kept.has(value.place, is_core) {
                return;
            }
            let mut value = *value;
            if self.normalised {
                let Some(pace) = value.pace else {
                    left_out.paceless.insert(value.epoch);
                    return;
                };
                value.value /= pace;
            }
            if let Some(regions) = &regions {
                let Some(region) = regions.get(&value.epoch) else {
                    left_out.unmarked.insert(value.epoch);
                    return;
                };
                // An interval belongs to the region it begins in.
                if value.start_ns < region.start_ns || value.start_ns >= region.end_ns {
                    return;
                }
                value.slot = value.slot.saturating_sub(region.slot);
                value.start_ns -= region.start_ns;
                value.end_ns -= region.start_ns;
            }
            if !value.is_whole {
                *left_out.multiplexed.entry(value.event).or_default() += 1;
            }
            take(&value);
        });
        Ok(left_out)
    }

    /// Events that mark a region are not part of it.
    fn markers(&self, measurement: &Measurement) -> BTreeSet<usize> {
        let named = [&self.from, &self.to].into_iter().flatten();
        let names: Vec<&str> = named
            .filter_map(|bound| if let Bound::Event(name) = bound { Some(name.as_str()) } else { None })
            .collect();
        let is_marker = |name: &str| names.iter().any(|own| own.eq_ignore_ascii_case(name));
        let events = measurement.events.iter().enumerate();
        events.filter(|(_, event)| is_marker(&event.name)).map(|(place, _)| place).collect()
    }

    /// The region of each epoch that has one; `None` without bounds.
    fn regions(&self, measurement: &Measurement) -> anyhow::Result<Option<BTreeMap<u64, Region>>> {
        if self.from.is_none() && self.to.is_none() {
            return Ok(None);
        }
        if let (Some(Bound::TimeNs(from)), Some(Bound::TimeNs(to))) = (&self.from, &self.to)
            && from >= to
        {
            bail!("--from is not before --to; no time is between them");
        }
        let from = Occurrences::of(self.from.as_ref(), "--from", measurement)?;
        let to = Occurrences::of(self.to.as_ref(), "--to", measurement)?;
        // First slot of every epoch that begins at or after a time.
        let mut starts: BTreeMap<u64, BTreeMap<u64, u32>> = BTreeMap::new();
        measurement.each(|value| {
            starts.entry(value.epoch).or_default().insert(value.start_ns, value.slot);
        });
        let mut regions = BTreeMap::new();
        for (epoch, slots) in &starts {
            let Some((start_ns, _)) = from.first(*epoch, 0) else { continue };
            let Some((start_ns, slot)) = slots.range(start_ns..).next() else { continue };
            let end_ns = match &self.to {
                None => u64::MAX,
                Some(_) => match to.first(*epoch, *start_ns) {
                    Some((_, end_ns)) => end_ns,
                    None => continue,
                },
            };
            regions.insert(*epoch, Region { slot: *slot, start_ns: *start_ns, end_ns });
        }
        if regions.is_empty() {
            bail!(
                "nothing is left between --from and --to; `waytrace events show EVENT` shows when an event occurs"
            );
        }
        Ok(Some(regions))
    }

    fn places(&self, measurement: &Measurement) -> anyhow::Result<Places> {
        let needs = |which| matches!(which, Which::Shared | Which::Exclusive);
        let mut all: BTreeSet<Place> = BTreeSet::new();
        if needs(self.core) || needs(self.uncore) {
            measurement.each(|value| {
                all.insert(value.place);
            });
        }
        let mut own = BTreeSet::new();
        if needs(self.core) || needs(self.uncore) {
            let Some(Cpus(cpus)) = &self.cpus else {
                bail!(
                    "which CPUs are shared or exclusive depends on those the command was pinned to: name them by --cpus LIST"
                );
            };
            if all.iter().all(|place| place.cpu.is_none()) {
                bail!(
                    "{} was counted by process, not by CPU; --core and --uncore take `all` or `none` there",
                    measurement.name
                );
            }
            if let Some(cpu) = cpus.iter().find(|cpu| all.iter().all(|place| place.cpu != Some(**cpu))) {
                bail!("{} has no values of CPU {cpu}; leave it out of --cpus", measurement.name);
            }
            own.clone_from(cpus);
        }
        let socket = |place: &&Place| place.cpu.is_some_and(|cpu| own.contains(&cpu));
        let touched: BTreeSet<Option<u32>> = all.iter().filter(socket).map(|place| place.socket).collect();
        let foreign = all.iter().filter(|place| place.cpu.is_some_and(|cpu| !own.contains(&cpu)));
        let shared: BTreeSet<Option<u32>> = foreign.map(|place| place.socket).collect();
        let whole = touched.difference(&shared).copied().collect();
        Ok(Places { core: self.core, uncore: self.uncore, own, touched, whole })
    }
}

/// CPUs and sockets whose values count.
struct Places {
    core: Which,
    uncore: Which,
    own: BTreeSet<u32>,
    /// Sockets of these CPUs.
    touched: BTreeSet<Option<u32>>,
    /// Sockets that have no others.
    whole: BTreeSet<Option<u32>>,
}

impl Places {
    fn has(&self, place: Place, is_core: bool) -> bool {
        match (if is_core { self.core } else { self.uncore }, is_core) {
            (Which::All, _) => true,
            (Which::None, _) => false,
            (Which::Shared, _) => self.touched.contains(&place.socket),
            (Which::Exclusive, true) => place.cpu.is_some_and(|cpu| self.own.contains(&cpu)),
            (Which::Exclusive, false) => self.whole.contains(&place.socket),
        }
    }
}

/// When a bound is met in each epoch.
enum Occurrences {
    /// Always at this time.
    At(u64),
    /// Start and end of the intervals in which the event occurred.
    In(BTreeMap<u64, BTreeMap<u64, u64>>),
}

impl Occurrences {
    fn of(bound: Option<&Bound>, option: &str, measurement: &Measurement) -> anyhow::Result<Self> {
        let name = match bound {
            None => return Ok(Self::At(0)),
            Some(Bound::TimeNs(ns)) => return Ok(Self::At(*ns)),
            Some(Bound::Event(name)) => name,
        };
        let is = |event: usize| {
            measurement.events.get(event).is_some_and(|event| event.name.eq_ignore_ascii_case(name))
        };
        if !(0..measurement.events.len()).any(is) {
            bail!(
                "{option} {name}: {} did not measure that event; name a time, as 2s, or one it did",
                measurement.name
            );
        }
        let mut epochs: BTreeMap<u64, BTreeMap<u64, u64>> = BTreeMap::new();
        measurement.each(|value| {
            if is(value.event) && value.value > 0.0 {
                epochs.entry(value.epoch).or_default().insert(value.start_ns, value.end_ns);
            }
        });
        Ok(Self::In(epochs))
    }

    /// Start and end of the first at or after a time.
    fn first(&self, epoch: u64, since_ns: u64) -> Option<(u64, u64)> {
        match self {
            Self::At(ns) => Some((*ns, *ns)),
            Self::In(epochs) => {
                epochs.get(&epoch)?.range(since_ns..).next().map(|(start, end)| (*start, *end))
            }
        }
    }
}

#[cfg(test)]
impl SelectionArgs {
    /// Everything.
    pub fn all() -> Self {
        Self { core: Which::All, uncore: Which::All, cpus: None, from: None, to: None, normalised: false }
    }
}

#[cfg(test)]
mod tests {
    use waytrace_report::series::Row;

    use super::*;

    /// Two sockets of two CPUs, four intervals; `mark` occurs in the second and the fourth; an uncore event on one CPU of each.
    fn measurement() -> Measurement {
        let mut rows = Vec::new();
        for index in 0..4 {
            for cpu in 0..4 {
                let row = |event: &str, unit: &str, value: f64| Row {
                    event: event.to_owned(),
                    index,
                    time_s: f64::from(index + 1) * 0.25,
                    socket: Some(cpu / 2),
                    core: Some(cpu % 2),
                    cpu: Some(cpu),
                    node: Some(cpu / 2),
                    unit: unit.to_owned(),
                    value,
                    repetition: 1,
                };
                rows.push(row("busy", "cpu", f64::from(index * 10 + cpu)));
                if cpu % 2 == 0 {
                    rows.push(row("read", "uncore_imc_0", 1.0));
                    rows.push(row("mark", "cpu", f64::from(index % 2)));
                }
            }
        }
        Measurement::of_rows("rows", rows.into_iter().map(Ok::<_, ()>)).unwrap()
    }

    fn values(args: &SelectionArgs, event: &str) -> Vec<(u32, Option<u32>)> {
        let measurement = measurement();
        let mut values = Vec::new();
        let visited = args.visit(&measurement, |value| {
            if measurement.events[value.event].name == event {
                values.push((value.slot, value.place.cpu));
            }
        });
        visited.unwrap();
        values.sort_unstable();
        values
    }

    #[test]
    fn cpus_are_own_shared_or_neither() {
        let of = |core, uncore, list: &str| {
            let args = SelectionArgs { core, uncore, cpus: cpus(list).ok(), ..SelectionArgs::all() };
            let cpus =
                |event| values(&args, event).iter().filter_map(|(_, cpu)| *cpu).collect::<BTreeSet<_>>();
            (Vec::from_iter(cpus("busy")), Vec::from_iter(cpus("read")))
        };
        assert_eq!(of(Which::All, Which::All, "1"), (vec![0, 1, 2, 3], vec![0, 2]));
        assert_eq!(of(Which::Shared, Which::Shared, "1"), (vec![0, 1], vec![0]));
        assert_eq!(of(Which::Exclusive, Which::Exclusive, "1"), (vec![1], vec![]));
        assert_eq!(of(Which::Exclusive, Which::Exclusive, "1-3"), (vec![1, 2, 3], vec![2]));
        assert_eq!(of(Which::None, Which::Exclusive, "0-1"), (vec![], vec![0]));
    }

    #[test]
    fn a_region_may_have_a_start_only() {
        let slots = |from: Option<&str>, to: Option<&str>| {
            let bound = |text: Option<&str>| text.map(|text| bound(text).unwrap());
            let args = SelectionArgs { from: bound(from), to: bound(to), ..SelectionArgs::all() };
            assert!(from != Some("mark") || values(&args, "mark").is_empty(), "what marks is no part");
            values(&args, "busy")
                .iter()
                .filter(|(_, cpu)| *cpu == Some(0))
                .map(|(slot, _)| *slot)
                .collect::<Vec<_>>()
        };
        assert_eq!(slots(Some("mark"), None), [0, 1, 2]);
        assert_eq!(slots(Some("500ms"), None), [0, 1]);
        assert_eq!(slots(Some("500ms"), Some("MARK")), [0, 1]);
        assert_eq!(slots(None, Some("mark")), [0, 1]);
        assert_eq!(slots(Some("250ms"), Some("750ms")), [0, 1]);
    }

    #[test]
    fn what_cannot_be_selected_is_said() {
        let refused = |args: SelectionArgs| args.visit(&measurement(), |_| {}).unwrap_err().to_string();
        let all = SelectionArgs::all;
        let cases = [
            (SelectionArgs { core: Which::Shared, ..all() }, "--cpus LIST"),
            (SelectionArgs { core: Which::Shared, cpus: cpus("9").ok(), ..all() }, "no values of CPU 9"),
            (SelectionArgs { from: bound("sheep").ok(), ..all() }, "did not measure"),
            (SelectionArgs { from: bound("9s").ok(), ..all() }, "nothing is left"),
            (SelectionArgs { from: bound("2s").ok(), to: bound("1s").ok(), ..all() }, "not before"),
        ];
        for (args, needle) in cases {
            let error = refused(args);
            assert!(error.contains(needle), "{error}");
        }
        assert!(bound("-3").is_err() && cpus("3-1").is_err() && cpus("").is_err());
    }
}
