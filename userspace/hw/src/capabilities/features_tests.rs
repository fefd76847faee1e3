//! Conclusions from facts and attempts that are written down here.

use waytrace_model::cache::{CacheId, MaskRules, WayMask};
use waytrace_model::cache_report::{
    self, BandwidthResource, CacheDomain, CacheResource, Interface, LimitUnit, Monitoring, Use,
};

use super::*;
use crate::capabilities::facts::{RdtFacts, TracefsFacts};
use crate::capabilities::kernel::Kernel;
use crate::capabilities::{Attempts, CacheFacts, FrequencyFacts, LeftFacts, PmuFacts, ProcessAccess};

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
        caches: resctrl(),
        frequency: FrequencyFacts {
            policies: 1,
            governors: vec!["performance".to_owned()],
            ..FrequencyFacts::default()
        },
        left: Vec::new(),
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

/// A mounted resctrl with 12 ways of L3, bandwidth limits and monitoring.
fn resctrl() -> CacheFacts {
    let rules = MaskRules { full_mask: WayMask::lowest(12), min_ways: 1, sparse: false };
    let l3 = CacheResource {
        name: "L3".to_owned(),
        level: 3,
        used_for: Use::Unified,
        rules,
        shareable_mask: WayMask::default(),
        ways: 12,
        way_bytes: Some(2 << 20),
        classes: 16,
        io_alloc: None,
        caches: vec![CacheDomain { id: CacheId(0), size_bytes: None, cpus: Vec::new(), nodes: 1 }],
    };
    let mb = BandwidthResource {
        name: "MB".to_owned(),
        unit: LimitUnit::Percent,
        min: 10,
        step: 10,
        linear: Some(true),
        throttle_mode: None,
        classes: 8,
        caches: vec![CacheId(0)],
    };
    let events = vec!["llc_occupancy".to_owned()];
    let monitoring = Monitoring { events, max_rmids: 64, ..Monitoring::default() };
    let found = cache_report::Capabilities {
        max_classes: 8,
        caches: vec![l3],
        bandwidth: vec![mb],
        monitoring: Some(monitoring),
    };
    CacheFacts {
        resctrl_options: vec!["rw".to_owned()],
        resctrl_write: Some(Attempt::Works),
        interface: Some(Interface::Resctrl),
        found: Some(found),
        ..CacheFacts::default()
    }
}

fn fail(errno: i32) -> Attempt {
    Attempt::Failed { errno: Some(errno), message: "told so".to_owned() }
}

fn find(facts: &Facts, attempts: &Attempts, name: &str) -> Feature {
    judge(facts, attempts).into_iter().find(|feature| feature.name.starts_with(name)).unwrap()
}

#[test]
fn above_two_perf_event_paranoid_asks_for_more_than_perfmon() {
    let (mut facts, mut attempts) = healthy();
    facts.capabilities = ["CAP_BPF", "CAP_PERFMON"].map(str::to_owned).to_vec();
    attempts.software_counter = fail(libc::EACCES);
    let fixes = |facts: &Facts, attempts: &Attempts| {
        let fix = |name| find(facts, attempts, name).fix.unwrap_or_default();
        (fix("perf_event_paranoid"), fix("counters: software"))
    };
    facts.kernel.sysctls.insert("perf_event_paranoid".to_owned(), 3);
    let (of_setting, of_counter) = fixes(&facts, &attempts);
    assert!(of_setting.contains("perf_event_paranoid=2") && of_counter.contains("perf_event_paranoid=2"));
    facts.kernel.sysctls.insert("perf_event_paranoid".to_owned(), 2);
    let (of_setting, of_counter) = fixes(&facts, &attempts);
    assert!(of_setting.is_empty() && of_counter.contains("seccomp"), "{of_setting} {of_counter}");
}

