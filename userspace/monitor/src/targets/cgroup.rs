//! What the paths of a process's control groups say: unit, container, pod.
//!
//! Formats: cgroups(7) for `/proc/PID/cgroup`; systemd's documentation of control groups for units, and its escape `_` before names that clash with files of
//! the kernel; the runtimes' own for containers: `docker-ID.scope`, `cri-containerd-ID.scope`, `crio-ID.scope`, `libpod-ID.scope`, `nerdctl-ID.scope`
//! by systemd's driver, `ID`, `crio-ID` and `libpod-ID` by the kernel's; kubelet's for pods: `pod<UID>`, and `kubepods-burstable-pod<UID>.slice` with
//! `_` for `-`.

use super::glob::Glob;

/// The groups of a process, one in each hierarchy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Groups(Vec<Group>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Group {
    /// Controllers of a v1 hierarchy, with commas; empty for v2.
    controllers: String,
    path: String,
}

/// Names under which hierarchies of v1 are mounted, one for each controller or for several with commas.
const V1: [&str; 16] = [
    "blkio",
    "cpu",
    "cpuacct",
    "cpuset",
    "devices",
    "freezer",
    "hugetlb",
    "memory",
    "misc",
    "net_cls",
    "net_prio",
    "perf_event",
    "pids",
    "rdma",
    "systemd",
    "unified",
];
const MOUNT: &str = "/sys/fs/cgroup";
/// What the kernel adds to the path of a group that was removed.
const REMOVED: &str = " (deleted)";
const ID_DIGITS: usize = 64;

impl Groups {
    /// Reads the text of `/proc/PID/cgroup`. Lines of another form are passed over.
    pub fn parse(text: &str) -> Self {
        let group = |line: &str| {
            let mut parts = line.splitn(3, ':').skip(1);
            let (controllers, path) = (parts.next()?, parts.next()?);
            let path = path.strip_suffix(REMOVED).unwrap_or(path).to_owned();
            Some(Group { controllers: controllers.to_owned(), path })
        };
        Self(text.lines().filter_map(group).collect())
    }

    /// Directories on the way to any of the groups, as one sees them below the mount point.
    fn components(&self) -> impl Iterator<Item = &str> {
        self.0.iter().flat_map(|group| group.path.split('/')).filter(|name| !name.is_empty() && *name != "..")
    }

    /// Whether a unit of that name, or of that pattern, is on the way.
    pub fn in_unit(&self, unit: &Glob) -> bool {
        self.components()
            .any(|name| unit.matches(name) || name.strip_prefix('_').is_some_and(|n| unit.matches(n)))
    }

    /// Whether a container whose id begins so is on the way.
    pub fn in_container(&self, prefix: &str) -> bool {
        self.components().filter_map(container).any(|id| id.starts_with(prefix))
    }

    /// Whether the pod of that UID (lower case, with dashes) is on the way.
    pub fn in_pod(&self, uid: &str) -> bool {
        self.components().filter_map(pod).any(|found| found == uid)
    }
}

/// The id of the container a directory belongs to. The monitor processes of podman and CRI-O live in groups with the id of their container, but are
/// none of its processes.
fn container(name: &str) -> Option<&str> {
    let name = name.strip_suffix(".scope").unwrap_or(name);
    let (before, id) = name.rsplit_once(['-', ':']).unwrap_or(("", name));
    let is_id = id.len() == ID_DIGITS && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    (is_id && !before.ends_with("conmon")).then_some(id)
}

/// The UID of the pod a directory belongs to. A part after a colon is containerd's, when its driver and kubelet's differ.
fn pod(name: &str) -> Option<String> {
    let name = name.split(':').next()?;
    let name = name.strip_suffix(".slice").unwrap_or(name);
    let uid = name.strip_prefix("pod").or_else(|| name.rsplit_once("-pod").map(|(_, uid)| uid))?;
    pod_uid(uid)
}

/// A pod's UID in one spelling: of five groups of digits, or kubelet's hash of a static pod.
pub fn pod_uid(text: &str) -> Option<String> {
    let uid = text.replace('_', "-").to_ascii_lowercase();
    let hex = |part: &str| part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let parts: Vec<&str> = uid.split('-').collect();
    let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    let is_uid = parts.iter().all(|part| hex(part)) && (lengths == [8, 4, 4, 4, 12] || lengths == [32]);
    is_uid.then_some(uid)
}

/// A group and all below it, by path or pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupGlob {
    /// The hierarchy of v1 that a path below the mount point names, and the path in it.
    in_hierarchy: Option<(String, Glob)>,
    anywhere: Glob,
}

impl GroupGlob {
    /// Reads a path or pattern, with or without the mount point.
    ///
    /// # Errors
    /// What is wrong, and the mend.
    pub fn new(pattern: &str) -> Result<Self, String> {
        let below = pattern.strip_prefix(MOUNT).filter(|rest| rest.is_empty() || rest.starts_with('/'));
        let path = below.unwrap_or(pattern).trim_end_matches('/');
        let path = format!("/{}", path.trim_start_matches('/'));
        if path == "/" {
            return Err("`cgroup` names the root, in which every process is; use `machine = true`".to_owned());
        }
        let hierarchy = path.trim_start_matches('/').split_once('/').filter(|_| below.is_some());
        let is_v1 = |name: &str| name.split(',').all(|part| V1.contains(&part));
        let in_hierarchy = match hierarchy.filter(|(name, _)| is_v1(name)) {
            Some((name, rest)) => Some((name.to_owned(), Glob::path(&format!("/{rest}"))?)),
            None => None,
        };
        Ok(Self { in_hierarchy, anywhere: Glob::path(&path)? })
    }

    /// Whether one of the groups is this one or below it.
    pub fn matches(&self, groups: &Groups) -> bool {
        if let Some((name, glob)) = &self.in_hierarchy {
            let mut of_name = groups.0.iter().filter(|group| group.is_of(name)).peekable();
            if of_name.peek().is_some() {
                return of_name.any(|group| glob.matches_within(&group.path));
            }
        }
        groups.0.iter().any(|group| self.anywhere.matches_within(&group.path))
    }
}

impl Group {
    /// Whether it is of the hierarchy mounted under this name.
    fn is_of(&self, name: &str) -> bool {
        match name {
            "unified" => self.controllers.is_empty(),
            "systemd" => self.controllers == "name=systemd",
            names => names.split(',').all(|name| self.controllers.split(',').any(|own| own == name)),
        }
    }
}
