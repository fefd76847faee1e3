//! The kernel's frequency policies: groups of CPUs whose frequency is set together.
//!
//! Source: Documentation/admin-guide/pm/cpufreq.rst.

use crate::Root;

/// Where they are, below the root.
pub const DIR: &str = "sys/devices/system/cpu/cpufreq";

/// Their directories below the root, sorted; none where the kernel sets no frequency.
pub fn policies(root: &Root) -> Vec<String> {
    let names = root.names(DIR).into_iter().filter(|name| name.starts_with("policy"));
    names.map(|name| format!("{DIR}/{name}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Tree;

    #[test]
    fn policies_are_found_and_nothing_else() {
        let tree = Tree::new(&[
            ("sys/devices/system/cpu/cpufreq/policy4/scaling_governor", "powersave"),
            ("sys/devices/system/cpu/cpufreq/policy0/scaling_governor", "powersave"),
            ("sys/devices/system/cpu/cpufreq/boost", "1"),
        ]);
        assert_eq!(policies(&tree.root), ["policy0", "policy4"].map(|name| format!("{DIR}/{name}")));
        assert_eq!(policies(&Tree::new(&[]).root), Vec::<String>::new());
    }
}
