//! Faults on purpose: the n-th operation on a path fails, is slow, or finds that somebody else was there first.

use std::time::Duration;

use crate::resctrl::Errno;

/// What is done to a file or directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Opening a file.
    Open,
    /// Reading from it; a text read piece by piece counts once.
    Read,
    /// Writing to it.
    Write,
    /// Making a directory.
    Mkdir,
    /// Removing one.
    Rmdir,
}

/// What happens then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// The operation is not done, and fails.
    Fail(Errno),
    /// It waits first.
    Slow(Duration),
    /// Somebody removes a resctrl group (path below the mount) before it is done.
    RemoveGroup(String),
    /// Somebody writes a schemata line into a group (path below the mount) before it is done.
    Schemata {
        /// Path of the group; empty is the root.
        group: String,
        /// The line.
        line: String,
    },
    /// A CPU goes offline before it is done.
    Offline(usize),
    /// A process ends before it is done.
    Exit(u32),
}

/// One fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Path below the mount, where `*` stands for any text: `sys/fs/resctrl/*/schemata`.
    pub pattern: String,
    /// Of which operations.
    pub operation: Operation,
    /// The first that is hit, from 1.
    pub nth: u64,
    /// How many are hit from there on; `u64::MAX` is all.
    pub times: u64,
    /// What happens.
    pub effect: Effect,
}

/// All faults of a host, with how often their paths were met.
#[derive(Debug, Clone, Default)]
pub struct Faults(Vec<(Fault, u64)>);

impl Faults {
    /// Adds one, which counts operations from now on.
    pub fn add(&mut self, fault: Fault) {
        self.0.push((fault, 0));
    }

    /// Takes all away.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// What happens to an operation, which is counted.
    pub fn due(&mut self, operation: Operation, path: &str) -> Vec<Effect> {
        let mut due = Vec::new();
        for (fault, seen) in &mut self.0 {
            if fault.operation == operation && matches(&fault.pattern, path) {
                *seen += 1;
                if *seen >= fault.nth && *seen - fault.nth < fault.times {
                    due.push(fault.effect.clone());
                }
            }
        }
        due
    }
}

fn matches(pattern: &str, path: &str) -> bool {
    let Some((head, tail)) = pattern.split_once('*') else { return pattern == path };
    let Some(rest) = path.strip_prefix(head) else { return false };
    (0..=rest.len()).filter_map(|at| rest.get(at..)).any(|rest| matches(tail, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_paths() {
        for (pattern, path, expected) in [
            ("a/b", "a/b", true),
            ("a/*/c", "a/b/c", true),
            ("a/*", "a/b/c", true),
            ("*", "", true),
            ("a/*/c", "a/c", false),
            ("*/b", "a/bc", false),
        ] {
            assert_eq!(matches(pattern, path), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn a_fault_hits_the_nth_operations() {
        let mut faults = Faults::default();
        let effect = Effect::Fail(libc::EIO);
        faults.add(Fault { pattern: "x*".into(), operation: Operation::Write, nth: 2, times: 2, effect });
        let hits: Vec<usize> = (0..5).map(|_| faults.due(Operation::Write, "xy").len()).collect();
        assert_eq!(hits, [0, 1, 1, 0, 0]);
        assert!(faults.due(Operation::Read, "xy").is_empty());
    }
}
