//! Where a command runs and where its memory is: checked against the machine, then set between fork and exec.
//!
//! The kernel keeps both through exec and passes them on to children (sched_setaffinity(2), set_mempolicy(2)).

use std::io;

use anyhow::{Context as _, anyhow, bail, ensure};
use waytrace_hw::Root;
use waytrace_hw::affinity::Cpus;
use waytrace_hw::topology::{cpus_online, format_list, numa_nodes, parse_list};
use waytrace_model::bench::{MemoryPolicy, Mode, Placement};

use super::frequency;

/// Words of a node mask: as many nodes as the largest kernels are built for (`CONFIG_NODES_SHIFT` 10).
const MASK_WORDS: usize = 16;
const MASK_BITS: usize = MASK_WORDS * u64::BITS as usize;

/// A placement this machine can do. The default leaves everything as it is.
#[derive(Clone, Default)]
pub struct Placed {
    cpus: Option<Cpus>,
    /// Mode of set_mempolicy and its nodes.
    memory: Option<(libc::c_int, [u64; MASK_WORDS])>,
}

impl Placed {
    /// What a mode asks for.
    ///
    /// # Errors
    /// What the machine cannot do, and how to mend it.
    pub fn resolve(root: &Root, mode: &Mode) -> anyhow::Result<Self> {
        let place = || format!("mode `{}`", mode.name);
        let placed = Self {
            cpus: cpus(root, &mode.placement).with_context(place)?,
            memory: memory(root, &mode.placement).with_context(place)?,
        };
        if let Some(wanted) = &mode.placement.frequency {
            frequency::check(root, wanted).with_context(place)?;
        }
        Ok(placed)
    }

