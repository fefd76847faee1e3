//! The threads of processes and cgroups, for those who put them into a class.

use std::fs;

use super::RdtError;
use crate::Root;

/// Cgroups below one another that are followed; the kernel's own limit is as large.
const DEEPEST: usize = 256;

/// Threads of a process, ascending.
///
/// # Errors
/// [`RdtError::NoTask`] where there is no such process.
pub fn threads_of_process(root: &Root, pid: u32) -> Result<Vec<u32>, RdtError> {
    let mut tids: Vec<u32> =
        root.names(&format!("proc/{pid}/task")).iter().filter_map(|name| name.parse().ok()).collect();
    tids.sort_unstable();
    if tids.is_empty() { Err(RdtError::NoTask { tid: pid }) } else { Ok(tids) }
}

/// Threads of a cgroup and those below it, ascending. `path` is its directory, or its path below `/sys/fs/cgroup`.
///
/// # Errors
/// [`RdtError::Read`] where there is no such cgroup; a process that ended meanwhile is none.
pub fn threads_of_cgroup(root: &Root, path: &str) -> Result<Vec<u32>, RdtError> {
    let below = path.trim_start_matches('/');
    let rel = below.strip_prefix("sys/fs/cgroup").map_or(below, |rest| rest.trim_start_matches('/'));
    let dir = format!("sys/fs/cgroup/{rel}");
    let mut tids = Vec::new();
    collect(root, dir.trim_end_matches('/'), 0, &mut tids)?;
    tids.sort_unstable();
    tids.dedup();
    Ok(tids)
}

fn collect(root: &Root, dir: &str, depth: usize, tids: &mut Vec<u32>) -> Result<(), RdtError> {
    let file = format!("{dir}/cgroup.procs");
    let text = root.read(&file).map_err(|source| RdtError::Read { path: root.path(&file), source })?;
    for pid in text.lines().filter_map(|line| line.trim().parse().ok()) {
        tids.extend(threads_of_process(root, pid).unwrap_or_default());
    }
    if depth < DEEPEST {
        let entries = fs::read_dir(root.path(dir)).into_iter().flatten().flatten();
        for entry in entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
            // One that was removed meanwhile has no threads.
            let _ = collect(root, &format!("{dir}/{}", entry.file_name().to_string_lossy()), depth + 1, tids);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Tree;

    #[test]
    fn threads_are_found_by_process_and_cgroup() {
        let tree = Tree::new(&[
            ("proc/10/task/10/stat", ""),
            ("proc/10/task/12/stat", ""),
            ("proc/20/task/20/stat", ""),
            ("sys/fs/cgroup/a/cgroup.procs", "10\n99\n"),
            ("sys/fs/cgroup/a/b/cgroup.procs", "20\n"),
        ]);
        assert_eq!(threads_of_process(&tree.root, 10).unwrap(), [10, 12]);
        assert!(matches!(threads_of_process(&tree.root, 99), Err(RdtError::NoTask { tid: 99 })));
        for path in ["a", "/a", "/sys/fs/cgroup/a/"] {
            assert_eq!(threads_of_cgroup(&tree.root, path).unwrap(), [10, 12, 20], "{path}");
        }
        assert!(matches!(threads_of_cgroup(&tree.root, "gone"), Err(RdtError::Read { .. })));
    }
}
