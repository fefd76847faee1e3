//! Whether the machine allocates caches, and if not, why and what to do.
//!
//! Source: `Documentation/filesystems/resctrl.rst`; the kernel registers the file system only where the CPU has a part of it
//! (`resctrl_late_init`, arch/x86/kernel/cpu/resctrl/core.c).

use std::path::PathBuf;

use crate::Root;
use crate::topology::{cpuinfo_field, hypervisor};

/// Flags of `/proc/cpuinfo` that say something can be allocated or monitored.
const FLAGS: [&str; 7] = ["rdt_a", "cat_l3", "cat_l2", "mba", "cqm_llc", "cqm", "smba"];

/// What becomes of resctrl here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResctrlState {
    /// It is mounted.
    Mounted {
        /// Where, below the root.
        path: PathBuf,
        /// Mount options, as `rw`, `cdp`, `mba_MBps`.
        options: Vec<String>,
    },
    /// The kernel has it, and it is not mounted.
    NotMounted,
    /// The CPU has something to allocate, and the kernel has no resctrl.
    NoKernel,
    /// The CPU has nothing to allocate.
    NoCpu {
        /// The hypervisor that may be the reason.
        hypervisor: Option<String>,
        /// Model of the CPU, where it is told.
        cpu: Option<String>,
    },
}

/// Looks at mounts, file systems and the CPU.
pub fn resctrl_state(root: &Root) -> ResctrlState {
    // Mounts of this process, which may be others than those of pid 1.
    let mounts = root.read("proc/self/mounts").or_else(|_| root.read("proc/mounts")).unwrap_or_default();
    if let Some(mounted) = mounts.lines().find_map(|line| mount(root, line)) {
        return mounted;
    }
    let known = root.read("proc/filesystems").unwrap_or_default();
    if known.lines().any(|line| line.split_whitespace().last() == Some("resctrl")) {
        return ResctrlState::NotMounted;
    }
    let cpuinfo = root.read("proc/cpuinfo").unwrap_or_default();
    let flags = cpuinfo_field(&cpuinfo, "flags").unwrap_or_default();
    if flags.split_whitespace().any(|flag| FLAGS.contains(&flag)) {
        return ResctrlState::NoKernel;
    }
    let cpu = cpuinfo_field(&cpuinfo, "model name").map(str::to_owned);
    ResctrlState::NoCpu { hypervisor: hypervisor(root, &cpuinfo), cpu }
}

fn mount(root: &Root, line: &str) -> Option<ResctrlState> {
    let mut fields = line.split(' ');
    let (_, path, kind, options) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    (kind == "resctrl").then(|| ResctrlState::Mounted {
        path: root.path(&unescape(path)),
        options: options.split(',').map(str::to_owned).collect(),
    })
}

/// Blanks and backslashes are octal in mounts (`\040`).
fn unescape(path: &str) -> String {
    let mut text = String::new();
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('\\') {
        text.push_str(before);
        let code = after.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match (code, after.get(3..)) {
            (Some(code), Some(tail)) => {
                text.push(char::from(code));
                rest = tail;
            }
            _ => {
                text.push('\\');
                rest = after;
            }
        }
    }
    text + rest
}

/// Why caches cannot be allocated by resctrl, with the mend; `None` where they can.
pub fn why_not(state: &ResctrlState) -> Option<String> {
    let reason = match state {
        ResctrlState::Mounted { .. } => return None,
        ResctrlState::NotMounted => {
            "resctrl is not mounted; as root, `mount -t resctrl resctrl /sys/fs/resctrl`".to_owned()
        }
        ResctrlState::NoKernel => {
            "the CPU can, but this kernel has no resctrl; it needs CONFIG_X86_CPU_RESCTRL and no \
             `rdt=!…` on its command line, or use `--interface msr`"
                .to_owned()
        }
        ResctrlState::NoCpu { hypervisor: Some(name), .. } => format!(
            "this is a virtual machine ({name}), and hypervisors do not pass RDT on; run on the host, or on bare metal"
        ),
        ResctrlState::NoCpu { hypervisor: None, cpu } => format!(
            "{} has neither RDT (Intel) nor QoS (AMD) nor MPAM (Arm), or its firmware or kernel hides it; \
             /proc/cpuinfo would show cat_l3, and /proc/filesystems resctrl",
            cpu.as_deref().unwrap_or("this CPU")
        ),
    };
    Some(reason)
}

/// Why a CPU that announces bandwidth limits has none to set.
pub const NOT_LINEAR: &str = "the CPU announces bandwidth limits (mba), and there are none to set: its delays are on a scale that is not \
                              linear (CPUID 0x10.3), which no kernel turns into percentages, or this kernel began with `rdt=!mba`";
/// Why a CPU that does not has none.
pub const NO_LIMITS: &str = "this CPU limits no memory bandwidth (no mba in /proc/cpuinfo)";

/// Why there is no bandwidth to limit where caches can be allocated.
pub fn why_no_limits(root: &Root) -> &'static str {
    let cpuinfo = root.read("proc/cpuinfo").unwrap_or_default();
    let flags = cpuinfo_field(&cpuinfo, "flags").unwrap_or_default();
    if flags.split_whitespace().any(|flag| flag == "mba") { NOT_LINEAR } else { NO_LIMITS }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Tree;

    fn reason(files: &[(&str, &str)]) -> String {
        why_not(&resctrl_state(&Tree::new(files).root)).unwrap()
    }

    #[test]
    fn a_mount_is_found_with_its_options() {
        let tree = Tree::new(&[(
            "proc/mounts",
            "proc /proc proc rw 0 0\nresctrl /sys/fs/my\\040ctrl resctrl rw,relatime,cdp,mba_MBps 0 0\n",
        )]);
        let ResctrlState::Mounted { path, options } = resctrl_state(&tree.root) else { panic!() };
        assert_eq!(path, tree.root.path("sys/fs/my ctrl"));
        assert_eq!(options, ["rw", "relatime", "cdp", "mba_MBps"]);
    }

    #[test]
    fn each_lack_has_its_reason() {
        let flags = |flags: &str| format!("model name\t: Test CPU\nflags\t\t: fpu {flags}\n");
        let able = flags("cat_l3");
        assert!(reason(&[("proc/filesystems", "nodev\tresctrl\n")]).contains("mount -t resctrl"));
        assert!(reason(&[("proc/cpuinfo", &able)]).contains("CONFIG_X86_CPU_RESCTRL"));
        assert!(reason(&[("proc/cpuinfo", &flags("hypervisor"))]).contains("virtual machine"));
        assert!(reason(&[("proc/cpuinfo", &flags(""))]).starts_with("Test CPU has neither"));
    }

    proptest::proptest! {
        #[test]
        fn any_mounts_are_read(text in "\\PC{0,60}") {
            let _ = mount(&Root::default(), &text);
            let _ = unescape(&text);
        }
    }
}
