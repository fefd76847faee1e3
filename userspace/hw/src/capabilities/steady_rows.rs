//! What follows for the steadiness of measurements: frequencies, who may count, and changes that are still in force. Pure.

use super::facts::Facts;
use super::features::{Feature, State, feature};
use super::privilege::missing;
use crate::paranoid::MOST_FOR_PERFMON;

/// Greatest `perf_event_paranoid` with which everybody may count on CPUs.
const OPEN_TO_ALL: i64 = 0;

/// The rows.
pub fn rows(facts: &Facts) -> Vec<Feature> {
    vec![frequency(facts), paranoid(facts), left(facts)]
}

fn frequency(facts: &Facts) -> Feature {
    const NAME: &str = "steady frequency";
    let found = &facts.frequency;
    if found.policies == 0 {
        let reason = match &facts.hypervisor {
            Some(_) => {
                "the host of this virtual machine sets the frequency, and the kernel knows nothing of it"
            }
            None => "the kernel sets no frequency (no cpufreq); firmware may",
        };
        return feature(NAME, State::Unavailable, (reason.to_owned(), None));
    }
    let (mut lacks, mut fixes) = (Vec::new(), Vec::new());
    if found.turbo == Some(true) {
        lacks.push("turbo is on".to_owned());
        fixes.push("turbo");
    }
    if found.governors.iter().any(|governor| governor != "performance") {
        lacks.push(format!("governor {}", found.governors.join(" ")));
        fixes.push("governor");
    }
    if found.unpinned_policies > 0 {
        lacks.push(format!(
            "{} of {} policies have a lower limit below the upper one",
            found.unpinned_policies, found.policies
        ));
        fixes.push("frequency");
    }
    if lacks.is_empty() {
        let reason = format!("governor performance, limits alike on {} policies", found.policies);
        return feature(NAME, State::Works, (reason, None));
    }
    let reason = format!("{}: times differ between runs where instructions do not", lacks.join("; "));
    let fix = format!("`waytrace doctor --fix {}`, as root", fixes.join(" "));
    feature(NAME, State::Degraded, (reason, Some(fix)))
}

fn paranoid(facts: &Facts) -> Feature {
    const NAME: &str = "perf_event_paranoid";
    let Some(value) = facts.kernel.sysctls.get("perf_event_paranoid").copied() else {
        return feature(NAME, State::Unavailable, ("it cannot be read".to_owned(), None));
    };
    if value <= OPEN_TO_ALL {
        return feature(NAME, State::Works, (format!("{value}: everybody may count on CPUs"), None));
    }
    let is_held = |capability: &'static str| missing(&facts.capabilities, &[capability]).is_empty();
    if value > MOST_FOR_PERFMON && is_held("CAP_PERFMON") && !is_held("CAP_SYS_ADMIN") {
        let reason = format!(
            "{value}: above 2 the kernels of Debian and Ubuntu ask for CAP_SYS_ADMIN instead of CAP_PERFMON"
        );
        let fix = "`sysctl kernel.perf_event_paranoid=2`, as packaging/waytrace.sysctl does";
        return feature(NAME, State::Degraded, (reason, Some(fix.to_owned())));
    }
    if is_held("CAP_PERFMON") {
        let reason = format!("{value}, which does not matter with CAP_PERFMON, which is held");
        return feature(NAME, State::Works, (reason, None));
    }
    let reason = format!("{value}: without CAP_PERFMON only own processes can be counted, if any");
    let fix =
        "CAP_PERFMON on the waytrace binary, or as root `waytrace doctor --fix paranoid`, for everybody";
    feature(NAME, State::Degraded, (reason, Some(fix.to_owned())))
}

fn left(facts: &Facts) -> Feature {
    const NAME: &str = "changes in force";
    if facts.left.is_empty() {
        let reason = "none that waytrace made and has not taken back".to_owned();
        return feature(NAME, State::Works, (reason, None));
    }
    let told = facts.left.iter().map(|left| match left.kept {
        true => format!("{} of `doctor --fix`", left.changes_count),
        false => format!(
            "{} of process {} (`{}`), which was killed, in {}",
            left.changes_count, left.pid, left.command, left.path
        ),
    });
    let reason = told.collect::<Vec<_>>().join("; ");
    let state = if facts.left.iter().all(|left| left.kept) { State::Works } else { State::Degraded };
    feature(NAME, state, (reason, Some("`waytrace doctor --restore` takes them back".to_owned())))
}
