//! Whether a machine takes a setting, told in words the hardware and the kernel have not.

use waytrace_model::cache::CacheId;
use waytrace_model::cache_report::{BandwidthResource, Capabilities, LimitUnit};

use super::{RdtError, Setting};

/// Checks a setting against what the machine can do.
///
/// # Errors
/// No such resource or cache, an illegal mask or limit.
pub fn check(capabilities: &Capabilities, setting: &Setting) -> Result<(), RdtError> {
    match setting {
        Setting::Mask { resource, cache_id, mask } => {
            let names = || capabilities.caches.iter().map(|cache| cache.name.as_str()).collect::<Vec<_>>();
            let found = capabilities.caches.iter().find(|cache| cache.name == *resource);
            let found = found.ok_or_else(|| no_resource(resource, &names()))?;
            has(resource, *cache_id, &found.caches.iter().map(|cache| cache.id).collect::<Vec<_>>())?;
            mask.check(&found.rules).map_err(|source| RdtError::BadMask {
                resource: resource.clone(),
                cache_id: *cache_id,
                source,
            })
        }
        Setting::Limit { resource, cache_id, value } => {
            let names = || capabilities.bandwidth.iter().map(|limit| limit.name.as_str()).collect::<Vec<_>>();
            let found = capabilities.bandwidth.iter().find(|limit| limit.name == *resource);
            let found = found.ok_or_else(|| no_resource(resource, &names()))?;
            has(resource, *cache_id, &found.caches)?;
            check_limit(found, *value)
        }
    }
}

fn check_limit(resource: &BandwidthResource, value: u32) -> Result<(), RdtError> {
    let BandwidthResource { min, unit, step, .. } = *resource;
    let too_much = unit == LimitUnit::Percent && value > 100;
    if value >= min && !too_much {
        return Ok(());
    }
    let takes = match unit {
        LimitUnit::Percent => format!("{min}% to 100%, in steps of {step}%"),
        LimitUnit::MibPerSecond => "MiB/s, as it is mounted with mba_MBps".to_owned(),
        LimitUnit::EighthGbPerSecond => format!("eighths of GB/s from {min} on"),
    };
    Err(RdtError::BadLimit { resource: resource.name.clone(), value, takes })
}

fn no_resource(resource: &str, present: &[&str]) -> RdtError {
    let present = if present.is_empty() { "none of the kind".to_owned() } else { present.join(", ") };
    RdtError::NoResource { resource: resource.to_owned(), present }
}

fn has(resource: &str, cache_id: CacheId, ids: &[CacheId]) -> Result<(), RdtError> {
    if ids.contains(&cache_id) {
        return Ok(());
    }
    let present: Vec<String> = ids.iter().map(ToString::to_string).collect();
    Err(RdtError::NoCache { resource: resource.to_owned(), cache_id, present: present.join(", ") })
}
