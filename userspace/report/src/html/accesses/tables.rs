//! Accesses by mapping and by allocation site.

use waytrace_model::access_report::{AccessReport, RegionReport, SiteAccesses};
use waytrace_model::units::{format_bytes, format_count};

use super::{cell, frames_html, omitted, share_cell, table};
use crate::access_words::{Judge, Temperature, share_pct, total};
use crate::markup::escape;
use crate::text::percent;

const REGIONS_MAX: usize = 40;
const SITES_MAX: usize = 60;

/// The mappings, most accessed first. Columns nothing is known for are left out.
pub fn regions(own: &AccessReport) -> String {
    if own.regions.is_empty() {
        return String::new();
    }
    let all = total(own);
    let first = own.regions.first().map(|region| region.tgid);
    let several = own.regions.iter().any(|region| Some(region.tgid) != first);
    let known = |of: fn(&RegionReport) -> bool| own.regions.iter().any(of);
    let (has_resident, has_huge) = (known(|r| r.resident_bytes.is_some()), known(|r| r.huge_bytes.is_some()));
    let (has_node, has_remote) = (known(|r| r.node.is_some()), known(|r| r.remote.is_some()));
    let has_latency = known(|r| r.latency_cycles.is_some());
    let optional = [
        (has_resident, "In memory"),
        (has_huge, "In huge pages"),
        (has_node, "Node"),
        (has_remote, "From other nodes"),
        (has_latency, "Cycles per load"),
    ];
    let heads = ["Mapping", "Accesses", "Stores", "Pages seen", "Lines seen"].into_iter();
    let heads: Vec<&str> =
        heads.chain(optional.iter().filter(|(shown, _)| *shown).map(|(_, head)| *head)).collect();
    let row = |region: &RegionReport| {
        let process = if several { format!(" of {}", region.tgid) } else { String::new() };
        let name = format!(
            "<td><span class=\"mono\">{}</span>{} <span class=\"place\">{:#x}–{:#x}</span></td>",
            escape(&region.name),
            escape(&process),
            region.start,
            region.end
        );
        let of_region = region.loads.saturating_add(region.stores);
        let number = |value: Option<u64>, format: &dyn Fn(f64) -> String| {
            cell(&value.map_or_else(|| "–".to_owned(), |value| format(value as f64)))
        };
        let optional = [
            has_resident.then(|| number(region.resident_bytes, &format_bytes)),
            has_huge.then(|| number(region.huge_bytes, &format_bytes)),
            has_node.then(|| number(region.node.map(u64::from), &|node| node.to_string())),
            has_remote.then(|| number(region.remote, &|remote| percent(share_pct(remote as u64, of_region)))),
            has_latency.then(|| {
                cell(&region.latency_cycles.map_or_else(|| "–".to_owned(), |cycles| format!("{cycles:.0}")))
            }),
        ];
        let cells = [
            name,
            share_cell(share_pct(of_region, all)),
            cell(&percent(share_pct(region.stores, of_region))),
            cell(&format_count(region.working_set.pages as f64)),
            cell(&format_count(region.working_set.lines as f64)),
        ];
        cells.into_iter().chain(optional.into_iter().flatten()).collect()
    };
    let rows: Vec<Vec<String>> = own.regions.iter().take(REGIONS_MAX).map(row).collect();
    format!(
        "<h3>Mappings</h3>\n{}{}",
        table(&heads, &rows),
        omitted(own.regions.len(), REGIONS_MAX, "mappings")
    )
}

/// The allocation sites: hot ones first, then those with most live memory that hardly anybody uses.
pub fn sites(own: &AccessReport, is_exact: bool) -> String {
    let heading = "<h3>Is what is allocated used?</h3>\n";
    if own.sites.is_empty() {
        let text = if is_exact {
            "No sample fell into a block whose allocation was seen."
        } else {
            "Which block an access falls into is known with --exact only."
        };
        return format!("{heading}<p class=\"note\">{text}</p>\n");
    }
    let (all, judge) = (total(own), Judge::of(own));
    let heads = ["Allocation site", "", "Accesses", "Stores", "Blocks seen", "Live", "Never touched", "Heat"];
    let row = |site: &SiteAccesses| {
        let of_site = site.loads.saturating_add(site.stores);
        let bytes = |value: Option<u64>| {
            cell(&value.map_or_else(|| "not known".to_owned(), |value| format_bytes(value as f64)))
        };
        let temperature = judge.temperature(site).map_or("", Temperature::name);
        vec![
            format!("<td>{}</td>", frames_html(&site.frames)),
            format!("<td class=\"{}\">{temperature}</td>", temperature.replace(' ', "-")),
            share_cell(share_pct(of_site, all)),
            cell(&percent(share_pct(site.stores, of_site))),
            cell(&format_count(site.blocks_seen as f64)),
            bytes(site.live_bytes),
            bytes(site.untouched_bytes),
            cell(&site.heat.map_or_else(|| "–".to_owned(), heat)),
        ]
    };
    let mut shown: Vec<&SiteAccesses> = own.sites.iter().take(SITES_MAX / 2).collect();
    let mut idle: Vec<&SiteAccesses> = own.sites.iter().skip(SITES_MAX / 2).collect();
    idle.sort_by_key(|site| std::cmp::Reverse(site.live_bytes));
    shown.extend(idle.into_iter().take(SITES_MAX - SITES_MAX / 2));
    let rows: Vec<Vec<String>> = shown.into_iter().map(row).collect();
    format!(
        "{heading}{}<p class=\"note\">Heat is a site's share of accesses per share of live bytes: 1 is average. Without \
         a word, samples are too few for its size. \
         <i>Never touched</i> are bytes of live blocks on pages nobody has written or read since they were mapped.</p>\n{}",
        table(&heads, &rows),
        omitted(own.sites.len(), SITES_MAX, "sites")
    )
}

/// Two significant digits: more are noise.
fn heat(ratio: f64) -> String {
    match ratio {
        r if r >= 9.95 => format!("{r:.0}"),
        r if r >= 0.995 => format!("{r:.1}"),
        r if r >= 0.005 => format!("{r:.2}"),
        r if r > 0.0 => "<0.01".to_owned(),
        _ => "0".to_owned(),
    }
}
