//! Accesses by mapping as CSV. `docs/export.md` names the columns.

use std::io::Write;

use waytrace_model::detail::RunDetail;

use crate::Error;

/// The header row.
pub const COLUMNS: [&str; 13] = [
    "name",
    "tgid",
    "start",
    "end",
    "loads",
    "stores",
    "pages_seen",
    "lines_seen",
    "resident_bytes",
    "huge_bytes",
    "node",
    "remote",
    "latency_cycles",
];

/// Writes the header and a row for each mapping, most accessed first.
///
/// # Errors
/// [`Error::Write`] when `out` fails.
pub fn write(detail: &RunDetail, out: &mut impl Write) -> Result<(), Error> {
    let mut table = csv::Writer::from_writer(out);
    table.write_record(COLUMNS).map_err(Error::writing("csv"))?;
    for region in detail.report.accesses.iter().flat_map(|own| &own.regions) {
        let known = |value: Option<u64>| value.map(|value| value.to_string()).unwrap_or_default();
        let cells = [
            region.name.clone(),
            region.tgid.to_string(),
            format!("{:#x}", region.start),
            format!("{:#x}", region.end),
            region.loads.to_string(),
            region.stores.to_string(),
            region.working_set.pages.to_string(),
            region.working_set.lines.to_string(),
            known(region.resident_bytes),
            known(region.huge_bytes),
            known(region.node.map(u64::from)),
            known(region.remote),
            region.latency_cycles.map(|cycles| cycles.to_string()).unwrap_or_default(),
        ];
        table.write_record(&cells).map_err(Error::writing("csv"))?;
    }
    table.flush().map_err(Error::writing("csv"))
}
