//! gzip-compressed pprof profiles of allocations and sampled accesses, for `go tool pprof`, Pyroscope, Parca and speedscope.
//!
//! Sample types have the names heap profilers use: `alloc_objects/count`, `alloc_space/bytes` and, in exact mode,
//! `inuse_objects/count`, `inuse_space/bytes`; then `accesses/count` and `latency/cycles` where they are known. Samples of
//! allocations are labelled with their thread, samples of accesses with their mapping and direction.

mod accesses;
mod proto;
mod tables;
mod time;

use std::collections::BTreeMap;
use std::io::Write;

use flate2::{Compression, GzBuilder};
use prost::Message;
use waytrace_model::access::Access;
use waytrace_model::allocation::Mode;
use waytrace_model::detail::RunDetail;
use waytrace_model::report::AllocationReport;

use crate::flame::accesses::{Key, Sum, sums};
use crate::{Cause, Error, access_words, flame};
use flame::{WeightedStack, Weights};
use proto::{Label, Profile, Sample, ValueType};
use tables::Tables;

/// Writes the compressed profile. A run without sites and accesses makes a valid, empty one.
///
/// # Errors
/// [`Error::Write`] when `out` fails, [`Error::ReadAccesses`] when `accesses` does.
pub fn write<E: Into<Cause>>(
    detail: &RunDetail,
    accesses: impl Iterator<Item = Result<Access, E>>,
    out: &mut impl Write,
) -> Result<(), Error> {
    let accesses = sums(accesses)?;
    let mut compressed = GzBuilder::new().write(out, Compression::default());
    compressed.write_all(&profile(detail, &accesses).encode_to_vec()).map_err(Error::writing("pprof"))?;
    compressed.finish().map_err(Error::writing("pprof"))?;
    Ok(())
}

/// Which values a sample has, in this order.
#[derive(Debug, Clone, Copy)]
struct Columns {
    /// Allocations; 2 values, and 2 more of what is live where that is known.
    allocations: usize,
    /// Accesses; 1 value, and 1 of their latency where it is known.
    accesses: usize,
}

impl Columns {
    fn of(detail: &RunDetail, accesses: &BTreeMap<Key, Sum>) -> Self {
        let report = &detail.report;
        let knows_live = |own: &AllocationReport| own.mode == Some(Mode::Exact) || own.live_bytes.is_some();
        let knows_live = report.allocations.as_ref().is_some_and(knows_live);
        let has_latency = accesses.values().any(|sum| sum.latency_cycles.is_some());
        let only_accesses = report.allocations.is_none() && report.accesses.is_some();
        Self {
            allocations: if only_accesses {
                0
            } else if knows_live {
                4
            } else {
                2
            },
            accesses: usize::from(report.accesses.is_some()) + usize::from(has_latency),
        }
    }
}

fn profile(detail: &RunDetail, accesses: &BTreeMap<Key, Sum>) -> Profile {
    let report = &detail.report;
    let columns = Columns::of(detail, accesses);
    let mut tables = Tables::new(&report.target.exe, report.target.build_id.as_deref());
    let sample_type = sample_types(&mut tables, columns);
    let mut samples: Vec<Sample> = Vec::new();
    if columns.allocations > 0 {
        let stacks = flame::fold(&detail.sites);
        samples.extend(stacks.iter().map(|stack| sample(&mut tables, detail, stack, columns)));
    }
    if columns.accesses > 0 {
        samples.extend(accesses::samples(&mut tables, detail, accesses, columns));
    }
    let (kind, unit) = if columns.allocations > 0 { ("space", "bytes") } else { ("accesses", "count") };
    let period_type = value_type(&mut tables, kind, unit);
    let comment = comments(detail).iter().map(|text| tables.string(text)).collect();
    let default_sample_type = tables.string(if columns.allocations > 0 { "alloc_space" } else { "accesses" });
    Profile {
        sample_type,
        sample: samples,
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

fn sample_types(tables: &mut Tables<'_>, columns: Columns) -> Vec<ValueType> {
    let allocations = [
        ("alloc_objects", "count"),
        ("alloc_space", "bytes"),
        ("inuse_objects", "count"),
        ("inuse_space", "bytes"),
    ];
    let accesses = [("accesses", "count"), ("latency", "cycles")];
    let known = allocations.iter().take(columns.allocations).chain(accesses.iter().take(columns.accesses));
    known.map(|(name, unit)| value_type(tables, name, unit)).collect()
}

fn sample<'a>(
    tables: &mut Tables<'a>,
    detail: &RunDetail,
    stack: &WeightedStack<'a>,
    columns: Columns,
) -> Sample {
    Sample {
        location_id: tables.stack(&stack.frames),
        value: values(&stack.weights, columns),
        label: labels(tables, detail, stack.tid),
    }
}

fn values(weights: &Weights, columns: Columns) -> Vec<i64> {
    let (live_count, live_bytes) = (weights.live_count.unwrap_or(0), weights.live_bytes.unwrap_or(0));
    let known = [weights.alloc_count, weights.alloc_bytes, live_count, live_bytes];
    let known = known.into_iter().take(columns.allocations);
    known.chain(std::iter::repeat_n(0, columns.accesses)).map(value).collect()
}

fn value(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
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
        Some(Mode::Sampled) => "estimates; source: otel_memory (the allocator's own samples)",
        None => "no allocator was probed",
    };
    let accesses = report
        .accesses
        .as_ref()
        .map(|own| format!("accesses: {}; {}", access_words::source_name(own.source), own.bias));
    let own = [
        format!("waytrace {}: {} (run {})", report.host.waytrace_version, report.run.name, report.run.id),
        report.target.cmdline.clone(),
        mode.to_owned(),
    ];
    own.into_iter().chain(accesses).collect()
}
