//! Counters of a simulated host: `counters/TID/group` holds what a thread has counted, a name and a value a line.

use std::io;

use waytrace_hw::Root;
use waytrace_hw::rdt::{RdtError, threads_of_process};

use super::{Counters, Counts, Reading};
use crate::SweepError;

/// Counters of a process below a root.
#[derive(Debug)]
pub struct FileCounters {
    root: Root,
    pid: u32,
}

impl FileCounters {
    /// Those of a process; whether there are any shows when they are read.
    pub fn new(root: Root, pid: u32) -> Self {
        Self { root, pid }
    }
}

impl Counters for FileCounters {
    fn read(&mut self) -> Result<Reading, SweepError> {
        let tids = match threads_of_process(&self.root, self.pid) {
            Ok(tids) => tids,
            Err(RdtError::NoTask { .. }) => return Ok(Reading::new()),
            Err(error) => return Err(error.into()),
        };
        let mut reading = Reading::new();
        for tid in tids {
            let file = format!("counters/{tid}/group");
            match self.root.read(&file) {
                Ok(text) => {
                    reading.insert(tid, parse(&text));
                }
                // The thread has ended since it was listed.
                Err(error) if is_gone(&error) => {}
                Err(source) => return Err(SweepError::Counting { what: file, reason: source.to_string() }),
            }
        }
        Ok(reading)
    }
}

fn is_gone(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ESRCH | libc::ENODEV))
}

fn parse(text: &str) -> Counts {
    let mut counts = Counts::default();
    for (name, value) in text.lines().filter_map(|line| line.split_once(' ')) {
        let Ok(value) = value.trim().parse::<u64>() else { continue };
        match name {
            "instructions" => counts.instructions = Some(value),
            "cycles" => counts.cycles = Some(value),
            "llc_references" => counts.references = Some(value),
            "llc_misses" => counts.misses = Some(value),
            "time_enabled_ns" => counts.enabled_ns = value,
            "time_running_ns" => counts.running_ns = value,
            _ => {}
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_lacks_is_not_known() {
        let counts = parse("instructions 20\ncycles 10\nllc_misses x\nother 1\ntime_enabled_ns 5\n");
        assert_eq!((counts.ipc(), counts.misses, counts.enabled_ns), (Some(2.0), None, 5));
    }
}
