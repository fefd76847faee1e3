//! Who is killed: this test program itself, started again, changing classes, masks and members under a journal as fast as it
//! can, until it is ended.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use waytrace_hw::Root;
use waytrace_hw::msr::MsrAllocation;
use waytrace_hw::rdt::{CacheAllocation, DEFAULT_CLASS, RdtError, Setting};
use waytrace_hw::resctrl::Resctrl;
use waytrace_hw::undo::{Journal, Undo, Watchdog};
use waytrace_model::cache::WayMask;
use waytrace_model::cache_report::{Class, Interface};

use super::TARGET;
use crate::harness::waytrace::binary;

/// Says to the program started again what it is; the host's root follows.
const ROLE: &str = "WAYTRACE_TEST_CHANGES";
const OURS: &str = "driven";

/// Starts it on a host.
pub fn start(root: &Path, run: &Path, interface: Interface) -> Child {
    let name = if interface == Interface::Msr { "msr" } else { "resctrl" };
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kills::driver::changes", "--nocapture", "--test-threads", "1"])
        .env(ROLE, format!("{name}:{}", root.display()))
        .env("WAYTRACE_RUN_DIR", run)
        .env("WAYTRACE_BIN", binary())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The program that is killed. Run as a test it has nothing to do.
#[test]
fn changes() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let (interface, root) = role.split_once(':').unwrap();
    let root = Root::new(root);
    let allocation: Box<dyn CacheAllocation> = match interface {
        "msr" => Box::new(MsrAllocation::open(&root, false).unwrap()),
        _ => Box::new(Resctrl::open(&root).unwrap()),
    };
    let mut driver = Driver { journal: Journal::open(&root, "test").unwrap(), allocation };
    let watchdog = Watchdog::start(&driver.journal, &binary()).unwrap();
    let outcome = driver.drive();
    let undone = driver.journal.undo();
    watchdog.dismiss();
    eprintln!("{outcome:?} {undone:?}");
    assert!(undone.restored, "{undone:?}");
}

struct Driver {
    journal: Journal,
    allocation: Box<dyn CacheAllocation>,
}

impl Driver {
    /// Changes on and on; only an error ends it.
    fn drive(&mut self) -> Result<(), RdtError> {
        let classes = self.allocation.classes()?;
        let interface = self.allocation.interface();
        let class = match interface {
            Interface::Resctrl => {
                self.write_down(Undo::CreatedClass { interface, name: OURS.to_owned() });
                self.allocation.create_class(OURS)?
            }
            Interface::Msr => self.allocation.create_class("")?,
        };
        let now = self.allocation.classes()?;
        for name in [class.as_str(), DEFAULT_CLASS] {
            let old = masks_of(now.iter().find(|class| class.name == name).unwrap());
            let ours = (1..=old_ways(&old)).flat_map(|ways| narrowed(&old, ways)).collect();
            self.write_down(Undo::Settings { interface, class: name.to_owned(), old, ours });
        }
        self.move_members(&classes, interface, &class)?;
        let old = masks_of(now.iter().find(|other| other.name == class).unwrap());
        loop {
            for ways in (1..=old_ways(&old)).filter(|ways| *ways > 1) {
                self.allocation.set(&class, &narrowed(&old, ways))?;
                self.allocation.set(DEFAULT_CLASS, &narrowed(&old, ways))?;
            }
        }
    }

    fn move_members(&mut self, classes: &[Class], interface: Interface, ours: &str) -> Result<(), RdtError> {
        let (from, web) = (ours.to_owned(), "web".to_owned());
        if interface == Interface::Resctrl {
            let (second, grouped) = (TARGET + 1, TARGET + 2);
            let has_groups = classes.iter().any(|class| !class.monitor_groups.is_empty());
            let slow = has_groups.then(|| "slow".to_owned());
            let homes =
                [(DEFAULT_CLASS.to_owned(), None, TARGET), (web.clone(), None, second), (web, slow, grouped)];
            for (class, monitor, tid) in homes {
                let (from, tids) = (from.clone(), vec![tid]);
                self.write_down(Undo::Tasks { interface, class, monitor, from, tids });
                self.allocation.assign_tasks(ours, &[tid])?;
            }
            return Ok(());
        }
        for class in classes.iter().filter(|class| !class.cpus.is_empty()) {
            for cpu in class.cpus.iter().copied().filter(|cpu| *cpu < 4) {
                let group = class.monitor_groups.iter().find(|group| group.cpus.contains(&cpu));
                let monitor = group.map(|group| group.name.clone());
                let (class, from, cpus) = (class.name.clone(), from.clone(), vec![cpu]);
                self.write_down(Undo::Cpus { interface, class, monitor, from, cpus });
                self.allocation.assign_cpus(ours, &[cpu])?;
                match self.allocation.monitor_cpus(ours, "rmid7", &[cpu]) {
                    Ok(()) | Err(RdtError::BadName { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    fn write_down(&mut self, undo: Undo) {
        self.journal.add(undo).unwrap();
    }
}

/// Masks of a class.
fn masks_of(class: &Class) -> Vec<Setting> {
    let setting = |mask: &waytrace_model::cache_report::ClassMask| Setting::Mask {
        resource: mask.resource.clone(),
        cache_id: mask.cache_id,
        mask: mask.mask,
    };
    class.masks.iter().map(setting).collect()
}

fn old_ways(old: &[Setting]) -> u32 {
    old.iter()
        .map(|one| if let Setting::Mask { mask, .. } = one { mask.ways() } else { 0 })
        .min()
        .unwrap_or(0)
}

fn narrowed(old: &[Setting], ways: u32) -> Vec<Setting> {
    let narrow = |setting: &Setting| match setting {
        Setting::Mask { resource, cache_id, .. } => {
            Setting::Mask { resource: resource.clone(), cache_id: *cache_id, mask: WayMask::lowest(ways) }
        }
        limit => limit.clone(),
    };
    old.iter().map(narrow).collect()
}
