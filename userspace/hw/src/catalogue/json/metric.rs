//! One entry of a file → a metric: the kernel's, with an expression of names, and Intel's own, whose formula has letters for the
//! events it lists.

use serde_json::Value;

use super::super::limits::{self, clean, described};
use super::super::metric::{Metric, names};
use super::entry::Context;
use super::fields::{Entry, Reason};

/// Most names of a metric; the largest known has 90.
const MOST_NAMES: usize = 1000;

/// Reads an entry. `None` is an entry of another kind.
pub fn metric(entry: &Entry<'_>, context: &Context) -> Result<Option<Metric>, (String, Reason)> {
    let Some(name) = entry.text("MetricName").filter(|_| entry.text("EventName").is_none()) else {
        return Ok(None);
    };
    let name = clean(&name, limits::NAME_BYTES).to_ascii_lowercase();
    build(entry, context, &name).map(Some).map_err(|reason| (name, reason))
}

fn build(entry: &Entry<'_>, context: &Context, name: &str) -> Result<Metric, Reason> {
    let listed = entry.0.get("Events").and_then(Value::as_array);
    let text = |key| entry.text(key).ok_or_else(|| format!("a metric without `{key}`"));
    let (formula, names) = match listed {
        Some(events) => (text("Formula")?, listed_names(events)?),
        None => text("MetricExpr").map(|formula| (formula.clone(), names(&formula)))?,
    };
    if names.len() > MOST_NAMES {
        return Err(format!("more than {MOST_NAMES} events in a metric"));
    }
    let unit = entry.text("Unit").map(|unit| clean(&unit, limits::NAME_BYTES).to_ascii_lowercase());
    let own = Some(&context.pmu).filter(|pmu| pmu.starts_with("cpu_")).cloned();
    Ok(Metric {
        name: name.to_owned(),
        groups: groups(entry),
        pmu: unit.or(own),
        formula,
        names,
        description: entry.text("BriefDescription").and_then(|text| described(&text)).unwrap_or_default(),
    })
}

fn listed_names(events: &[Value]) -> Result<Vec<String>, Reason> {
    let mut names: Vec<String> = Vec::new();
    for event in events {
        let name = event.get("Name").and_then(Value::as_str).ok_or("an event of a metric has no `Name`")?;
        let name = clean(name, limits::NAME_BYTES).to_ascii_lowercase();
        if !name.is_empty() && !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(names)
}

/// Groups are divided by `;`, categories by `,`.
fn groups(entry: &Entry<'_>) -> Vec<String> {
    let mut groups: Vec<String> = Vec::new();
    for key in ["MetricGroup", "Category"] {
        let text = entry.text(key).unwrap_or_default();
        for group in text.split([';', ',']).map(|group| clean(group, limits::NAME_BYTES)) {
            if !group.is_empty() && !groups.contains(&group) {
                groups.push(group);
            }
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: &Value) -> Result<Option<Metric>, (String, Reason)> {
        metric(&Entry(value.as_object().unwrap()), &Context { pmu: "cpu".to_owned(), experimental: false })
    }

    #[test]
    fn both_dialects_name_the_same_events() {
        let kernel =
            json!({"MetricName": "CPI", "MetricExpr": "CYCLES / INST", "MetricGroup": "Ret;Summary"});
        let intel = json!({"MetricName": "cpi", "Formula": "a / b", "Category": "Ret, Summary", "Level": 1,
            "Events": [{"Name": "CYCLES", "Alias": "a"}, {"Name": "INST", "Alias": "b"}], "Constants": []});
        let (kernel, intel) = (read(&kernel).unwrap().unwrap(), read(&intel).unwrap().unwrap());
        assert_eq!(kernel.names, ["cycles", "inst"]);
        assert_eq!((&kernel.names, &kernel.groups, &kernel.name), (&intel.names, &intel.groups, &intel.name));
        assert_eq!(kernel.groups, ["Ret", "Summary"]);
        assert_eq!((kernel.pmu, intel.formula.as_str()), (None, "a / b"));
    }

    #[test]
    fn what_is_no_metric_is_passed_over_or_named() {
        assert_eq!(read(&json!({"EventName": "A", "MetricName": "ipc", "MetricExpr": "A"})), Ok(None));
        assert_eq!(read(&json!({"EventCode": "1"})), Ok(None));
        for (value, reason) in [
            (json!({"MetricName": "M"}), "without `MetricExpr`"),
            (json!({"MetricName": "M", "Events": []}), "without `Formula`"),
            (json!({"MetricName": "M", "Events": [7], "Formula": "a"}), "no `Name`"),
        ] {
            let (name, found) = read(&value).unwrap_err();
            assert!(name == "m" && found.contains(reason), "{found}");
        }
    }
}
