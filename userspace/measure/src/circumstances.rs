//! Where a measurement comes from, beyond the machine as every run records it: CPUs, memory, environment.

use std::collections::BTreeMap;

use waytrace_hw::catalogue::CpuId;
use waytrace_hw::topology_cache::socket;
use waytrace_hw::{Root, topology};
use waytrace_model::measured::{Circumstances, CpuPlace};

use crate::{pmu_users, preconditions};

/// Variables, by how they begin, that change what a program does; values of others may be secrets and are not kept.
const TELLING: [&str; 14] = [
    "PATH",
    "LANG",
    "LC_",
    "LD_",
    "OMP_",
    "GOMP_",
    "KMP_",
    "MALLOC_",
    "GLIBC_TUNABLES",
    "GOMAXPROCS",
    "GOGC",
    "MKL_",
    "NUMA_",
    "TZ",
];

/// Looks at the machine under `root`, for the process `own` with this environment.
pub fn gather(
    root: &Root,
    own: u32,
    has_core_pmu: bool,
    environment: impl Iterator<Item = (String, String)>,
) -> Circumstances {
    let (environment, environment_names) = sort_out(environment);
    Circumstances {
        preconditions: preconditions::check(root, has_core_pmu),
        pmu_users: pmu_users::find(root, own, has_core_pmu),
        cpus: cpus(root),
        cpu_id: CpuId::running(root).ok().map(|cpu| cpu.to_string()),
        memory_available_bytes: memory_available(root),
        environment,
        environment_names,
    }
}

fn sort_out(all: impl Iterator<Item = (String, String)>) -> (BTreeMap<String, String>, Vec<String>) {
    let (mut told, mut named) = (BTreeMap::new(), Vec::new());
    for (name, value) in all {
        if TELLING.iter().any(|start| name.starts_with(start)) {
            told.insert(name, value);
        } else {
            named.push(name);
        }
    }
    named.sort_unstable();
    (told, named)
}

fn cpus(root: &Root) -> Vec<CpuPlace> {
    let nodes = topology::numa_nodes(root);
    let place = |cpu: u32| {
        let number = |file: &str| {
            root.read(&format!("sys/devices/system/cpu/cpu{cpu}/{file}")).ok()?.parse::<u32>().ok()
        };
        CpuPlace {
            cpu,
            core: number("topology/core_id"),
            package: socket(root, cpu),
            node: nodes.iter().find(|node| node.cpus.contains(&cpu)).map(|node| node.id),
            governor: root.read(&format!("sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_governor")).ok(),
        }
    };
    topology::cpus_online(root).unwrap_or_default().into_iter().map(place).collect()
}

fn memory_available(root: &Root) -> Option<u64> {
    let text = root.read("proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_kept() {
        let all = [("PATH", "/bin"), ("API_TOKEN", "secret"), ("LC_ALL", "C")];
        let (told, named) =
            sort_out(all.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter());
        assert_eq!(told.into_keys().collect::<Vec<_>>(), ["LC_ALL", "PATH"]);
        assert_eq!(named, ["API_TOKEN"]);
    }

    #[test]
    fn the_own_machine_has_cpus_and_memory() {
        let here = gather(&Root::default(), std::process::id(), false, std::iter::empty());
        assert!(
            !here.cpus.is_empty() && here.memory_available_bytes.is_some_and(|bytes| bytes > 0),
            "{here:?}"
        );
    }
}
