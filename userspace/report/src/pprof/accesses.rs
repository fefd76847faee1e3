//! Samples of accesses: the instruction's function, labelled with the mapping it accessed and how.

use std::collections::BTreeMap;

use waytrace_model::detail::RunDetail;
use waytrace_model::stack::Frame;

use super::proto::{Label, Sample};
use super::tables::Tables;
use super::{Columns, value};
use crate::flame::accesses::{Key, Names, Sum};

/// A sample for each instruction, mapping and direction.
pub(super) fn samples<'a>(
    tables: &mut Tables<'a>,
    detail: &'a RunDetail,
    sums: &BTreeMap<Key, Sum>,
    columns: Columns,
) -> Vec<Sample> {
    let names = Names::of(detail);
    let of = |(key, sum): (&Key, &Sum)| {
        let frames: Vec<&Frame> = names.frames(key.code).iter().rev().collect();
        let known = [sum.accesses, sum.latency_cycles.unwrap_or(0)].into_iter().take(columns.accesses);
        let region = names.region(key.region).unwrap_or("[unknown]");
        let mut label = |key: &str, text: &str| Label {
            key: tables.string(key),
            str: tables.string(text),
            ..Label::default()
        };
        let labels =
            vec![label("region", region), label("access", if key.is_store { "store" } else { "load" })];
        Sample {
            location_id: tables.stack(&frames),
            value: std::iter::repeat_n(0, columns.allocations).chain(known).map(value).collect(),
            label: labels,
        }
    };
    sums.iter().map(of).collect()
}
