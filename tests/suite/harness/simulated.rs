//! A simulated host with cache allocation, mounted, and the binary run on it. Its figures are those of no machine.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use waytrace_simhost::faults::{Effect, Fault, Operation};
use waytrace_simhost::fs::mount::Mounted;
use waytrace_simhost::host::Host;
use waytrace_simhost::hosts;
use waytrace_simhost::model::program::{Program, Workload};
use waytrace_simhost::model::task::TaskSpec;
use waytrace_simhost::spec::HostSpec;

use super::waytrace::{Finished, Running, command};

/// Process that goes round a part of the cache, on CPU 0.
pub const LOOP: u32 = 1000;
/// Process that misses always, on CPU 1.
pub const STREAM: u32 = 2000;

/// A mounted host with the two processes; unmounted when dropped.
pub struct Simulated {
    pub mounted: Mounted,
    /// Where journals are.
    run: TempDir,
    _directory: TempDir,
}

impl Simulated {
    /// The host of that name.
    ///
    /// # Errors
    /// The reason to skip.
    pub fn named(name: &str) -> Result<Self, String> {
        Self::of(&hosts::named(name).unwrap())
    }

    /// A host whose time stands still until it is let go.
    ///
    /// # Errors
    /// The reason to skip.
    pub fn of(spec: &HostSpec) -> Result<Self, String> {
        let mut host = Host::new(spec, 1);
        host.follows_clock = false;
        for (tid, cpu, program) in [(LOOP, 0, Program::Loop { bytes: 4 << 20 }), (STREAM, 1, Program::Stream)]
        {
            host.start(TaskSpec { tgid: tid, tid, cpu, workload: Workload::of(program) });
        }
        let (directory, run) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mounted = Mounted::new(host, directory.path(), 1.0).map_err(|error| error.to_string())?;
        Ok(Self { mounted, run, _directory: directory })
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.mounted.path().join(path)
    }

    pub fn resctrl(&self, path: &str) -> PathBuf {
        self.path("sys/fs/resctrl").join(path)
    }

    /// Where journals are.
    pub fn run_dir(&self) -> &Path {
        self.run.path()
    }

    pub fn mkdir(&self, group: &str) {
        fs::create_dir(self.resctrl(group)).unwrap();
    }

    pub fn rmdir(&self, group: &str) {
        fs::remove_dir(self.resctrl(group)).unwrap();
    }

    pub fn write(&self, file: &str, text: &str) {
        fs::write(self.resctrl(file), text).unwrap();
    }

    pub fn read(&self, file: &str) -> String {
        fs::read_to_string(self.resctrl(file)).unwrap()
    }

    /// The next operation on a path has an effect.
    pub fn fault(&self, pattern: &str, operation: Operation, effect: Effect) {
        let fault = Fault { pattern: pattern.to_owned(), operation, nth: 1, times: 1, effect };
        self.mounted.host().faults.add(fault);
    }

    /// `waytrace cache …` on this host.
    pub fn command(&self, args: &[&str]) -> Command {
        let root = self.mounted.path().to_str().unwrap();
        let mut command = command(&[&["cache"], args, &["--host-root", root]].concat());
        command.env("WAYTRACE_RUN_DIR", self.run.path());
        command
    }

    /// Runs it to its end.
    pub fn cache(&self, args: &[&str]) -> Finished {
        Running::start(&mut self.command(args)).finish()
    }

    /// What anybody could have changed: the registers, every class and group with its members, and journals.
    pub fn state(&self) -> BTreeMap<String, String> {
        let mut state = BTreeMap::new();
        let host = self.mounted.host();
        let mut control = host.machine.control.clone();
        // What was last read of monitors says nothing of anybody's share.
        control.event_select.clear();
        if host.resctrl.is_mounted() {
            // The kernel leaves a class's registers as they are until the class is given again; what counts is in the files.
            (control.l3, control.l2, control.mba) = Default::default();
        }
        drop(host);
        state.insert("registers".to_owned(), format!("{control:?}"));
        collect(&self.resctrl(""), "", &mut state);
        for entry in fs::read_dir(self.run.path()).unwrap().flatten() {
            state.insert(format!("journal {:?}", entry.file_name()), String::new());
        }
        state
    }
}

fn collect(directory: &Path, name: &str, state: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let file = entry.file_name().into_string().unwrap();
        // Monitors count on, and the last status is about the last command.
        if ["mon_data", "info"].contains(&file.as_str()) {
            continue;
        }
        let name = format!("{name}/{file}");
        if entry.path().is_dir() {
            collect(&entry.path(), &name, state);
            state.insert(name, String::new());
        } else {
            state.insert(name, fs::read_to_string(entry.path()).unwrap());
        }
    }
}
