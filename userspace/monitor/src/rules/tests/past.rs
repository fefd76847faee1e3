//! Functions over history, against all of the history.

use proptest::prelude::*;
use waytrace_model::monitor::{HostWindow, Metric};

use super::super::{RuleConfig, Rules};
use super::kit::{MB, Noise, S, began, host, quick, rules, target};

fn with_threads(index: u64, seconds: u64, threads: Option<f64>) -> HostWindow {
    let mut window = host(index, seconds);
    let values: Vec<(Metric, f64)> = threads.map(|threads| (Metric::Threads, threads)).into_iter().collect();
    window.targets.push(target("t", (1, 1), &values));
    window
}

/// A function's value after windows of these numbers of threads, as it is told in an alert; `None`: it has none.
fn told(function: &str, seconds: u64, history: &[Option<f64>]) -> Option<f64> {
    let text = format!("{function} > -1000000000 or {function} <= -1000000000");
    let config = RuleConfig { hold_for: 1, ..RuleConfig::new("r", &text) };
    let mut told = None;
    let mut rules = Rules::new(&[config], seconds * S).unwrap();
    for (index, threads) in history.iter().enumerate() {
        // An alert tells its numbers when it begins, so that each window is asked by rules that have not told yet.
        let events = rules.judge(&with_threads(index as u64, seconds, *threads));
        let detail = began(&events).first().map(|alert| alert.detail.clone());
        told = detail.and_then(|detail| detail.split_once(" = ")?.1.split("/s").next()?.parse::<f64>().ok());
        let unknown = Vec::from_iter(rules.active().iter().map(|alert| alert.rule.clone()));
        if !unknown.is_empty() {
            rules = replay(&text, seconds, &history[..=index]);
        }
    }
    told
}

/// Rules that have seen these windows and told nothing.
fn replay(text: &str, seconds: u64, history: &[Option<f64>]) -> Rules {
    let silent = RuleConfig { hold_for: 10_000, ..RuleConfig::new("r", text) };
    let mut rules = Rules::new(&[silent], seconds * S).unwrap();
    for (index, threads) in history.iter().enumerate() {
        rules.judge(&with_threads(index as u64, seconds, *threads));
    }
    let loud = RuleConfig { hold_for: 1, ..RuleConfig::new("r", text) };
    rules.reload(&[loud], seconds * S, 0).unwrap();
    rules
}

#[test]
fn functions_are_what_their_names_say() {
    let history: Vec<Option<f64>> = [1.0, 9.0, 2.0, 8.0, 3.0, 7.0, 4.0, 40.0].map(Some).to_vec();
    for (function, expected) in [
        ("mean(threads_count, 40s)", 13.5),
        ("max(threads_count, 40s)", 40.0),
        ("max(threads_count, 10s)", 40.0),
        ("min(threads_count, 40s)", 3.0),
        ("min(threads_count, 1h)", 1.0),
        ("median(threads_count, 40s)", 5.5),
    ] {
        let expected = (function != "min(threads_count, 1h)").then_some(expected);
        assert_eq!(told(function, 10, &history), expected, "{function}");
    }
}

#[test]
fn a_line_has_its_slope() {
    let history: Vec<Option<f64>> = (0..12).map(|n| Some(f64::from(n) * 20.0)).collect();
    assert_eq!(told("slope(threads_count, 60s)", 10, &history), Some(2.0));
    assert_eq!(told("growth(threads_count, 60s)", 10, &history), Some(2.0));
    assert_eq!(told("slope(threads_count, 60s)", 10, &history[..4]), None, "five windows at least");
    assert_eq!(told("slope(threads_count, 60s)", 10, &history[..5]), Some(2.0));
}

/// Four windows of an hour kept as one point give the slope of the hour, and more windows keep no more.
#[test]
fn long_times_keep_a_bounded_number_of_points() {
    let text = "slope(threads_count, 1h) > 10 or mean(threads_count, 24h) > 1e9";
    let mut rules = rules(&[quick(text)]);
    let mut events = Vec::new();
    for index in 0..20_000 {
        events.extend(rules.judge(&with_threads(index, 10, Some(index as f64 * 0.5))));
        assert!(rules.points() <= 63 + 363, "{}", rules.points());
    }
    assert!(rules.points() >= 55 + 350, "{}", rules.points());
    assert!(events.is_empty());
    let history: Vec<Option<f64>> = (0..700).map(|n| Some(f64::from(n) * 100.0)).collect();
    assert_eq!(told("slope(threads_count, 1h)", 10, &history[690 - 361..690]), Some(10.0));
}

