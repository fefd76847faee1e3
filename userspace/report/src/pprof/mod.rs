//! gzip-compressed pprof profiles of allocations, for `go tool pprof`, Pyroscope, Parca and speedscope.
//!
//! Sample types have the names heap profilers use: `alloc_objects/count`, `alloc_space/bytes` and, in exact mode,
//! `inuse_objects/count`, `inuse_space/bytes`. Each sample is labelled with its thread.

mod proto;
mod tables;
mod time;

use std::io::Write;

use flate2::{Compression, GzBuilder};
use prost::Message;
use waytrace_model::allocation::Mode;
use waytrace_model::detail::RunDetail;

use crate::{Error, flame};
use flame::{WeightedStack, Weights};
use proto::{Label, Profile, Sample, ValueType};
use tables::Tables;

/// Writes the compressed profile. A run without sites makes a valid, empty one.
///
/// # Errors
/// [`Error::Write`] when `out` fails.
pub fn write(detail: &RunDetail, out: &mut impl Write) -> Result<(), Error> {
    let mut compressed = GzBuilder::new().write(out, Compression::default());
    compressed.write_all(&profile(detail).encode_to_vec()).map_err(Error::writing("pprof"))?;
    compressed.finish().map_err(Error::writing("pprof"))?;
    Ok(())
}

fn profile(detail: &RunDetail) -> Profile {
    let report = &detail.report;
    let is_exact = report.allocations.as_ref().and_then(|own| own.mode) == Some(Mode::Exact);
    let mut tables = Tables::new(&report.target.exe, report.target.build_id.as_deref());
    let sample_type = sample_types(&mut tables, is_exact);
    let sample =
        flame::fold(&detail.sites).iter().map(|s| sample(&mut tables, detail, s, is_exact)).collect();
    let period_type = value_type(&mut tables, "space", "bytes");
    let comment = comments(detail).iter().map(|text| tables.string(text)).collect();
    let default_sample_type = tables.string("alloc_space");
    Profile {
        sample_type,
        sample,
        time_nanos: time::unix_ns(&report.run.started_at).unwrap_or(0),
        duration_nanos: i64::try_from(report.run.duration_ns).unwrap_or(i64::MAX),
        period_type: Some(period_type),
        // Values are totals, not samples to be multiplied.
        period: 1,
        comment,
        default_sample_type,
        mapping: tables.mappings,
        location: tables.locations,
        function: tables.functions,
        string_table: tables.strings,
    }
}

fn value_type(tables: &mut Tables<'_>, name: &str, unit: &str) -> ValueType {
    ValueType { r#type: tables.string(name), unit: tables.string(unit) }
}

fn sample_types(tables: &mut Tables<'_>, is_exact: bool) -> Vec<ValueType> {
    let names = [
        ("alloc_objects", "count"),
        ("alloc_space", "bytes"),
        ("inuse_objects", "count"),
        ("inuse_space", "bytes"),
    ];
    let known = if is_exact { names.len() } else { 2 };
    names[..known].iter().map(|(name, unit)| value_type(tables, name, unit)).collect()
}

fn sample<'a>(
    tables: &mut Tables<'a>,
    detail: &RunDetail,
    stack: &WeightedStack<'a>,
    is_exact: bool,
) -> Sample {
    Sample {
        location_id: tables.stack(&stack.frames),
        value: values(&stack.weights, is_exact),
        label: labels(tables, detail, stack.tid),
    }
}

fn values(weights: &Weights, is_exact: bool) -> Vec<i64> {
    let mut values = vec![weights.alloc_count, weights.alloc_bytes];
    if is_exact {
        values.extend([weights.live_count.unwrap_or(0), weights.live_bytes.unwrap_or(0)]);
    }
    values.into_iter().map(|value| i64::try_from(value).unwrap_or(i64::MAX)).collect()
}

fn labels(tables: &mut Tables<'_>, detail: &RunDetail, tid: u32) -> Vec<Label> {
    if tid == 0 {
        return Vec::new();
    }
    let id = Label { key: tables.string("tid"), num: i64::from(tid), ..Label::default() };
    let comm =
        detail.report.target.threads.iter().find(|thread| thread.tid == tid).map(|own| own.comm.as_str());
    let name =
        comm.map(|comm| Label { key: tables.string("thread"), str: tables.string(comm), ..Label::default() });
    std::iter::once(id).chain(name).collect()
}

fn comments(detail: &RunDetail) -> Vec<String> {
    let report = &detail.report;
    let mode = match report.allocations.as_ref().and_then(|own| own.mode) {
        Some(Mode::Exact) => "exact: every call was seen",
        Some(Mode::Budgeted) => "estimates from sampled windows",
        None => "no allocator was probed",
    };
    vec![
        format!("waytrace {}: {} (run {})", report.host.waytrace_version, report.run.name, report.run.id),
        report.target.cmdline.clone(),
        mode.to_owned(),
    ]
}
