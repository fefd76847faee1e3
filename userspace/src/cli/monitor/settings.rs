//! The configuration in the words of the parts that follow it.

use std::path::Path;
use std::time::Duration;

use waytrace_hw::Root;
use waytrace_monitor::config::{Budget, Collect, Config, Keep, Switch};
use waytrace_monitor::engine;
use waytrace_monitor::rules::{Limits, RuleConfig, with_shipped};
use waytrace_store::Retention;

/// For the engine. `cache_root` stands in for `/` where caches are monitored.
pub fn engine(config: &Config, cache_root: &Path) -> engine::Settings {
    let Budget { cpu_pct, rss_mb, target_slowdown_pct } = config.budget;
    let Collect { allocations, mappings, accesses, cache, events, .. } = config.collect;
    let is_on = |switch: Switch| switch != Switch::Off;
    engine::Settings {
        window_ns: config.window_ns,
        cpu_pct,
        rss_bytes: rss_mb << 20,
        target_slowdown_pct,
        allocations: is_on(allocations),
        accesses: is_on(accesses),
        mappings: is_on(mappings),
        events: is_on(events),
        cache: is_on(cache),
        cache_root: Root::new(cache_root),
    }
}

/// For the history.
pub fn retention(config: &Config) -> Retention {
    let Keep { window_ns, minute_ns, hour_ns } = config.history.keep;
    let [windows, minutes, hours] = [window_ns, minute_ns, hour_ns].map(Duration::from_nanos);
    Retention { windows, minutes, hours, max_bytes: config.history.max_bytes }
}

/// For the rules: the configuration's, and those that come with waytrace.
pub fn rules(config: &Config) -> Vec<RuleConfig> {
    if !config.default_rules {
        return config.rules.clone();
    }
    let limits = Limits {
        window_ns: config.window_ns,
        cpu_pct: config.budget.cpu_pct * cpus(),
        rss_bytes: config.budget.rss_mb << 20,
    };
    with_shipped(limits, &config.rules)
}

/// How long a recording takes where its rule does not say.
pub fn record_seconds(config: &Config) -> u32 {
    u32::try_from(config.record.duration_ns.div_ceil(1_000_000_000)).unwrap_or(u32::MAX)
}

/// How many CPUs the budget, which is of all of them, is of.
pub fn cpus() -> f64 {
    engine::cpus() as f64
}
