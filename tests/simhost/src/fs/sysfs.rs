//! `/sys/devices/system`: CPUs, their caches and topology, NUMA nodes.
//!
//! Source: `Documentation/ABI/stable/sysfs-devices-system-cpu`, `Documentation/ABI/testing/sysfs-devices-system-cpu`.

use crate::host::Host;
use crate::resctrl::cpu_list;
use crate::spec::HostSpec;

/// The files that are at or below a path of `sys`, and maybe others, with their texts. Every look-up comes here, so a CPU's
/// are made only where the path leads to it.
pub(super) fn texts(host: &Host, path: &[&str]) -> Vec<(String, String)> {
    let spec = host.machine.spec();
    let online: Vec<usize> = (0..spec.cpus()).filter(|&cpu| host.machine.is_online(cpu)).collect();
    match path {
        ["sys", "devices", "system", "node", ..] => nodes(spec, &online),
        ["sys", "devices", "system", "cpu", name, ..] if number(name).is_some() => {
            let cpu = number(name).filter(|&cpu| cpu < spec.cpus());
            cpu.map(|cpu| of_cpu(spec, &online, cpu)).unwrap_or_default()
        }
        _ => {
            let all = cpu_list(0..spec.cpus());
            let mut texts = vec![
                cpu_file("online", &cpu_list(online.iter().copied())),
                cpu_file("possible", &all),
                cpu_file("present", &all),
            ];
            texts.extend((0..spec.cpus()).flat_map(|cpu| of_cpu(spec, &online, cpu).into_iter().take(1)));
            texts
        }
    }
}

fn number(name: &str) -> Option<usize> {
    name.strip_prefix("cpu")?.parse().ok()
}

fn of_cpu(spec: &HostSpec, online: &[usize], cpu: usize) -> Vec<(String, String)> {
    let mut texts = Vec::new();
    if cpu > 0 {
        texts.push(cpu_file(&format!("cpu{cpu}/online"), if online.contains(&cpu) { "1" } else { "0" }));
    }
    if online.contains(&cpu) {
        texts.extend(topology(spec, online, cpu));
        texts.extend(caches(spec, online, cpu));
    }
    texts
}

fn cpu_file(name: &str, text: &str) -> (String, String) {
    (format!("sys/devices/system/cpu/{name}"), format!("{text}\n"))
}

/// CPUs online that are like `cpu` by some number.
fn alike(online: &[usize], cpu: usize, of: impl Fn(usize) -> usize) -> String {
    cpu_list(online.iter().copied().filter(|&other| of(other) == of(cpu)))
}

fn topology(spec: &HostSpec, online: &[usize], cpu: usize) -> Vec<(String, String)> {
    let core = spec.core_of(cpu) % spec.cores_per_socket.max(1);
    let siblings = alike(online, cpu, |cpu| spec.core_of(cpu));
    let package = alike(online, cpu, |cpu| spec.socket_of(cpu));
    let files = [
        ("physical_package_id", spec.socket_of(cpu).to_string()),
        ("die_id", "0".to_owned()),
        ("core_id", core.to_string()),
        ("thread_siblings_list", siblings.clone()),
        ("core_cpus_list", siblings),
        ("core_siblings_list", package.clone()),
        ("package_cpus_list", package),
    ];
    files.map(|(name, text)| cpu_file(&format!("cpu{cpu}/topology/{name}"), &text)).into()
}

/// One cache as sysfs describes it.
struct Cache {
    level: u32,
    kind: &'static str,
    bytes: u64,
    ways: usize,
    id: usize,
    shared: String,
}

fn caches(spec: &HostSpec, online: &[usize], cpu: usize) -> Vec<(String, String)> {
    let (core, own) = (spec.core_of(cpu), alike(online, cpu, |cpu| spec.core_of(cpu)));
    let (l2_bytes, l2_ways) = spec.l2.map_or((1 << 20, 16), |l2| (l2.bytes, l2.cat.ways));
    let private =
        |level, kind, bytes, ways| Cache { level, kind, bytes, ways, id: core, shared: own.clone() };
    let shared = alike(online, cpu, |cpu| spec.domain_of(cpu));
    let all = [
        private(1, "Data", 32 << 10, 8),
        private(1, "Instruction", 32 << 10, 8),
        private(2, "Unified", l2_bytes, l2_ways),
        Cache {
            level: 3,
            kind: "Unified",
            bytes: spec.l3.bytes(),
            ways: spec.l3.ways,
            id: spec.domain_of(cpu),
            shared,
        },
    ];
    let files = |(index, cache): (usize, Cache)| {
        let line = spec.l3.line_bytes;
        let sets = cache.bytes / (line * cache.ways.max(1) as u64);
        let files = [
            ("level", cache.level.to_string()),
            ("type", cache.kind.to_owned()),
            ("size", format!("{}K", cache.bytes / 1024)),
            ("ways_of_associativity", cache.ways.to_string()),
            ("number_of_sets", sets.to_string()),
            ("coherency_line_size", line.to_string()),
            ("physical_line_partition", "1".to_owned()),
            ("shared_cpu_list", cache.shared),
            ("id", cache.id.to_string()),
        ];
        files.map(|(name, text)| cpu_file(&format!("cpu{cpu}/cache/index{index}/{name}"), &text))
    };
    all.into_iter().enumerate().flat_map(files).collect()
}

fn nodes(spec: &HostSpec, online: &[usize]) -> Vec<(String, String)> {
    let file = |name: String, text: String| (format!("sys/devices/system/node/{name}"), format!("{text}\n"));
    let count = spec.nodes();
    let mut texts = vec![file("online".to_owned(), cpu_list(0..count))];
    for node in 0..count {
        let cpus = online.iter().copied().filter(|&cpu| spec.node_of(cpu) == node);
        texts.push(file(format!("node{node}/cpulist"), cpu_list(cpus)));
        let kib = (8 << 20) / count.max(1);
        texts.push(file(format!("node{node}/meminfo"), format!("Node {node} MemTotal:       {kib} kB")));
    }
    texts
}
