//! Signs that a machine takes harm, without the kernel's log: machine checks, memory errors, lock-ups.
//!
//! Source: `Documentation/admin-guide/tainted-kernels.rst`, `arch_show_interrupts` of arch/x86/kernel/irq.c,
//! `Documentation/ABI/testing/sysfs-devices-edac`.

use std::collections::BTreeMap;

use crate::Root;

/// Bits of `/proc/sys/kernel/tainted`.
const TAINTS: [(u32, &str); 3] = [(4, "machine check"), (7, "kernel oops"), (14, "soft lock-up")];
/// Rows of `/proc/interrupts`. Polls for machine checks (`MCP`) come by themselves.
const INTERRUPTS: [(&str, &str); 3] = [
    ("MCE", "machine check exception"),
    ("THR", "machine check threshold"),
    ("DFR", "deferred machine check"),
];

/// What has happened so far, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Health(BTreeMap<String, u64>);

impl Health {
    /// Reads every sign this machine has.
    pub fn read(root: &Root) -> Self {
        let mut signs = BTreeMap::new();
        if let Some(taint) = root.read_number("proc/sys/kernel/tainted") {
            for (bit, name) in TAINTS {
                signs.insert(format!("{name} (kernel taint)"), (taint >> bit & 1).cast_unsigned());
            }
        }
        let interrupts = root.read("proc/interrupts").unwrap_or_default();
        for (row, name) in INTERRUPTS {
            let line =
                interrupts.lines().find_map(|line| line.trim_start().strip_prefix(row)?.strip_prefix(':'));
            if let Some(line) = line {
                let counts = line.split_whitespace().map_while(|word| word.parse::<u64>().ok());
                signs.insert(format!("{name} ({row} in /proc/interrupts)"), counts.sum());
            }
        }
        let edac = "sys/devices/system/edac/mc";
        for controller in root.names(edac).iter().filter(|name| name.starts_with("mc")) {
            for (file, name) in [("ue_count", "uncorrected"), ("ce_count", "corrected")] {
                if let Some(count) = root.read_number(&format!("{edac}/{controller}/{file}")) {
                    signs.insert(
                        format!("{name} memory error ({controller}/{file})"),
                        count.max(0).cast_unsigned(),
                    );
                }
            }
        }
        Self(signs)
    }

    /// Whether nothing here would tell of harm.
    pub fn is_blind(&self) -> bool {
        self.0.is_empty()
    }

    /// What has happened since `before`, or cannot be seen any more.
    pub fn harm_since(&self, before: &Self) -> Option<String> {
        before.0.iter().find_map(|(sign, count)| match self.0.get(sign) {
            Some(now) if now <= count => None,
            Some(_) => Some(sign.clone()),
            None => Some(format!("{sign} cannot be read any more")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Tree;

    fn machine() -> Tree {
        Tree::new(&[
            ("proc/sys/kernel/tainted", "512\n"),
            (
                "proc/interrupts",
                "      CPU0 CPU1\n 0: 9 9 timer\nMCE: 0 1 Machine check exceptions\nMCP: 7 7 polls\n",
            ),
            ("sys/devices/system/edac/mc/mc0/ue_count", "0\n"),
            ("sys/devices/system/edac/mc/mc0/ce_count", "3\n"),
        ])
    }

    #[test]
    fn each_sign_is_seen() {
        let changes = [
            ("proc/sys/kernel/tainted", "528\n", "machine check (kernel taint)"),
            ("proc/sys/kernel/tainted", "16896\n", "soft lock-up"),
            ("proc/interrupts", "MCE: 1 1 Machine check exceptions\n", "machine check exception"),
            ("sys/devices/system/edac/mc/mc0/ce_count", "4\n", "corrected memory error (mc0/ce_count)"),
            ("sys/devices/system/edac/mc/mc0/ue_count", "1\n", "uncorrected memory error"),
            ("proc/interrupts", "", "cannot be read any more"),
        ];
        for (file, text, expected) in changes {
            let tree = machine();
            let before = Health::read(&tree.root);
            tree.write(file, text);
            let sign = Health::read(&tree.root).harm_since(&before).unwrap();
            assert!(sign.contains(expected), "{file}: {sign}");
        }
    }

    #[test]
    fn what_happens_anyway_is_no_sign() {
        let tree = machine();
        let before = Health::read(&tree.root);
        tree.write("proc/sys/kernel/tainted", "513\n");
        tree.write("proc/interrupts", "MCE: 0 1 Machine check exceptions\nMCP: 8 8 polls\n");
        assert_eq!(Health::read(&tree.root).harm_since(&before), None);
        assert!(Health::read(&Tree::new(&[]).root).is_blind() && !before.is_blind());
    }
}
