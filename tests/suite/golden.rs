//! The contract of `show RUN --json`: every field of `golden/show-json.contract`, with its type.
//!
//! Fields may be added; none may go or change its type within one `schema_version`.

use serde_json::Value;

use crate::harness::live;
use crate::harness::workload::Start;
use crate::or_skip;

const CONTRACT: &str = include_str!("../golden/show-json.contract");
/// What a run adds that counts accesses in the kernel.
pub const ACCESSES: &str = include_str!("../golden/show-json-accesses.contract");

/// Path and type of each line that is no comment.
fn fields(contract: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
    let lines = contract.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| line.split_once(' ').map(|(path, kind)| (path, kind.trim())).unwrap())
}

/// All values at a path; `[]` goes into every element. `None` where a key is missing.
fn values_at<'a>(root: &'a Value, path: &str) -> Option<Vec<&'a Value>> {
    let mut found = vec![root];
    for step in path.split('.') {
        let (key, is_list) = step.strip_suffix("[]").map_or((step, false), |key| (key, true));
        // Below a null there is nothing to be checked: that it may be null is its own line's matter.
        found.retain(|value| !value.is_null());
        found = found.into_iter().map(|value| value.get(key)).collect::<Option<_>>()?;
        if is_list {
            found = found.into_iter().filter_map(Value::as_array).flatten().collect();
        }
    }
    Some(found)
}

fn is_of(value: &Value, kind: &str) -> bool {
    if let Some(kind) = kind.strip_suffix('?') {
        return value.is_null() || is_of(value, kind);
    }
    match kind {
        "string" => value.is_string(),
        "count" => value.is_u64(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "bool" => value.is_boolean(),
        "list" => value.is_array(),
        "object" => value.is_object(),
        "counts" => value.as_object().is_some_and(|counts| counts.values().all(Value::is_u64)),
        words => words.split('|').any(|word| value == word),
    }
}

/// Missing and mistyped fields of a document; with `full`, also lists of the contract that are empty.
pub fn breaches(contract: &'static str, document: &Value, full: bool) -> Vec<String> {
    let mut found = Vec::new();
    for (path, kind) in fields(contract) {
        match values_at(document, path) {
            None => found.push(format!("{path} is missing")),
            Some(values) if values.is_empty() && full => found.push(format!("{path} has no example")),
            Some(values) => {
                let wrong = values.into_iter().filter(|value| !is_of(value, kind));
                found.extend(wrong.map(|value| format!("{path} is {value}, not {kind}")));
            }
        }
    }
    found
}

#[test]
fn an_exact_run_keeps_the_contract_in_full() {
    let _turn = or_skip!(live::turn());
    let workload = or_skip!(Start::plain("peak.c")).spawn();
    let phases = ["--phase-event", "task-clock", "--phase-cycles", "1M"];
    let args = [&["--exact", "--name", "golden"][..], &phases].concat();
    let measured = live::measure(workload, &args);
    let printed = measured.finished.json();
    assert_eq!(breaches(CONTRACT, &printed, true), Vec::<String>::new());
    assert_eq!(printed["run"]["name"], Value::from("golden"));
    let shown = measured.store.run(&["show", "golden", "--json"]);
    assert_eq!(shown.json(), printed, "`profile --json` and `show --json` print the same document");
}

#[test]
fn a_budgeted_run_keeps_the_contract() {
    let _turn = or_skip!(live::turn());
    let workload = or_skip!(Start::plain("churn.c")).args(&["1", "20000", "mix", "1", "0"]).spawn();
    let measured = live::measure(workload, &[]);
    assert_eq!(breaches(CONTRACT, &measured.finished.json(), false), Vec::<String>::new());
}

#[test]
fn a_run_without_allocations_keeps_the_contract() {
    let _turn = or_skip!(live::turn());
    let workload = or_skip!(Start::plain("sites.c")).spawn();
    let measured = live::measure(workload, &["--collect", "counters"]);
    let document = measured.finished.json();
    assert!(document["allocations"].is_null());
    assert_eq!(breaches(CONTRACT, &document, false), Vec::<String>::new());
    let skipped = &measured.report.collectors;
    assert!(
        skipped.iter().all(|collector| collector.reason.is_some()
            || collector.status == waytrace_model::collector::Status::Ran)
    );
}

#[test]
fn the_contracts_checker_sees_breaches() {
    let document = serde_json::json!({"schema_version": "one", "run": {"id": 1}});
    let found = breaches(CONTRACT, &document, false);
    assert!(found.contains(&"schema_version is \"one\", not count".to_owned()), "{found:?}");
    assert!(found.contains(&"run.name is missing".to_owned()), "{found:?}");
    assert!(!found.iter().any(|breach| breach.starts_with("run.id ")), "{found:?}");
}
