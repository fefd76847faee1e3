//! The wide table: a column for each metric, made of the list of metrics so that none can be forgotten.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use rusqlite::{Connection, Row};
use waytrace_model::monitor::Metric;

use super::fold::Numbers;
use crate::codec::{Quantity, json, quantity, to_json};

/// Columns before the metrics, in the order they are bound.
const KEYS: [&str; 7] = ["window_id", "target_id", "length_ns", "windows", "partly", "absent_id", "sizes"];

static PUT: LazyLock<String> = LazyLock::new(|| {
    let columns: Vec<&str> = KEYS.into_iter().chain(metrics()).collect();
    let values: Vec<String> = (1..=columns.len()).map(|at| format!("?{at}")).collect();
    let set: Vec<String> = columns.iter().skip(2).map(|name| format!("{name} = excluded.{name}")).collect();
    format!(
        "INSERT INTO monitor_target_window ({}) VALUES ({})
         ON CONFLICT (window_id, target_id) DO UPDATE SET {}",
        columns.join(", "),
        values.join(", "),
        set.join(", ")
    )
});

/// Names of the metrics' columns.
pub(super) fn metrics() -> impl Iterator<Item = &'static str> {
    Metric::ALL.iter().map(|metric| metric.name())
}

/// What is bound before the metrics.
#[derive(Debug, Clone, Copy)]
pub(super) struct Keys<'k> {
    /// Of the host's row.
    pub window: i64,
    /// Of the target.
    pub target: i64,
    /// Name of the JSON text that says why metrics are absent.
    pub absent: Option<i64>,
    /// Histogram of sizes.
    pub sizes: &'k [f64],
}

/// Puts the row of a target in a window, in place of the one that is there.
pub(super) fn put(connection: &Connection, keys: &Keys<'_>, numbers: &Numbers) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(&PUT)?;
    let point = numbers.point(0, waytrace_model::monitor::Step::Window);
    let partly = (!point.covered_ns.is_empty()).then(|| to_json(&point.covered_ns)).transpose()?;
    let sizes = (!keys.sizes.is_empty()).then(|| to_json(&keys.sizes)).transpose()?;
    statement.raw_bind_parameter(1, keys.window)?;
    statement.raw_bind_parameter(2, keys.target)?;
    statement.raw_bind_parameter(3, Quantity(numbers.length_ns))?;
    statement.raw_bind_parameter(4, Quantity(numbers.windows))?;
    statement.raw_bind_parameter(5, partly)?;
    statement.raw_bind_parameter(6, keys.absent)?;
    statement.raw_bind_parameter(7, sizes)?;
    for (at, &metric) in Metric::ALL.iter().enumerate() {
        statement.raw_bind_parameter(KEYS.len() + 1 + at, numbers.values.get(metric))?;
    }
    statement.raw_execute().map(drop)
}

/// Reads the numbers of a row of all columns back. By position: a name is looked for among all of them, which took longer than all else.
pub(super) fn numbers(row: &Row<'_>) -> rusqlite::Result<Numbers> {
    let mut numbers =
        Numbers { length_ns: quantity(row, 2)?, windows: quantity(row, 3)?, ..Numbers::default() };
    for (at, &metric) in Metric::ALL.iter().enumerate() {
        let value: Option<f64> = row.get(KEYS.len() + at)?;
        numbers.values.set(metric, value);
        if value.is_some() {
            numbers.covered_ns[metric.index()] = numbers.length_ns;
        }
    }
    if row.get_ref(4)?.data_type() != rusqlite::types::Type::Null {
        let partly: BTreeMap<Metric, u64> = json(row, "partly")?;
        for (metric, covered_ns) in partly {
            numbers.covered_ns[metric.index()] = covered_ns;
        }
    }
    Ok(numbers)
}

/// The histogram of a row of all columns; empty where there is none.
pub(super) fn sizes(row: &Row<'_>) -> rusqlite::Result<Vec<f64>> {
    match row.get_ref(6)?.data_type() {
        rusqlite::types::Type::Null => Ok(Vec::new()),
        _ => json(row, "sizes"),
    }
}

/// Number of the target of a row of all columns, and of the name that says why metrics are absent.
pub(super) fn target_and_absent(row: &Row<'_>) -> rusqlite::Result<(i64, Option<i64>)> {
    Ok((row.get(1)?, row.get(5)?))
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;

    #[test]
    fn the_table_has_a_column_for_each_metric_and_no_other() {
        let connection = Connection::open_in_memory().unwrap();
        for migration in [
            include_str!("../migrations/0009-monitor.sql"),
            include_str!("../migrations/0010-local-traffic.sql"),
        ] {
            connection.execute_batch(migration).unwrap();
        }
        let mut statement = connection.prepare("SELECT * FROM monitor_target_window").unwrap();
        let there: Vec<String> = statement.column_names().map(str::to_owned).collect();
        let expected: Vec<&str> = KEYS.into_iter().chain(metrics()).collect();
        assert_eq!(there, expected, "a new metric takes a migration: ALTER TABLE … ADD COLUMN <name> REAL");
        assert!(statement.query([]).is_ok());
    }
}
