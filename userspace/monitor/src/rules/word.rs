//! The words of the language: every metric, rates of amounts, and a few derived from several.

use waytrace_model::monitor::{Fold, HostWindow, Metric, ShareState, TargetWindow, Unit};

use super::quantity::Quantity;

/// A number that a window has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// A metric: an amount of the window, a level at its end, or a share.
    Metric(Metric),
    /// An amount over the window's length.
    Rate(Metric),
    /// One of [`DERIVED`].
    Derived(Derived),
}

/// Whom a word speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// A target.
    Target,
    /// The host, or waytrace itself.
    Host,
}

/// A number that is made of several, or of more than metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Derived {
    CpuCores,
    RunQueueThreads,
    RunQueueRatio,
    OffCpuThreads,
    Ipc,
    Age,
    Window,
    Lost,
    OwnCpu,
    OwnRss,
    OwnFiles,
    OwnProbes,
    OwnStore,
    StoreWaiting,
    Reduced,
    Paused,
}

/// Name, word, scope, unit, help.
type Row = (&'static str, Derived, Scope, Quantity, &'static str);

/// All derived words.
pub const DERIVED: [Row; 16] = {
    use Derived::*;
    use Scope::{Host, Target};
    const PLAIN: Quantity = Quantity::PLAIN;
    [
        ("cpu_cores", CpuCores, Target, PLAIN, "CPUs kept busy: cpu_ns over the window's length"),
        ("run_queue_threads", RunQueueThreads, Target, PLAIN, "threads that waited for a CPU, on average"),
        (
            "run_queue_ratio",
            RunQueueRatio,
            Target,
            PLAIN,
            "share of waiting in the time threads ran or waited for a CPU",
        ),
        ("off_cpu_threads", OffCpuThreads, Target, PLAIN, "threads asleep or blocked, on average"),
        ("ipc", Ipc, Target, PLAIN, "instructions per cycle"),
        ("age", Age, Target, Quantity::TIME, "time since the oldest of the target's processes started"),
        ("window", Window, Host, Quantity::TIME, "the window's length"),
        ("lost", Lost, Host, PLAIN, "losses in the window, of all kinds"),
        (
            "own_cpu_pct",
            OwnCpu,
            Host,
            Quantity::PERCENT,
            "waytrace's CPU time, of one CPU, recordings included",
        ),
        ("own_rss_bytes", OwnRss, Host, Quantity::BYTES, "waytrace's resident memory"),
        ("own_files", OwnFiles, Host, PLAIN, "waytrace's open files"),
        ("own_probes", OwnProbes, Host, PLAIN, "probes in place"),
        ("own_store_bytes", OwnStore, Host, Quantity::BYTES, "size of the history"),
        ("store_waiting", StoreWaiting, Host, PLAIN, "windows that wait to be written"),
        ("reduced", Reduced, Host, PLAIN, "collectors that do less than asked, for the budget"),
        ("paused", Paused, Host, PLAIN, "collectors the budget has no room for"),
    ]
};

/// What follows an amount's name for its rate.
const PER_SECOND: &str = "_per_s";

/// What words are read from.
#[derive(Debug, Clone, Copy)]
pub struct Scene<'w> {
    /// The window.
    pub host: &'w HostWindow,
    /// The target in it; `None` for the host, and for a target without a process.
    pub target: Option<&'w TargetWindow>,
}

impl Word {
    /// Reads one.
    pub fn parse(name: &str) -> Option<Self> {
        let amount = |name| Metric::parse(name).filter(|metric| has_rate(*metric));
        let rate = || name.strip_suffix(PER_SECOND).and_then(amount).map(Self::Rate);
        let derived = || {
            DERIVED.iter().find(|(known, ..)| *known == name).map(|(_, derived, ..)| Self::Derived(*derived))
        };
        Metric::parse(name).map(Self::Metric).or_else(rate).or_else(derived)
    }

    /// All names there are.
    pub fn names() -> impl Iterator<Item = String> {
        let metrics = Metric::ALL.iter().map(|metric| metric.name().to_owned());
        let amounts = Metric::ALL.iter().filter(|metric| has_rate(**metric));
        let rates = amounts.map(|metric| format!("{}{PER_SECOND}", metric.name()));
        metrics.chain(rates).chain(DERIVED.iter().map(|(name, ..)| (*name).to_owned()))
    }

    /// Whom it speaks of.
    pub fn scope(self) -> Scope {
        match self {
            Self::Metric(_) | Self::Rate(_) => Scope::Target,
            Self::Derived(derived) => row(derived).map_or(Scope::Host, |row| row.2),
        }
    }

    /// What it counts.
    pub fn quantity(self) -> Quantity {
        let of = |metric: Metric| match metric.unit() {
            Unit::Count | Unit::Ratio => Quantity::PLAIN,
            Unit::Bytes => Quantity::BYTES,
            Unit::Nanoseconds => Quantity::TIME,
        };
        match self {
            Self::Metric(metric) => of(metric),
            Self::Rate(metric) => of(metric).per_second(),
            Self::Derived(derived) => row(derived).map_or(Quantity::PLAIN, |row| row.3),
        }
    }

