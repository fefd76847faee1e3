//! Counters of a simulated host: `counters/TID/group` holds what a thread has counted, a name and a value a line.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use waytrace_hw::Root;
use waytrace_hw::rdt::threads_of_process;

use super::{Counters, Counts, Reading};
use crate::SweepError;

/// Counters of a process below a root: its threads' files, which stay open.
#[derive(Debug)]
pub struct FileCounters {
    root: Root,
    pid: u32,
    files: BTreeMap<u32, File>,
}

impl FileCounters {
    /// Those of a process; whether there are any shows when they are read.
    pub fn new(root: Root, pid: u32) -> Self {
        let mut counters = Self { root, pid, files: BTreeMap::new() };
        counters.follow();
        counters
    }
}

impl Counters for FileCounters {
    fn follow(&mut self) {
        for tid in threads_of_process(&self.root, self.pid).unwrap_or_default() {
            if let Entry::Vacant(place) = self.files.entry(tid)
                && let Ok(file) = File::open(self.root.path(&format!("counters/{tid}/group")))
            {
                place.insert(file);
            }
        }
    }

    fn read(&mut self) -> Result<Reading, SweepError> {
        let mut reading = Reading::new();
        for (tid, file) in &self.files {
            let mut text = [0; 512];
            match file.read_at(&mut text, 0) {
                Ok(length) => {
                    let text = String::from_utf8_lossy(text.get(..length).unwrap_or_default());
                    reading.insert(*tid, parse(&text));
                }
                // The thread has ended.
                Err(error) if is_gone(&error) => {}
                Err(source) => {
                    let what = format!("thread {tid}");
                    return Err(SweepError::Counting { what, reason: source.to_string() });
                }
            }
        }
        self.files.retain(|tid, _| reading.contains_key(tid));
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
