//! The events a command is about: those of the CPU named, else of this machine, from the first source that knows them.

use std::path::PathBuf;

use waytrace_hw::catalogue::constraints::Setup;
use waytrace_hw::catalogue::{
    Cache, CatalogueError, CpuId, Event, Glob, Known, Metric, Rejected, Sources, machine_events,
};
use waytrace_hw::{Machine, Root};

/// Which CPU, and where its events are; flattened into every command on events.
#[derive(Debug, Clone, clap::Args)]
pub struct From {
    /// CPU, as GenuineIntel-6-55, with a stepping GenuineIntel-6-55-4 [default: this machine].
    #[arg(long, value_name = "ID")]
    pub cpu: Option<CpuId>,
    #[command(flatten)]
    pub sources: SourceArgs,
}

/// Where events are looked up.
#[derive(Debug, Clone, clap::Args)]
pub struct SourceArgs {
    /// Directory of event files that goes before all other sources: Intel's perfmon files, or pmu-events/arch of a kernel.
    #[arg(long, value_name = "DIR")]
    catalogue: Option<PathBuf>,
    /// Directory of imported events [default: $XDG_DATA_HOME/waytrace/events].
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
}

impl SourceArgs {
    /// Opens the sources.
    pub fn open(&self) -> Result<Sources, CatalogueError> {
        Sources::open(self.catalogue.as_deref(), cache(self.cache.clone()))
    }
}

/// The imported events, beside the store.
pub fn cache(given: Option<PathBuf>) -> Cache {
    Cache::new(given.unwrap_or_else(|| waytrace_store::default_path().with_file_name("events")))
}

/// Which of them.
#[derive(Debug, Clone, clap::Args)]
pub struct Only {
    /// Those with TEXT in their name; with * or ? a pattern for the whole name.
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Those of a PMU, as cpu, uncore_cha or tracepoint; * and ? stand for other characters.
    #[arg(long, value_name = "NAME")]
    pmu: Option<String>,
    /// Leave out what the vendor advises against, mostly old names of other events.
    #[arg(long)]
    no_deprecated: bool,
}

impl Only {
    /// Leaves those asked for.
    pub fn retain(&self, events: &mut Vec<Event>) {
        if let Some(glob) = self.filter.as_deref().map(Glob::new) {
            events.retain(|event| glob.matches(&event.name));
        }
        events.retain(|event| !(self.no_deprecated && event.deprecated));
        if let Some(pmu) = &self.pmu {
            let glob = Glob::new(pmu);
            let is_pattern = pmu.contains(['*', '?']);
            events.retain(|event| {
                event.pmu.eq_ignore_ascii_case(pmu) || (is_pattern && glob.matches(&event.pmu))
            });
        }
    }
}

impl Only {
    /// Leaves the metrics whose name, or one of whose groups, is asked for.
    pub fn retain_metrics(&self, metrics: &mut Vec<Metric>) {
        if let Some(glob) = self.filter.as_deref().map(Glob::new) {
            let is = |metric: &Metric| {
                glob.matches(&metric.name) || metric.groups.iter().any(|group| glob.matches(group))
            };
            metrics.retain(is);
        }
    }
}

/// Events, and what is to be said about them.
#[derive(Debug)]
pub struct Gathered {
    /// The CPU; `None` where the machine does not tell.
    pub cpu: Option<CpuId>,
    /// The machine, if it is this one.
    pub machine: Option<Machine>,
    /// Where they come from.
    pub sources: Vec<String>,
    /// The events.
    pub events: Vec<Event>,
    /// What is computed of them, where a source says.
    pub metrics: Vec<Metric>,
    /// What is missing, and why.
    pub missing: Vec<String>,
    /// Entries that could not be used.
    pub rejected: Vec<Rejected>,
}