/// An amount twice its usual rate; the windows of the jump do not raise what is usual, and before there is a usual one nothing is said.
#[test]
fn a_baseline_is_what_was_usual_before() {
    let config = RuleConfig::new("burst", "alloc_bytes_per_s > 2 * baseline(10m)");
    let mut rules = rules(&[config]);
    let mut noise = Noise::new(3);
    let mut began_at = Vec::new();
    for index in 0..120 {
        let usual = MB * (1.0 + 0.1 * noise.normal());
        let rate = if (90..100).contains(&index) || index < 5 { 3.0 * usual } else { usual };
        let mut window = host(index, 10);
        window.targets.push(target("t", (1, 1), &[(Metric::AllocBytes, rate * 10.0)]));
        for alert in began(&rules.judge(&window)) {
            began_at.push((index, alert.detail.clone()));
        }
    }
    assert_eq!(began_at.len(), 1, "{began_at:?}");
    assert_eq!(began_at[0].0, 91);
    assert!(began_at[0].1.contains("baseline(10m) = 1.0"), "{began_at:?}");
}

#[test]
fn a_baseline_of_a_ratio_of_metrics() {
    let mut rules = rules(&[quick("alloc_bytes / alloc_count > 4 * baseline(5m)")]);
    let mut at = Vec::new();
    for index in 0..60 {
        let size = if index == 50 { 500.0 } else { 100.0 };
        let mut window = host(index, 10);
        let values = [(Metric::AllocBytes, size * 7.0), (Metric::AllocCount, 7.0)];
        window.targets.push(target("t", (1, 1), &values));
        at.extend(began(&rules.judge(&window)).iter().map(|_| index));
    }
    assert_eq!(at, [50]);
}

/// Metrics that are measured in turns have values in some windows only.
#[test]
fn windows_without_a_value_are_no_history() {
    let mut rules = rules(&[RuleConfig::new("r", "threads_count > 2 * baseline(20m)")]);
    let mut at = Vec::new();
    for index in 0..150 {
        let threads = if index >= 120 { 30.0 } else { 10.0 };
        let value = (index % 10 == 0).then_some(threads);
        at.extend(began(&rules.judge(&with_threads(index, 10, value))).iter().map(|_| index));
    }
    assert_eq!(at, [130], "two measured windows in a row");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Of short histories everything is kept, so each function is the plain one of the last values.
    #[test]
    fn functions_are_those_of_the_last_windows(
        history in proptest::collection::vec(proptest::option::weighted(0.8, 0..1000u32), 1..40),
        windows in 1..20usize,
    ) {
        let history: Vec<Option<f64>> = history.into_iter().map(|value| value.map(f64::from)).collect();
        let recent = &history[history.len().saturating_sub(windows)..];
        let known: Vec<(usize, f64)> = recent.iter().enumerate().filter_map(|(n, value)| Some((n, (*value)?))).collect();
        let covered = known.last().zip(known.first()).map(|(last, first)| last.0 - first.0 + 1);
        let is_judged = history.last().copied().flatten().is_some()
            && covered.is_some_and(|covered| covered as f64 >= windows as f64 * 0.25);
        let values: Vec<f64> = known.iter().map(|(_, value)| *value).collect();
        let expected = |value: f64| is_judged.then_some(value);
        let span = windows * 10;
        for (name, value) in [
            ("max", values.iter().copied().fold(0.0, f64::max)),
            ("min", values.iter().copied().fold(1e9, f64::min)),
        ] {
            prop_assert_eq!(told(&format!("{name}(threads_count, {span}s)"), 10, &history), expected(value), "{}", name);
        }
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let told = told(&format!("mean(threads_count, {span}s)"), 10, &history);
        prop_assert_eq!(told.is_some(), expected(mean).is_some());
        if let Some(told) = told {
            // Three digits are told.
            prop_assert!((told - mean).abs() <= 0.005 * mean.abs() + 1e-9, "{} {}", told, mean);
        }
    }
}
