//! What `/proc/PID/stat` tells of a process: the one that is meant, and not a later one with its number.
//!
//! Source: proc(5); `do_task_stat`, fs/proc/array.c.

use std::fs;

use crate::Root;

/// Fields of it. Those behind the name are numbered from 3 on in proc(5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stat {
    /// Command name: any bytes its process likes, brackets and blanks as well; what is no UTF-8 is replaced.
    pub comm: String,
    /// State, `R`, `S`, `Z` and so on (3).
    pub state: char,
    /// Its parent (4).
    pub ppid: u32,
    /// Flags of the kernel, `PF_*` (9).
    pub flags: u64,
    /// When it started, clock ticks since boot (22).
    pub start_ticks: u64,
}

impl Stat {
    /// Of a process; `None` where there is none.
    pub fn read(root: &Root, pid: u32) -> Option<Self> {
        Self::parse(&fs::read(root.path(&format!("proc/{pid}/stat"))).ok()?)
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(bytes);
        let (before, after) = text.rsplit_once(')')?;
        let (_, comm) = before.split_once('(')?;
        let fields: Vec<&str> = after.split_whitespace().collect();
        let field = |number: usize| fields.get(number - 3).copied();
        Some(Self {
            comm: comm.to_owned(),
            state: field(3)?.chars().next()?,
            ppid: field(4)?.parse().ok()?,
            flags: field(9)?.parse().ok()?,
            start_ticks: field(22)?.parse().ok()?,
        })
    }

    /// Whether it runs or will. One that has ended is there until its parent has asked for its end, and does not.
    pub fn is_alive(&self) -> bool {
        !matches!(self.state, 'Z' | 'X' | 'x')
    }
}

/// Largest resident set of the calling process so far, in bytes.
pub fn own_peak_rss_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::Tree;

    #[test]
    fn a_name_may_hold_anything() {
        let text = b"7 (a) b (\xff) S 5 7 7 0 -1 4194624 0 0 0 0 1 2 0 0 20 0 3 0 4321 0 0";
        let stat = Stat::parse(text).unwrap();
        assert_eq!((stat.comm.as_str(), stat.state, stat.ppid), ("a) b (\u{fffd}", 'S', 5));
        assert_eq!((stat.flags, stat.start_ticks, stat.is_alive()), (4_194_624, 4321, true));
        assert_eq!(Stat::parse(b"7 (a) S 5 7"), None, "cut short");
    }

    #[test]
    fn this_process_is_there_and_no_other_tree_has_it() {
        let pid = std::process::id();
        assert!(
            Stat::read(&Root::default(), pid).is_some_and(|stat| stat.is_alive() && stat.start_ticks > 0)
        );
        assert_eq!(Stat::read(&Tree::new(&[]).root, pid), None);
        assert!(own_peak_rss_bytes().is_some_and(|bytes| bytes > 0));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = Stat::parse(&bytes);
        }
    }
}
