//! What conditions mean, and what is said of those that mean nothing.

use waytrace_model::monitor::{CollectorShare, HostWindow, Metric, ShareState};

use super::super::past::FUNCTIONS;
use super::super::word::DERIVED;
use super::super::{Error, RuleConfig, Rules};
use super::kit::{S, began, host, quick, rules, target};

fn window() -> HostWindow {
    let mut window = host(0, 10);
    window.targets.push(target(
        "redis",
        (7, 900),
        &[
            (Metric::Rss, 512.0 * 1024.0 * 1024.0),
            (Metric::Cpu, 5e9),
            (Metric::RunQueue, 15e9),
            (Metric::AllocBytes, 1000.0 * 1024.0),
            (Metric::AllocCount, 100.0),
            (Metric::Stores, 0.25),
            (Metric::MinorFaults, 0.0),
        ],
    ));
    window.own.cpu_pct = 2.0;
    window.own.rss_bytes = 100 << 20;
    window.collectors = vec![CollectorShare { state: ShareState::Paused, ..CollectorShare::default() }];
    window.missing.push("memcached".to_owned());
    window
}

/// Whom it holds for.
fn holds(when: &str) -> Vec<String> {
    let events = rules(&[quick(when)]).judge(&window());
    began(&events).into_iter().map(|alert| alert.target.clone()).collect()
}

#[test]
fn conditions_hold_for_whom_they_should() {
    for (when, expected) in [
        ("rss_bytes > 500MiB", vec!["redis"]),
        ("rss_bytes > 500MB", vec!["redis"]),
        ("rss_bytes > 524288000", vec!["redis"]),
        ("rss_bytes == 0.5GiB", vec!["redis"]),
        ("rss_bytes > 512MiB or rss_bytes < 512MiB", vec![]),
        ("rss_bytes != 512MiB", vec![]),
        ("cpu_ns >= 5s and cpu_ns <= 5000ms", vec!["redis"]),
        ("cpu_ns / window == 50%", vec!["redis"]),
        ("cpu_cores == 0.5", vec!["redis"]),
        ("run_queue_ratio > 0.7", vec!["redis"]),
        ("alloc_bytes_per_s == 100KB/s", vec!["redis"]),
        ("alloc_bytes_per_s * 10s == alloc_bytes", vec!["redis"]),
        ("alloc_bytes / alloc_count == 10KiB", vec!["redis"]),
        ("alloc_count_per_s == 10/s", vec!["redis"]),
        ("alloc_count_per_s == 10", vec!["redis"]),
        ("1 + 2 * 3 == 7 and rss_bytes > 0", vec!["redis"]),
        ("(1 + 2) * 3 == 9 and rss_bytes > 0", vec!["redis"]),
        ("10 - 3 - 2 == 5 and rss_bytes > 0", vec!["redis"]),
        ("12 / 3 / 2 == 2 and rss_bytes > 0", vec!["redis"]),
        ("-2 < - -2 and rss_bytes > 0", vec!["redis"]),
        ("store_ratio == 25% && !(store_ratio > 1) || false", vec!["redis"]),
        ("not store_ratio > 1 and store_ratio > 0", vec!["redis"]),
        // or is weaker than and.
        ("store_ratio > 0 or store_ratio > 0 and store_ratio > 1", vec!["redis"]),
        ("age == 110s", vec!["redis"]),
        ("mapped_bytes > 0 or rss_bytes > 0", vec!["redis"]),
        ("mapped_bytes > 0 and rss_bytes > 1GiB", vec![]),
        // Only here something is said of a target without processes.
        ("missing", vec!["memcached"]),
        ("missing or rss_bytes > 0", vec!["memcached", "redis"]),
        // The host.
        ("own_cpu_pct == 2%", vec![""]),
        ("own_cpu_pct > 1% and own_rss_bytes < 150MB", vec![""]),
        ("paused == 1 and reduced == 0 and lost == 0", vec![""]),
        ("own_cpu_pct > 0 and rss_bytes > 0", vec!["redis"]),
        ("true", vec![""]),
    ] {
        let mut held = holds(when);
        held.sort();
        assert_eq!(held, expected, "{when}");
    }
}

