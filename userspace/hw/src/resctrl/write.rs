//! Writing values and members of a group.

use waytrace_model::cache_report::Capabilities;

use super::files::Files;
use super::schemata::{self, Line, Value};
use crate::Root;
use crate::rdt::{RdtError, Setting, check};
use crate::topology::{cpus_online, format_list, parse_list};

/// Sets values in one write, of which the kernel takes all or none. What it would refuse is refused before, with better words.
pub fn settings(
    files: &Files,
    dir: &str,
    capabilities: &Capabilities,
    settings: &[Setting],
) -> Result<(), RdtError> {
    let mut lines: Vec<Line> = Vec::new();
    for setting in settings {
        check(capabilities, setting)?;
        let (resource, value) = match setting {
            Setting::Mask { resource, cache_id, mask } => (resource, (*cache_id, Value::Mask(*mask))),
            Setting::Limit { resource, cache_id, value } => (resource, (*cache_id, Value::Limit(*value))),
        };
        match lines.iter_mut().find(|line| line.resource == *resource) {
            Some(line) => line.values.push(value),
            None => lines.push(Line { resource: resource.clone(), values: vec![value] }),
        }
    }
    files.write(&format!("{dir}schemata"), &schemata::format(&lines))
}

/// Writes threads one by one: kernels before 6.7 take no list.
pub fn tasks(files: &Files, dir: &str, tids: &[u32]) -> Result<(), RdtError> {
    for tid in tids {
        match files.write(&format!("{dir}tasks"), &format!("{tid}\n")) {
            Err(RdtError::Refused { source, .. }) if source.raw_os_error() == Some(libc::ESRCH) => {
                return Err(RdtError::NoTask { tid: *tid });
            }
            result => result?,
        }
    }
    Ok(())
}

/// Adds CPUs to those a group has: what is written replaces them.
pub fn cpus(root: &Root, files: &Files, dir: &str, cpus: &[u32]) -> Result<(), RdtError> {
    let online = cpus_online(root)?;
    if let Some(cpu) = cpus.iter().find(|cpu| !online.contains(cpu)) {
        return Err(RdtError::NoCpu { cpu: *cpu });
    }
    let rel = format!("{dir}cpus_list");
    let mut all = files.parsed(&rel, "a CPU list", |text| parse_list(text).ok())?;
    all.extend(cpus);
    all.sort_unstable();
    all.dedup();
    files.write(&rel, &format!("{}\n", format_list(&all)))
}
