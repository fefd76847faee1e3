//! The machine's facts as its files tell them; what has to be tried is in [`super::Attempts`].

use serde::Serialize;

use super::kernel::Kernel;
use super::machine_state::{self, CacheFacts, FrequencyFacts, LeftFacts};
use super::privilege;
use crate::topology::{self, NumaNode};
use crate::{Machine, Root};

/// One PMU and what it offers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PmuFacts {
    /// Name.
    pub name: String,
    /// `perf_event_attr.type`.
    pub type_number: u32,
    /// Counts what the cores execute.
    pub core: bool,
    /// Events it names.
    pub events: Vec<String>,
    /// Highest `precise_ip`, where it says: 0 is no precise events.
    pub max_precise: Option<u8>,
    /// CPUs it is opened on, where it is bound to some.
    pub cpus: Option<String>,
}

/// Where tracefs is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum TracefsFacts {
    /// Mounted and readable.
    Mounted {
        /// Mount point.
        path: String,
    },
    /// Not mounted; read through a private view.
    PrivateView,
    /// Out of reach.
    Unavailable {
        /// Why, and how to mend it.
        reason: String,
    },
}

/// Cache allocation and monitoring as CPU and kernel announce them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct RdtFacts {
    /// Flags of `/proc/cpuinfo` about allocation: `cat_l3`, `cat_l2`, `cdp_l3`, `mba`.
    pub allocation_flags: Vec<String>,
    /// Flags about monitoring: `cqm_occup_llc`, `cqm_mbm_total`, `cqm_mbm_local`.
    pub monitoring_flags: Vec<String>,
    /// The kernel has the resctrl file system.
    pub resctrl_in_kernel: bool,
    /// Where it is mounted.
    pub resctrl_mount: Option<String>,
}

/// Facts of a machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Facts {
    /// Kernel, options, settings, lockdown.
    pub kernel: Kernel,
    /// CPU model.
    pub cpu_model: String,
    /// CPUs online, as a list.
    pub cpus_online: String,
    /// NUMA nodes.
    pub numa_nodes: Vec<NumaNode>,
    /// Hypervisor below this kernel.
    pub hypervisor: Option<String>,
    /// The kernel describes its own types, `/sys/kernel/btf/vmlinux`.
    pub btf: bool,
    /// Tracefs.
    pub tracefs: TracefsFacts,
    /// Effective capabilities of this process.
    pub capabilities: Vec<String>,
    /// It is in a user namespace of its own, whose capabilities mean nothing to BPF and perf.
    pub user_namespace: bool,
    /// It is in a PID namespace of its own, where the process ids BPF programs see are not its own.
    pub pid_namespace: bool,
    /// PMUs.
    pub pmus: Vec<PmuFacts>,
    /// Cache allocation and monitoring.
    pub rdt: RdtFacts,
    /// `/dev/cpu/0/msr` exists.
    pub msr_device: bool,
    /// Caches as far as they can be asked.
    pub caches: CacheFacts,
    /// What decides about the CPUs' frequencies.
    pub frequency: FrequencyFacts,
    /// Changes of waytrace that are still in force.
    pub left: Vec<LeftFacts>,
}

impl Facts {
    /// Reads them. What no file tells is empty.
    pub fn read(machine: &Machine) -> Self {
        let root = machine.root();
        let cpuinfo = root.read("proc/cpuinfo").unwrap_or_default();
        let host = topology::host(root);
        Self {
            kernel: Kernel::read(root),
            cpus_online: topology::format_list(&topology::cpus_online(root).unwrap_or_default()),
            numa_nodes: topology::numa_nodes(root),
            btf: root.exists("sys/kernel/btf/vmlinux"),
            tracefs: tracefs(machine),
            capabilities: privilege::held(root),
            user_namespace: privilege::in_user_namespace(root),
            pid_namespace: privilege::in_pid_namespace(root),
            pmus: machine.pmu_names().iter().filter_map(|name| pmu(machine, name)).collect(),
            rdt: rdt(root, topology::cpuinfo_field(&cpuinfo, "flags").unwrap_or_default()),
            msr_device: root.exists("dev/cpu/0/msr"),
            caches: machine_state::caches(root),
            frequency: machine_state::frequencies(root),
            left: machine_state::left(root),
            cpu_model: host.cpu_model,
            hypervisor: host.hypervisor,
        }
    }

