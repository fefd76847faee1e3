//! `waytrace cache set`: gives threads, a cgroup or CPUs a share of a cache or of the memory bandwidth.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{bail, ensure};
use waytrace_hw::Root;
use waytrace_hw::rdt::{
    CacheAllocation, Members, RdtError, Request, Setting, apply, threads_of_cgroup, threads_of_process,
};
use waytrace_hw::topology::parse_list;
use waytrace_model::cache::{CacheId, WayMask};
use waytrace_model::cache_report::{CacheResource, Capabilities, Class, LimitUnit, Mode, Use};
use waytrace_model::cache_share::Share;

use super::super::Outcome;
use super::super::output::say;
use super::Host;

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("share").required(true).multiple(true).args(["l3", "l3_code", "l3_data", "l2", "l2_code", "l2_data", "mb"]))]
pub struct Args {
    /// Share of the L3, code and data alike: ways (4w), bytes (2MiB), percent (50%) or a mask (0xf0).
    #[arg(long, value_name = "SHARE", conflicts_with_all = ["l3_code", "l3_data"])]
    l3: Option<Share>,
    /// Share of the L3 for code; resctrl must be mounted with -o cdp.
    #[arg(long, value_name = "SHARE")]
    l3_code: Option<Share>,
    /// Share of the L3 for data; resctrl must be mounted with -o cdp.
    #[arg(long, value_name = "SHARE")]
    l3_data: Option<Share>,
    /// Share of the L2, code and data alike.
    #[arg(long, value_name = "SHARE", conflicts_with_all = ["l2_code", "l2_data"])]
    l2: Option<Share>,
    /// Share of the L2 for code; resctrl must be mounted with -o cdpl2.
    #[arg(long, value_name = "SHARE")]
    l2_code: Option<Share>,
    /// Share of the L2 for data; resctrl must be mounted with -o cdpl2.
    #[arg(long, value_name = "SHARE")]
    l2_data: Option<Share>,
    /// Limit of the memory bandwidth: percent (50%), or a number in the unit `cache show` tells.
    #[arg(long, value_name = "LIMIT")]
    mb: Option<String>,
    /// All threads of a process; may be given more than once.
    #[arg(long, value_name = "PID", conflicts_with_all = ["cgroup", "cpus"])]
    pid: Vec<u32>,
    /// All threads of a cgroup and those below it, that are there now.
    #[arg(long, value_name = "PATH", conflicts_with = "cpus")]
    cgroup: Option<PathBuf>,
    /// What runs on these CPUs and belongs to no other class, as 0-3,8.
    #[arg(long, value_name = "LIST")]
    cpus: Option<String>,
    /// Class to set, made where there is none [default: one named after the target].
    #[arg(long, value_name = "NAME")]
    class: Option<String>,
    /// Only this cache of the level [default: all of them].
    #[arg(long, value_name = "N")]
    cache_id: Option<u32>,
}

/// Rounds in which threads that appear while others are put into a class are looked for.
const ROUNDS: usize = 16;

/// Runs the command.
pub fn run(args: &Args, host: &Host) -> Outcome {
    let root = host.root();
    let mut allocation = host.open()?;
    let class = class_name(args)?;
    let members = members(args, &root)?;
    let classes = allocation.classes()?;
    let settings = settings(args, &root, &allocation.capabilities()?, &classes, &class)?;
    let request = Request { class, settings, members };
    let change = apply(allocation.as_mut(), &request)?;
    let late = followers(args, &root, allocation.as_mut(), &change.class, &request.members)?;
    say(&format!("{}{}", told(&change.class, change.created, &request), late));
    Ok(ExitCode::SUCCESS)
}

fn told(class: &str, created: bool, request: &Request) -> String {
    let values: Vec<String> = request
        .settings
        .iter()
        .map(|setting| match setting {
            Setting::Mask { resource, cache_id, mask } => format!("{resource} {cache_id} = {mask:#}"),
            Setting::Limit { resource, cache_id, value } => format!("{resource} {cache_id} = {value}"),
        })
        .collect();
    let members = match &request.members {
        Members::Tasks(tids) => format!("; {} thread{}", tids.len(), if tids.len() == 1 { "" } else { "s" }),
        Members::Cpus(cpus) => format!("; CPUs {}", waytrace_hw::topology::format_list(cpus)),
        Members::None => String::new(),
    };
    format!("class {class}{}: {}{members}", if created { " (new)" } else { "" }, values.join(", "))
}

