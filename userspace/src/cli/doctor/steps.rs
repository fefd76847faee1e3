//! What `doctor --fix` changes, step by step. Each old value is in the journal before it is changed.
//!
//! Source: Documentation/admin-guide/pm/{cpufreq,intel_pstate}.rst, Documentation/admin-guide/sysctl/kernel.rst.

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::process::Command;

use anyhow::{Context as _, bail, ensure};
use clap::ValueEnum;
use serde::Serialize;
use waytrace_hw::rdt::{ResctrlState, resctrl_state, why_not};
use waytrace_hw::undo::{Journal, Undo};
use waytrace_hw::{Root, cpufreq};

const CPUS: &str = "sys/devices/system/cpu";
const PARANOID: &str = "proc/sys/kernel/perf_event_paranoid";
const RESCTRL: &str = "sys/fs/resctrl";
const MSR: &str = "msr";

/// What can be mended, in the order in which it is: turbo decides about the limits of frequencies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// Load the msr module.
    Msr,
    /// Mount resctrl.
    Resctrl,
    /// No turbo.
    Turbo,
    /// Governor `performance` on all CPUs.
    Governor,
    /// Lower limit of the frequency as high as the upper one.
    Frequency,
    /// perf_event_paranoid -1: everybody may count.
    Paranoid,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It was changed.
    Changed,
    /// It was so already.
    Already,
    /// This machine has nothing of the kind.
    NotHere,
    /// It could not be changed.
    Failed,
}

/// The result of a step, and a line about it.
pub type Step = (Outcome, String);

/// Does one.
pub fn step(root: &Root, journal: &mut Journal, what: What) -> Step {
    let done = match what {
        What::Msr => msr(root, journal),
        What::Resctrl => resctrl(root, journal),
        What::Turbo => turbo(root, journal),
        What::Governor => governor(root, journal),
        What::Frequency => frequency(root, journal),
        What::Paranoid => paranoid(root, journal),
    };
    done.unwrap_or_else(|error| (Outcome::Failed, format!("{error:#}")))
}

/// Whether a change of the kernel itself, not of files, may be made: a root of its own has files only.
fn only_files(root: &Root) -> Option<Step> {
    let line = "the host root is files only, which can neither be mounted on nor loaded into".to_owned();
    (!root.is_live()).then_some((Outcome::NotHere, line))
}

fn msr(root: &Root, journal: &mut Journal) -> anyhow::Result<Step> {
    if root.path("dev/cpu/0/msr").exists() {
        return Ok((Outcome::Already, "/dev/cpu/0/msr is there".to_owned()));
    }
    if let Some(step) = only_files(root) {
        return Ok(step);
    }
    let release = root.read("proc/sys/kernel/osrelease").unwrap_or_default();
    if !root.path(&format!("lib/modules/{release}")).exists() {
        return Ok((Outcome::NotHere, format!("no modules for kernel {release} are installed")));
    }
    journal.add(Undo::LoadedModule { name: MSR.to_owned() })?;
    let loaded = Command::new("modprobe").arg(MSR).output();
    match loaded {
        Ok(output) if output.status.success() => Ok((Outcome::Changed, "module msr is loaded".to_owned())),
        refused => {
            journal.forget()?;
            let output = refused.context("modprobe, which loads modules (package kmod)")?;
            let said = String::from_utf8_lossy(&output.stderr);
            bail!("modprobe msr: {}", said.trim())
        }
    }
}

fn resctrl(root: &Root, journal: &mut Journal) -> anyhow::Result<Step> {
    let state = resctrl_state(root);
    match &state {
        ResctrlState::Mounted { path, .. } => {
            return Ok((Outcome::Already, format!("resctrl is mounted at {}", path.display())));
        }
        ResctrlState::NotMounted => {}
        _ => return Ok((Outcome::NotHere, why_not(&state).unwrap_or_default())),
    }
    if let Some(step) = only_files(root) {
        return Ok(step);
    }
    let path = root.path(RESCTRL);
    let target = CString::new(path.as_os_str().as_bytes())?;
    journal.add(Undo::Mounted { path: RESCTRL.to_owned() })?;
    // SAFETY: the three strings end in zero bytes and live during the call; resctrl takes no data.
    let result = unsafe {
        libc::mount(c"resctrl".as_ptr(), target.as_ptr(), c"resctrl".as_ptr(), 0, std::ptr::null())
    };
    if result != 0 {
        let error = io::Error::last_os_error();
        journal.forget()?;
        return Err(error).with_context(|| format!("mounting resctrl at {}", path.display()));
    }
    Ok((Outcome::Changed, format!("resctrl is mounted at {}", path.display())))
}

