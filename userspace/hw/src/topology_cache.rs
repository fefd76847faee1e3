//! Caches of the machine: their numbers, sizes, ways and the CPUs that share them.
//!
//! Source: `Documentation/ABI/testing/sysfs-devices-system-cpu` (`cache/index*`), `Documentation/admin-guide/cputopology.rst`.

use waytrace_model::cache::CacheId;

use crate::topology::{cpus_online, parse_list};
use crate::{Error, Root};

/// One cache of data, or of data and code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cache {
    /// Level, from 1.
    pub level: u32,
    /// Its number among those of its level; where the kernel tells none, that of its first CPU.
    pub id: CacheId,
    /// Its size.
    pub size_bytes: Option<u64>,
    /// Its ways, those a mask cannot tell apart as well.
    pub ways: Option<u32>,
    /// Bytes of a line.
    pub line_bytes: Option<u32>,
    /// Logical CPUs that share it, ascending.
    pub cpus: Vec<u32>,
    /// NUMA nodes whose CPUs are a part of these: 1, unless the cache is divided into nodes.
    pub nodes: u32,
}

/// Caches of the CPUs online, by level and number. Without those of code alone.
///
/// # Errors
/// The CPUs online cannot be read; what a cache does not tell is `None`.
pub fn caches(root: &Root) -> Result<Vec<Cache>, Error> {
    let mut found: Vec<Cache> = Vec::new();
    let nodes = nodes(root);
    for cpu in cpus_online(root)? {
        for cache in of_cpu(root, cpu, &nodes) {
            if !found.iter().any(|known| (known.level, known.id) == (cache.level, cache.id)) {
                found.push(cache);
            }
        }
    }
    found.sort_by_key(|cache| (cache.level, cache.id));
    Ok(found)
}

/// Whether an L3 is divided into nodes, as that of the first node's first CPU is or is not: all are alike.
pub fn is_l3_divided(root: &Root) -> bool {
    let nodes = nodes(root);
    let first = nodes.first().filter(|_| nodes.len() > 1).and_then(|cpus| cpus.first());
    first
        .is_some_and(|cpu| of_cpu(root, *cpu, &nodes).iter().any(|cache| cache.level == 3 && cache.nodes > 1))
}

fn of_cpu(root: &Root, cpu: u32, nodes: &[Vec<u32>]) -> Vec<Cache> {
    let dir = format!("sys/devices/system/cpu/cpu{cpu}/cache");
    let names = root.names(&dir).into_iter().filter(|name| name.starts_with("index"));
    names.filter_map(|index| read(root, &format!("{dir}/{index}"), cpu, nodes)).collect()
}

/// CPUs of the NUMA nodes that have any.
fn nodes(root: &Root) -> Vec<Vec<u32>> {
    const DIR: &str = "sys/devices/system/node";
    let names = root.names(DIR);
    let is_node = |name: &&String| name.strip_prefix("node").is_some_and(|id| id.parse::<u32>().is_ok());
    let lists =
        names.iter().filter(is_node).filter_map(|name| root.read(&format!("{DIR}/{name}/cpulist")).ok());
    lists.filter_map(|list| parse_list(&list).ok()).filter(|cpus| !cpus.is_empty()).collect()
}

/// Nodes a cache is divided into: those all of whose CPUs share it, if they are several and together have all that do. Fake nodes
/// (`numa=fake`) have CPUs in common.
fn divided_into(shared: &[u32], nodes: &[Vec<u32>]) -> u32 {
    let parts = nodes.iter().filter(|cpus| cpus.iter().all(|cpu| shared.contains(cpu)));
    let (count, cpus) = parts.fold((0, 0), |sum, cpus| (sum.0 + 1, sum.1 + cpus.len()));
    if cpus == shared.len() { count.max(1) } else { 1 }
}

