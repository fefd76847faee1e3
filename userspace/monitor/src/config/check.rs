//! What no single value shows.

use std::collections::BTreeSet;

use waytrace_model::spelling::nearest;

use super::error::Problem;
use super::{Config, Switch, TargetConfig};
use crate::hooks;
use crate::rules::{self, Rules};
use crate::targets::{Glob, Selector};
use crate::web;

/// Shorter windows cost more than they show; longer ones do not fit the steps of the history.
const WINDOW_NS: std::ops::RangeInclusive<u64> = 100_000_000..=MINUTE_NS;
const MINUTE_NS: u64 = 60_000_000_000;
const HOUR_NS: u64 = 60 * MINUTE_NS;
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
    let Err(error) = config.http.check() else { return Ok(()) };
    let (table, key) = match &error {
        web::Error::Value { key, .. } => match key.split_once('.') {
            Some(("pprof", key)) => ("http.pprof", key),
            Some(("push", key)) => ("http.push", key),
            _ => ("http", *key),
        },
        web::Error::TlsHalf { there, .. } => ("http", *there),
        _ => ("http", "listen"),
    };
    Err(Problem::of(table, key, error.to_string()))
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
        hook.check().map_err(|error| problem(key_of_hook(&error), error.to_string()))?;
    }
    Ok(())
}

fn key_of_hook(error: &hooks::Error) -> &'static str {
    match error {
        hooks::Error::Url { .. } => "webhook",
        hooks::Error::NoProgram { .. } => "command",
        hooks::Error::OnlyWebhook { key, .. } => key,
        hooks::Error::Timeout { .. } => "timeout",
        _ => "name",
    }
}

fn rules(config: &Config) -> Result<(), Problem> {
    for (nth, rule) in config.rules.iter().enumerate() {
        let problem = |key, what: String| Err(Problem::nth("rule", (nth, &rule.name), key, what));
        if let Err(what) = name(&rule.name) {
            return problem("name", what);
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
    let Err(error) = Rules::new(&config.rules, config.window_ns) else { return Ok(()) };
    let (wrong, key) = of_rule(&error);
    // Of two rules of one name the second is the mistake.
    let nth = config.rules.iter().rposition(|rule| Some(rule.name.as_str()) == wrong).unwrap_or(0);
    Err(Problem::nth("rule", (nth, wrong.unwrap_or_default()), key, error.to_string()))
}

/// The rule and the key an error is about.
fn of_rule(error: &rules::Error) -> (Option<&str>, &'static str) {
    match error {
        rules::Error::Condition { rule, key, .. } | rules::Error::Windows { rule, key, .. } => {
            (Some(rule), *key)
        }
        rules::Error::Record { rule, .. } => (Some(rule), "record"),
        rules::Error::HostOnly { rule } | rules::Error::Target { rule, .. } => (Some(rule), "target"),
        rules::Error::NameTaken { rule } => (Some(rule), "name"),
        rules::Error::NoName { .. } | rules::Error::TooMany { .. } => (None, "name"),
    }
}

fn no_such(thing: &str, wrong: &str, near: Option<&str>) -> String {
    let wrong = wrong.escape_debug();
    match near {
        Some(near) => format!("there is no {thing} `{wrong}`; did you mean `{near}`?"),
        None => format!("there is no {thing} `{wrong}`; add a [[{thing}]], or name another"),
    }
}