fn turbo(root: &Root, journal: &mut Journal) -> anyhow::Result<Step> {
    for (file, off) in [("intel_pstate/no_turbo", "1"), ("cpufreq/boost", "0")] {
        let path = format!("{CPUS}/{file}");
        if let Ok(old) = root.read(&path) {
            let changed = set(root, journal, &path, old, off)?;
            return Ok((changed, format!("/{path} is {off}: no turbo")));
        }
    }
    let line =
        "neither intel_pstate/no_turbo nor cpufreq/boost is there: turbo cannot be set, or there is none";
    Ok((Outcome::NotHere, line.to_owned()))
}

fn governor(root: &Root, journal: &mut Journal) -> anyhow::Result<Step> {
    const WANTED: &str = "performance";
    each_policy(root, |policy| {
        let known = root.read(&format!("{policy}/scaling_available_governors")).unwrap_or_default();
        let path = format!("{policy}/scaling_governor");
        let old = root.read(&path).with_context(|| format!("reading /{path}"))?;
        ensure!(
            old == WANTED || known.split_whitespace().any(|governor| governor == WANTED),
            "/{policy} has no governor {WANTED}; it has {known}"
        );
        set(root, journal, &path, old, WANTED)
    })
    .map(|(outcome, count)| (outcome, format!("governor {WANTED} on {count} policies")))
    .map(here)
}

fn frequency(root: &Root, journal: &mut Journal) -> anyhow::Result<Step> {
    each_policy(root, |policy| {
        let read = |file: &str| {
            let path = format!("{policy}/{file}");
            root.read(&path).with_context(|| format!("reading /{path}"))
        };
        let (min, max) = (read("scaling_min_freq")?, read("scaling_max_freq")?);
        set(root, journal, &format!("{policy}/scaling_min_freq"), min, &max)
    })
    .map(|(outcome, count)| (outcome, format!("lower limit as the upper one on {count} policies")))
    .map(here)
}

fn here((outcome, line): Step) -> Step {
    match outcome {
        Outcome::NotHere => {
            (outcome, format!("/{} has no policies: the kernel sets no frequency here", cpufreq::DIR))
        }
        outcome => (outcome, line),
    }
}

fn paranoid(root: &Root, journal: &mut Journal) -> anyhow::Result<Step> {
    const WANTED: &str = "-1";
    let Ok(old) = root.read(PARANOID) else {
        return Ok((Outcome::NotHere, format!("/{PARANOID} is not there")));
    };
    let changed = set(root, journal, PARANOID, old, WANTED)?;
    Ok((changed, format!("perf_event_paranoid is {WANTED}: everybody may count")))
}

/// Does it to every policy, and says how many there are.
fn each_policy(
    root: &Root,
    mut act: impl FnMut(&str) -> anyhow::Result<Outcome>,
) -> anyhow::Result<(Outcome, usize)> {
    let policies = cpufreq::policies(root);
    let mut outcome = if policies.is_empty() { Outcome::NotHere } else { Outcome::Already };
    for policy in &policies {
        if act(policy)? == Outcome::Changed {
            outcome = Outcome::Changed;
        }
    }
    Ok((outcome, policies.len()))
}

/// Writes a file, its first old value in the journal. What the kernel makes of what was written is ours, too.
fn set(root: &Root, journal: &mut Journal, path: &str, old: String, wanted: &str) -> anyhow::Result<Outcome> {
    if old == wanted {
        return Ok(Outcome::Already);
    }
    let first = journal.undos().iter().find_map(|undo| match undo {
        Undo::File { path: known, old, .. } if known == path => Some(old.clone()),
        _ => None,
    });
    let old = first.unwrap_or(old);
    let undo =
        |ours: &str| Undo::File { path: path.to_owned(), old: old.clone(), ours: vec![ours.to_owned()] };
    journal.add(undo(wanted))?;
    if let Err(error) = fs::write(root.path(path), wanted) {
        journal.forget()?;
        let fix = if error.kind() == io::ErrorKind::PermissionDenied { "; run as root" } else { "" };
        return Err(error).with_context(|| format!("writing {wanted} to /{path}{fix}"));
    }
    let now = root.read(path).with_context(|| format!("reading /{path}"))?;
    if now != wanted {
        journal.add(undo(&now))?;
        bail!("/{path} is {now} although {wanted} was written");
    }
    Ok(Outcome::Changed)
}