/// Without a value neither the condition nor its opposite holds.
#[test]
fn no_value_is_neither_true_nor_false() {
    for when in ["mapped_bytes > 0", "minor_faults_count / minor_faults_count == 1", "ipc < 1"] {
        for text in [when.to_owned(), format!("not ({when})")] {
            let config = RuleConfig { target: "redis".to_owned(), ..quick(&text) };
            assert!(rules(&[config]).judge(&window()).is_empty(), "{text}");
        }
    }
}

#[test]
fn mistakes_are_shown_where_they_are_with_what_is_meant() {
    let deep = format!("{}lost > 1{}", "(".repeat(40), ")".repeat(40));
    let long = format!("lost > 1{}", " or lost > 1".repeat(300));
    for (when, column, needle) in [
        ("rss_byte > 1", 1, "`rss_byte` is no metric or word; do you mean `rss_bytes`?"),
        ("rss_bytes > 1 and alloc_byts_per_s > 1", 19, "do you mean `alloc_bytes_per_s`?"),
        ("wibblewobble > 1", 1, "docs/monitor-rules.md"),
        ("rss_bytes", 1, "a number alone is no condition; compare it: > 1.5GiB"),
        ("rss_bytes > 20%", 1, "bytes and a count or a share do not go together"),
        ("rss_bytes > 50ms", 1, "bytes and a time do not go together"),
        ("alloc_bytes_per_s > rss_bytes", 1, "bytes per second and bytes"),
        ("cpu_ns > 5000", 10, "a time needs a number with a unit: 50ms"),
        ("own_cpu_pct > 1", 15, "a percentage needs a number with a unit: 1%"),
        ("rss_bytes + cpu_ns > 1", 1, "do not go together"),
        ("rss_bytes >", 12, "expected before the end"),
        ("", 1, "expected before the end"),
        ("rss_bytes > 1 rss_bytes", 15, "`rss_bytes` does not go here"),
        ("1 < rss_bytes < 2", 15, "join comparisons by and"),
        ("(rss_bytes > 1", 15, "a closing bracket ) is expected before the end"),
        ("rss_bytes > and", 13, "is expected before `and`"),
        ("rss_bytes = 1", 11, "write =="),
        ("(rss_bytes > 1) > 2", 1, "this is a condition"),
        ("missing > 1", 1, "`missing` is a condition"),
        ("baseline > 1", 1, "`baseline` is a function; write baseline(TIME)"),
        ("baseline(1h)", 1, "stands on one side of a comparison"),
        ("rss_bytes > baseline()", 13, "write baseline(TIME)"),
        ("rss_bytes > baseline(1)", 22, "a time is expected here, like 90s"),
        (
            "rss_bytes > baseline(20s)",
            22,
            "it needs 6 windows at least, and windows are 10.0s long; write 60.0s",
        ),
        ("growth(rss_bytes, 30s) > 1MB/s", 19, "it needs 5 windows"),
        ("mean(rss_bytes, 1h) > baseline(1h)", 1, "must be without functions"),
        ("mean(max(rss_bytes, 1h), 1h) > 1", 6, "functions do not nest"),
        ("mean(rss_bytes, 31d) > 1", 17, "at most 30d"),
        ("men(rss_bytes, 1h) > 1", 1, "`men` is no function; do you mean `mean`?"),
        ("rss_bytes(1) > 1", 1, "it is a word, and takes no brackets"),
        ("mean(rss_bytes > 1, 1h) > 1", 6, "this is a condition"),
        ("slope(rss_bytes, 1m) > 1MB", 1, "bytes per second and bytes"),
        (&deep, 34, "nested deeper"),
        (&long, 1, "at most 2000"),
    ] {
        let error = Rules::new(&[quick(when)], 10 * S).unwrap_err();
        let Error::Condition { rule, key, mistake } = &error else { panic!("{when}: {error}") };
        assert_eq!((rule.as_str(), *key), ("r", "when"));
        assert!(mistake.message.contains(needle), "{when}: {}", mistake.message);
        assert_eq!(mistake.position(), (1, column), "{when}: {mistake}");
    }
    let error = Rules::new(&[quick("rss_byte > 1GiB")], 10 * S).unwrap_err();
    let shown = "rule `r`, key `when`: column 1: `rss_byte` is no metric or word; do you mean `rss_bytes`?\n  \
                 rss_byte > 1GiB\n  ^^^^^^^^";
    assert_eq!(error.to_string(), shown);
}

