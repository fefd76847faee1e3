//! Gives up every capability but those that watching needs. Source: capabilities(7), `include/uapi/linux/capability.h`.
//!
//! What is kept stays in all five sets, so that recordings, programs of their own, have it as well: for root through the bounding set, for other users
//! through the ambient one. What is given up is out of all of them and cannot come back.

use std::fmt;

use thiserror::Error;
use waytrace_hw::paranoid::MOST_FOR_PERFMON;

use super::sys;

/// A capability that watching may need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Capability {
    /// Files that are not readable for everybody: binaries of targets, tracefs.
    DacReadSearch = 2,
    /// Executables and namespaces of other users' processes.
    SysPtrace = 19,
    /// Allocator probes by perf's uprobe PMU, on kernels without multi-uprobe links; perf events on Debian and Ubuntu above a setting.
    SysAdmin = 21,
    /// Programs on tracepoints and probes, perf events of others.
    Perfmon = 38,
    /// BPF maps and programs.
    Bpf = 39,
    /// Binaries that were removed or replaced while they run.
    CheckpointRestore = 40,
}

impl Capability {
    const ALL: [Self; 6] = [
        Self::DacReadSearch,
        Self::SysPtrace,
        Self::SysAdmin,
        Self::Perfmon,
        Self::Bpf,
        Self::CheckpointRestore,
    ];

    /// The kernel's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DacReadSearch => "CAP_DAC_READ_SEARCH",
            Self::SysPtrace => "CAP_SYS_PTRACE",
            Self::SysAdmin => "CAP_SYS_ADMIN",
            Self::Perfmon => "CAP_PERFMON",
            Self::Bpf => "CAP_BPF",
            Self::CheckpointRestore => "CAP_CHECKPOINT_RESTORE",
        }
    }

    const fn bit(self) -> u64 {
        1 << self as u8
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why capabilities could not be given up.
#[derive(Debug, Error)]
pub enum Error {
    /// They belong to threads, and one cannot give up those of another.
    #[error(
        "capabilities can be given up only while there is one thread, and there are {0}; this is a fault of waytrace"
    )]
    Threads(usize),
    /// The kernel refused.
    #[error("cannot {what}: {source}")]
    Refused {
        /// What was tried.
        what: &'static str,
        /// The kernel's answer.
        source: std::io::Error,
    },
}

/// What is left.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Held {
    /// Kept.
    pub kept: Vec<Capability>,
    /// Needed, but this process never had them.
    pub lacking: Vec<Capability>,
}

/// What watching needs on a kernel of that release and that `kernel.perf_event_paranoid`. CAP_SYS_ADMIN is needed before multi-uprobe links (6.6) for perf's uprobe
/// PMU, on stable kernels that carry the change made in 6.16, and above [`MOST_FOR_PERFMON`] on kernels of Debian and Ubuntu (`docs/permissions.md`).
pub fn needed(release: &str, paranoid: Option<i64>) -> Vec<Capability> {
    let has_links = version(release).is_none_or(|version| version >= (6, 6));
    let takes_perfmon = paranoid.is_none_or(|level| level <= MOST_FOR_PERFMON);
    let is_needed = |one: &Capability| *one != Capability::SysAdmin || !has_links || !takes_perfmon;
    Capability::ALL.into_iter().filter(is_needed).collect()
}

/// `6.18.44-fc` is (6, 18).
fn version(release: &str) -> Option<(u32, u32)> {
    let mut parts = release.split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// Gives up all capabilities but these, for this process and all it starts, for good. To be called before there is a second thread.
///
/// # Errors
/// [`Error`]; then some may have been given up already, and going on is not what was asked for.
pub fn keep_only(wanted: &[Capability]) -> Result<Held, Error> {
    let threads = sys::threads();
    if threads != 1 {
        return Err(Error::Threads(threads));
    }
    let refused = |what| move |source| Error::Refused { what, source };
    let permitted = sys::permitted().map_err(refused("read the capabilities of this process"))?;
    let (kept, lacking): (Vec<_>, Vec<_>) = wanted.iter().partition(|one| permitted & one.bit() != 0);
    let keep = kept.iter().fold(0, |sum, one: &Capability| sum | one.bit());
    // The bounding set first: narrowing it takes CAP_SETPCAP, which is given up next. Who lacks that, cannot gain any by it either, for no file or
    // change of user gives more with no_new_privs.
    if sys::is_effective(sys::SETPCAP).map_err(refused("read the capabilities of this process"))? {
        sys::bound(keep).map_err(refused("narrow the bounding set"))?;
    }
    sys::set(keep).map_err(refused("give up capabilities"))?;
    sys::set_ambient(keep).map_err(refused("set the ambient set"))?;
    Ok(Held { kept, lacking })
}

/// No program this process starts gains rights by its file: neither by set-user-ID nor by file capabilities. A hook's command that needs sudo does not
/// work with it; recordings do.
///
/// # Errors
/// [`Error::Refused`].
pub fn no_new_privileges() -> Result<(), Error> {
    sys::no_new_privileges().map_err(|source| Error::Refused { what: "set no_new_privs", source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_kernels_need_one_more() {
        let name = |release| needed(release, Some(2)).iter().map(|one| one.name()).collect::<Vec<_>>();
        let usual =
            ["CAP_DAC_READ_SEARCH", "CAP_SYS_PTRACE", "CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE"];
        for release in ["6.6.0", "6.18.44-fc-v669", "7.0-rc1", "unknown"] {
            assert_eq!(name(release), usual, "{release}");
        }
        for release in ["6.5.13-amd64", "5.15.0"] {
            assert!(name(release).contains(&"CAP_SYS_ADMIN"), "{release}");
        }
        for (paranoid, is_needed) in [(None, false), (Some(-1), false), (Some(3), true), (Some(4), true)] {
            assert_eq!(needed("6.18", paranoid).contains(&Capability::SysAdmin), is_needed, "{paranoid:?}");
        }
    }

    #[test]
    fn documents_and_packaging_name_exactly_these() {
        let unit = include_str!("../../../../packaging/waytrace.service");
        let daemon_set = include_str!("../../../../packaging/daemonset.yaml");
        let page = include_str!("../../../../docs/permissions.md");
        let needed = needed("6.6", Some(2));
        let names: Vec<&str> = needed.iter().map(|one| one.name()).collect();
        for key in ["CapabilityBoundingSet=", "AmbientCapabilities="] {
            let line = unit.lines().find_map(|line| line.strip_prefix(key)).unwrap();
            let mut listed: Vec<&str> = line.split_whitespace().collect();
            let mut expected = names.clone();
            listed.sort_unstable();
            expected.sort_unstable();
            assert_eq!(listed, expected, "{key}");
        }
        let add = daemon_set.lines().find_map(|line| line.trim().strip_prefix("add: [")).unwrap();
        let mut listed: Vec<&str> = add.trim_end_matches(']').split(", ").collect();
        let mut expected: Vec<&str> = names.iter().map(|name| &name["CAP_".len()..]).collect();
        listed.sort_unstable();
        expected.sort_unstable();
        assert_eq!(listed, expected);
        let section = page.split("## What `monitor` keeps").nth(1).unwrap().split("\n## ").next().unwrap();
        for name in Capability::ALL.map(Capability::name) {
            assert!(section.contains(name), "docs/permissions.md: {name}");
        }
    }
}