fn read(root: &Root, dir: &str, cpu: u32, nodes: &[Vec<u32>]) -> Option<Cache> {
    let number = |file: &str| root.read_number(&format!("{dir}/{file}")).and_then(|n| u32::try_from(n).ok());
    if root.read(&format!("{dir}/type")).ok()? == "Instruction" {
        return None;
    }
    let shared = root.read(&format!("{dir}/shared_cpu_list")).ok();
    let cpus = shared.and_then(|list| parse_list(&list).ok()).unwrap_or_else(|| vec![cpu]);
    let size = root.read(&format!("{dir}/size")).ok();
    Some(Cache {
        level: number("level")?,
        id: CacheId(number("id").or_else(|| cpus.first().copied())?),
        size_bytes: size.and_then(|text| text.strip_suffix('K')?.parse::<u64>().ok()?.checked_mul(1024)),
        ways: number("ways_of_associativity"),
        line_bytes: number("coherency_line_size"),
        nodes: divided_into(&cpus, nodes),
        cpus,
    })
}

/// The socket a CPU is in, where sysfs tells.
pub fn socket(root: &Root, cpu: u32) -> Option<u32> {
    let rel = format!("sys/devices/system/cpu/cpu{cpu}/topology/physical_package_id");
    root.read_number(&rel).and_then(|id| u32::try_from(id).ok())
}

/// CPUs of the same core, with the one asked for; only that one where sysfs does not tell. Older kernels have but the second
/// name of the file.
///
/// # Errors
/// The file is no list of CPUs.
pub fn smt_siblings(root: &Root, cpu: u32) -> Result<Vec<u32>, Error> {
    let dir = format!("sys/devices/system/cpu/cpu{cpu}/topology");
    let text = ["core_cpus_list", "thread_siblings_list"]
        .iter()
        .find_map(|name| root.read(&format!("{dir}/{name}")).ok());
    text.map_or_else(|| Ok(vec![cpu]), |text| parse_list(&text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Tree;

    #[test]
    fn a_cache_is_divided_where_nodes_share_it_out() {
        let nodes = |lists: &[&[u32]]| lists.iter().map(|list| list.to_vec()).collect::<Vec<_>>();
        let shared = [0, 1, 2, 3];
        assert_eq!(divided_into(&shared, &nodes(&[&[0, 1], &[2, 3], &[4, 5]])), 2);
        assert_eq!(divided_into(&shared, &nodes(&[&[0, 1, 2, 3], &[4, 5, 6, 7]])), 1);
        assert_eq!(
            divided_into(&shared, &nodes(&[&[0, 1, 2, 3, 4, 5, 6, 7]])),
            1,
            "several caches in a node"
        );
        assert_eq!(divided_into(&shared, &nodes(&[&[0, 1, 2, 3], &[0, 1, 2, 3]])), 1, "fake nodes");
        assert_eq!(divided_into(&shared, &[]), 1);
    }

    #[test]
    fn caches_are_found_once_with_their_cpus() {
        let tree = Tree::new(&[("sys/devices/system/cpu/online", "0-1\n")]);
        for cpu in 0..2 {
            let dir = format!("sys/devices/system/cpu/cpu{cpu}");
            for (index, level, kind, id, size, ways, cpus) in [
                (0, "1", "Data", cpu, "32K", "8", format!("{cpu}")),
                (1, "1", "Instruction", cpu, "32K", "8", format!("{cpu}")),
                (3, "3", "Unified", 4, "16896K", "11", "0-1".to_owned()),
            ] {
                let file =
                    |name: &str, text: &str| tree.write(&format!("{dir}/cache/index{index}/{name}"), text);
                file("level", level);
                file("type", kind);
                file("id", &format!("{id}\n"));
                file("size", size);
                file("ways_of_associativity", ways);
                file("coherency_line_size", "64\n");
                file("shared_cpu_list", &cpus);
            }
            tree.write(&format!("{dir}/topology/physical_package_id"), "1\n");
            tree.write(&format!("{dir}/topology/thread_siblings_list"), "0-1\n");
        }
        let found = caches(&tree.root).unwrap();
        assert_eq!(
            found.iter().map(|cache| (cache.level, cache.id.0)).collect::<Vec<_>>(),
            [(1, 0), (1, 1), (3, 4)]
        );
        assert_eq!(
            (found[2].size_bytes, found[2].ways, &found[2].cpus),
            (Some(16896 << 10), Some(11), &vec![0, 1])
        );
        assert_eq!(found[2].nodes, 1);
        assert_eq!((socket(&tree.root, 0), smt_siblings(&tree.root, 1).unwrap()), (Some(1), vec![0, 1]));
        assert_eq!((socket(&tree.root, 9), smt_siblings(&tree.root, 9).unwrap()), (None, vec![9]));
    }
}
