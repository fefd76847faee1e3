//! `rank --labels`: the events that tell classes of measurements apart. An observation is one repetition.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::Path;

use anyhow::{Context, anyhow, bail};
use serde::Serialize;
use waytrace_analysis::correlate::Series;
use waytrace_analysis::rank::{Teller, by_classes};

use super::super::aggregate::measurement::Measurement;
use super::super::aggregate::totals::Totals;
use super::super::plan::problem::pose;
use super::labels::{self, Labelled};
use super::{Args, Report, SCHEMA_VERSION, check, counters, find, known, row};

/// An event with a q of this or more tells nothing that is no chance.
pub const MOST_Q: f64 = 0.05;

/// A class, as it was measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Class {
    /// As labelled.
    pub name: String,
    /// Measurements of it.
    pub runs: Vec<String>,
    /// Repetitions of all of them.
    pub repetitions: usize,
}

/// What is known of an event by the labels.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Figures {
    /// Share of its variation between the classes, 0–1.
    pub eta_squared: f64,
    /// Probability that two repetitions of different classes are in their usual order, 0.5–1.
    pub auc: f64,
    /// Share of its variation within the classes that none of those before has, 0–1.
    pub novelty_ratio: f64,
    /// Probability of so large an eta² by chance.
    pub p: Option<f64>,
    /// The same, adjusted for the number of events.
    pub q: Option<f64>,
}

/// Those that tell the classes of a file of labels apart.
pub fn rank(args: &Args, path: &Path) -> anyhow::Result<Report> {
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let labels = labels::read(file).with_context(|| path.display().to_string())?;
    let observed = observe(args, &labels).with_context(|| path.display().to_string())?;
    let gathered = known(args, observed.cpu.as_deref())?;
    let (events, unknown) = find(&gathered, observed.values.keys().map(String::as_str));
    check(&events, &unknown, &gathered)?;
    let series: Vec<Series> = events
        .iter()
        .map(|event| observed.values.get(&event.name.to_lowercase()).cloned().unwrap_or_default())
        .collect();
    let problem = pose(&events, Vec::new(), gathered.setup());
    let tellers = by_classes(&problem, &series, &observed.numbers, args.least, MOST_Q)
        .map_err(|error| anyhow!("ranking: {error}"))?;
    let counters = counters(&tellers.run);
    let teller = |teller: &Teller| {
        let mut row = row(events.get(teller.item)?, *counters.get(&teller.item)?, None, None);
        let told = teller.told;
        row.labelled = Some(Figures {
            eta_squared: told.eta_squared,
            auc: told.auc,
            novelty_ratio: teller.novelty_ratio,
            p: told.p,
            q: told.q,
        });
        Some(row)
    };
    let is_sure = |at: usize| {
        tellers.all.get(at).copied().flatten().and_then(|told| told.q).is_some_and(|q| q < MOST_Q)
    };
    let rest = || events.iter().enumerate().filter(|(at, _)| !counters.contains_key(at));
    let names = |sure: bool| {
        let own = rest().filter(|(at, _)| is_sure(*at) == sure);
        own.map(|(_, event)| event.name.clone()).collect::<Vec<_>>()
    };
    Ok(Report {
        schema_version: SCHEMA_VERSION,
        cpu: gathered.cpu_name(),
        source: path.display().to_string(),
        events: tellers.chosen.iter().filter_map(teller).collect(),
        passed_over: names(true),
        unknown,
        left_out: Vec::new(),
        classes: observed.classes,
        alike: names(false),
    })
}

/// What was measured of the classes.
struct Observed {
    cpu: Option<String>,
    classes: Vec<Class>,
    /// The class of each repetition, by its place among the classes.
    numbers: Vec<usize>,
    /// By event, lower case: a value per repetition.
    values: BTreeMap<String, Series>,
}

fn observe(args: &Args, labels: &[Labelled]) -> anyhow::Result<Observed> {
    let names: BTreeSet<&str> = labels.iter().map(|one| one.class.as_str()).collect();
    let class = |name: &&str| Class { name: (*name).to_owned(), runs: Vec::new(), repetitions: 0 };
    let mut observed = Observed {
        cpu: None,
        classes: names.iter().map(class).collect(),
        numbers: Vec::new(),
        values: BTreeMap::new(),
    };
    let mut first: Option<(String, bool)> = None;
    for labelled in labels {
        let measurement = Measurement::load(&labelled.run, &args.store)?;
        if let Some((name, is_repeatable)) = &first
            && *is_repeatable != measurement.is_repeatable
        {
            bail!(
                "{name} and {} cannot be compared: one is of executions of a command, the other of what was running anyway",
                measurement.name
            );
        }
        if let (Some(one), Some(other)) = (&observed.cpu, &measurement.cpu)
            && one != other
        {
            bail!(
                "{} was measured on {other}, others on {one}; label measurements of one CPU",
                measurement.name
            );
        }
        observed.cpu = observed.cpu.take().or_else(|| measurement.cpu.clone());
        let totals = Totals::of(&measurement, &args.selection)?;
        let class = names.iter().position(|name| *name == labelled.class).unwrap_or_default();
        observed.add(&totals, class, &measurement.name);
        first.get_or_insert((measurement.name, measurement.is_repeatable));
    }
    let few = observed.classes.iter().find(|class| class.repetitions < 2);
    match (observed.classes.len(), few) {
        (0 | 1, _) => bail!("it has labels of one class or none; events tell two or more apart"),
        (_, Some(class)) => bail!(
            "class `{}` has {} repetition; it takes two of each class to tell a difference from chance, and more among many events: \
             measure with --repeat, or label more runs",
            class.name,
            class.repetitions
        ),
        _ => Ok(observed),
    }
}

impl Observed {
    fn add(&mut self, totals: &Totals, class: usize, run: &str) {
        let before = self.numbers.len();
        for (name, values) in &totals.values {
            let series = self.values.entry(name.to_lowercase()).or_default();
            series.resize(before, None);
            series.extend(totals.repetitions.iter().map(|repetition| values.get(repetition).copied()));
        }
        self.numbers.extend(totals.repetitions.iter().map(|_| class));
        for series in self.values.values_mut() {
            series.resize(self.numbers.len(), None);
        }
        if let Some(class) = self.classes.get_mut(class) {
            class.runs.push(run.to_owned());
            class.repetitions += totals.repetitions.len();
        }
    }
}
