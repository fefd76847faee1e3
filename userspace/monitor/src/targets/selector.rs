//! What a `[[target]]` says of processes, checked and ready to be asked.

use std::fs;
use std::path::{Path, PathBuf};

use thiserror::Error;
use waytrace_hw::Root;

use super::cgroup::{GroupGlob, pod_uid};
use super::facts::ProcessFacts;
use super::glob::Glob;
use crate::config::TargetConfig;

/// What is wrong with a selector.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{what}")]
pub struct SelectorError {
    /// The key of the target.
    pub key: &'static str,
    /// What is wrong, and the mend.
    pub what: String,
}

/// What a process must match, all of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector {
    pid: Option<u32>,
    comm: Option<Glob>,
    pid_file: Option<PathBuf>,
    exe: Option<Exe>,
    cgroup: Option<GroupGlob>,
    unit: Option<Glob>,
    container: Option<String>,
    pod: Option<String>,
}

/// Executables by path, or by name where there is no `/`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Exe {
    glob: Glob,
    /// The path as written, where it is no pattern and so may be a link.
    literal: Option<PathBuf>,
    /// Where that link leads.
    resolved: Option<PathBuf>,
    by_name: bool,
}

/// `TASK_COMM_LEN` less its terminator: what the kernel keeps of a name.
const COMM_BYTES: usize = 15;
/// What the kernel adds to an executable that was removed or replaced.
const REMOVED: &str = " (deleted)";
const LEAST_ID_DIGITS: usize = 12;
const MOST_ID_DIGITS: usize = 64;
/// Kinds of units that have processes.
const KINDS: [&str; 6] = [".service", ".scope", ".slice", ".socket", ".mount", ".swap"];

impl Selector {
    /// Checks what a target says.
    ///
    /// # Errors
    /// The first key that is wrong.
    pub fn new(target: &TargetConfig) -> Result<Self, SelectorError> {
        let wrong = |key| move |what| SelectorError { key, what };
        let some = |value: &Option<String>| value.clone();
        let selector = Self {
            pid: target.pid,
            comm: some(&target.comm).map(|comm| comm_glob(&comm)).transpose().map_err(wrong("comm"))?,
            pid_file: target.pid_file.clone(),
            exe: some(&target.exe).map(|exe| Exe::new(&exe)).transpose().map_err(wrong("exe"))?,
            cgroup: some(&target.cgroup)
                .map(|path| GroupGlob::new(&path))
                .transpose()
                .map_err(wrong("cgroup"))?,
            unit: some(&target.unit).map(|unit| unit_glob(&unit)).transpose().map_err(wrong("unit"))?,
            container: some(&target.container)
                .map(|id| container_id(&id))
                .transpose()
                .map_err(wrong("container"))?,
            pod: some(&target.pod).map(|uid| checked_pod(&uid)).transpose().map_err(wrong("pod"))?,
        };
        if selector.pid == Some(0) {
            return Err(wrong("pid")("there is no process 0; name another".to_owned()));
        }
        if selector.pid_file.as_deref().is_some_and(|path| !path.is_absolute()) {
            let what = "`pid_file` is an absolute path, for a service has no directory of its own";
            return Err(wrong("pid_file")(what.to_owned()));
        }
        if selector.is_empty() {
            let what = "it says nothing of processes; give `comm`, `exe`, `pid`, `pid_file`, `cgroup`, `unit`, `container` or `pod`";
            return Err(wrong("name")(what.to_owned()));
        }
        Ok(selector)
    }

    fn is_empty(&self) -> bool {
        let Self { pid, comm, pid_file, exe, cgroup, unit, container, pod } = self;
        pid.is_none()
            && comm.is_none()
            && pid_file.is_none()
            && exe.is_none()
            && cgroup.is_none()
            && unit.is_none()
            && container.is_none()
            && pod.is_none()
    }

    /// Whether it needs control groups.
    pub(super) fn asks_for_groups(&self) -> bool {
        self.cgroup.is_some() || self.unit.is_some() || self.container.is_some() || self.pod.is_some()
    }

    pub(super) fn pid_file(&self) -> Option<&Path> {
        self.pid_file.as_deref()
    }

