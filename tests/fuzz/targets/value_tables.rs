//! Tables in CSV: values in gz/autoperf's columns, and lists of events with scores.
#![no_main]

use libfuzzer_sys::fuzz_target;
use waytrace_report::series::{Row, csv};

/// The binary's own file: it is in no library.
#[allow(dead_code)]
#[path = "../../../userspace/src/cli/events/rank/list.rs"]
mod list;

fn rows(data: &[u8]) -> Vec<Row> {
    csv::read(data).map(|rows| rows.map_while(Result::ok).collect()).unwrap_or_default()
}

fuzz_target!(|data: &[u8]| {
    let _ = list::read(data);
    let read = rows(data);
    let mut writer = csv::Writer::new(Vec::new());
    for row in &read {
        writer.row(row).expect("writing to memory");
    }
    let again = rows(&writer.finish().expect("writing to memory"));
    assert_eq!(format!("{read:?}"), format!("{again:?}"), "not what was written");
});