    /// Sets it for the calling process. Async-signal-safe: two system calls at most.
    ///
    /// # Errors
    /// Whatever the kernel says, for instance that a cpuset forbids it.
    pub fn apply(&self) -> io::Result<()> {
        if let Some(cpus) = &self.cpus {
            cpus.apply()?;
        }
        if let Some((mode, nodes)) = &self.memory {
            // The kernel reads one bit less than it is told.
            // SAFETY: the mask has MASK_BITS bits and lives through the call.
            let set = unsafe { libc::syscall(libc::SYS_set_mempolicy, *mode, nodes.as_ptr(), MASK_BITS + 1) };
            if set < 0 {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(())
    }
}

fn cpus(root: &Root, placement: &Placement) -> anyhow::Result<Option<Cpus>> {
    let wanted = match (&placement.cpus, placement.cpu_node) {
        (Some(list), _) => parse_list(list)?,
        (None, Some(node)) => cpus_of(root, node)?,
        (None, None) => return Ok(None),
    };
    let online = cpus_online(root)?;
    let missing: Vec<u32> = wanted.iter().copied().filter(|cpu| !online.contains(cpu)).collect();
    ensure!(
        missing.is_empty(),
        "CPU {} is not online; there are {}",
        format_list(&missing),
        format_list(&online)
    );
    ensure!(!wanted.is_empty(), "`cpus` names no CPU; there are {}", format_list(&online));
    Cpus::of(wanted).map(Some).map_err(|cpu| anyhow!("CPU {cpu} is beyond what can be asked for"))
}

fn cpus_of(root: &Root, id: u32) -> anyhow::Result<Vec<u32>> {
    let nodes = numa_nodes(root);
    let with_cpus: Vec<u32> = nodes.iter().filter(|node| !node.cpus.is_empty()).map(|node| node.id).collect();
    match nodes.into_iter().find(|node| node.id == id && !node.cpus.is_empty()) {
        Some(node) => Ok(node.cpus),
        None => bail!("no NUMA node {id} with CPUs on this machine; {}", there_are(&with_cpus)),
    }
}

fn memory(root: &Root, placement: &Placement) -> anyhow::Result<Option<(libc::c_int, [u64; MASK_WORDS])>> {
    let policy = placement.memory_policy.unwrap_or(MemoryPolicy::Bind);
    let wanted = match (&placement.memory_nodes, placement.memory_node) {
        (Some(list), _) => parse_list(list)?,
        (None, Some(node)) => vec![node],
        (None, None) => return Ok(None),
    };
    let has_memory = |bytes: Option<u64>| bytes.is_none_or(|bytes| bytes > 0);
    let nodes: Vec<u32> =
        numa_nodes(root).iter().filter(|node| has_memory(node.memory_bytes)).map(|node| node.id).collect();
    let missing: Vec<u32> = wanted.iter().copied().filter(|node| !nodes.contains(node)).collect();
    ensure!(
        missing.is_empty(),
        "no NUMA node {} with memory on this machine; {}",
        format_list(&missing),
        there_are(&nodes)
    );
    ensure!(!wanted.is_empty(), "`memory_nodes` names no node; {}", there_are(&nodes));
    ensure!(
        policy != MemoryPolicy::Preferred || wanted.len() == 1,
        "the kernel prefers one node; name one in `memory_nodes`, or use `interleave`"
    );
    let mut mask = [0; MASK_WORDS];
    for node in wanted.into_iter().map(|node| node as usize) {
        let Some(word) = mask.get_mut(node / 64) else {
            bail!("node {node} is beyond what can be asked for")
        };
        *word |= 1_u64 << (node % 64);
    }
    Ok(Some((mode_of(policy), mask)))
}

/// Source: include/uapi/linux/mempolicy.h.
fn mode_of(policy: MemoryPolicy) -> libc::c_int {
    match policy {
        MemoryPolicy::Preferred => 1,
        MemoryPolicy::Bind => 2,
        MemoryPolicy::Interleave => 3,
    }
}

fn there_are(nodes: &[u32]) -> String {
    match nodes {
        [] => "its kernel knows of none".to_owned(),
        nodes => format!("there is {}", format_list(nodes)),
    }
}

#[cfg(test)]
mod tests {
    use waytrace_model::bench::Collect;

    use super::*;

    /// Node 0 with CPUs 0–1 and memory, node 2 with memory only.
    fn machine() -> (tempfile::TempDir, Root) {
        let place = tempfile::tempdir().unwrap();
        for (path, text) in [
            ("cpu/online", "0-1"),
            ("node/online", "0,2"),
            ("node/node0/cpulist", "0-1"),
            ("node/node0/meminfo", "Node 0 MemTotal: 8 kB"),
            ("node/node2/cpulist", ""),
            ("node/node2/meminfo", "Node 2 MemTotal: 8 kB"),
        ] {
            let path = place.path().join("sys/devices/system").join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let root = Root::new(place.path());
        (place, root)
    }

    fn resolve(placement: Placement) -> anyhow::Result<Placed> {
        let (_place, root) = machine();
        let collect = Collect::default();
        Placed::resolve(
            &root,
            &Mode { name: "m".to_owned(), profile: false, collect, placement, optional: false },
        )
    }

    #[test]
    fn what_the_machine_has_can_be_asked_for() {
        let all = Placement {
            cpu_node: Some(0),
            memory_nodes: Some("0,2".to_owned()),
            memory_policy: Some(MemoryPolicy::Interleave),
            ..Placement::default()
        };
        let placed = resolve(all).unwrap();
        let (mode, mask) = placed.memory.unwrap();
        assert_eq!((mode, mask[0], mask[1..].iter().sum::<u64>()), (3, 0b101, 0));
        assert_eq!(placed.cpus.unwrap().count(), 2);
        let far = Placement { memory_node: Some(2), ..Placement::default() };
        assert_eq!(resolve(far).unwrap().memory.unwrap().1[0], 0b100);
    }

    #[test]
    fn what_it_has_not_is_named() {
        let list = |text: &str| Some(text.to_owned());
        let nothing = Placement::default;
        let cases = [
            (Placement { cpus: list("1-3"), ..nothing() }, "CPU 2-3 is not online; there are 0-1"),
            (
                Placement { cpu_node: Some(2), ..nothing() },
                "no NUMA node 2 with CPUs on this machine; there is 0",
            ),
            (Placement { memory_node: Some(1), ..nothing() }, "no NUMA node 1 with memory"),
            (
                Placement {
                    memory_nodes: list("0,2"),
                    memory_policy: Some(MemoryPolicy::Preferred),
                    ..nothing()
                },
                "prefers one node",
            ),
            (Placement { cpus: list("x"), ..nothing() }, "x"),
            (Placement { cpus: list(""), ..nothing() }, "names no CPU"),
        ];
        for (placement, expected) in cases {
            let error = format!("{:#}", resolve(placement).err().unwrap());
            assert!(error.starts_with("mode `m`: ") && error.contains(expected), "{error}");
        }
    }
}
