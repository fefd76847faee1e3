//! What `info` says the machine can do.
//!
//! Source: `Documentation/filesystems/resctrl.rst`, "Info directory".

use waytrace_model::cache::{CacheId, MaskRules, WayMask};
use waytrace_model::cache_report::{
    AssignableCounters, BandwidthResource, CacheDomain, CacheResource, Capabilities, LimitUnit, Monitoring,
    Use,
};

use super::files::Files;
use super::schemata;
use crate::Root;
use crate::rdt::RdtError;
use crate::topology::cpuinfo_field;
use crate::topology_cache::{Cache, caches, is_l3_divided};

const NUMBER: &str = "a number";
/// The mode in which bandwidth counters are assigned to groups.
pub const ASSIGNED: &str = "mbm_event";

/// Reads all of it.
pub fn read(root: &Root, files: &Files, options: &[String]) -> Result<Capabilities, RdtError> {
    let lines = super::lines_of(files, "")?;
    let mut topology = caches(root)?;
    if !is_intel(root) {
        // Only Intel's nodes are parts of a cache.
        topology.iter_mut().for_each(|cache| cache.nodes = 1);
    }
    let monitors = if has_parts_apart(root, files) { None } else { monitoring(files)? };
    let mut capabilities = Capabilities { monitoring: monitors, ..Capabilities::default() };
    for line in &lines {
        let ids: Vec<CacheId> = line.values.iter().map(|(id, _)| *id).collect();
        let dir = format!("info/{}", line.resource);
        match schemata::level(&line.resource) {
            Some(level) => {
                capabilities.caches.push(cache(files, &dir, &line.resource, level, &ids, &topology)?);
            }
            None => capabilities.bandwidth.push(bandwidth(root, files, &dir, &line.resource, ids, options)?),
        }
    }
    let classes = capabilities.caches.iter().map(|cache| cache.classes);
    let classes = classes.chain(capabilities.bandwidth.iter().map(|bandwidth| bandwidth.classes));
    capabilities.max_classes = classes.min().unwrap_or(0);
    Ok(capabilities)
}

fn is_intel(root: &Root) -> bool {
    let cpuinfo = root.read("proc/cpuinfo").unwrap_or_default();
    cpuinfo_field(&cpuinfo, "vendor_id") == Some("GenuineIntel")
}

/// Whether a cache is divided into nodes whose monitors this kernel does not add up: from 6.11 on it does, and has a directory for
/// each node.
pub fn has_parts_apart(root: &Root, files: &Files) -> bool {
    let has_nodes = |domain: &String| {
        let inner = files.directories(&format!("mon_data/{domain}"));
        inner.iter().any(|name| name.starts_with("mon_sub_L3_"))
    };
    is_l3_divided(root) && is_intel(root) && !files.directories("mon_data").iter().any(has_nodes)
}

fn number(files: &Files, rel: &str) -> Result<u32, RdtError> {
    files.parsed(rel, NUMBER, |text| text.parse().ok())
}

fn mask(files: &Files, rel: &str) -> Result<WayMask, RdtError> {
    files.parsed(rel, "a mask", |text| WayMask::parse(text).ok())
}

fn cache(
    files: &Files,
    dir: &str,
    resource: &str,
    level: u32,
    ids: &[CacheId],
    topology: &[Cache],
) -> Result<CacheResource, RdtError> {
    let full_mask = mask(files, &format!("{dir}/cbm_mask"))?;
    let sparse = files.read_optional(&format!("{dir}/sparse_masks"))?.is_some_and(|text| text == "1");
    let domain = |id: &CacheId| {
        let known = topology.iter().find(|cache| (cache.level, cache.id) == (level, *id));
        CacheDomain {
            id: *id,
            size_bytes: known.and_then(|cache| cache.size_bytes),
            cpus: known.map_or_else(Vec::new, |cache| cache.cpus.clone()),
            nodes: known.map_or(1, |cache| cache.nodes),
        }
    };
    let caches: Vec<CacheDomain> = ids.iter().map(domain).collect();
    let size = caches.iter().find_map(|cache| cache.size_bytes);
    let parts =
        u64::from(full_mask.ways()) * u64::from(caches.iter().map(|cache| cache.nodes).max().unwrap_or(1));
    let shareable = format!("{dir}/shareable_bits");
    Ok(CacheResource {
        name: resource.to_owned(),
        level,
        used_for: match resource {
            name if name.ends_with("CODE") => Use::Code,
            name if name.ends_with("DATA") => Use::Data,
            _ => Use::Unified,
        },
        // AMD takes empty masks and says 0; a class without a way is nothing anybody asks for.
        rules: MaskRules {
            full_mask,
            min_ways: number(files, &format!("{dir}/min_cbm_bits"))?.max(1),
            sparse,
        },
        shareable_mask: match files.read_optional(&shareable)? {
            Some(_) => mask(files, &shareable)?,
            None => WayMask::default(),
        },
        ways: full_mask.ways(),
        way_bytes: size.and_then(|bytes| bytes.checked_div(parts)),
        classes: number(files, &format!("{dir}/num_closids"))?,
        io_alloc: files.read_optional(&format!("{dir}/io_alloc"))?,
        caches,
    })
}

