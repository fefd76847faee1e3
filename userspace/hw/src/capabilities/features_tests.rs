//! Conclusions from facts and attempts that are written down here.

use super::*;
use crate::capabilities::facts::{RdtFacts, TracefsFacts};
use crate::capabilities::kernel::Kernel;
use crate::capabilities::{Attempts, PmuFacts, ProcessAccess};

/// A machine where everything waytrace uses today works.
fn healthy() -> (Facts, Attempts) {
    let facts = Facts {
        kernel: Kernel { release: "6.18.0".to_owned(), ..Kernel::default() },
        cpu_model: String::new(),
        cpus_online: "0-1".to_owned(),
        numa_nodes: Vec::new(),
        hypervisor: None,
        btf: true,
        tracefs: TracefsFacts::PrivateView,
        capabilities: Vec::new(),
        user_namespace: false,
        pid_namespace: false,
        pmus: Vec::new(),
        rdt: RdtFacts::default(),
        msr_device: false,
    };
    let ok = || Attempt::Works;
    let attempts = Attempts {
        bpf_map: ok(),
        bpf_program: ok(),
        uprobe_multi: ok(),
        uprobe: ok(),
        hardware_counter: ok(),
        software_counter: ok(),
        tsc_counter: ok(),
        mapping_tracepoints: ok(),
        map_files: ok(),
        process_access: ProcessAccess { open_count: 9, denied_count: 0 },
        msr_device: ok(),
        breakpoints_count: 4,
    };
    (facts, attempts)
}

fn fail(errno: i32) -> Attempt {
    Attempt::Failed { errno: Some(errno), message: "told so".to_owned() }
}

fn find(facts: &Facts, attempts: &Attempts, name: &str) -> Feature {
    judge(facts, attempts).into_iter().find(|feature| feature.name.starts_with(name)).unwrap()
}

#[test]
fn a_healthy_machine_lacks_only_what_has_no_command_yet() {
    let (facts, attempts) = healthy();
    let features = judge(&facts, &attempts);
    let lacking: Vec<&str> =
        features.iter().filter(|feature| feature.state != State::Works).map(|feature| feature.name).collect();
    assert_eq!(
        lacking,
        [
            "precise sampling (PEBS/IBS/SPE)",
            "cache allocation (CAT)",
            "cache monitoring (CMT/MBM)",
            "MSR access"
        ]
    );
}

#[test]
fn a_missing_capability_is_named_with_its_fix() {
    let (facts, mut attempts) = healthy();
    attempts.bpf_program = fail(libc::EPERM);
    let profile = find(&facts, &attempts, PROFILE);
    assert_eq!(profile.state, State::Unavailable);
    assert!(profile.reason.unwrap().contains("missing CAP_BPF, CAP_PERFMON"));
    assert!(profile.fix.unwrap().contains("setcap cap_bpf,cap_perfmon,cap_sys_ptrace"));
}

#[test]
fn a_refusal_in_spite_of_the_capability_is_a_filter() {
    let (mut facts, mut attempts) = healthy();
    facts.capabilities = vec!["CAP_BPF".to_owned()];
    attempts.bpf_map = fail(libc::EPERM);
    let profile = find(&facts, &attempts, PROFILE);
    assert!(profile.fix.unwrap().contains("seccomp"));
    assert!(profile.reason.unwrap().contains("although CAP_BPF is held"));
    facts.user_namespace = true;
    assert!(find(&facts, &attempts, PROFILE).fix.unwrap().contains("outside the user namespace"));
}

#[test]
fn a_lockdown_is_named_before_capabilities_are() {
    let (mut facts, mut attempts) = healthy();
    facts.kernel.lockdown = Some("confidentiality".to_owned());
    assert_eq!(find(&facts, &attempts, PROFILE).state, State::Works);
    attempts.bpf_program = fail(libc::EINVAL);
    assert!(find(&facts, &attempts, PROFILE).fix.unwrap().contains("lockdown=confidentiality"));
}

#[test]
fn without_btf_or_timer_there_is_no_profile() {
    let (mut facts, mut attempts) = healthy();
    facts.btf = false;
    assert!(find(&facts, &attempts, PROFILE).fix.unwrap().contains("CONFIG_DEBUG_INFO_BTF"));
    facts.btf = true;
    attempts.software_counter = fail(libc::EACCES);
    assert_eq!(find(&facts, &attempts, PROFILE).state, State::Unavailable);
}

#[test]
fn accesses_need_a_timer_and_their_checks_two_breakpoints() {
    let (facts, mut attempts) = healthy();
    let state = |attempts: &Attempts| find(&facts, attempts, "accesses").state;
    assert_eq!(state(&attempts), State::Works);
    attempts.breakpoints_count = 1;
    assert_eq!(state(&attempts), State::Degraded);
    attempts.software_counter = fail(libc::EACCES);
    assert_eq!(state(&attempts), State::Unavailable);
}

