//! Capabilities of this process, by name. Source: `capabilities(7)`, `include/uapi/linux/capability.h`.

use crate::Root;

/// Names by bit.
pub const CAPABILITY_NAMES: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

/// Effective capabilities of this process; none where `/proc` does not tell.
pub fn held(root: &Root) -> Vec<String> {
    let status = root.read("proc/self/status").unwrap_or_default();
    let mask =
        status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("CapEff:")?.trim(), 16).ok());
    names(mask.unwrap_or(0))
}

fn names(mask: u64) -> Vec<String> {
    let named = |(bit, name): (usize, &&str)| (mask >> bit & 1 == 1).then(|| (*name).to_owned());
    CAPABILITY_NAMES.iter().enumerate().filter_map(named).collect()
}

/// Whether this process is in another user namespace than the machine's first, which maps every id to itself.
pub fn in_user_namespace(root: &Root) -> bool {
    let map = root.read("proc/self/uid_map").unwrap_or_default();
    let fields: Vec<&str> = map.split_whitespace().collect();
    !fields.is_empty() && fields != ["0", "0", "4294967295"]
}

/// Whether this process is in another PID namespace than the machine's first, whose number the kernel fixes
/// (`PID_NS_INIT_INO`, `include/uapi/linux/nsfs.h`). False where `/proc` does not tell.
pub fn in_pid_namespace(root: &Root) -> bool {
    const FIRST: &str = "pid:[4026531836]";
    let own = std::fs::read_link(root.path("proc/self/ns/pid"));
    own.is_ok_and(|own| own != std::path::Path::new(FIRST))
}

/// Of `needed`, those not `held`. CAP_SYS_ADMIN stands in for CAP_BPF, CAP_PERFMON and CAP_CHECKPOINT_RESTORE, which
/// were split from it.
pub fn missing<'a>(held: &[String], needed: &[&'a str]) -> Vec<&'a str> {
    let has = |name: &str| held.iter().any(|own| own == name);
    let split_off = |name: &str| ["CAP_BPF", "CAP_PERFMON", "CAP_CHECKPOINT_RESTORE"].contains(&name);
    let covered = |name: &str| has(name) || split_off(name) && has("CAP_SYS_ADMIN");
    needed.iter().copied().filter(|name| !covered(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Tree;

    #[test]
    fn bits_have_the_kernels_names() {
        assert_eq!(names(1 << 39 | 1 << 38 | 1 << 19), ["CAP_SYS_PTRACE", "CAP_PERFMON", "CAP_BPF"]);
        assert_eq!(names(0x1ff_ffff_ffff).len(), 41);
        let tree = Tree::new(&[("proc/self/status", "Name:\tx\nCapEff:\t0000000000200000\n")]);
        assert_eq!(held(&tree.root), ["CAP_SYS_ADMIN"]);
    }

    #[test]
    fn the_first_user_namespace_maps_everybody() {
        for (map, own) in [("         0          0 4294967295\n", false), ("0 1000 1\n", true), ("", false)] {
            assert_eq!(in_user_namespace(&Tree::new(&[("proc/self/uid_map", map)]).root), own, "{map}");
        }
    }

    #[test]
    fn the_first_pid_namespace_has_a_fixed_number() {
        let tree = Tree::new(&[("proc/self/ns/user", "")]);
        assert!(!in_pid_namespace(&tree.root), "no conclusion where nothing is told");
        let link = tree.root.path("proc/self/ns/pid");
        for (number, own) in [("4026531836", false), ("4026532301", true)] {
            std::os::unix::fs::symlink(format!("pid:[{number}]"), &link).unwrap();
            assert_eq!(in_pid_namespace(&tree.root), own, "{number}");
            std::fs::remove_file(&link).unwrap();
        }
    }

    #[test]
    fn the_old_capability_stands_in_for_those_split_from_it() {
        let needed = ["CAP_BPF", "CAP_PERFMON", "CAP_SYS_PTRACE"];
        assert_eq!(missing(&["CAP_SYS_ADMIN".to_owned()], &needed), ["CAP_SYS_PTRACE"]);
        assert_eq!(missing(&["CAP_BPF".to_owned()], &needed), ["CAP_PERFMON", "CAP_SYS_PTRACE"]);
    }
}
