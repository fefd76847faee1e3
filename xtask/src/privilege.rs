//! What this process may do, from `/proc/self/status` (capabilities(7)).

use anyhow::{Context as _, Result};
use std::fs;

const CAP_SYS_PTRACE: u32 = 19;
const CAP_SYS_ADMIN: u32 = 21;
const CAP_PERFMON: u32 = 38;
const CAP_BPF: u32 = 39;

/// The rights of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rights {
    effective_uid: u32,
    capabilities: u64,
}

impl Rights {
    /// The rights of this process.
    pub fn mine() -> Result<Self> {
        let path = "/proc/self/status";
        let status = fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
        Self::parse(&status).with_context(|| format!("{path} names no user or no capabilities"))
    }

    fn parse(status: &str) -> Option<Self> {
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name));
        let effective_uid = field("Uid:")?.split_whitespace().nth(1)?.parse().ok()?;
        let capabilities = u64::from_str_radix(field("CapEff:")?.trim(), 16).ok()?;
        Some(Self { effective_uid, capabilities })
    }

    /// Whether it runs as root, so may install packages.
    pub fn is_root(self) -> bool {
        self.effective_uid == 0
    }

    /// Whether it may load kernel programs and attach them to other processes.
    pub fn can_trace(self) -> bool {
        let has = |capability: u32| self.capabilities >> capability & 1 == 1;
        has(CAP_SYS_ADMIN) || (has(CAP_BPF) && has(CAP_PERFMON) && has(CAP_SYS_PTRACE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rights(uid: &str, capabilities: &str) -> Rights {
        Rights::parse(&format!("Name:\tx\nUid:\t1000\t{uid}\t0\t0\nCapEff:\t{capabilities}\n")).unwrap()
    }

    #[test]
    fn root_may_trace_and_a_user_may_not() {
        let root = rights("0", "000001ffffffffff");
        assert!(root.is_root() && root.can_trace());
        let user = rights("1000", "0000000000000000");
        assert!(!user.is_root() && !user.can_trace());
    }

    #[test]
    fn a_user_with_the_three_capabilities_may_trace() {
        // 1 << 39 | 1 << 38 | 1 << 19, then without the last.
        assert!(rights("1000", "000000c000080000").can_trace());
        assert!(!rights("1000", "000000c000000000").can_trace());
    }

    #[test]
    fn root_of_a_bare_container_may_not_trace() {
        assert!(!rights("0", "00000000a80425fb").can_trace());
    }
}
