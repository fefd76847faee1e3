//! Targets that restart, go and come, and rules that change meanwhile.

use waytrace_model::monitor::{HostWindow, Metric, TargetWindow};

use super::super::{Event, RuleConfig, Rules};
use super::kit::{MB, S, began, ended, host, quick, rules, target};

fn rss(index: u64, process: (u32, u64), bytes: f64) -> HostWindow {
    let mut window = host(index, 10);
    window.targets.push(target("t", process, &[(Metric::Rss, bytes)]));
    window
}

/// 1 MB/s for 30 windows, then another process of the same name that begins small: no slope reaches over both.
#[test]
fn a_restart_is_no_slope() {
    for second in [(8, 1310), (7, 1310)] {
        let mut rules = rules(&[quick("slope(rss_bytes, 2m) < 0")]);
        for index in 0..30 {
            assert!(rules.judge(&rss(index, (7, 900), 500.0 * MB + index as f64 * 10.0 * MB)).is_empty());
        }
        for index in 31..60 {
            let window = rss(index, second, 10.0 * MB + (index - 31) as f64 * 10.0 * MB);
            assert!(rules.judge(&window).is_empty(), "{index}");
        }
    }
    // The same without a restart is one.
    let mut rules = rules(&[quick("slope(rss_bytes, 2m) < 0")]);
    let mut events = Vec::new();
    for index in 0..60 {
        let at = if index < 31 { 500.0 + index as f64 * 10.0 } else { 10.0 + (index - 31) as f64 * 10.0 };
        events.extend(rules.judge(&rss(index, (7, 900), at * MB)));
    }
    assert!(!began(&events).is_empty());
}

/// The window of the change tells both processes: the old one ended in it.
#[test]
fn a_restart_within_a_window_is_one_too() {
    let mut rules = rules(&[quick("slope(rss_bytes, 2m) < 0")]);
    for index in 0..40u64 {
        let mut window = match index {
            0..20 => rss(index, (7, 900), 500.0 * MB),
            _ => rss(index, (8, 1203), 10.0 * MB),
        };
        if index == 20 {
            let old = target("t", (7, 900), &[]).processes;
            window.targets[0].processes.extend(old);
            window.targets[0].values.set(Metric::Rss, Some(510.0 * MB));
        }
        assert!(rules.judge(&window).is_empty(), "{index}");
    }
}

/// A server that replaces its workers one by one goes on.
#[test]
fn replaced_workers_are_no_restart() {
    let mut rules = rules(&[quick("slope(rss_bytes, 2m) > 0.5MB/s")]);
    let mut events = Vec::new();
    for index in 0..30u64 {
        let mut window = rss(index, (100, 900), 100.0 * MB + index as f64 * 10.0 * MB);
        let workers = (index..index + 3).map(|n| target("t", (200 + n as u32, 970 + n * 10), &[]).processes);
        window.targets[0].processes = workers.flatten().collect();
        events.extend(rules.judge(&window));
    }
    assert_eq!(began(&events).len(), 1);
}

#[test]
fn an_alert_ends_when_those_it_was_about_are_gone() {
    for (missing, ends_at) in [(false, 12), (true, 12)] {
        let config = RuleConfig {
            clear_when: Some("rss_bytes < 1MB".to_owned()),
            ..RuleConfig::new("r", "rss_bytes > 1GB")
        };
        let mut rules = rules(&[config]);
        let mut at = Vec::new();
        for index in 0..20 {
            let mut window = rss(index, (7, 900), 2048.0 * MB);
            if index >= 10 {
                window.targets.clear();
                window.missing.extend(missing.then(|| "t".to_owned()));
            }
            at.extend(ended(&rules.judge(&window)).iter().map(|_| index));
        }
        assert_eq!(at, [ends_at], "missing: {missing}");
    }
}

/// While a process lives, windows without a value end nothing.
#[test]
fn what_is_not_measured_for_a_while_is_not_over() {
    let mut rules = rules(&[RuleConfig::new("r", "rss_bytes > 1GB")]);
    let mut events = Vec::new();
    for index in 0..40 {
        let mut window = rss(index, (7, 900), 2048.0 * MB);
        if index > 5 {
            window.targets[0].values.set(Metric::Rss, None);
        }
        events.extend(rules.judge(&window));
    }
    assert_eq!((began(&events).len(), ended(&events).len()), (1, 0));
}

