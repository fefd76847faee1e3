//! Settings of the machine that a measurement depends on, each with what follows from it.
//!
//! None of them forbids measuring: what the kernel then refuses is said event by event. Changes nothing. Sources:
//! `Documentation/admin-guide/sysctl/kernel.rst`, `Documentation/admin-guide/pm/{cpufreq,intel_pstate}.rst`.

use waytrace_hw::Root;
use waytrace_model::measured::Precondition;

/// Looks at all of them. Without a core PMU some do not matter.
pub fn check(root: &Root, has_core_pmu: bool) -> Vec<Precondition> {
    vec![paranoid(root), kptr_restrict(root), nmi_watchdog(root, has_core_pmu), governor(root), turbo(root)]
}

fn found(name: &str, value: Option<String>, is_good: bool, effect: &str) -> Precondition {
    Precondition { name: name.to_owned(), value, is_good, effect: effect.to_owned() }
}

fn paranoid(root: &Root) -> Precondition {
    let value = root.read("proc/sys/kernel/perf_event_paranoid").ok();
    let level = value.as_deref().and_then(|value| value.parse::<i64>().ok());
    let may = may_count_anything(root);
    let is_good = level.is_some_and(|level| level < 0 || may);
    let effect = match level {
        Some(level) if level < 0 => "every user may count on all CPUs",
        Some(_) if may => "does not hold for this process, which has the capability",
        Some(0) => "counting on all CPUs is allowed, raw tracepoints need root or CAP_PERFMON",
        Some(_) => {
            "counting on all CPUs needs root or CAP_PERFMON, or `sysctl kernel.perf_event_paranoid=-1`"
        }
        None => "this kernel has no perf events, or /proc is not readable",
    };
    found("perf_event_paranoid", value, is_good, effect)
}

/// Whether this process has CAP_PERFMON, or CAP_SYS_ADMIN, which includes it.
fn may_count_anything(root: &Root) -> bool {
    const PERFMON_OR_ADMIN: u64 = 1 << 38 | 1 << 21;
    let status = root.read("proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    effective
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask & PERFMON_OR_ADMIN != 0)
}

fn kptr_restrict(root: &Root) -> Precondition {
    let value = root.read("proc/sys/kernel/kptr_restrict").ok();
    let is_good = value.as_deref() == Some("0");
    let effect = "counting does not need kernel addresses; only naming kernel functions does";
    found("kptr_restrict", value, is_good, effect)
}

fn nmi_watchdog(root: &Root, has_core_pmu: bool) -> Precondition {
    let value = root.read("proc/sys/kernel/nmi_watchdog").ok();
    let holds = has_core_pmu && value.as_deref() == Some("1");
    let effect = match (has_core_pmu, holds) {
        (_, true) => {
            "it holds a counter of every CPU, which the plan leaves to it; `sysctl kernel.nmi_watchdog=0` frees it"
        }
        (true, false) => "all counters are free of it",
        (false, _) => "no hardware counter here that it could hold",
    };
    found("nmi_watchdog", value, !holds, effect)
}

fn governor(root: &Root) -> Precondition {
    let value = root.read("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor").ok();
    let (is_good, effect) = match value.as_deref() {
        Some("performance") => (true, "frequencies stay high"),
        Some(_) => (
            false,
            "frequencies follow the load, so times differ between epochs; `cpupower frequency-set -g performance` holds them",
        ),
        None => (true, "the machine gives no say in its frequencies; a host below may change them"),
    };
    found("frequency governor", value, is_good, effect)
}

fn turbo(root: &Root) -> Precondition {
    let no_turbo = root.read("sys/devices/system/cpu/intel_pstate/no_turbo").ok();
    let boost = root.read("sys/devices/system/cpu/cpufreq/boost").ok();
    let is_on = match (no_turbo.as_deref(), boost.as_deref()) {
        (Some(text), _) => Some(text == "0"),
        (None, Some(text)) => Some(text == "1"),
        (None, None) => None,
    };
    let (value, is_good, effect) = match is_on {
        Some(true) => (
            Some("on"),
            false,
            "frequencies depend on temperature and on how many cores are busy; counts per cycle stay comparable, times less",
        ),
        Some(false) => (Some("off"), true, "frequencies do not depend on what other cores do"),
        None => (None, true, "the machine does not tell"),
    };
    found("turbo", value.map(str::to_owned), is_good, effect)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn machine(files: &[(&str, &str)]) -> (tempfile::TempDir, Root) {
        let tree = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = tree.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let root = Root::new(tree.path());
        (tree, root)
    }

    fn good(files: &[(&str, &str)], has_core_pmu: bool) -> Vec<bool> {
        let (_tree, root) = machine(files);
        check(&root, has_core_pmu).iter().map(|one| one.is_good).collect()
    }

    #[test]
    fn each_is_judged_by_its_own_value() {
        let quiet = [
            ("proc/sys/kernel/perf_event_paranoid", "-1"),
            ("proc/sys/kernel/kptr_restrict", "0"),
            ("proc/sys/kernel/nmi_watchdog", "0"),
            ("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "performance"),
            ("sys/devices/system/cpu/intel_pstate/no_turbo", "1"),
        ];
        assert_eq!(good(&quiet, true), [true; 5]);
        let loud = [
            ("proc/sys/kernel/perf_event_paranoid", "2"),
            ("proc/sys/kernel/kptr_restrict", "1"),
            ("proc/sys/kernel/nmi_watchdog", "1"),
            ("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave"),
            ("sys/devices/system/cpu/cpufreq/boost", "1"),
        ];
        assert_eq!(good(&loud, true), [false; 5]);
        assert!(good(&loud, false)[2], "a watchdog without counters takes none");
        let capable = [loud[0], ("proc/self/status", "Name:\tx\nCapEff:\t0000004000000000\n")];
        assert!(good(&capable, true)[0]);
        let incapable = [loud[0], ("proc/self/status", "Name:\tx\nCapEff:\t0000000000000001\n")];
        assert!(!good(&incapable, true)[0]);
    }

    #[test]
    fn what_the_machine_does_not_tell_is_said() {
        let (_tree, root) = machine(&[]);
        let checked = check(&root, false);
        assert!(checked.iter().all(|one| one.value.is_none() && !one.effect.is_empty()), "{checked:?}");
    }
}
