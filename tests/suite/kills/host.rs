//! A simulated host somebody else has divided already, so that there is something to be put back: a class, a monitoring group
//! in it, and threads or CPUs that belong to them.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use tempfile::TempDir;
use waytrace_model::cache_report::Interface;
use waytrace_simhost::model::program::{Program, Workload};
use waytrace_simhost::model::task::TaskSpec;
use waytrace_simhost::registers::{self, L3_MASK, PQR_ASSOC};

use super::TARGET;
use crate::harness::simulated::Simulated;

/// A divided host.
pub struct Divided {
    pub name: String,
    pub simulated: Simulated,
    pub interface: Interface,
    /// Where sweeps are stored.
    pub store: TempDir,
    /// How often it was swept.
    pub turn: Cell<u32>,
    /// Everything as somebody else set it.
    before: BTreeMap<String, String>,
}

impl Divided {
    /// # Errors
    /// The reason to skip.
    pub fn new(host: &str, interface: Interface) -> Result<Self, String> {
        let simulated = Simulated::named(host)?;
        let name = format!("{host}, {}", if interface == Interface::Msr { "msr" } else { "resctrl" });
        let store = TempDir::new().unwrap();
        let mut divided =
            Self { name, simulated, interface, store, turn: Cell::new(0), before: BTreeMap::new() };
        divided.start_target();
        match interface {
            Interface::Resctrl => divided.divide_by_files(),
            Interface::Msr => divided.divide_by_registers(),
        }
        divided.before = divided.simulated.state();
        Ok(divided)
    }

    /// Three threads, on CPUs of their own.
    pub fn start_target(&self) {
        for (cpu, tid) in (2..).zip(TARGET..TARGET + 3) {
            let workload = Workload::of(Program::Stream);
            self.simulated.mounted.host().start(TaskSpec { tgid: TARGET, tid, cpu, workload });
        }
    }

    /// Two of the threads are of a class, and one of them is monitored apart.
    pub fn place_target(&self) {
        self.simulated.write("tasks", &format!("{TARGET}\n"));
        self.simulated.write("web/tasks", &format!("{}\n", TARGET + 1));
        self.simulated.write("web/tasks", &format!("{}\n", TARGET + 2));
        if self.simulated.resctrl("web/mon_groups/slow").exists() {
            self.simulated.write("web/mon_groups/slow/tasks", &format!("{}\n", TARGET + 2));
        }
    }

    fn divide_by_files(&self) {
        self.simulated.mkdir("web");
        let text = self.simulated.read("schemata");
        for line in text.lines().map(str::trim).filter(|line| line.starts_with("L3")) {
            let (resource, caches) = line.split_once(':').unwrap();
            let ids = caches.split(';').filter_map(|cache| cache.split('=').next());
            let half: Vec<String> = ids.map(|id| format!("{id}=3f")).collect();
            self.simulated.write("web/schemata", &format!("{resource}:{}\n", half.join(";")));
        }
        if self.simulated.resctrl("web/mon_groups").exists() {
            self.simulated.mkdir("web/mon_groups/slow");
        }
        self.place_target();
    }

    fn divide_by_registers(&self) {
        let mut host = self.simulated.mounted.host();
        host.set_mounted(false);
        let machine = &mut host.machine;
        let cpus = machine.spec().cpus();
        for cpu in 0..cpus {
            registers::write(machine, cpu, L3_MASK + 1, 0x3f).unwrap();
        }
        // CPU 2 is of the class, CPU 0 is monitored by somebody.
        registers::write(machine, 2, PQR_ASSOC, 1 << 32).unwrap();
        // A host without monitors has no such number.
        registers::write(machine, 0, PQR_ASSOC, 5).ok();
    }

    /// What is not as before: the names of what differs.
    pub fn differences(&self) -> Vec<String> {
        let now = self.simulated.state();
        let names = self.before.keys().chain(now.keys());
        let mut different: Vec<String> = names
            .filter(|name| self.before.get(*name) != now.get(*name))
            .map(|name| format!("{name}: {:?}, was {:?}", now.get(name), self.before.get(name)))
            .collect();
        different.sort();
        different.dedup();
        different
    }

    /// Journals that say a change. One whose process was killed before its first is no more than its name, and is taken away.
    pub fn journals(&self) -> usize {
        let entries = fs::read_dir(self.simulated.run_dir()).unwrap().flatten();
        let of = |path: &Path| fs::read_to_string(path).unwrap_or_default().lines().count();
        entries.filter(|entry| of(&entry.path()) > 1).count()
    }

    /// Takes away journals that say nothing.
    pub fn tidy(&self) {
        if self.journals() == 0 {
            for entry in fs::read_dir(self.simulated.run_dir()).unwrap().flatten() {
                fs::remove_file(entry.path()).unwrap();
            }
        }
    }
}
