//! CPUs and NUMA nodes online, and the description of the host that every run carries.
//!
//! Source: `Documentation/admin-guide/cputopology.rst`, `Documentation/ABI/stable/sysfs-devices-node`.

use serde::Serialize;
use waytrace_model::run::{self, Host};

use crate::{Error, Root, pmu};

/// Parses a kernel CPU or node list (`0-3,8`; empty is none) into ascending numbers.
///
/// # Errors
/// [`Error::BadList`] where the text is no such list or a number exceeds 65535.
pub fn parse_list(text: &str) -> Result<Vec<u32>, Error> {
    let bad = || Error::BadList(text.trim().to_owned());
    let number = |part: &str| part.trim().parse::<u16>().map(u32::from).map_err(|_| bad());
    let mut numbers = Vec::new();
    for part in text.trim().split(',').filter(|part| !part.trim().is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (number(first)?, number(last)?);
        if first > last {
            return Err(bad());
        }
        numbers.extend(first..=last);
    }
    numbers.sort_unstable();
    numbers.dedup();
    Ok(numbers)
}

/// Writes ascending numbers as a kernel list.
pub fn format_list(numbers: &[u32]) -> String {
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for &number in numbers {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => runs.push((number, number)),
        }
    }
    let texts: Vec<String> = runs
        .iter()
        .map(|(first, last)| if first == last { first.to_string() } else { format!("{first}-{last}") })
        .collect();
    texts.join(",")
}

fn read_list(root: &Root, rel: &str) -> Result<Vec<u32>, Error> {
    let text = root.read(rel).map_err(|source| Error::Read { path: root.path(rel), source })?;
    parse_list(&text)
}

/// Logical CPUs online, ascending.
///
/// # Errors
/// [`Error::Read`] or [`Error::BadList`] where sysfs does not tell.
pub fn cpus_online(root: &Root) -> Result<Vec<u32>, Error> {
    read_list(root, "sys/devices/system/cpu/online")
}

/// One NUMA node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NumaNode {
    /// Number of the node.
    pub id: u32,
    /// Its CPUs; none for a memory-only node.
    pub cpus: Vec<u32>,
    /// Its memory, in bytes, where the kernel tells.
    pub memory_bytes: Option<u64>,
}

/// NUMA nodes online; none on a kernel built without NUMA.
pub fn numa_nodes(root: &Root) -> Vec<NumaNode> {
    let ids = read_list(root, "sys/devices/system/node/online").unwrap_or_default();
    ids.into_iter()
        .map(|id| {
            let dir = format!("sys/devices/system/node/node{id}");
            let meminfo = root.read(&format!("{dir}/meminfo")).unwrap_or_default();
            NumaNode {
                id,
                cpus: read_list(root, &format!("{dir}/cpulist")).unwrap_or_default(),
                memory_bytes: meminfo_bytes(&meminfo, "MemTotal"),
            }
        })
        .collect()
}

/// The value of `key` in a `meminfo` file (`[Node 0 ]MemTotal:  8 kB`), in bytes.
fn meminfo_bytes(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.split_once(key)?.1.strip_prefix(':'))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// The first value of `key` in `/proc/cpuinfo`.
pub(crate) fn cpuinfo_field<'a>(cpuinfo: &'a str, key: &str) -> Option<&'a str> {
    cpuinfo.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        (name.trim() == key).then(|| value.trim())
    })
}

/// The hypervisor below this kernel, where the CPU says there is one.
pub(crate) fn hypervisor(root: &Root, cpuinfo: &str) -> Option<String> {
    if let Ok(kind) = root.read("sys/hypervisor/type") {
        return Some(kind);
    }
    let flags = cpuinfo_field(cpuinfo, "flags").unwrap_or_default();
    if !flags.split_whitespace().any(|flag| flag == "hypervisor") {
        return None;
    }
    #[cfg(target_arch = "x86_64")]
    if root.is_live() {
        return Some(crate::x86::hypervisor_name());
    }
    Some("unknown".to_owned())
}

