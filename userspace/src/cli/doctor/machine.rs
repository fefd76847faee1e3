//! The first half of `doctor`: the machine's facts as rows of text.

use waytrace_hw::capabilities::{
    Attempt, CAPABILITY_NAMES, Capabilities, Facts, OptionState, PmuFacts, TracefsFacts,
};
use waytrace_model::units::format_bytes;

/// Name and value of each row.
pub fn rows(capabilities: &Capabilities, kernel_part: bool) -> Vec<(&'static str, String)> {
    let Capabilities { facts, attempts, .. } = capabilities;
    let mut rows = vec![
        ("waytrace", format!("{}, kernel part {}", env!("CARGO_PKG_VERSION"), present(kernel_part))),
        ("kernel", facts.kernel.release.clone()),
        ("build options", options(facts)),
        ("settings", settings(facts)),
        (
            "lockdown",
            facts.kernel.lockdown.clone().unwrap_or_else(|| "unknown (securityfs is not mounted)".to_owned()),
        ),
        ("BTF", present(facts.btf).to_owned()),
        ("tracefs", tracefs(&facts.tracefs)),
        ("capabilities", held(&facts.capabilities)),
        ("CPU", cpu(facts)),
        ("NUMA", numa(facts)),
    ];
    rows.extend(facts.pmus.iter().map(|facts| ("PMU", pmu(facts))));
    rows.extend([
        ("events", super::super::events::summary(&waytrace_hw::Root::default())),
        ("breakpoints", format!("{} for each thread", attempts.breakpoints_count)),
        ("uprobes", tried(&attempts.uprobe)),
        ("uprobe_multi", tried(&attempts.uprobe_multi)),
        ("BPF map", tried(&attempts.bpf_map)),
        ("BPF program", tried(&attempts.bpf_program)),
        ("RDT", rdt(facts)),
        ("MSR device", present(facts.msr_device).to_owned()),
    ]);
    rows
}

fn present(is: bool) -> &'static str {
    if is { "present" } else { "missing" }
}

fn or_none(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(" ") }
}

fn tried(attempt: &Attempt) -> String {
    match attempt {
        Attempt::Works => "tried, works".to_owned(),
        Attempt::Failed { message, .. } => format!("tried: {message}"),
    }
}

/// Capabilities held, or those missing where they are the fewer.
fn held(names: &[String]) -> String {
    let missing: Vec<String> = CAPABILITY_NAMES
        .iter()
        .filter(|name| !names.iter().any(|own| own == *name))
        .map(|name| (*name).to_owned())
        .collect();
    match missing.len() {
        0 => "all".to_owned(),
        count if count < names.len() => format!("all but {}", missing.join(" ")),
        _ => or_none(names),
    }
}

/// Options by state, and the file that told.
fn options(facts: &Facts) -> String {
    let Some(file) = &facts.kernel.config_file else {
        return "unknown (no /proc/config.gz, no /boot/config-*)".to_owned();
    };
    let of = |wanted: OptionState| {
        let all = facts.kernel.options.iter().filter(|(_, state)| **state == wanted);
        or_none(&all.map(|(name, _)| name.clone()).collect::<Vec<_>>())
    };
    let (yes, module, no) = (of(OptionState::Yes), of(OptionState::Module), of(OptionState::No));
    format!("yes: {yes}; module: {module}; no: {no} (from {file})")
}

fn settings(facts: &Facts) -> String {
    let all = facts.kernel.sysctls.iter().map(|(name, value)| format!("{name}={value}"));
    or_none(&all.collect::<Vec<_>>())
}

fn tracefs(facts: &TracefsFacts) -> String {
    match facts {
        TracefsFacts::Mounted { path } => format!("mounted at {path}"),
        TracefsFacts::PrivateView => "not mounted; read through a private view".to_owned(),
        TracefsFacts::Unavailable { reason } => format!("out of reach: {reason}"),
    }
}

fn cpu(facts: &Facts) -> String {
    let model = if facts.cpu_model.is_empty() { "unknown model" } else { &facts.cpu_model };
    let under =
        facts.hypervisor.as_ref().map_or_else(String::new, |name| format!(", virtual machine ({name})"));
    format!("{model}, online: {}{under}", facts.cpus_online)
}

fn numa(facts: &Facts) -> String {
    let node = |node: &waytrace_hw::topology::NumaNode| {
        let cpus = waytrace_hw::topology::format_list(&node.cpus);
        let cpus = if cpus.is_empty() { "no CPU".to_owned() } else { format!("CPUs {cpus}") };
        let memory =
            node.memory_bytes.map_or_else(String::new, |bytes| format!(", {}", format_bytes(bytes as f64)));
        format!("node {}: {cpus}{memory}", node.id)
    };
    let nodes: Vec<String> = facts.numa_nodes.iter().map(node).collect();
    if nodes.is_empty() { "none".to_owned() } else { nodes.join("; ") }
}

fn pmu(pmu: &PmuFacts) -> String {
    const SHOWN: usize = 12;
    let mut text = format!("{} (type {})", pmu.name, pmu.type_number);
    if let Some(cpus) = &pmu.cpus {
        text += &format!(", on CPUs {cpus}");
    }
    if let Some(max) = pmu.max_precise {
        text += &format!(", precise up to {max}");
    }
    if !pmu.events.is_empty() {
        let names: Vec<&str> = pmu.events.iter().take(SHOWN).map(String::as_str).collect();
        let more = pmu.events.len().saturating_sub(SHOWN);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        text += &format!(", events: {}{more}", names.join(" "));
    }
    text
}

fn rdt(facts: &Facts) -> String {
    let rdt = &facts.rdt;
    let flags: Vec<String> = rdt.allocation_flags.iter().chain(&rdt.monitoring_flags).cloned().collect();
    let mount = rdt
        .resctrl_mount
        .as_ref()
        .map_or_else(|| "not mounted".to_owned(), |path| format!("mounted at {path}"));
    let resctrl = if rdt.resctrl_in_kernel { mount } else { "not in the kernel".to_owned() };
    format!("CPU flags: {}; resctrl: {resctrl}", or_none(&flags))
}
