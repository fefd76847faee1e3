//! When alerts begin and end.

use proptest::prelude::*;
use waytrace_model::monitor::{HostWindow, Metric, RecordingLink};

use super::super::{Event, RuleConfig};
use super::kit::{S, began, ended, host, rules, target};

/// `None`: not measured.
fn threads(index: u64, value: Option<f64>) -> HostWindow {
    let mut window = host(index, 10);
    let values: Vec<(Metric, f64)> = value.map(|value| (Metric::Threads, value)).into_iter().collect();
    window.targets.push(target("t", (1, 1), &values));
    window
}

/// `+` and `-` where an alert begins and ends.
fn course(config: &RuleConfig, values: &[Option<f64>]) -> String {
    let mut rules = rules(std::slice::from_ref(config));
    let mut course = String::new();
    for (index, value) in values.iter().enumerate() {
        let events = rules.judge(&threads(index as u64, *value));
        assert!(events.len() <= 1);
        course.push(match events.first() {
            None => '.',
            Some(Event::Began(_)) => '+',
            Some(Event::Ended(_)) => '-',
        });
    }
    course
}

fn values(text: &str) -> Vec<Option<f64>> {
    text.chars().map(|c| c.to_digit(10).map(f64::from)).collect()
}

#[test]
fn it_takes_windows_in_a_row() {
    let rule = RuleConfig::new("r", "threads_count > 5");
    for (seen, expected) in [
        ("999999", ".+...."),
        ("919191", "......"),
        ("991111", ".+..-."),
        ("9911911911", ".+........"),
        ("99111199", ".+..-..+"),
        // Without a value nothing counts, for neither side.
        ("9?9", "..+"),
        ("9?1?9", "....."),
        ("991?1?1", ".+....-"),
        ("99??????", ".+......"),
    ] {
        assert_eq!(course(&rule, &values(seen)), expected, "{seen}");
    }
}

#[test]
fn another_condition_may_end_it() {
    let rule = RuleConfig {
        hold_for: 1,
        clear_after: 2,
        clear_when: Some("threads_count < 2".to_owned()),
        ..RuleConfig::new("r", "threads_count > 5")
    };
    assert_eq!(course(&rule, &values("9444141191")), "+......-+.");
}

#[test]
fn an_alert_tells_when_it_first_held_and_when_it_was_over() {
    let mut rules =
        rules(&[RuleConfig { hold_for: 3, clear_after: 2, ..RuleConfig::new("r", "threads_count > 5") }]);
    let mut all = Vec::new();
    for (index, value) in values("1999911").into_iter().enumerate() {
        all.extend(rules.judge(&threads(index as u64, value)));
        if index == 4 {
            assert_eq!(rules.active().len(), 1);
            let link = RecordingLink::Run("alert-r-t-1".to_owned());
            assert!(rules.recorded("r", "t", link, Some("most in grow")).is_some());
        }
    }
    let start = 1_700_000_000 * S;
    let (began, ended) = (began(&all)[0], ended(&all)[0]);
    assert_eq!((began.rule.as_str(), began.target.as_str()), ("r", "t"));
    assert_eq!(began.began_unix_ns, start + 20 * S);
    assert_eq!(ended.ended.unwrap().at_unix_ns, start + 70 * S);
    assert_eq!(ended.recording, RecordingLink::Run("alert-r-t-1".to_owned()));
    assert_eq!(ended.detail, "threads_count = 9; most in grow");
    assert!(rules.active().is_empty());
    assert!(rules.recorded("r", "t", RecordingLink::None, None).is_none());
}

proptest! {
    /// A begin is preceded by as many windows that hold, an end by as many that do not, and they take turns.
    #[test]
    fn begins_and_ends_take_turns(
        seen in proptest::collection::vec(proptest::option::weighted(0.9, proptest::bool::ANY), 0..60),
        hold_for in 1..5u32,
        clear_after in 1..5u32,
    ) {
        let rule = RuleConfig { hold_for, clear_after, ..RuleConfig::new("r", "threads_count > 5") };
        let values: Vec<Option<f64>> = seen.iter().map(|held| held.map(|held| if held { 9.0 } else { 1.0 })).collect();
        let mut expected = String::new();
        let (mut in_row, mut told) = (0, false);
        for held in &seen {
            if let Some(held) = *held {
                in_row = if held == told { 0 } else { in_row + 1 };
            }
            let turns = in_row >= if told { clear_after } else { hold_for };
            expected.push(match (turns, told) {
                (false, _) => '.',
                (true, false) => '+',
                (true, true) => '-',
            });
            if turns {
                (told, in_row) = (!told, 0);
            }
        }
        prop_assert_eq!(course(&rule, &values), expected);
    }
}