fn bandwidth(
    root: &Root,
    files: &Files,
    dir: &str,
    resource: &str,
    caches: Vec<CacheId>,
    options: &[String],
) -> Result<BandwidthResource, RdtError> {
    let cpuinfo = root.read("proc/cpuinfo").unwrap_or_default();
    let unit = match cpuinfo_field(&cpuinfo, "vendor_id") {
        _ if options.iter().any(|option| option == "mba_MBps") => LimitUnit::MibPerSecond,
        Some("AuthenticAMD" | "HygonGenuine") => LimitUnit::EighthGbPerSecond,
        _ => LimitUnit::Percent,
    };
    // The kernel's controller takes any number, and goes on telling the percentages it works with.
    let (min, step) = match unit {
        LimitUnit::MibPerSecond => (0, 1),
        _ => (
            number(files, &format!("{dir}/min_bandwidth"))?,
            number(files, &format!("{dir}/bandwidth_gran"))?,
        ),
    };
    Ok(BandwidthResource {
        name: resource.to_owned(),
        unit,
        min,
        step,
        linear: files.read_optional(&format!("{dir}/delay_linear"))?.map(|text| text == "1"),
        throttle_mode: files.read_optional(&format!("{dir}/thread_throttle_mode"))?,
        classes: number(files, &format!("{dir}/num_closids"))?,
        caches,
    })
}

/// `0=32;1=30` of each cache; none where the file is not there or not readable in this mode.
fn by_cache(files: &Files, rel: &str) -> Result<Vec<(CacheId, u32)>, RdtError> {
    let Some(text) = files.read_optional(rel)? else { return Ok(Vec::new()) };
    let parse = |one: &str| {
        let (id, count) = one.split_once('=')?;
        Some((CacheId(id.trim().parse().ok()?), count.trim().parse().ok()?))
    };
    let all: Option<Vec<_>> = text.split(';').filter(|one| !one.is_empty()).map(parse).collect();
    all.ok_or_else(|| RdtError::Malformed {
        path: files.path(rel),
        text,
        expected: "counters of caches, as 0=32;1=32",
    })
}

/// Counters that are assigned to groups.
fn counters(files: &Files, dir: &str) -> Result<Vec<AssignableCounters>, RdtError> {
    let free = by_cache(files, &format!("{dir}/available_mbm_cntrs"))?;
    let all = by_cache(files, &format!("{dir}/num_mbm_cntrs"))?.into_iter().map(|(cache_id, count)| {
        let free = free.iter().find(|(id, _)| *id == cache_id).map(|(_, free)| *free);
        AssignableCounters { cache_id, count, free }
    });
    Ok(all.collect())
}

/// What can be monitored; none where nothing can.
pub fn monitoring(files: &Files) -> Result<Option<Monitoring>, RdtError> {
    const DIR: &str = "info/L3_MON";
    if !files.is_dir(DIR) {
        return Ok(None);
    }
    let optional = |file: &str| files.read_optional(&format!("{DIR}/{file}"));
    let modes = optional("mbm_assign_mode")?.unwrap_or_default();
    let threshold = optional("max_threshold_occupancy")?;
    let assign_mode = modes
        .split_whitespace()
        .find_map(|mode| mode.strip_prefix('[')?.strip_suffix(']'))
        .map(str::to_owned);
    let are_assigned = assign_mode.as_deref() == Some(ASSIGNED);
    Ok(Some(Monitoring {
        events: files
            .read(&format!("{DIR}/mon_features"))?
            .lines()
            .map(|event| event.trim().to_owned())
            // Files that configure an event are listed among the events.
            .filter(|event| !event.is_empty() && !event.ends_with("_config"))
            .collect(),
        max_rmids: number(files, &format!("{DIR}/num_rmids"))?,
        assign_mode,
        counters: if are_assigned { counters(files, DIR)? } else { Vec::new() },
        max_threshold_occupancy_bytes: threshold.and_then(|text| text.parse().ok()),
    }))
}
