//! Sampled accesses as CSV: a row for each, streamed. `docs/export.md` names the columns.

use std::collections::HashMap;
use std::io::Write;

use waytrace_model::access::{Access, AccessKind};
use waytrace_model::detail::RunDetail;
use waytrace_model::stack::Frame;

use crate::flame::accesses::Names;
use crate::{Cause, Error};

/// The header row.
pub const COLUMNS: [&str; 20] = [
    "at_ns",
    "tid",
    "comm",
    "cpu",
    "address",
    "width_bytes",
    "kind",
    "weight",
    "function",
    "module",
    "file",
    "line",
    "region",
    "block_address",
    "block_bytes",
    "block_site",
    "latency_cycles",
    "served_by",
    "page_bytes",
    "physical_address",
];

/// Writes the header and a row for each of `accesses`, in their order.
///
/// # Errors
/// [`Error::Write`] when `out` fails, [`Error::ReadAccesses`] when `accesses` does.
pub fn write<E: Into<Cause>>(
    detail: &RunDetail,
    accesses: impl Iterator<Item = Result<Access, E>>,
    out: &mut impl Write,
) -> Result<(), Error> {
    let mut table = csv::Writer::from_writer(out);
    table.write_record(COLUMNS).map_err(Error::writing("csv"))?;
    let names = Names::of(detail);
    let comms: HashMap<u32, &str> =
        detail.report.target.threads.iter().map(|thread| (thread.tid, thread.comm.as_str())).collect();
    let sites: HashMap<u32, String> = detail
        .sites
        .iter()
        .filter_map(|site| Some((site.id, site.frames.first().map(Frame::label)?)))
        .collect();
    for access in accesses {
        let access = access.map_err(Error::reading_accesses)?;
        let frame = names.frames(access.code).first();
        let precise = access.precise.as_ref();
        let hex = |address: u64| format!("{address:#x}");
        let cells = [
            access.at_ns.to_string(),
            access.tid.to_string(),
            comms.get(&access.tid).copied().unwrap_or_default().to_owned(),
            text(access.cpu),
            hex(access.address),
            text(access.width_bytes),
            if access.kind == AccessKind::Store { "store" } else { "load" }.to_owned(),
            access.weight.to_string(),
            frame.map(Frame::label).unwrap_or_default(),
            text(frame.and_then(|frame| frame.module.as_deref())),
            text(frame.and_then(|frame| frame.file.as_deref())),
            text(frame.and_then(|frame| frame.line)),
            text(names.region(access.region)),
            text(access.block.map(|block| hex(block.address))),
            text(access.block.map(|block| block.size_bytes)),
            text(access.block.and_then(|block| sites.get(&block.site))),
            text(precise.and_then(|own| own.latency_cycles)),
            text(precise.and_then(|own| own.served_by.as_deref())),
            text(precise.and_then(|own| own.page_bytes)),
            text(precise.and_then(|own| own.physical_address).map(hex)),
        ];
        table.write_record(&cells).map_err(Error::writing("csv"))?;
    }
    table.flush().map_err(Error::writing("csv"))
}

/// What is not known is an empty field.
fn text<T: ToString>(value: Option<T>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}