    /// Its value in a window, in bytes, seconds, things or shares; `None` where it was not measured.
    pub fn value(self, scene: Scene<'_>) -> Option<f64> {
        let value = match self {
            Self::Metric(metric) => {
                let value = scene.target?.values.get(metric)?;
                if metric.unit() == Unit::Nanoseconds { value / 1e9 } else { value }
            }
            Self::Rate(metric) => scene.target?.values.rate(metric, scene.host.length_ns)?,
            Self::Derived(derived) => derived.value(scene)?,
        };
        value.is_finite().then_some(value)
    }
}

/// Amounts have rates. Those of times are `cpu_cores` and its like.
fn has_rate(metric: Metric) -> bool {
    metric.fold() == Fold::Sum && metric.unit() != Unit::Nanoseconds
}

fn row(derived: Derived) -> Option<&'static Row> {
    DERIVED.iter().find(|row| row.1 == derived)
}

impl Derived {
    fn value(self, scene: Scene<'_>) -> Option<f64> {
        let Scene { host, target } = scene;
        let own = &host.own;
        let amount = |metric| target?.values.get(metric);
        let over_length = |metric| Some(amount(metric)? / host.length_ns.max(1) as f64);
        let in_state =
            |state: ShareState| host.collectors.iter().filter(|share| share.state == state).count() as f64;
        Some(match self {
            Self::CpuCores => over_length(Metric::Cpu)?,
            Self::RunQueueThreads => over_length(Metric::RunQueue)?,
            Self::OffCpuThreads => over_length(Metric::OffCpu)?,
            Self::RunQueueRatio => {
                let waited = amount(Metric::RunQueue)?;
                waited / (waited + amount(Metric::Cpu)?)
            }
            Self::Ipc => amount(Metric::Instructions)? / amount(Metric::Cycles)?,
            Self::Age => {
                let oldest = target?.processes.iter().map(|process| process.start_boot_ns).min()?;
                end_boot_ns(host).saturating_sub(oldest) as f64 / 1e9
            }
            Self::Window => host.length_ns as f64 / 1e9,
            Self::Lost => host.loss.total() as f64,
            Self::OwnCpu => own.cpu_pct / 100.0,
            Self::OwnRss => own.rss_bytes as f64,
            Self::OwnFiles => own.open_files as f64,
            Self::OwnProbes => own.probes as f64,
            Self::OwnStore => own.store_bytes? as f64,
            Self::StoreWaiting => own.store_waiting as f64,
            Self::Reduced => in_state(ShareState::Reduced),
            Self::Paused => in_state(ShareState::Paused),
        })
    }
}

/// The window's end by `CLOCK_BOOTTIME`, nanoseconds.
pub fn end_boot_ns(window: &HostWindow) -> u64 {
    window.start_boot_ns.saturating_add(window.length_ns)
}

#[cfg(test)]
mod tests {
    use waytrace_model::monitor::{ProcessWindow, Values};

    use super::*;

    #[test]
    fn every_name_is_a_word_and_no_two_are_alike() {
        let names: Vec<String> = Word::names().collect();
        assert!(names.iter().all(|name| Word::parse(name).is_some()));
        let mut once = names.clone();
        once.sort();
        once.dedup();
        assert_eq!(once.len(), names.len());
        assert_eq!(Word::parse("rss_bytes_per_s"), None, "a level has no rate; its slope is a function");
        assert_eq!(Word::parse("cpu_ns_per_s"), None);
    }

    #[test]
    fn values_are_in_base_units() {
        let target = TargetWindow {
            values: Values::from_iter([
                (Metric::Cpu, 5e9),
                (Metric::RunQueue, 15e9),
                (Metric::AllocBytes, 1000.0),
                (Metric::Cycles, 0.0),
                (Metric::Instructions, 5.0),
            ]),
            processes: vec![ProcessWindow { start_boot_ns: 5_000_000_000, ..ProcessWindow::default() }],
            ..TargetWindow::default()
        };
        let mut host =
            HostWindow { start_boot_ns: 20_000_000_000, length_ns: 10_000_000_000, ..HostWindow::default() };
        host.own.cpu_pct = 2.0;
        host.loss.add("ring_full", 3);
        let value =
            |name: &str| Word::parse(name).unwrap().value(Scene { host: &host, target: Some(&target) });
        assert_eq!(value("cpu_ns"), Some(5.0));
        assert_eq!(value("cpu_cores"), Some(0.5));
        assert_eq!(value("run_queue_threads"), Some(1.5));
        assert_eq!(value("run_queue_ratio"), Some(0.75));
        assert_eq!(value("alloc_bytes"), Some(1000.0));
        assert_eq!(value("alloc_bytes_per_s"), Some(100.0));
        assert_eq!(value("age"), Some(25.0));
        assert_eq!(value("own_cpu_pct"), Some(0.02));
        assert_eq!(value("lost"), Some(3.0));
        assert_eq!(value("ipc"), None, "a division by zero is no number");
        assert_eq!(value("rss_bytes"), None);
        assert_eq!(value("own_store_bytes"), None);
    }
}