#[test]
fn in_a_pid_namespace_of_its_own_it_cannot_tell_its_targets() {
    let (mut facts, attempts) = healthy();
    facts.pid_namespace = true;
    for name in [PROFILE, "allocations: exact", "allocations: budgeted", "mappings", "stacks"] {
        let feature = find(&facts, &attempts, name);
        assert_eq!(feature.state, State::Unavailable, "{name}");
        assert!(feature.reason.unwrap().contains("PID namespace"), "{name}");
        assert!(feature.fix.unwrap().contains("--pid=host"), "{name}");
    }
    assert_eq!(find(&facts, &attempts, "counters: software").state, State::Works);
}

#[test]
fn without_uprobes_counters_remain() {
    let (mut facts, mut attempts) = healthy();
    attempts.uprobe = Attempt::failed("the kernel has no uprobe PMU");
    attempts.uprobe_multi = fail(libc::EOPNOTSUPP);
    facts.kernel.options.insert("UPROBE_EVENTS".to_owned(), OptionState::No);
    let profile = find(&facts, &attempts, PROFILE);
    assert_eq!(profile.state, State::Degraded);
    assert!(profile.reason.unwrap().starts_with("counters only"));
    for name in ["allocations: exact", "allocations: budgeted"] {
        let feature = find(&facts, &attempts, name);
        assert_eq!(feature.state, State::Unavailable, "{name}");
        assert!(feature.fix.unwrap().contains("CONFIG_UPROBE_EVENTS"));
    }
    assert_eq!(find(&facts, &attempts, "mappings").state, State::Works);
}

#[test]
fn links_for_many_uprobes_need_no_perf_pmu() {
    let (facts, mut attempts) = healthy();
    let before = judge(&facts, &attempts);
    attempts.uprobe = fail(libc::EACCES);
    assert_eq!(judge(&facts, &attempts), before);
    attempts.uprobe_multi = fail(libc::EINVAL);
    let exact = find(&facts, &attempts, "allocations: exact");
    assert!(exact.reason.unwrap().contains("missing CAP_SYS_ADMIN"));
    assert!(exact.fix.unwrap().contains("cap_checkpoint_restore,cap_sys_admin+ep"));
}

#[test]
fn each_lack_degrades_its_own_feature() {
    type Change = fn(&mut Facts, &mut Attempts);
    let cases: [(&str, State, Change); 7] = [
        ("allocations: budgeted", State::Degraded, |_, a| a.uprobe_multi = fail(libc::EINVAL)),
        ("counters: hardware", State::Unavailable, |_, a| a.hardware_counter = fail(libc::ENOENT)),
        ("counters: msr/tsc", State::Unavailable, |_, a| a.tsc_counter = fail(libc::ENOENT)),
        ("mappings", State::Degraded, |_, a| a.mapping_tracepoints = Attempt::failed("no tracefs")),
        ("symbols", State::Degraded, |_, a| a.map_files = fail(libc::EPERM)),
        ("namespaces", State::Degraded, |_, a| a.process_access.denied_count = 3),
        ("profile", State::Degraded, |f, _| f.kernel.release = "5.10.0".to_owned()),
    ];
    for (name, state, change) in cases {
        let (mut facts, mut attempts) = healthy();
        let before = judge(&facts, &attempts);
        change(&mut facts, &mut attempts);
        let after = judge(&facts, &attempts);
        let changed: Vec<&Feature> = after.iter().filter(|feature| !before.contains(feature)).collect();
        assert_eq!(changed.len(), 1, "{name}: {changed:?}");
        assert!(changed[0].name.starts_with(name) && changed[0].state == state, "{name}: {changed:?}");
        assert!(changed[0].reason.is_some());
    }
}

#[test]
fn a_process_guarded_against_root_is_noted_but_degrades_nothing() {
    let (mut facts, mut attempts) = healthy();
    facts.capabilities = vec!["CAP_SYS_PTRACE".to_owned()];
    attempts.process_access.denied_count = 1;
    let feature = find(&facts, &attempts, "namespaces");
    assert_eq!((feature.state, feature.fix), (State::Works, None));
    assert!(feature.reason.unwrap().starts_with("1 of 10 processes"));
}

#[test]
fn a_virtual_machine_is_told_how_to_get_a_pmu() {
    let (mut facts, mut attempts) = healthy();
    facts.hypervisor = Some("KVM".to_owned());
    attempts.hardware_counter = Attempt::failed("no PMU");
    assert!(find(&facts, &attempts, "counters: hardware").fix.unwrap().contains("pmu=on"));
}

#[test]
fn hardware_that_is_there_is_not_called_missing() {
    let (mut facts, attempts) = healthy();
    facts.rdt.allocation_flags = vec!["cat_l3".to_owned()];
    assert!(find(&facts, &attempts, "cache allocation").fix.unwrap().contains("CONFIG_X86_CPU_RESCTRL"));
    facts.rdt.resctrl_in_kernel = true;
    facts.msr_device = true;
    facts.pmus.push(PmuFacts {
        name: "cpu".to_owned(),
        type_number: 4,
        core: true,
        events: Vec::new(),
        max_precise: Some(3),
        cpus: None,
    });
    assert_eq!(find(&facts, &attempts, "precise sampling").state, State::Degraded);
    for name in ["cache allocation", "MSR access"] {
        let reason = find(&facts, &attempts, name).reason.unwrap();
        assert!(reason.contains(UNUSED), "{name}: {reason}");
    }
}
