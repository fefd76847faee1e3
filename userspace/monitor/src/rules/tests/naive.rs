//! Any text is read without a panic, and any condition evaluated; what it says is what a naive evaluator says.

use proptest::prelude::*;
use waytrace_model::monitor::{HostWindow, Metric};

use super::super::Rules;
use super::kit::{S, began, host, quick, target};

/// A number as text, and its value in a window where `rss_bytes` is 8, `threads_count` 3 and `mapped_bytes` absent.
#[derive(Debug, Clone)]
struct Naive<T> {
    text: String,
    value: Option<T>,
}

fn window() -> HostWindow {
    let mut window = host(0, 10);
    window.targets.push(target("t", (1, 1), &[(Metric::Threads, 3.0), (Metric::Processes, 8.0)]));
    window
}

fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

/// Halves and small whole numbers, of which sums and products are exact whatever their order.
fn number() -> impl Strategy<Value = Naive<f64>> {
    let leaf = prop_oneof![
        (0..40u32)
            .prop_map(|n| Naive { text: format!("{}", f64::from(n) / 2.0), value: Some(f64::from(n) / 2.0) }),
        Just(Naive { text: "threads_count".to_owned(), value: Some(3.0) }),
        Just(Naive { text: "processes_count".to_owned(), value: Some(8.0) }),
        Just(Naive { text: "migrations_count".to_owned(), value: None }),
    ];
    leaf.prop_recursive(4, 24, 2, |inner| {
        let two = (inner.clone(), inner.clone(), 0..4usize);
        prop_oneof![
            two.prop_map(|(one, other, sign)| {
                let text = format!("({}) {} ({})", one.text, ["+", "-", "*", "/"][sign], other.text);
                let value =
                    one.value.zip(other.value).and_then(|(a, b)| finite([a + b, a - b, a * b, a / b][sign]));
                Naive { text, value }
            }),
            inner.prop_map(|one| Naive { text: format!("-({})", one.text), value: one.value.map(|a| -a) }),
        ]
    })
}

fn condition() -> impl Strategy<Value = Naive<bool>> {
    let compared = (number(), number(), 0..6usize).prop_map(|(one, other, sign)| {
        let text = format!("{} {} {}", one.text, ["<", "<=", ">", ">=", "==", "!="][sign], other.text);
        let both = one.value.zip(other.value);
        let value = both.map(|(a, b)| [a < b, a <= b, a > b, a >= b, a == b, a != b][sign]);
        Naive { text, value }
    });
    let leaf = prop_oneof![compared, Just(Naive { text: "missing".to_owned(), value: Some(false) })];
    leaf.prop_recursive(4, 24, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(one, other)| Naive {
                text: format!("({}) and ({})", one.text, other.text),
                value: match (one.value, other.value) {
                    (Some(false), _) | (_, Some(false)) => Some(false),
                    (Some(true), Some(true)) => Some(true),
                    _ => None,
                },
            }),
            (inner.clone(), inner.clone()).prop_map(|(one, other)| Naive {
                text: format!("{} or ({})", one.text, other.text),
                value: match (one.value, other.value) {
                    (Some(true), _) | (_, Some(true)) => Some(true),
                    (Some(false), Some(false)) => Some(false),
                    _ => None,
                },
            }),
            inner.prop_map(|one| Naive { text: format!("not ({})", one.text), value: one.value.map(|a| !a) }),
        ]
    })
}

/// Words and signs in any order.
fn soup() -> impl Strategy<Value = String> {
    let words = [
        "rss_bytes",
        "alloc_bytes_per_s",
        "missing",
        "lost",
        "baseline",
        "growth",
        "mean",
        "(",
        ")",
        "(",
        ")",
        ",",
        "+",
        "-",
        "*",
        "/",
        "<",
        ">=",
        "==",
        "and",
        "or",
        "not",
        "!",
        "&&",
        "5",
        "1h",
        "60s",
        "20%",
        "1.5GiB",
        "10MB/s",
        "/s",
        "true",
        "1e300",
        "é",
        "\t",
        "\n",
        ".",
        "own_cpu_pct",
    ];
    proptest::collection::vec(proptest::sample::select(words.to_vec()), 0..30)
        .prop_map(|words| words.join(" "))
}

fn judged(text: &str) -> Option<Vec<String>> {
    let mut rules = match Rules::new(&[quick(text)], 10 * S) {
        Ok(rules) => rules,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return None;
        }
    };
    let events = rules.judge(&window());
    Some(began(&events).into_iter().map(|alert| alert.target.clone()).collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_without_a_panic(text in any::<String>()) {
        judged(&text);
    }

    #[test]
    fn any_words_are_read_without_a_panic(text in soup()) {
        judged(&text);
    }

    #[test]
    fn conditions_say_what_a_naive_evaluator_says(naive in condition()) {
        // One comparison of words makes it a rule on targets, whatever else is in it.
        let text = format!("({}) and threads_count == 3", naive.text);
        prop_assume!(text.len() <= 2000);
        let opposite = format!("not ({}) and threads_count == 3", naive.text);
        let holds = judged(&text).unwrap();
        let does_not = judged(&opposite).map(|held| !held.is_empty());
        prop_assert_eq!(!holds.is_empty(), naive.value == Some(true), "{}", text);
        if let Some(does_not) = does_not {
            prop_assert_eq!(does_not, naive.value == Some(false), "{}", opposite);
        }
    }
}
