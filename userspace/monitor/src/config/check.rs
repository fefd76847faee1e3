//! What no single value shows.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use super::error::Problem;
use super::nearest::nearest;
use super::{Config, Switch, TargetConfig};
use crate::rules::Record;
use crate::targets::{Glob, Selector};

/// Shorter windows cost more than they show; longer ones do not fit the steps of the history.
const WINDOW_NS: std::ops::RangeInclusive<u64> = 100_000_000..=MINUTE_NS;
const MINUTE_NS: u64 = 60_000_000_000;
const HOUR_NS: u64 = 60 * MINUTE_NS;
/// A rule that waits longer would outlive every restart.
const MOST_WINDOWS: u32 = 10_000;
/// What the kernel's maps and an idle runtime take already.
const LEAST_RSS_MB: u64 = 32;
/// An empty history with its indexes.
const LEAST_HISTORY_BYTES: u64 = 1 << 20;
const MOST_NAME_CHARS: usize = 200;

pub fn check(config: &Config) -> Result<(), Problem> {
    if !WINDOW_NS.contains(&config.window_ns) {
        return Err(Problem::of(
            "",
            "window",
            "`window` is from \"100ms\" to \"1m\"; the usual one is \"10s\"",
        ));
    }
    budget(config)?;
    history(config)?;
    http(config)?;
    record(config)?;
    collect(config)?;
    targets(config)?;
    hooks(config)?;
    rules(config)
}

fn budget(config: &Config) -> Result<(), Problem> {
    let budget = &config.budget;
    for (key, pct) in [("cpu_pct", budget.cpu_pct), ("target_slowdown_pct", budget.target_slowdown_pct)] {
        if !is_share(pct) {
            return Err(Problem::of("budget", key, not_a_share(key, pct)));
        }
    }
    if budget.rss_mb < LEAST_RSS_MB {
        let what =
            format!("`rss_mb` is {}, and less than {LEAST_RSS_MB} holds nothing; give more", budget.rss_mb);
        return Err(Problem::of("budget", "rss_mb", what));
    }
    Ok(())
}

/// Above nothing and at most everything; NaN, which TOML can spell, is neither.
fn is_share(pct: f64) -> bool {
    pct > 0.0 && pct <= 100.0
}

fn not_a_share(key: &str, pct: f64) -> String {
    format!("`{key}` is {pct}; it is a percentage above 0 and up to 100")
}

fn history(config: &Config) -> Result<(), Problem> {
    let keep = &config.history.keep;
    for (step, kept_ns, least_ns, least) in [
        ("window", keep.window_ns, config.window_ns, "one window"),
        ("minute", keep.minute_ns, MINUTE_NS, "a minute"),
        ("hour", keep.hour_ns, HOUR_NS, "an hour"),
    ] {
        if kept_ns < least_ns {
            return Err(Problem::of("history", "keep", format!("`{step}` of `keep` is at least {least}")));
        }
    }
    if !(keep.window_ns <= keep.minute_ns && keep.minute_ns <= keep.hour_ns) {
        let what = "`keep` keeps a finer step longer than a coarser one; `window` is at most `minute`, and that at most `hour`";
        return Err(Problem::of("history", "keep", what));
    }
    if config.history.max_bytes < LEAST_HISTORY_BYTES {
        return Err(Problem::of("history", "max_bytes", "`max_bytes` is at least \"1MiB\""));
    }
    if config.history.path.as_ref().is_some_and(|path| path.as_os_str().is_empty()) {
        let what = "`path` is empty; name a file, or leave the key out to keep no history";
        return Err(Problem::of("history", "path", what));
    }
    Ok(())
}

fn http(config: &Config) -> Result<(), Problem> {
    let http = &config.http;
    let problem = |key, what: String| Err(Problem::of("http", key, what));
    if http.tls_cert.is_some() != http.tls_key.is_some() {
        let (given, lacks) =
            if http.tls_cert.is_some() { ("tls_cert", "tls_key") } else { ("tls_key", "tls_cert") };
        return problem(given, format!("`{given}` needs `{lacks}`; give both or neither"));
    }
    if http.max_targets == 0 {
        return problem("max_targets", "`max_targets` is at least 1".to_owned());
    }
    let Some(listen) = &http.listen else { return Ok(()) };
    let Ok(address) = listen.parse::<SocketAddr>() else {
        let what = format!(
            "`listen` is \"{}\"; write address and port: \"127.0.0.1:9477\", \"[::1]:9477\"",
            listen.escape_debug()
        );
        return problem("listen", what);
    };
    let guarded = http.token_file.is_some() && http.tls_cert.is_some();
    if !address.ip().is_loopback() && !guarded && !http.insecure {
        let what = format!(
            "`listen` {address} is open to other machines; set `token_file`, `tls_cert` and `tls_key`, or `insecure = true`"
        );
        return problem("listen", what);
    }
    Ok(())
}

