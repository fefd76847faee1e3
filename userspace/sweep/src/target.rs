//! The process whose curve it is: whether it lives, its threads, where it may run.

use waytrace_hw::Root;
use waytrace_hw::process::Stat;
use waytrace_hw::rdt::threads_of_process;
use waytrace_hw::topology::parse_list;

use crate::SweepError;

/// A process, told apart from a later one of the same number.
#[derive(Debug, Clone)]
pub struct Target {
    root: Root,
    /// Process.
    pub pid: u32,
    /// Its name when it was found.
    pub comm: String,
    started: u64,
}

impl Target {
    /// Finds a process.
    ///
    /// # Errors
    /// [`SweepError::NoTarget`].
    pub fn find(root: &Root, pid: u32) -> Result<Self, SweepError> {
        let comm = root.read(&format!("proc/{pid}/comm")).unwrap_or_default();
        let started = started(root, pid).ok_or(SweepError::NoTarget { pid })?;
        Ok(Self { root: root.clone(), pid, comm, started })
    }

    /// Whether it still runs.
    pub fn lives(&self) -> bool {
        started(&self.root, self.pid) == Some(self.started)
    }

    /// Its threads now, ascending; none where it has ended.
    pub fn threads(&self) -> Vec<u32> {
        threads_of_process(&self.root, self.pid).unwrap_or_default()
    }

    /// CPUs that any of its threads may run on, ascending.
    ///
    /// # Errors
    /// [`SweepError::NoTarget`] where none of them tells.
    pub fn allowed_cpus(&self) -> Result<Vec<u32>, SweepError> {
        let of = |tid: u32| {
            let status = self.root.read(&format!("proc/{}/task/{tid}/status", self.pid)).ok()?;
            let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
            parse_list(list).ok()
        };
        let mut cpus: Vec<u32> = self.threads().into_iter().filter_map(of).flatten().collect();
        cpus.sort_unstable();
        cpus.dedup();
        if cpus.is_empty() { Err(SweepError::NoTarget { pid: self.pid }) } else { Ok(cpus) }
    }
}

/// When a process that runs was started, clock ticks since boot; `None` where it does not.
fn started(root: &Root, pid: u32) -> Option<u64> {
    Stat::read(root, pid).filter(Stat::is_alive).map(|stat| stat.start_ticks)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn write(dir: &tempfile::TempDir, path: &str, text: &str) {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn line(state: &str, started: u32) -> String {
        format!("7 (a) b) {state} {}{started} 0 0\n", "0 ".repeat(18))
    }

    #[test]
    fn another_process_of_the_number_is_not_the_one() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::new(dir.path());
        assert!(matches!(Target::find(&root, 7), Err(SweepError::NoTarget { pid: 7 })));
        write(&dir, "proc/7/stat", &line("S", 100));
        write(&dir, "proc/7/comm", "server\n");
        write(&dir, "proc/7/task/7/status", "Name:\tx\nCpus_allowed_list:\t0-1\n");
        write(&dir, "proc/7/task/9/status", "Cpus_allowed_list:\t4\n");
        let target = Target::find(&root, 7).unwrap();
        assert_eq!((target.comm.as_str(), target.lives()), ("server", true));
        assert_eq!((target.threads(), target.allowed_cpus().unwrap()), (vec![7, 9], vec![0, 1, 4]));
        for other in [line("Z", 100), line("S", 101)] {
            write(&dir, "proc/7/stat", &other);
            assert!(!target.lives(), "{other}");
        }
    }
}
