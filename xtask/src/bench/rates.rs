//! `rates`: how far `monitor`'s rates of allocations are off, of programs that count their own. A budget in percent of a target's CPU time pays for
//! little probing of one that hardly runs, so such ones are among them.

use super::context::Context;
use super::figure::{Asked, Figure};
use super::pairs::{Load, Pairs};
use super::stats::Spread;
use super::watching::{Monitor, name, targets};
use anyhow::{Context as _, Result};
use serde_json::Value;
use std::fs;

const WINDOW: &str = "2s";
const TARGET: &str = "pairs";

const LOADS: [(&str, Load); 5] = [
    ("1,000 pairs/s, in bursts", paced(1_000, 0)),
    ("1,000 pairs/s, 20 us each", paced(1_000, 20_000)),
    ("40 k pairs/s, in bursts", paced(40_000, 0)),
    ("300 k pairs/s, never idle", busy(3_200)),
    ("1 M pairs/s, never idle", busy(850)),
];

const fn paced(pairs_per_s: u64, work_ns: u64) -> Load {
    Load { work_ns, pairs_per_s, is_static: false }
}

const fn busy(work_ns: u64) -> Load {
    Load { work_ns, pairs_per_s: 0, is_static: false }
}

/// The benchmark.
pub fn run(context: &Context) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for (what, load) in LOADS {
        let rounds = (0..context.pick(5, 1)).map(|_| measure(context, load));
        let rounds: Vec<Round> = rounds.collect::<Result<_>>()?;
        let of = |title: &str, value: fn(&Round) -> f64| {
            Figure::new(format!("{what}: {title}"), "%", rounds.iter().map(value))
        };
        figures.extend([
            of("allocations, windows together", |round| round.count_pct).asked(Asked::Within(5.0)),
            of("bytes, windows together", |round| round.bytes_pct).asked(Asked::Within(5.0)),
            of("frees, windows together", |round| round.frees_pct).asked(Asked::Within(5.0)),
            of("allocations, a window's usual error", |round| round.window_pct),
        ]);
    }
    Ok(figures)
}

/// Errors, percent of the truth.
struct Round {
    count_pct: f64,
    bytes_pct: f64,
    frees_pct: f64,
    /// Median of the single windows', without their signs.
    window_pct: f64,
}

fn measure(context: &Context, load: Load) -> Result<Round> {
    let target = Pairs::start(context, load, &[], None)?;
    target.run()?;
    let config = context.folder.join("rates.toml");
    let text = format!("window = \"{WINDOW}\"\n[[target]]\nname = \"{TARGET}\"\npid = {}\n", target.pid());
    fs::write(&config, text).with_context(|| format!("cannot write {}", config.display()))?;
    let monitor = Monitor::start(context, &config)?;
    let truth = target.watch(context.seconds(60, 20))?;
    let windows = monitor.finish()?;
    target.quit()?;
    // The first learns what it needs to know, the last is cut.
    let inner = windows.get(1..windows.len().saturating_sub(1)).unwrap_or_default();
    let pairs_hz = 1e9 / truth.wall_ns_per_pair;
    let off_pct = |metric: &str, truth_hz: f64| 100.0 * (rate_hz(inner, metric) / truth_hz - 1.0);
    let single = inner
        .iter()
        .map(|window| 100.0 * (rate_hz(std::slice::from_ref(window), "alloc_count") / pairs_hz - 1.0).abs());
    Ok(Round {
        count_pct: off_pct("alloc_count", pairs_hz),
        bytes_pct: off_pct("alloc_bytes", 1e9 * truth.bytes / truth.wall_ns),
        frees_pct: off_pct("free_count", pairs_hz),
        window_pct: Spread::of(single.filter(|error| error.is_finite())).context("no window")?.median(),
    })
}

/// What windows tell, per second of those that tell it; no number where none does.
fn rate_hz(windows: &[Value], metric: &str) -> f64 {
    let amount = |window: &Value| {
        let target = targets(window).find(|target| name(target) == TARGET)?;
        let amount = target.get("values")?.get(metric)?.as_f64()?;
        Some((amount, window.get("length_ns")?.as_f64()?))
    };
    let told = windows.iter().filter_map(amount);
    let (amount, length_ns) = told.fold((0.0, 0.0), |sum, told| (sum.0 + told.0, sum.1 + told.1));
    1e9 * amount / length_ns
}