/// A class of its own for each target, unless one is named.
fn class_name(args: &Args) -> anyhow::Result<String> {
    if let Some(class) = &args.class {
        return Ok(class.clone());
    }
    Ok(match (args.pid.first(), &args.cgroup, &args.cpus) {
        (Some(pid), _, _) => format!("waytrace-pid-{pid}"),
        (_, Some(path), _) => {
            let name = path.file_name().map_or_else(|| "root".into(), |name| name.to_string_lossy());
            format!("waytrace-cgroup-{name}")
        }
        (_, _, Some(cpus)) => format!("waytrace-cpus-{}", cpus.replace(['/', ' '], "")),
        _ => bail!(
            "whose share? Name --pid, --cgroup, --cpus or, to set a class without changing who is in it, --class"
        ),
    })
}

fn members(args: &Args, root: &Root) -> anyhow::Result<Members> {
    if let Some(list) = &args.cpus {
        let cpus = parse_list(list)?;
        ensure!(!cpus.is_empty(), "--cpus is empty; write it like 0-3,8");
        return Ok(Members::Cpus(cpus));
    }
    Ok(tids(args, root)?.map_or(Members::None, Members::Tasks))
}

/// Threads of the processes or the cgroup asked for.
fn tids(args: &Args, root: &Root) -> Result<Option<Vec<u32>>, RdtError> {
    if let Some(path) = &args.cgroup {
        return threads_of_cgroup(root, &path.to_string_lossy()).map(Some);
    }
    if args.pid.is_empty() {
        return Ok(None);
    }
    let mut tids = Vec::new();
    for pid in &args.pid {
        tids.extend(threads_of_process(root, *pid)?);
    }
    Ok(Some(tids))
}