fn record(config: &Config) -> Result<(), Problem> {
    let record = &config.record;
    if !(1_000_000_000..=10 * MINUTE_NS).contains(&record.duration_ns) {
        return Err(Problem::of("record", "duration", "`duration` is from \"1s\" to \"10m\""));
    }
    if u64::from(record.max_per_hour).saturating_mul(record.duration_ns) > HOUR_NS {
        let what = "`max_per_hour` times `duration` is more than an hour; lower one of them";
        return Err(Problem::of("record", "max_per_hour", what));
    }
    Ok(())
}

fn collect(config: &Config) -> Result<(), Problem> {
    let collect = &config.collect;
    if collect.events == Switch::Off && !collect.event_names.is_empty() {
        let what = "`event_names` names events, and `events = false` counts none; remove one of them";
        return Err(Problem::of("collect", "event_names", what));
    }
    Ok(())
}

fn targets(config: &Config) -> Result<(), Problem> {
    if config.targets.is_empty() && !config.machine {
        let what = "there is nothing to watch; add a [[target]], or `machine = true` for every process";
        return Err(Problem::of("", "machine", what));
    }
    let mut seen = BTreeSet::new();
    for (nth, target) in config.targets.iter().enumerate() {
        let problem = |key, what: String| Problem::nth("target", (nth, &target.name), key, what);
        name(&target.name).map_err(|what| problem("name", what))?;
        if !seen.insert(&target.name) {
            return Err(problem("name", "a target above has the same name; give each its own".to_owned()));
        }
        Selector::new(target).map_err(|error| problem(error.key, error.what))?;
        target_budget(target).map_err(|(key, what)| problem(key, what))?;
    }
    Ok(())
}

fn target_budget(target: &TargetConfig) -> Result<(), (&'static str, String)> {
    let budget = &target.budget;
    for (key, pct) in [("cpu_pct", budget.cpu_pct), ("target_slowdown_pct", budget.target_slowdown_pct)] {
        if let Some(pct) = pct.filter(|pct| !is_share(*pct)) {
            return Err(("budget", not_a_share(key, pct)));
        }
    }
    Ok(())
}

/// Names go into metrics, file names of recordings and lines of terminals. Those beginning with `_` are waytrace's own (`_other`).
fn name(name: &str) -> Result<(), String> {
    if name.is_empty() {
        return Err("`name` is empty; give one".to_owned());
    }
    if name.starts_with('_') {
        return Err("names that begin with `_` are waytrace's own; take another".to_owned());
    }
    if name.chars().any(char::is_control) || name.chars().count() > MOST_NAME_CHARS {
        return Err(format!("a name has no control characters and at most {MOST_NAME_CHARS} characters"));
    }
    Ok(())
}

fn hooks(config: &Config) -> Result<(), Problem> {
    let mut seen = BTreeSet::new();
    for (nth, hook) in config.hooks.iter().enumerate() {
        let problem = |key, what: String| Problem::nth("hook", (nth, &hook.name), key, what);
        name(&hook.name).map_err(|what| problem("name", what))?;
        if !seen.insert(&hook.name) {
            return Err(problem("name", "a hook above has the same name; give each its own".to_owned()));
        }
        hook.check().map_err(|error| problem("name", error.to_string()))?;
    }
    Ok(())
}

fn rules(config: &Config) -> Result<(), Problem> {
    let mut seen = BTreeSet::new();
    for (nth, rule) in config.rules.iter().enumerate() {
        let problem = |key, what: String| Err(Problem::nth("rule", (nth, &rule.name), key, what));
        if let Err(what) = name(&rule.name) {
            return problem("name", what);
        }
        if !seen.insert(&rule.name) {
            return problem("name", "a rule above has the same name; give each its own".to_owned());
        }
        if rule.when.trim().is_empty() {
            return problem("when", "`when` is empty; write a condition".to_owned());
        }
        for (key, windows) in [("hold_for", rule.hold_for), ("clear_after", rule.clear_after)] {
            if !(1..=MOST_WINDOWS).contains(&windows) {
                return problem(key, format!("`{key}` is a number of windows, from 1 to {MOST_WINDOWS}"));
            }
        }
        if matches!(rule.record, Record::Seconds(seconds) if !(1..=600).contains(&seconds)) {
            return problem("record", "`record` is from 1 to 600 seconds".to_owned());
        }
        let names = || config.hooks.iter().map(|hook| hook.name.as_str());
        if let Some(unknown) = rule.hooks.iter().find(|hook| !names().any(|name| name == *hook)) {
            return problem("hooks", no_such("hook", unknown, nearest(unknown, names())));
        }
        let glob = match Glob::new(&rule.target) {
            Ok(glob) => glob,
            Err(what) => return problem("target", what),
        };
        let names = || config.targets.iter().map(|target| target.name.as_str());
        if !config.machine && !names().any(|name| glob.matches(name)) {
            return problem("target", no_such("target", &rule.target, nearest(&rule.target, names())));
        }
    }
    Ok(())
}

fn no_such(thing: &str, wrong: &str, near: Option<&str>) -> String {
    let wrong = wrong.escape_debug();
    match near {
        Some(near) => format!("there is no {thing} `{wrong}`; did you mean `{near}`?"),
        None => format!("there is no {thing} `{wrong}`; add a [[{thing}]], or name another"),
    }
}