    /// Follows the links of executables again, which an upgrade may have changed; says whether one has.
    pub(super) fn refresh(&mut self, root: &Root) -> bool {
        let Some(exe) = &mut self.exe else { return false };
        let Some(path) = &exe.literal else { return false };
        let resolved = fs::canonicalize(root.path(&path.to_string_lossy())).ok();
        // A tree that stands in for `/` is no part of what its processes see.
        let resolved = resolved.map(|path| match path.strip_prefix(root.path("")) {
            Ok(below) if !root.is_live() => Path::new("/").join(below),
            _ => path,
        });
        let differs = exe.resolved != resolved;
        exe.resolved = resolved;
        differs
    }

    /// Whether a process matches; `meant` says whether the pid file means it. What costs nothing is looked at first.
    pub fn matches(&self, process: &ProcessFacts<'_>, meant: bool) -> bool {
        let all = |wanted: &Option<Glob>, text: &str| wanted.as_ref().is_none_or(|glob| glob.matches(text));
        self.pid.is_none_or(|pid| pid == process.pid)
            && all(&self.comm, process.comm)
            && (self.pid_file.is_none() || meant)
            && self.exe.as_ref().is_none_or(|exe| process.exe().is_some_and(|path| exe.matches(path)))
            && self.cgroup.as_ref().is_none_or(|glob| glob.matches(process.groups()))
            && self.unit.as_ref().is_none_or(|unit| process.groups().in_unit(unit))
            && self.container.as_ref().is_none_or(|id| process.groups().in_container(id))
            && self.pod.as_ref().is_none_or(|uid| process.groups().in_pod(uid))
    }
}

impl Exe {
    fn new(pattern: &str) -> Result<Self, String> {
        let by_name = !pattern.contains('/');
        if !by_name && !pattern.starts_with(['/', '*']) {
            return Err(format!(
                "`exe` is \"{}\"; write an absolute path, or a name without `/`",
                pattern.escape_debug()
            ));
        }
        let glob = Glob::path(pattern)?;
        let literal = (!by_name && glob.is_literal()).then(|| PathBuf::from(pattern));
        Ok(Self { glob, literal, resolved: None, by_name })
    }

    fn matches(&self, path: &Path) -> bool {
        let text = path.to_string_lossy();
        // A file may be called so itself, so both are tried.
        [Some(text.as_ref()), text.strip_suffix(REMOVED)].into_iter().flatten().any(|text| {
            let name = text.rsplit('/').next().unwrap_or(text);
            self.glob.matches(if self.by_name { name } else { text })
                || self.resolved.as_deref().is_some_and(|path| path == Path::new(text))
        })
    }
}

/// A longer name is cut as the kernel cuts it.
fn comm_glob(comm: &str) -> Result<Glob, String> {
    let glob = Glob::new(comm)?;
    if !glob.is_literal() || comm.len() <= COMM_BYTES {
        return Ok(glob);
    }
    let bytes = comm.as_bytes().get(..COMM_BYTES).unwrap_or_default();
    Glob::new(&String::from_utf8_lossy(bytes))
}

/// A name without a kind is a service's, as systemctl takes it; one without an instance (`getty@.service`) stands for all.
fn unit_glob(unit: &str) -> Result<Glob, String> {
    if unit.contains('/') {
        return Err(format!(
            "`unit` is \"{}\"; write the unit's name, or use `cgroup` for paths",
            unit.escape_debug()
        ));
    }
    let (stem, kind) =
        KINDS.iter().find_map(|kind| Some((unit.strip_suffix(kind)?, *kind))).unwrap_or((unit, ".service"));
    if stem.is_empty() {
        return Err("`unit` is empty; write the unit's name".to_owned());
    }
    let instance = if stem.ends_with('@') { "*" } else { "" };
    Glob::new(&format!("{stem}{instance}{kind}"))
}

/// Also as kubectl prints it, `containerd://ID`.
fn container_id(text: &str) -> Result<String, String> {
    let id = text.rsplit_once("://").map_or(text, |(_, id)| id).to_ascii_lowercase();
    let is_id = (LEAST_ID_DIGITS..=MOST_ID_DIGITS).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_id {
        return Ok(id);
    }
    Err(format!(
        "`container` is \"{}\"; write the container's id, {LEAST_ID_DIGITS} to {MOST_ID_DIGITS} hexadecimal digits of it",
        text.escape_debug()
    ))
}

fn checked_pod(text: &str) -> Result<String, String> {
    pod_uid(text).ok_or_else(|| {
        format!(
            "`pod` is \"{}\"; write the pod's UID: kubectl get pod NAME -o jsonpath={{.metadata.uid}}",
            text.escape_debug()
        )
    })
}
