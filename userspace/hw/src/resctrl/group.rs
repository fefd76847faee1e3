//! A group's directory as a class: its values, members and monitoring groups.

use waytrace_model::cache::{ClosId, Rmid};
use waytrace_model::cache_report::{Class, ClassLimit, ClassMask, Mode, MonitorGroup};

use super::files::Files;
use super::schemata::Value;
use super::{dir_of, lines_of};
use crate::rdt::{DEFAULT_CLASS, RdtError};
use crate::topology::parse_list;

/// Directories of the mount that are no classes.
const RESERVED: [&str; 3] = ["info", "mon_groups", "mon_data"];
const THREADS: &str = "a list of threads";

/// Names of all classes, the default one first.
pub fn names(files: &Files) -> Vec<String> {
    let others = files.directories("").into_iter().filter(|name| !RESERVED.contains(&name.as_str()));
    std::iter::once(DEFAULT_CLASS.to_owned()).chain(others).collect()
}

/// Whether a name can be a class's or monitor's.
pub fn check_name(name: &str) -> Result<(), RdtError> {
    let reason = match name {
        "" => "it is empty",
        "." | ".." => "it is a directory's own",
        name if RESERVED.contains(&name) || name == DEFAULT_CLASS => "the name is taken",
        name if name.contains('/') => "it has a slash",
        name if name.contains('\n') => "it has a line break",
        name if name.len() > 255 => "it is longer than 255 bytes",
        _ => return Ok(()),
    };
    Err(RdtError::BadName { name: name.to_owned(), reason })
}

/// Reads one class.
pub fn read(files: &Files, name: &str) -> Result<Class, RdtError> {
    let dir = dir_of(name);
    let mut masks = Vec::new();
    let mut limits = Vec::new();
    for line in lines_of(files, &dir)? {
        for (cache_id, value) in line.values {
            let resource = line.resource.clone();
            match value {
                Value::Mask(mask) => masks.push(ClassMask { resource, cache_id, mask }),
                Value::Limit(value) => limits.push(ClassLimit { resource, cache_id, value }),
            }
        }
    }
    let mode = mode(files, &dir)?;
    let tasks = match mode {
        // Nobody can be a member, and the kernel answers ENOENT.
        Some(Mode::PseudoLocked) => Vec::new(),
        _ => tids(files, &dir)?,
    };
    let groups = files.directories(&format!("{dir}mon_groups"));
    Ok(Class {
        name: name.to_owned(),
        clos_id: id(files, &format!("{dir}ctrl_hw_id"))?.map(ClosId),
        mode,
        masks,
        limits,
        cpus: files.parsed(&format!("{dir}cpus_list"), "a CPU list", |text| parse_list(text).ok())?,
        task_count: Some(tasks.len() as u64),
        tasks: if name == DEFAULT_CLASS { Vec::new() } else { tasks },
        monitor_groups: groups
            .into_iter()
            .map(|group| monitor(files, &format!("{dir}mon_groups/{group}/"), group))
            .collect::<Result<_, RdtError>>()?,
    })
}

/// A monitoring group. One that is removed meanwhile has nobody.
fn monitor(files: &Files, dir: &str, name: String) -> Result<MonitorGroup, RdtError> {
    let listed = |file: &str, expected, parse: fn(&str) -> Option<Vec<u32>>| {
        let rel = format!("{dir}{file}");
        let Some(text) = files.read_optional(&rel)? else { return Ok(Vec::new()) };
        parse(&text).ok_or_else(|| RdtError::Malformed { path: files.path(&rel), text, expected })
    };
    Ok(MonitorGroup {
        rmid: id(files, &format!("{dir}mon_hw_id"))?.map(Rmid),
        cpus: listed("cpus_list", "a CPU list", |text| parse_list(text).ok())?,
        tasks: listed("tasks", THREADS, numbers)?,
        name,
    })
}

/// CPUs of the monitoring groups in a group's directory, of those that have any.
pub fn monitored_cpus(files: &Files, dir: &str) -> Result<Vec<(String, Vec<u32>)>, RdtError> {
    let mut monitored = Vec::new();
    for name in files.directories(&format!("{dir}mon_groups")) {
        let file = format!("{dir}mon_groups/{name}/cpus_list");
        let cpus = files.parsed(&file, "a CPU list", |text| parse_list(text).ok())?;
        if !cpus.is_empty() {
            monitored.push((name, cpus));
        }
    }
    Ok(monitored)
}

/// How a class shares; `None` on kernels before 4.19 and where only monitoring is supported.
pub fn mode(files: &Files, dir: &str) -> Result<Option<Mode>, RdtError> {
    let Some(text) = files.read_optional(&format!("{dir}mode"))? else { return Ok(None) };
    match text.as_str() {
        "shareable" => Ok(Some(Mode::Shareable)),
        "exclusive" => Ok(Some(Mode::Exclusive)),
        "pseudo-locksetup" => Ok(Some(Mode::PseudoLocksetup)),
        "pseudo-locked" => Ok(Some(Mode::PseudoLocked)),
        _ => Err(RdtError::Malformed { path: files.path(&format!("{dir}mode")), text, expected: "a mode" }),
    }
}

fn tids(files: &Files, dir: &str) -> Result<Vec<u32>, RdtError> {
    files.parsed(&format!("{dir}tasks"), THREADS, numbers)
}

fn numbers(text: &str) -> Option<Vec<u32>> {
    text.lines().map(|line| line.trim().parse().ok()).collect()
}

/// A number that the kernel tells when mounted with `debug`.
fn id(files: &Files, rel: &str) -> Result<Option<u32>, RdtError> {
    Ok(files.read_optional(rel)?.and_then(|text| text.parse().ok()))
}
