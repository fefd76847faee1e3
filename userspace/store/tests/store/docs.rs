//! docs/store.md keeps up with the schema.

use rusqlite::Connection;

use crate::fixture;
use crate::support::{Place, record};

fn page() -> String {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/store.md")).unwrap()
}

#[test]
fn every_table_and_column_is_described() {
    let place = Place::new();
    drop(place.open());
    let page = page();
    let connection = Connection::open(place.file()).unwrap();
    let mut columns = connection
        .prepare(
            "SELECT t.name, c.name FROM sqlite_schema t JOIN pragma_table_info(t.name) c
             WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%'",
        )
        .unwrap();
    let rows = columns.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))).unwrap();
    let rows: Vec<_> = rows.map(Result::unwrap).collect();
    assert!(rows.len() > 100, "{} columns", rows.len());
    for (table, column) in rows {
        let heading = format!("**{table}**");
        let about = page.split_once(&heading).unwrap_or_else(|| panic!("no table {table}")).1;
        // Of the keys, run_id is said once for all; totals are described with the JSON contract further down.
        assert!(
            about.contains(&format!("`{column}`")) || about.contains(&format!(".{column}`")),
            "{table}.{column}"
        );
    }
}

#[test]
fn the_query_on_the_page_works() {
    let place = Place::new();
    record(&place.open(), &fixture::exact("", 20));
    let page = page();
    let query = page.split("```sql").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let connection = Connection::open(place.file()).unwrap();
    let mut statement = connection.prepare(query).unwrap();
    let seconds: Vec<(i64, i64)> =
        statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect();
    assert_eq!(seconds, [(0, 100), (1, 100)]);
}