    /// Facts of the PMU `name`.
    pub fn pmu(&self, name: &str) -> Option<&PmuFacts> {
        self.pmus.iter().find(|pmu| pmu.name == name)
    }
}

fn pmu(machine: &Machine, name: &str) -> Option<PmuFacts> {
    let pmu = machine.pmu(name)?;
    let core = pmu.is_core();
    Some(PmuFacts {
        core,
        events: pmu.events.into_keys().collect(),
        max_precise: pmu.max_precise,
        cpus: pmu.cpus.or(pmu.cpumask).map(|cpus| topology::format_list(&cpus)),
        type_number: pmu.type_,
        name: pmu.name,
    })
}

fn tracefs(machine: &Machine) -> TracefsFacts {
    match machine.tracefs() {
        Ok(tracefs) => match tracefs.mount_point() {
            Some(path) => TracefsFacts::Mounted { path: path.display().to_string() },
            None => TracefsFacts::PrivateView,
        },
        Err(error) => TracefsFacts::Unavailable { reason: error.to_string() },
    }
}

fn rdt(root: &Root, cpu_flags: &str) -> RdtFacts {
    let flags = |wanted: &[&str]| -> Vec<String> {
        cpu_flags.split_whitespace().filter(|flag| wanted.contains(flag)).map(str::to_owned).collect()
    };
    let mounts = root.read("proc/self/mounts").or_else(|_| root.read("proc/mounts")).unwrap_or_default();
    let mount = |line: &str| {
        let mut fields = line.split(' ').skip(1);
        let path = fields.next()?;
        (fields.next()? == "resctrl").then(|| path.to_owned())
    };
    let file_systems = root.read("proc/filesystems").unwrap_or_default();
    RdtFacts {
        allocation_flags: flags(&["cat_l3", "cat_l2", "cdp_l3", "cdp_l2", "mba"]),
        monitoring_flags: flags(&["cqm_occup_llc", "cqm_mbm_total", "cqm_mbm_local"]),
        resctrl_in_kernel: file_systems.split_whitespace().any(|name| name == "resctrl"),
        resctrl_mount: mounts.lines().find_map(mount),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::intel_like;

    #[test]
    fn facts_come_from_the_tree() {
        let tree = intel_like();
        tree.write("proc/cpuinfo", "model name : X\nflags : fpu cat_l3 cqm_occup_llc cqm_mbm_total\n");
        tree.write("proc/filesystems", "nodev\tsysfs\nnodev\tresctrl\n");
        tree.write("proc/self/mounts", "proc /proc proc rw 0 0\nresctrl /sys/fs/resctrl resctrl rw 0 0\n");
        tree.write("sys/kernel/btf/vmlinux", "");
        let facts = Facts::read(&tree.machine());
        assert_eq!(facts.rdt.allocation_flags, ["cat_l3"]);
        assert_eq!(facts.rdt.monitoring_flags, ["cqm_occup_llc", "cqm_mbm_total"]);
        assert!(facts.rdt.resctrl_in_kernel && facts.btf && !facts.msr_device);
        assert_eq!(facts.rdt.resctrl_mount.as_deref(), Some("/sys/fs/resctrl"));
        let cpu = facts.pmu("cpu").unwrap();
        assert_eq!(
            (cpu.core, cpu.max_precise, cpu.type_number, cpu.cpus.as_deref()),
            (true, Some(3), 4, None)
        );
        assert_eq!(facts.pmu("power").unwrap().cpus.as_deref(), Some("0"));
        assert!(matches!(facts.tracefs, TracefsFacts::Unavailable { .. }));
    }
}