#[test]
fn settings_are_checked() {
    let base = quick("lost > 1");
    let wrong = |configs: &[RuleConfig]| Rules::new(configs, 10 * S).unwrap_err().to_string();
    assert!(wrong(&[RuleConfig { name: " ".to_owned(), ..base.clone() }]).contains("rule 1 has no name"));
    assert!(wrong(&[base.clone(), base.clone()]).contains("two rules are called `r`"));
    assert!(wrong(&[RuleConfig { hold_for: 0, ..base.clone() }]).contains("`hold_for`: 0 windows"));
    assert!(wrong(&[RuleConfig { clear_after: 0, ..base.clone() }]).contains("`clear_after`"));
    assert!(wrong(&[RuleConfig { target: "redis".to_owned(), ..base.clone() }]).contains("host only"));
    let target = RuleConfig { target: "a[".to_owned(), ..quick("rss_bytes > 1") };
    assert!(wrong(&[target]).contains("key `target`: `a[`"));
    let clear = RuleConfig { clear_when: Some("lost < x".to_owned()), ..base };
    assert!(wrong(&[clear]).contains("key `clear_when`: column 8"));
    let many: Vec<RuleConfig> = (0..300)
        .map(|n| RuleConfig { name: format!("r{n}"), ..quick(&format!("max(rss_bytes, {}s) > 1", 100 + n)) })
        .collect();
    assert!(wrong(&many).contains("300 different functions"));
}

#[test]
fn a_rule_is_read_from_its_keys_and_no_others() {
    let read = |json: &str| serde_json::from_str::<RuleConfig>(json);
    let rule = read(r#"{"name": "a", "when": "lost > 0", "record": 20, "hooks": ["ops"]}"#).unwrap();
    assert_eq!((rule.target.as_str(), rule.hold_for, rule.clear_after), ("*", 2, 3));
    assert_eq!((rule.record.seconds(30), rule.hooks), (Some(20), vec!["ops".to_owned()]));
    assert_eq!(
        read(r#"{"name": "a", "when": "lost", "record": true}"#).unwrap().record.seconds(30),
        Some(30)
    );
    assert_eq!(read(r#"{"name": "a", "when": "lost"}"#).unwrap().record.seconds(30), None);
    assert!(
        read(r#"{"name": "a", "when": "lost", "hold": 2}"#).unwrap_err().to_string().contains("hold_for")
    );
    let error = read(r#"{"name": "a", "when": "lost", "record": "yes"}"#).unwrap_err().to_string();
    assert!(error.contains("number of seconds"), "{error}");
}

#[test]
fn alerts_tell_the_numbers() {
    let events = rules(&[quick("rss_bytes > 100MiB and cpu_cores < 1 or ipc > 1")]).judge(&window());
    assert_eq!(began(&events)[0].detail, "rss_bytes = 512MiB, cpu_cores = 0.5, ipc unknown");
    let events = rules(&[quick("missing")]).judge(&window());
    assert_eq!(began(&events)[0].detail, "no process of it is there");
    assert_eq!(began(&events)[0].began_unix_ns, 1_700_000_010 * S);
}

#[test]
fn the_page_tells_every_word_and_function() {
    let page = include_str!("../../../../../docs/monitor-rules.md");
    let metrics = Metric::ALL.iter().map(|metric| metric.name());
    let derived = DERIVED.iter().map(|row| row.0);
    for name in metrics.chain(derived).chain(["missing"]) {
        assert!(page.contains(&format!("`{name}`")), "docs/monitor-rules.md does not tell of {name}");
    }
    for (name, _, signature, _) in FUNCTIONS {
        assert!(
            page.contains(&format!("`{name}`")) || page.contains(&signature.replace("NUMBER", "N")),
            "{name}"
        );
    }
}