#[test]
fn a_missing_target_is_told_once_and_its_return_too() {
    let mut rules = rules(&[RuleConfig::new("missing", "missing")]);
    let mut course = String::new();
    for index in 0..20 {
        let mut window = rss(index, (7, if index < 5 { 900 } else { 1080 }), MB);
        if (5..9).contains(&index) || index == 15 {
            window.targets.clear();
            window.missing.push("t".to_owned());
        }
        let events = rules.judge(&window);
        course.push(match events.first() {
            None => '.',
            Some(Event::Began(alert)) if alert.target == "t" => '+',
            Some(Event::Ended(_)) => '-',
            Some(Event::Began(alert)) => panic!("{alert:?}"),
        });
    }
    assert_eq!(course, "......+....-........", "one window without it is no alert");
}

#[test]
fn rules_apply_to_targets_of_their_name() {
    let config = RuleConfig { target: "web-*".to_owned(), ..quick("rss_bytes > 0") };
    let mut window = host(0, 10);
    for name in ["web-1", "db", "web-2", "web-1"] {
        window.targets.push(target(name, (1, 1), &[(Metric::Rss, 1.0)]));
    }
    let events = rules(&[config]).judge(&window);
    let names: Vec<&str> = began(&events).iter().map(|alert| alert.target.as_str()).collect();
    assert_eq!(names, ["web-1", "web-2"]);
}

#[test]
fn reloading_keeps_what_goes_on() {
    let (a, b) = (
        RuleConfig::new("a", "rss_bytes > 1GB"),
        RuleConfig { name: "b".to_owned(), ..quick("rss_bytes > baseline(5m)") },
    );
    let mut rules = rules(&[a.clone(), b.clone()]);
    for index in 0..20 {
        rules.judge(&rss(index, (7, 900), 2048.0 * MB));
    }
    assert_eq!(rules.active().len(), 1);
    // Another order, another hook, a new rule: nothing begins again, and the baseline is still known.
    let told = RuleConfig { hooks: vec!["ops".to_owned()], ..a.clone() };
    let new = RuleConfig::new("c", "lost > 5");
    let events = rules.reload(&[new, b, told], 10 * S, 1).unwrap();
    assert!(events.is_empty());
    let events = rules.judge(&rss(20, (7, 900), 2049.0 * MB));
    assert_eq!(began(&events).iter().map(|alert| alert.rule.as_str()).collect::<Vec<_>>(), ["b"]);
    assert_eq!(rules.config("a").unwrap().hooks, ["ops"]);
    // One that cannot be read changes nothing.
    assert!(rules.reload(&[quick("nothing > 1")], 10 * S, 1).is_err());
    assert_eq!(rules.active().len(), 2);
    // A changed and a dropped one end.
    let changed = RuleConfig { when: "rss_bytes > 3GB".to_owned(), ..a };
    let events = rules.reload(&[changed], 10 * S, 77).unwrap();
    assert_eq!(ended(&events).len(), 2);
    assert!(ended(&events).iter().all(|alert| alert.ended.unwrap().at_unix_ns == 77));
    assert!(rules.active().is_empty());
}

/// Thousands of names that come once leave nothing behind.
#[test]
fn targets_that_do_not_come_again_are_forgotten() {
    let mut rules = rules(&[quick("growth(rss_bytes, 60s) > 1GB/s")]);
    let mut most = 0;
    for index in 0..200u64 {
        let mut window = host(index, 10);
        for n in 0..50 {
            let name = format!("t{index}-{n}");
            window.targets.push(target(&name, (n, index * 10), &[(Metric::Rss, 1.0)]));
        }
        rules.judge(&window);
        most = most.max(rules.points());
    }
    assert!(most <= 50 * 18, "{most}");
}

/// A clock that stands, or a window twice, must not make slopes of nothing.
#[test]
fn windows_out_of_order_are_no_history() {
    let mut rules = rules(&[quick("slope(rss_bytes, 60s) > 0 or slope(rss_bytes, 60s) < 0")]);
    for index in [5, 5, 5, 4, 3, 2, 1, 0, 5, 5] {
        let mut window = rss(index, (7, 900), index as f64 * MB);
        window.length_ns = 0;
        assert!(rules.judge(&window).is_empty());
    }
    let mut empty = HostWindow { targets: vec![TargetWindow::default()], ..HostWindow::default() };
    empty.missing = vec![String::new()];
    Rules::new(&[quick("missing or rss_bytes > 1")], 0).unwrap().judge(&empty);
}
