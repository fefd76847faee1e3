//! The shipped rules: an hour of noise raises nothing, a leak is told within a minute.

use waytrace_model::monitor::{HostWindow, Metric};

use super::super::{Event, Limits, RuleConfig, Rules, shipped, with_shipped};
use super::kit::{MB, Noise, S, began, ended, host, target};

fn limits(seconds: u64) -> Limits {
    Limits { window_ns: seconds * S, cpu_pct: 1.0, rss_bytes: 150 << 20 }
}

fn judge_all(seconds: u64, windows: u64, mut rss: impl FnMut(u64) -> f64) -> Vec<(u64, Event)> {
    let mut rules = Rules::new(&shipped(limits(seconds)), seconds * S).unwrap();
    let mut events = Vec::new();
    for index in 0..windows {
        let mut window = host(index, seconds);
        window.targets.push(target("t", (1, 1), &[(Metric::Rss, rss(index))]));
        window.own.cpu_pct = 0.5;
        window.own.rss_bytes = 90 << 20;
        events.extend(rules.judge(&window).into_iter().map(|event| (index, event)));
    }
    events
}

/// How resident memory moves in an hour: independent noise around a level, a walk that is pulled back to it, and a free walk;
/// of the level, by window.
#[derive(Debug, Clone, Copy)]
enum Motion {
    Noise(f64),
    Pulled(f64),
    Walk(f64),
}

fn motion(motion: Motion, level: f64, seed: u64) -> impl FnMut(u64) -> f64 {
    let mut noise = Noise::new(seed);
    let mut away = 0.0;
    move |_| {
        let next = noise.normal();
        away = match motion {
            Motion::Noise(share) => share * next,
            Motion::Pulled(share) => 0.9 * away + share * next,
            Motion::Walk(share) => away + share * next,
        };
        (level * (1.0 + away)).max(0.0)
    }
}

/// 20 targets of each kind for an hour, small and large ones; two where windows are short.
#[test]
fn a_quiet_hour_raises_nothing() {
    for (seconds, seeds, motions) in [
        (10, 20, [Motion::Noise(0.01), Motion::Pulled(0.005), Motion::Walk(0.002)]),
        (2, 2, [Motion::Noise(0.01), Motion::Pulled(0.002), Motion::Walk(0.001)]),
    ] {
        for level in [10.0, 1000.0, 50_000.0] {
            for (number, kind) in motions.into_iter().enumerate() {
                for seed in 0..seeds {
                    let seed = seed * 1000 + number as u64;
                    let events = judge_all(seconds, 3600 / seconds, motion(kind, level * MB, seed));
                    assert!(events.is_empty(), "{seconds} s, {level} MB, {kind:?}, seed {seed}: {events:?}");
                }
            }
        }
    }
}

/// 1 MB/s from the 30th window on, under noise of 1 % of what is resident: told within 60 s in every case, and over
/// when it is over.
#[test]
fn a_leak_is_told_within_a_minute_and_ends() {
    for (seconds, seeds) in [(10, 50), (2, 20)] {
        for seed in 0..seeds {
            let mut noise = Noise::new(seed);
            let leaking = 30 * seconds..30 * seconds + 300;
            let events = judge_all(seconds, 1800 / seconds, |index| {
                let end_s = (index + 1) * seconds;
                let leaked = end_s.clamp(leaking.start, leaking.end) - leaking.start;
                (100.0 + leaked as f64) * MB * (1.0 + 0.01 * noise.normal())
            });
            let [(first, Event::Began(alert)), (last, Event::Ended(_))] = &events[..] else {
                panic!("{seconds} s, seed {seed}: {events:?}")
            };
            assert_eq!(alert.rule, "leak");
            let told_s = (first + 1) * seconds;
            assert!(
                told_s > leaking.start && told_s <= leaking.start + 60,
                "{seconds} s, seed {seed}: {told_s}"
            );
            assert!((last + 1) * seconds > leaking.end, "{seconds} s, seed {seed}: {last}");
        }
    }
}

/// The leak is there from the first window on.
#[test]
fn a_leak_that_was_always_there_is_told_within_a_minute_too() {
    for seconds in [10, 2] {
        for seed in 0..50 {
            let mut noise = Noise::new(seed);
            let events = judge_all(seconds, 60 / seconds, |index| {
                (20.0 + (index * seconds) as f64) * MB * (1.0 + 0.01 * noise.normal())
            });
            assert!(matches!(&events[..], [(_, Event::Began(_))]), "{seconds} s, seed {seed}: {events:?}");
        }
    }
}

#[test]
fn a_leak_of_a_large_process_shows_in_its_noise() {
    let mut noise = Noise::new(5);
    let events =
        judge_all(2, 300, |index| (1000.0 + (index * 2) as f64) * MB * (1.0 + 0.01 * noise.normal()));
    assert!(events.iter().any(|(_, event)| matches!(event, Event::Began(_))));
}

fn own(index: u64, cpu_pct: f64, lost: u64) -> HostWindow {
    let mut window = host(index, 10);
    window.own.cpu_pct = cpu_pct;
    window.own.rss_bytes = 1 << 20;
    window.loss.add("ring_full", lost);
    window
}

#[test]
fn budget_and_losses_are_told_when_they_last() {
    let mut rules = Rules::new(&shipped(limits(10)), 10 * S).unwrap();
    let mut events = Vec::new();
    for index in 0..60 {
        let dear = index == 3 || (20..30).contains(&index);
        let lost = u64::from(index == 5 || index >= 50);
        events.extend(rules.judge(&own(index, if dear { 1.5 } else { 0.6 }, lost)));
    }
    let names: Vec<&str> = began(&events).iter().map(|alert| alert.rule.as_str()).collect();
    assert_eq!(names, ["budget", "losses"]);
    assert_eq!(ended(&events).len(), 1);
    assert!(began(&events)[0].detail.starts_with("own_cpu_pct = 1.5%"), "{events:?}");
}

#[test]
fn shipped_rules_are_replaced_and_switched_off_by_name() {
    let configured = [
        RuleConfig::new("leak", "growth(rss_bytes, 5m) > 1MB/s"),
        RuleConfig::new("losses", "false"),
        RuleConfig::new("mine", "threads_count > 100"),
    ];
    let rules = with_shipped(limits(10), &configured);
    let names: Vec<&str> = rules.iter().map(|rule| rule.name.as_str()).collect();
    assert_eq!(names, ["missing", "budget", "leak", "mine"]);
    for seconds in [1, 10, 60, 600] {
        let shipped = shipped(limits(seconds));
        assert!(Rules::new(&shipped, seconds * S).is_ok(), "windows of {seconds} s");
    }
}