/// The machine as a run records it. What a file does not tell is empty, 0 or `None`.
pub fn host(root: &Root) -> Host {
    let text = |rel: &str| root.read(rel).unwrap_or_default();
    let cpuinfo = text("proc/cpuinfo");
    let arch = root.read("proc/sys/kernel/arch").unwrap_or_else(|_| std::env::consts::ARCH.to_owned());
    Host {
        hostname: text("proc/sys/kernel/hostname"),
        kernel: text("proc/sys/kernel/osrelease"),
        arch,
        cpu_model: cpuinfo_field(&cpuinfo, "model name").unwrap_or_default().to_owned(),
        microcode: cpuinfo_field(&cpuinfo, "microcode").map(str::to_owned),
        cpus_online: cpus_online(root).map_or(0, |cpus| cpus.len() as u32),
        memory_bytes: meminfo_bytes(&text("proc/meminfo"), "MemTotal").unwrap_or(0),
        numa_nodes: numa_nodes(root)
            .into_iter()
            .map(|node| run::NumaNode { id: node.id, cpus: node.cpus })
            .collect(),
        hypervisor: hypervisor(root, &cpuinfo),
        pmus: pmu::names(root),
        waytrace_version: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Tree;

    #[test]
    fn lists_parse_and_print() {
        for (text, numbers) in
            [("0-3,8", vec![0, 1, 2, 3, 8]), ("0\n", vec![0]), ("", vec![]), ("5,1-2,2", vec![1, 2, 5])]
        {
            assert_eq!(parse_list(text).unwrap(), numbers, "{text:?}");
        }
        assert_eq!(format_list(&[0, 1, 2, 3, 8]), "0-3,8");
        assert_eq!(format_list(&[]), "");
        for text in ["3-1", "x", "1-", "0-4294967295", "-1"] {
            assert!(parse_list(text).is_err(), "{text:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn printing_then_parsing_a_list_gives_it_back(set in proptest::collection::btree_set(0u32..5000, 0..64)) {
            let numbers: Vec<u32> = set.into_iter().collect();
            proptest::prop_assert_eq!(parse_list(&format_list(&numbers)).unwrap(), numbers);
        }

        #[test]
        fn any_text_is_a_list_or_an_error(text in ".{0,40}") {
            let _ = parse_list(&text);
        }
    }

    #[test]
    fn a_host_is_read_from_its_tree() {
        let tree = Tree::new(&[
            ("proc/sys/kernel/hostname", "box\n"),
            ("proc/sys/kernel/osrelease", "6.1.0\n"),
            ("proc/sys/kernel/arch", "x86_64\n"),
            ("proc/cpuinfo", "model name\t: Test CPU\nmicrocode\t: 0x12\nflags\t\t: fpu hypervisor\n"),
            ("proc/meminfo", "MemTotal:        8048576 kB\nMemFree: 1 kB\n"),
            ("sys/devices/system/cpu/online", "0-3\n"),
            ("sys/devices/system/node/online", "0-1\n"),
            ("sys/devices/system/node/node0/cpulist", "0-3\n"),
            ("sys/devices/system/node/node0/meminfo", "Node 0 MemTotal:       1024 kB\n"),
            ("sys/devices/system/node/node1/cpulist", "\n"),
            ("sys/bus/event_source/devices/software/type", "1\n"),
        ]);
        let host = host(&tree.root);
        assert_eq!(
            (host.hostname.as_str(), host.kernel.as_str(), host.arch.as_str()),
            ("box", "6.1.0", "x86_64")
        );
        assert_eq!((host.cpu_model.as_str(), host.microcode.as_deref()), ("Test CPU", Some("0x12")));
        assert_eq!((host.cpus_online, host.memory_bytes), (4, 8_048_576 * 1024));
        assert_eq!(
            (host.hypervisor.as_deref(), host.pmus.as_slice()),
            (Some("unknown"), ["software".to_owned()].as_slice())
        );
        let nodes = numa_nodes(&tree.root);
        assert_eq!((nodes[0].cpus.len(), nodes[0].memory_bytes), (4, Some(1024 * 1024)));
        assert_eq!((nodes[1].cpus.len(), nodes[1].memory_bytes), (0, None));
        let kept: Vec<_> = host.numa_nodes.iter().map(|node| (node.id, node.cpus.as_slice())).collect();
        assert_eq!(kept, [(0, &[0, 1, 2, 3][..]), (1, &[][..])]);
    }

    #[test]
    fn the_own_machine_has_a_cpu_and_memory() {
        let host = host(&Root::default());
        assert!(host.cpus_online > 0 && host.memory_bytes > 0 && !host.kernel.is_empty(), "{host:?}");
    }
}
