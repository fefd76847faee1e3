//! Whose journal it is: a process, told apart from a later one with its number by the time it began.

use serde::{Deserialize, Serialize};

use crate::Root;
use crate::process::Stat;

/// A process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// Its number.
    pub pid: u32,
    /// When it began, in clock ticks since boot.
    pub started: u64,
    /// Its command line.
    pub command: String,
}

/// A process of this machine, whatever the root: journals are of processes, not of hosts.
fn stat(pid: u32) -> Option<Stat> {
    Stat::read(&Root::default(), pid)
}

impl Owner {
    /// This process.
    pub fn this() -> Self {
        let pid = std::process::id();
        let arguments = std::env::args_os().map(|word| word.to_string_lossy().into_owned());
        Self {
            pid,
            started: stat(pid).map_or(0, |stat| stat.start_ticks),
            command: arguments.collect::<Vec<_>>().join(" "),
        }
    }

    /// Whether it runs. A zombie does not: its locks are gone.
    pub fn is_alive(&self) -> bool {
        stat(self.pid).is_some_and(|stat| stat.start_ticks == self.started && stat.is_alive())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_given_away_again_is_another_process() {
        let this = Owner::this();
        assert!(this.is_alive() && this.started > 0);
        assert!(!Owner { started: this.started - 1, ..this.clone() }.is_alive());
        assert!(!Owner { pid: u32::MAX, ..this }.is_alive());
    }

    #[test]
    fn a_zombie_is_gone() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let started = stat(child.id()).unwrap().start_ticks;
        let owner = Owner { pid: child.id(), started, command: String::new() };
        while owner.is_alive() {
            std::thread::yield_now();
        }
        assert!(child.wait().unwrap().success());
    }
}
