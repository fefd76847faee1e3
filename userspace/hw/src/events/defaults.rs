//! The events a run counts when none are named.

use super::{EventSpec, resolve};
use crate::Machine;

const HARDWARE: [&str; 6] =
    ["cycles", "instructions", "cache-references", "cache-misses", "branches", "branch-misses"];
const EVERYWHERE: [&str; 5] =
    ["task-clock", "minor-faults", "major-faults", "context-switches", "cpu-migrations"];
const TSC: &str = "msr/tsc/";

/// Hardware events where a core PMU exists, the kernel's own numbers everywhere, the time stamp counter where it has
/// a PMU. Opening may still fail for one the CPU has not; the others stand.
pub fn default_events(machine: &Machine) -> Vec<EventSpec> {
    let names = HARDWARE.into_iter().chain(EVERYWHERE).chain([TSC]);
    names.filter_map(|name| resolve(machine, name).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Tree, hybrid, intel_like, software_pmus};

    fn names(tree: &Tree) -> Vec<String> {
        default_events(&tree.machine()).into_iter().map(|event| event.name).collect()
    }

    #[test]
    fn the_default_depends_on_what_is_there() {
        let bare = Tree::new(&[]);
        assert_eq!(names(&bare), EVERYWHERE);
        software_pmus(&bare);
        assert_eq!(names(&bare).last().map(String::as_str), Some(TSC));
        assert_eq!(names(&bare).len(), 6);
        for tree in [intel_like(), hybrid()] {
            let names = names(&tree);
            assert_eq!((names.len(), names[0].as_str()), (12, "cycles"));
        }
    }
}
