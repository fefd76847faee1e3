//! Trees for tests: a temporary directory with the files a test names.

use std::fs;

use tempfile::TempDir;

use crate::{Machine, Root};

/// A root that is removed with this value.
pub struct Tree {
    pub root: Root,
    dir: TempDir,
}

impl Tree {
    /// A tree holding `files` (path, text).
    pub fn new(files: &[(&str, &str)]) -> Self {
        let dir = TempDir::new().unwrap();
        let tree = Self { root: Root::new(dir.path()), dir };
        for (path, text) in files {
            tree.write(path, text);
        }
        tree
    }

    /// The machine the tree describes.
    pub fn machine(&self) -> Machine {
        Machine::new(self.root.clone())
    }

    /// Adds or replaces a file.
    pub fn write(&self, path: &str, text: &str) {
        self.write_bytes(path, text.as_bytes());
    }

    /// Adds or replaces a file that is not text.
    pub fn write_bytes(&self, path: &str, bytes: &[u8]) {
        let path = self.dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// Adds a PMU with its files.
    pub fn pmu(&self, name: &str, files: &[(&str, &str)]) {
        for (path, text) in files {
            self.write(&format!("sys/bus/event_source/devices/{name}/{path}"), text);
        }
    }
}

/// Software PMUs every kernel has, as the kernel numbers them.
pub fn software_pmus(tree: &Tree) {
    for (name, kind) in [("software", "1\n"), ("tracepoint", "2\n"), ("breakpoint", "5\n")] {
        tree.pmu(name, &[("type", kind)]);
    }
    tree.pmu("msr", &[("type", "9\n"), ("format/event", "config:0-63\n"), ("events/tsc", "event=0x00\n")]);
}

/// A machine with an Intel-like core PMU (four CPUs), an uncore memory controller and a power PMU.
pub fn intel_like() -> Tree {
    let tree = Tree::new(&[("sys/devices/system/cpu/online", "0-3\n")]);
    software_pmus(&tree);
    tree.pmu(
        "cpu",
        &[
            ("type", "4\n"),
            ("format/event", "config:0-7\n"),
            ("format/umask", "config:8-15\n"),
            ("format/edge", "config:18\n"),
            ("format/cmask", "config:24-31\n"),
            ("format/inv", "config:23\n"),
            ("format/offcore_rsp", "config1:0-63\n"),
            ("format/ldlat", "config1:0-15\n"),
            ("format/acr_mask", "config3:0-63\n"),
            ("events/cpu-cycles", "event=0x3c\n"),
            ("events/mem-loads", "event=0xcd,umask=0x1,ldlat=3\n"),
            ("events/slots", "event=0x00,umask=0x4\n"),
            ("caps/max_precise", "3\n"),
        ],
    );
    tree.pmu(
        "uncore_imc_0",
        &[
            ("type", "12\n"),
            ("cpumask", "0\n"),
            ("format/event", "config:0-7\n"),
            ("format/umask", "config:8-15\n"),
            ("events/cas_count_read", "event=0x04,umask=0x03\n"),
            ("events/cas_count_read.scale", "6.103515625e-5\n"),
            ("events/cas_count_read.unit", "MiB\n"),
        ],
    );
    tree.pmu("uncore_imc_1", &[("type", "13\n"), ("cpumask", "0\n"), ("format/event", "config:0-7\n")]);
    tree.pmu(
        "power",
        &[
            ("type", "20\n"),
            ("cpumask", "0\n"),
            ("format/event", "config:0-7\n"),
            ("events/energy-pkg", "event=0x02\n"),
            ("events/energy-pkg.scale", "2.3283064365386962890625e-10\n"),
            ("events/energy-pkg.unit", "Joules\n"),
        ],
    );
    tree
}

/// A machine with two kinds of cores, as Alder Lake has them.
pub fn hybrid() -> Tree {
    let tree = Tree::new(&[("sys/devices/system/cpu/online", "0-5\n")]);
    software_pmus(&tree);
    let core = |name: &str, kind: &str, cpus: &str, umask: &str| {
        tree.pmu(
            name,
            &[
                ("type", kind),
                ("cpus", cpus),
                ("format/event", "config:0-7\n"),
                ("format/umask", umask),
                ("events/mem-loads", "event=0xd0,umask=0x5\n"),
            ],
        );
    };
    core("cpu_core", "4\n", "0-1\n", "config:8-15\n");
    core("cpu_atom", "10\n", "2-5\n", "config:8-15,40-47\n");
    tree
}
