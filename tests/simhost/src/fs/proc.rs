//! `/proc`: what describes the host, and its tasks.

use crate::host::Host;
use crate::model::task::Task;
use crate::resctrl::Entry;
use crate::spec::Vendor;

/// Files of a task's directory; a process has one `task` besides.
const TASK_FILES: [&str; 4] = ["status", "stat", "comm", "cpu_resctrl_groups"];
const COMM: &str = "simulated";

/// Files that are the same for all, with their texts.
pub(super) fn texts(host: &Host) -> Vec<(String, String)> {
    let options = host.resctrl.mount_options();
    let mut mounts = "proc /proc proc rw,relatime 0 0\nsysfs /sys sysfs rw,relatime 0 0\n".to_owned();
    if host.resctrl.is_mounted() {
        mounts.push_str(&format!("resctrl /sys/fs/resctrl resctrl rw,relatime{options} 0 0\n"));
    }
    let file = |name: &str, text: &str| (format!("proc/{name}"), text.to_owned());
    let memory_kib = 8 << 20;
    vec![
        file("cpuinfo", &cpuinfo(host)),
        file("filesystems", "nodev\tsysfs\nnodev\ttmpfs\nnodev\tproc\nnodev\tresctrl\n\text4\n"),
        file("mounts", &mounts),
        file("meminfo", &format!("MemTotal:       {memory_kib} kB\nMemFree:        {memory_kib} kB\n")),
        file("sys/kernel/hostname", &format!("{}\n", host.machine.spec().name)),
        file("sys/kernel/osrelease", "6.18.0-simulated\n"),
        file("sys/kernel/arch", "x86_64\n"),
    ]
}

fn cpuinfo(host: &Host) -> String {
    let spec = host.machine.spec();
    let (vendor, family, model, name) = match spec.vendor {
        Vendor::Intel if crate::cpuid::is_haswell(spec) => ("GenuineIntel", 6, 63, "Intel"),
        Vendor::Intel => ("GenuineIntel", 6, 85, "Intel"),
        Vendor::Amd => ("AuthenticAMD", 25, 1, "AMD"),
    };
    let mhz = spec.timing.hz / 1_000_000;
    let of = |cpu: usize| {
        format!(
            "processor\t: {cpu}\nvendor_id\t: {vendor}\ncpu family\t: {family}\nmodel\t\t: {model}\n\
             model name\t: {name} simulated host {}\nstepping\t: 4\nmicrocode\t: 0x1\ncpu MHz\t\t: {mhz}.000\n\
             cache size\t: {} KB\nphysical id\t: {}\nsiblings\t: {}\ncore id\t\t: {}\ncpu cores\t: {}\n\
             flags\t\t: {}\n\n",
            spec.name,
            spec.l3.bytes() / 1024,
            spec.socket_of(cpu),
            spec.cores_per_socket * spec.threads_per_core,
            spec.core_of(cpu) % spec.cores_per_socket.max(1),
            spec.cores_per_socket,
            flags(host),
        )
    };
    (0..spec.cpus()).filter(|&cpu| host.machine.is_online(cpu)).map(of).collect()
}

/// The flags Linux shows for the features (`arch/x86/include/asm/cpufeatures.h`).
fn flags(host: &Host) -> String {
    let spec = host.machine.spec();
    let has = |there: bool, name: &'static str| there.then_some(name);
    let monitors = spec.monitoring.is_some();
    let cdp = spec.l3_cat.is_some_and(|cat| cat.cdp_capable);
    let flags = [
        Some("fpu tsc msr apic ht constant_tsc nonstop_tsc"),
        has(monitors, "cqm cqm_llc cqm_occup_llc cqm_mbm_total cqm_mbm_local"),
        has(true, "rdt_a"),
        has(spec.l3_cat.is_some(), "cat_l3"),
        has(cdp, "cdp_l3"),
        has(spec.l2.is_some(), "cat_l2"),
        has(spec.mba.is_some(), "mba"),
    ];
    flags.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

/// What the directory of a process or thread holds: `path` is below `proc` and begins with a number.
pub(super) fn entries(host: &Host, path: &[&str]) -> Option<Vec<Entry>> {
    let (tgid, inner) = path.split_first()?;
    let tgid = of_process(host, tgid)?;
    let files = || TASK_FILES.iter().map(|name| Entry::file(*name, 0o444));
    match inner {
        [] => Some(files().chain([Entry::directory("task")]).collect()),
        ["task"] => {
            let threads = host.machine.tasks.values().filter(|task| task.spec.tgid == tgid);
            Some(threads.map(|task| Entry::directory(task.spec.tid.to_string())).collect())
        }
        ["task", tid] => {
            thread(host, tgid, tid)?;
            Some(files().collect())
        }
        _ => None,
    }
}

/// Processes, as names of directories.
pub(super) fn processes(host: &Host) -> Vec<Entry> {
    let mut tgids: Vec<u32> = host.machine.tasks.values().map(|task| task.spec.tgid).collect();
    tgids.dedup();
    tgids.into_iter().map(|tgid| Entry::directory(tgid.to_string())).collect()
}

/// A file of a process or thread.
pub(super) fn read(host: &Host, path: &[&str]) -> Option<String> {
    let (tgid, inner) = path.split_first()?;
    let tgid = of_process(host, tgid)?;
    let (task, file) = match inner {
        [file] => (host.machine.tasks.values().find(|task| task.spec.tgid == tgid)?, file),
        ["task", tid, file] => (thread(host, tgid, tid)?, file),
        _ => return None,
    };
    Some(match *file {
        "comm" => format!("{COMM}\n"),
        "cpu_resctrl_groups" => host.resctrl.groups_of(task.closid, task.rmid),
        "status" => status(host, task),
        "stat" => stat(host, task),
        _ => return None,
    })
}

fn of_process(host: &Host, name: &str) -> Option<u32> {
    let tgid: u32 = name.parse().ok()?;
    host.machine.tasks.values().any(|task| task.spec.tgid == tgid).then_some(tgid)
}

fn thread<'a>(host: &'a Host, tgid: u32, name: &str) -> Option<&'a Task> {
    host.machine.tasks.get(&name.parse().ok()?).filter(|task| task.spec.tgid == tgid)
}

fn threads(host: &Host, task: &Task) -> usize {
    host.machine.tasks.values().filter(|other| other.spec.tgid == task.spec.tgid).count()
}

fn status(host: &Host, task: &Task) -> String {
    let spec = &task.spec;
    format!(
        "Name:\t{COMM}\nUmask:\t0022\nState:\tR (running)\nTgid:\t{}\nNgid:\t0\nPid:\t{}\nPPid:\t1\nTracerPid:\t0\n\
         Uid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nThreads:\t{}\nCpus_allowed_list:\t{}\n",
        spec.tgid,
        spec.tid,
        threads(host, task),
        spec.cpu,
    )
}

/// All 52 fields; times in ticks of 10 ms.
fn stat(host: &Host, task: &Task) -> String {
    let spec = &task.spec;
    let ticks = task.counters.time_running_ns / 10_000_000;
    format!(
        "{} ({COMM}) R 1 {} {} 0 -1 4194304 0 0 0 0 {ticks} 0 0 0 20 0 {} 0 100 0 0 18446744073709551615 0 0 0 0 0 0 0 0 0 0 0 0 17 {} 0 0 0 0 0 0 0 0 0 0 0 0 0\n",
        spec.tid,
        spec.tgid,
        spec.tgid,
        threads(host, task),
        spec.cpu,
    )
}