/// Threads are born into the class of the thread that makes them, but those made while others were put there may have been made
/// by one that was not there yet.
fn followers(
    args: &Args,
    root: &Root,
    allocation: &mut dyn CacheAllocation,
    class: &str,
    members: &Members,
) -> anyhow::Result<String> {
    let Members::Tasks(known) = members else { return Ok(String::new()) };
    let mut known = known.clone();
    for _ in 0..ROUNDS {
        let now = tids(args, root).ok().flatten().unwrap_or_default();
        let new: Vec<u32> = now.into_iter().filter(|tid| !known.contains(tid)).collect();
        if new.is_empty() {
            break;
        }
        for tid in &new {
            match allocation.assign_tasks(class, &[*tid]) {
                Ok(()) | Err(RdtError::NoTask { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        known.extend(new);
    }
    let late = match members {
        Members::Tasks(first) => known.len() - first.len(),
        _ => 0,
    };
    Ok(if late == 0 { String::new() } else { format!(" and {late} that came meanwhile") })
}

/// The values asked for, on the caches asked for.
fn settings(
    args: &Args,
    root: &Root,
    capabilities: &Capabilities,
    classes: &[Class],
    class: &str,
) -> anyhow::Result<Vec<Setting>> {
    let mut settings = Vec::new();
    let any = [Use::Unified, Use::Code, Use::Data];
    for (level, uses, option, share) in [
        (3, &any[..], "--l3", args.l3),
        (3, &[Use::Code], "--l3-code", args.l3_code),
        (3, &[Use::Data], "--l3-data", args.l3_data),
        (2, &any[..], "--l2", args.l2),
        (2, &[Use::Code], "--l2-code", args.l2_code),
        (2, &[Use::Data], "--l2-data", args.l2_data),
    ] {
        let Some(share) = share else { continue };
        let mut found = capabilities
            .caches
            .iter()
            .filter(|cache| cache.level == level && uses.contains(&cache.used_for))
            .peekable();
        if found.peek().is_none() {
            bail!("{option}: {}", lacking(capabilities, level, uses.len() == 1));
        }
        for cache in found {
            settings.extend(masks(cache, share, args.cache_id, classes, class)?);
        }
    }
    if let Some(limit) = &args.mb {
        settings.extend(limits(limit, root, capabilities, args.cache_id)?);
    }
    Ok(settings)
}

fn lacking(capabilities: &Capabilities, level: u32, split: bool) -> String {
    let option = if level == 3 { "cdp" } else { "cdpl2" };
    if split && capabilities.caches.iter().any(|cache| cache.level == level) {
        return format!(
            "code and data share their masks; mount resctrl with `-o {option}` where the CPU can (cdp_l{level} in /proc/cpuinfo)"
        );
    }
    format!("this machine does not allocate its L{level}; `waytrace cache show` tells what it allocates")
}

/// The share on each cache, outside what others have to themselves.
fn masks(
    cache: &CacheResource,
    share: Share,
    only: Option<u32>,
    classes: &[Class],
    class: &str,
) -> anyhow::Result<Vec<Setting>> {
    let ids: Vec<CacheId> = cache.caches.iter().map(|domain| domain.id).collect();
    let mut settings = Vec::new();
    for cache_id in chosen(&cache.name, &ids, only)? {
        let held = |other: &&Class| {
            other.name != class && matches!(other.mode, Some(Mode::Exclusive | Mode::PseudoLocked))
        };
        let taken = classes
            .iter()
            .filter(held)
            .flat_map(|other| &other.masks)
            // Code and data of a level are the same ways.
            .filter(|mask| {
                mask.cache_id == cache_id && mask.resource.starts_with(&format!("L{}", cache.level))
            })
            .fold(WayMask::default(), |taken, mask| taken.or(mask.mask));
        let mask = share
            .mask(&cache.rules, cache.way_bytes, taken)
            .map_err(|error| anyhow::anyhow!("{} of cache {cache_id}: {error}", cache.name))?;
        let overlap = mask.and(taken);
        ensure!(
            overlap.is_empty(),
            "{} of cache {cache_id}: the ways {overlap:#} of {mask:#} are held by exclusive or locked classes; choose others",
            cache.name
        );
        settings.push(Setting::Mask { resource: cache.name.clone(), cache_id, mask });
    }
    Ok(settings)
}

fn limits(
    text: &str,
    root: &Root,
    capabilities: &Capabilities,
    only: Option<u32>,
) -> anyhow::Result<Vec<Setting>> {
    let Some(bandwidth) = capabilities.bandwidth.iter().find(|bandwidth| bandwidth.name == "MB") else {
        bail!("--mb: {}", waytrace_hw::rdt::why_no_limits(root));
    };
    let (number, percent) = match text.trim().strip_suffix('%') {
        Some(number) => (number, true),
        None => (text.trim(), false),
    };
    let (is_percent, unit) = match bandwidth.unit {
        LimitUnit::Percent => (true, "percent, as 50%"),
        LimitUnit::MibPerSecond => (false, "MiB/s, as 2000"),
        LimitUnit::EighthGbPerSecond => (false, "eighths of GB/s, as 16 for 2 GB/s"),
    };
    let Some(value) = number.trim().parse().ok().filter(|_| percent == is_percent) else {
        bail!("--mb `{text}`: this machine takes {unit}");
    };
    let setting = |cache_id| Setting::Limit { resource: bandwidth.name.clone(), cache_id, value };
    Ok(chosen(&bandwidth.name, &bandwidth.caches, only)?.into_iter().map(setting).collect())
}

fn chosen(resource: &str, ids: &[CacheId], only: Option<u32>) -> Result<Vec<CacheId>, RdtError> {
    let Some(id) = only.map(CacheId) else { return Ok(ids.to_vec()) };
    if ids.contains(&id) {
        return Ok(vec![id]);
    }
    let present: Vec<String> = ids.iter().map(ToString::to_string).collect();
    Err(RdtError::NoCache { resource: resource.to_owned(), cache_id: id, present: present.join(", ") })
}