#[test]
fn a_healthy_machine_lacks_only_what_it_does_not_have() {
    let (facts, attempts) = healthy();
    let features = judge(&facts, &attempts);
    let lacking: Vec<&str> =
        features.iter().filter(|feature| feature.state != State::Works).map(|feature| feature.name).collect();
    assert_eq!(
        lacking,
        ["precise sampling (PEBS/IBS/SPE)", "code and data apart (CDP)", "MSR access", "perf_event_paranoid"]
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
    for name in ["allocations: exact", "allocations: budgeted", "allocations: sampled"] {
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
    for (name, needle) in [
        ("resctrl", "mounted at"),
        ("cache allocation", "L3: 12 ways of 2.00MiB on 1 caches, at least 1, 16 classes"),
        ("bandwidth limits", "MB: from 10% in steps of 10, 8 classes"),
        ("cache monitoring", "llc_occupancy, 64 RMIDs"),
        ("MSR access", "opens"),
    ] {
        let row = find(&facts, &attempts, name);
        let reason = row.reason.unwrap();
        assert_eq!(row.state, State::Works, "{name}: {reason}");
        assert!(reason.contains(needle) && reason.contains("not verified on hardware"), "{name}: {reason}");
    }
}

#[test]
fn each_lack_of_cache_allocation_has_its_reason_and_mend() {
    let (mut facts, attempts) = healthy();
    let row = |facts: &Facts, name| {
        let row = find(facts, &attempts, name);
        (row.state, row.reason.unwrap(), row.fix.unwrap_or_default())
    };
    facts.caches.resctrl_write = Some(fail(libc::EACCES));
    let (state, _, fix) = row(&facts, "resctrl");
    assert!(state == State::Degraded && fix.contains("CAP_DAC_OVERRIDE"), "{fix}");
    assert_eq!(row(&facts, "cache allocation").0, State::Degraded);
    facts.caches = CacheFacts {
        resctrl_lacks: Some("resctrl is not mounted; as root, do".to_owned()),
        resctrl_mountable: true,
        ..CacheFacts::default()
    };
    facts.rdt.allocation_flags = vec!["cat_l3".to_owned(), "cdp_l3".to_owned()];
    for name in ["resctrl", "cache allocation"] {
        let (state, _, fix) = row(&facts, name);
        assert!(state == State::Unavailable && fix.contains("doctor --fix resctrl"), "{name}: {fix}");
    }
    let (state, reason, fix) = row(&facts, "code and data");
    assert!(state == State::Degraded && reason.contains("cdp_l3") && fix.contains("-o cdp"), "{reason}");
    facts.caches.resctrl_mountable = false;
    facts.caches.resctrl_lacks = Some("the CPU can, but this kernel has no resctrl".to_owned());
    assert!(row(&facts, "cache allocation").2.contains("CONFIG_X86_CPU_RESCTRL"));
    facts.rdt.allocation_flags.clear();
    facts.caches.resctrl_lacks = Some("hypervisors do not pass RDT on".to_owned());
    assert!(row(&facts, "cache allocation").1.contains("hypervisors"));
    assert!(row(&facts, "code and data").1.contains("does not announce"));
}

#[test]
fn registers_that_cannot_be_written_are_no_full_access() {
    let (mut facts, mut attempts) = healthy();
    facts.msr_device = true;
    facts.caches.msr_writes = Some("off".to_owned());
    assert!(find(&facts, &attempts, "MSR").fix.unwrap().contains("allow_writes"));
    facts.kernel.lockdown = Some("integrity".to_owned());
    let row = find(&facts, &attempts, "MSR");
    assert!(row.state == State::Degraded && row.reason.unwrap().contains("locked down (integrity)"));
    attempts.msr_device = fail(libc::EACCES);
    let row = find(&facts, &attempts, "MSR");
    assert!(row.state == State::Unavailable && row.reason.unwrap().contains("missing CAP_SYS_RAWIO"));
}

#[test]
fn what_makes_measurements_unsteady_is_told_with_its_mend() {
    let (mut facts, attempts) = healthy();
    let row = |facts: &Facts| find(facts, &attempts, "steady frequency");
    assert_eq!(row(&facts).state, State::Works);
    facts.frequency = FrequencyFacts {
        policies: 2,
        governors: vec!["powersave".to_owned()],
        unpinned_policies: 1,
        turbo: Some(true),
    };
    assert!(row(&facts).fix.unwrap().contains("doctor --fix turbo governor frequency"));
    facts.frequency = FrequencyFacts::default();
    assert_eq!(row(&facts).state, State::Unavailable);
    let paranoid = |facts: &Facts| find(facts, &attempts, "perf_event_paranoid").state;
    facts.kernel.sysctls.insert("perf_event_paranoid".to_owned(), 2);
    assert_eq!(paranoid(&facts), State::Degraded);
    facts.capabilities = vec!["CAP_PERFMON".to_owned()];
    assert_eq!(paranoid(&facts), State::Works);
    facts.kernel.sysctls.insert("perf_event_paranoid".to_owned(), -1);
    facts.capabilities.clear();
    assert_eq!(paranoid(&facts), State::Works);
}

#[test]
fn changes_a_killed_process_left_are_told() {
    let (mut facts, attempts) = healthy();
    let row = |facts: &Facts| find(facts, &attempts, "changes in force");
    assert_eq!((row(&facts).state, row(&facts).fix), (State::Works, None));
    let left = |kept| LeftFacts {
        purpose: "sweep".to_owned(),
        pid: 42,
        command: "waytrace cache sweep".to_owned(),
        kept,
        changes_count: 5,
        path: "/run/waytrace/sweep.journal".to_owned(),
    };
    facts.left = vec![left(true)];
    assert_eq!(row(&facts).state, State::Works);
    facts.left.push(left(false));
    let row = row(&facts);
    assert!(row.state == State::Degraded && row.reason.unwrap().contains("process 42"));
    assert!(row.fix.unwrap().contains("doctor --restore"));
}
