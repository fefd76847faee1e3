//! What the kernel was built with and how it is configured.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;

use serde::Serialize;

use crate::Root;

/// Whether a build option is on. Unknown is unknown, not no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OptionState {
    /// Built in.
    Yes,
    /// A loadable module.
    Module,
    /// Not built, or not an option of this kernel.
    No,
    /// The kernel's configuration could not be read.
    Unknown,
}

/// Options waytrace depends on or reports, without `CONFIG_`.
const OPTIONS: [&str; 18] = [
    "BPF_SYSCALL",
    "BPF_JIT",
    "BPF_EVENTS",
    "DEBUG_INFO_BTF",
    "PERF_EVENTS",
    "UPROBES",
    "UPROBE_EVENTS",
    "KPROBES",
    "FTRACE_SYSCALLS",
    "HAVE_HW_BREAKPOINT",
    "CGROUP_BPF",
    "CHECKPOINT_RESTORE",
    "PID_NS",
    "NUMA",
    "X86_CPU_RESCTRL",
    "X86_MSR",
    "SECURITY_YAMA",
    "SECURITY_LOCKDOWN_LSM",
];

/// The kernel.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Kernel {
    /// As `uname -r` prints it.
    pub release: String,
    /// File its build options were read from.
    pub config_file: Option<String>,
    /// Build options, without `CONFIG_`.
    pub options: BTreeMap<String, OptionState>,
    /// Kernel settings under `/proc/sys/kernel` that matter here; an absent one is not there or not readable.
    pub sysctls: BTreeMap<String, i64>,
    /// `none`, `integrity` or `confidentiality`; `None` where securityfs does not tell.
    pub lockdown: Option<String>,
}

const SYSCTLS: [&str; 6] = [
    "perf_event_paranoid",
    "perf_event_max_sample_rate",
    "kptr_restrict",
    "unprivileged_bpf_disabled",
    "yama/ptrace_scope",
    "nmi_watchdog",
];

impl Kernel {
    /// Reads it.
    pub fn read(root: &Root) -> Self {
        let release = root.read("proc/sys/kernel/osrelease").unwrap_or_default();
        let config = config_text(root, &release);
        let state = |name: &str| match &config {
            Some((_, text)) => option_state(text, name),
            None => OptionState::Unknown,
        };
        let sysctl =
            |name: &str| Some((name.to_owned(), root.read_number(&format!("proc/sys/kernel/{name}"))?));
        Self {
            options: OPTIONS.iter().map(|name| ((*name).to_owned(), state(name))).collect(),
            sysctls: SYSCTLS.into_iter().filter_map(sysctl).collect(),
            lockdown: root.read("sys/kernel/security/lockdown").ok().and_then(|text| bracketed(&text)),
            config_file: config.map(|(file, _)| format!("/{file}")),
            release,
        }
    }

    /// State of a build option.
    pub fn option(&self, name: &str) -> OptionState {
        self.options.get(name).copied().unwrap_or(OptionState::Unknown)
    }

    /// Whether it is older than `major.minor`; false where the release is no number.
    pub fn older_than(&self, major: u32, minor: u32) -> bool {
        let mut numbers =
            self.release.split(|c: char| !c.is_ascii_digit()).map_while(|part| part.parse().ok());
        let release: Option<(u32, u32)> = numbers.next().zip(numbers.next());
        release.is_some_and(|release| release < (major, minor))
    }
}

/// The build configuration and where it was found.
fn config_text(root: &Root, release: &str) -> Option<(String, String)> {
    let mut text = String::new();
    let compressed = File::open(root.path("proc/config.gz")).ok();
    if let Some(file) = compressed
        && flate2::read::GzDecoder::new(file).read_to_string(&mut text).is_ok()
    {
        return Some(("proc/config.gz".to_owned(), text));
    }
    let files = [format!("boot/config-{release}"), format!("lib/modules/{release}/config")];
    files.into_iter().find_map(|file| {
        let text = root.read(&file).ok()?;
        Some((file, text))
    })
}

fn option_state(config: &str, name: &str) -> OptionState {
    let value =
        |line: &str| Some(line.strip_prefix("CONFIG_")?.strip_prefix(name)?.strip_prefix('=')?.to_owned());
    match config.lines().find_map(value).as_deref() {
        Some("y") => OptionState::Yes,
        Some("m") => OptionState::Module,
        _ => OptionState::No,
    }
}

/// The chosen word of `none [integrity] confidentiality`.
fn bracketed(text: &str) -> Option<String> {
    Some(text.split_once('[')?.1.split_once(']')?.0.to_owned())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::testing::Tree;

    #[test]
    fn options_come_from_the_first_file_there_is() {
        let tree = Tree::new(&[
            ("proc/sys/kernel/osrelease", "6.1.0-18-amd64\n"),
            (
                "boot/config-6.1.0-18-amd64",
                "CONFIG_BPF_SYSCALL=y\nCONFIG_X86_MSR=m\n# CONFIG_KPROBES is not set\n",
            ),
            ("proc/sys/kernel/perf_event_paranoid", "3\n"),
            ("proc/sys/kernel/yama/ptrace_scope", "1\n"),
            ("sys/kernel/security/lockdown", "none [integrity] confidentiality\n"),
        ]);
        let kernel = Kernel::read(&tree.root);
        assert_eq!(kernel.config_file.as_deref(), Some("/boot/config-6.1.0-18-amd64"));
        let states = ["BPF_SYSCALL", "X86_MSR", "KPROBES", "UPROBES"].map(|name| kernel.option(name));
        assert_eq!(states, [OptionState::Yes, OptionState::Module, OptionState::No, OptionState::No]);
        assert_eq!((kernel.sysctls["perf_event_paranoid"], kernel.sysctls["yama/ptrace_scope"]), (3, 1));
        assert!(!kernel.sysctls.contains_key("kptr_restrict"));
        assert_eq!(kernel.lockdown.as_deref(), Some("integrity"));
        assert!(kernel.older_than(6, 2) && !kernel.older_than(6, 1) && !kernel.older_than(5, 15));
    }

    #[test]
    fn a_compressed_configuration_is_read_and_a_broken_one_is_not() {
        let tree = Tree::new(&[]);
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(b"CONFIG_UPROBES=y\n").unwrap();
        tree.write_bytes("proc/config.gz", &gz.finish().unwrap());
        assert_eq!(Kernel::read(&tree.root).option("UPROBES"), OptionState::Yes);
        tree.write("proc/config.gz", "not gzip");
        assert_eq!(Kernel::read(&tree.root).option("UPROBES"), OptionState::Unknown);
    }

    #[test]
    fn nothing_known_is_unknown() {
        let kernel = Kernel::read(&Tree::new(&[]).root);
        assert_eq!((kernel.option("UPROBES"), kernel.lockdown.is_none()), (OptionState::Unknown, true));
        assert!(!kernel.older_than(5, 15));
    }
}