/// Looks the events up. That nobody knows the CPU is an error only if it was named, or a directory for it was.
pub fn gather(from: &From) -> Result<Gathered, CatalogueError> {
    let sources = from.sources.open()?;
    if let Some(cpu) = &from.cpu {
        let catalogue = sources.load(cpu)?;
        return Ok(Gathered {
            cpu: Some(cpu.clone()),
            machine: None,
            sources: vec![catalogue.source],
            events: catalogue.events,
            metrics: catalogue.metrics,
            missing: Vec::new(),
            rejected: catalogue.rejected,
        });
    }
    let machine = Machine::live();
    let mut gathered = Gathered {
        cpu: CpuId::running(machine.root()).ok(),
        machine: None,
        sources: Vec::new(),
        events: Vec::new(),
        metrics: Vec::new(),
        missing: Vec::new(),
        rejected: Vec::new(),
    };
    let known = CpuId::running(machine.root()).and_then(|cpu| sources.load(&cpu));
    match known {
        Ok(catalogue) => {
            gathered.sources.push(catalogue.source);
            gathered.events = catalogue.events;
            gathered.metrics = catalogue.metrics;
            gathered.rejected = catalogue.rejected;
        }
        Err(error @ CatalogueError::UnknownCpu { .. }) if from.sources.catalogue.is_some() => {
            return Err(error);
        }
        Err(error @ (CatalogueError::UnknownCpu { .. } | CatalogueError::NoCpuId(_))) => {
            gathered.missing.push(error.to_string());
        }
        Err(error) => return Err(error),
    }
    let own = machine_events(&machine);
    gathered.sources.push("this machine's PMUs and kernel".to_owned());
    gathered.events.extend(own.events);
    gathered.missing.extend(own.missing);
    gathered.machine = Some(machine);
    Ok(gathered)
}

impl Gathered {
    /// The CPU as text.
    pub fn cpu_name(&self) -> String {
        self.cpu.as_ref().map_or_else(|| "unknown CPU".to_owned(), ToString::to_string)
    }

    /// How the machine is set up, or another CPU usually is.
    pub fn setup(&self) -> Setup {
        match (&self.machine, &self.cpu) {
            (Some(machine), _) => Setup::read(machine.root()),
            (None, Some(cpu)) => Setup::of(cpu),
            (None, None) => Setup::default(),
        }
    }

    /// Says on stderr what is missing.
    pub fn complain(&self) {
        for reason in &self.missing {
            super::super::output::say(reason);
        }
        for Rejected { file, name, reason } in self.rejected.iter().take(SHOWN) {
            super::super::output::say(&format!("{file}: left out {name}: {reason}"));
        }
        if self.rejected.len() > SHOWN {
            super::super::output::say(&format!(
                "and {} more left out; --json lists them",
                self.rejected.len() - SHOWN
            ));
        }
    }
}

/// Entries left out that are shown one by one.
const SHOWN: usize = 5;

/// Who knows events of which CPUs, without a directory given.
pub fn known() -> Vec<Known> {
    Sources::open(None, cache(None)).map_or_else(|_| Vec::new(), |sources| sources.known())
}

/// What is known of this machine's CPU, and by whom, in one line.
pub fn summary(root: &Root) -> String {
    let sources = match Sources::open(None, cache(None)) {
        Ok(sources) => sources,
        Err(error) => return error.to_string(),
    };
    let known: Vec<String> =
        sources.known().iter().map(|known| format!("{}: {} CPUs", known.source, known.cpus.len())).collect();
    let own = match CpuId::running(root) {
        Ok(cpu) => match sources.load(&cpu) {
            Ok(catalogue) => format!("{} events of {cpu} from {}", catalogue.events.len(), catalogue.source),
            Err(CatalogueError::UnknownCpu { .. }) => {
                format!("no vendor's events for {cpu} (`waytrace events import DIR` adds them)")
            }
            Err(error) => error.to_string(),
        },
        Err(error) => error.to_string(),
    };
    format!("{own}; {}; and what this machine's PMUs and kernel name", known.join("; "))
}
