//! Processes by name or by control group.

use std::fs;
use std::path::{Path, PathBuf};

use super::info::Stat;
use crate::error::Error;

/// `TASK_COMM_LEN` less its terminator: what the kernel keeps of a name.
const COMM_BYTES: usize = 15;

/// Where control groups are mounted, in the order they are tried.
const CGROUP_ROOTS: [&str; 2] = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];

/// User processes named `comm`, ascending, this one excepted. A longer name is cut as the kernel cuts it.
///
/// # Errors
/// [`Error::NoProcessNamed`] when there is none.
pub fn find_by_comm(comm: &str) -> Result<Vec<u32>, Error> {
    let wanted = String::from_utf8_lossy(&comm.as_bytes()[..comm.len().min(COMM_BYTES)]);
    let path = PathBuf::from("/proc");
    let entries = fs::read_dir(&path).map_err(|source| Error::Read { path, source })?;
    let mut pids: Vec<u32> = entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|&pid| pid != std::process::id())
        .filter(|&pid| {
            Stat::read(pid).is_ok_and(|stat| stat.comm == wanted && !stat.is_kernel_thread && !stat.is_dead())
        })
        .collect();
    pids.sort_unstable();
    if pids.is_empty() { Err(Error::NoProcessNamed { comm: comm.to_owned() }) } else { Ok(pids) }
}

/// Processes in a control group and the groups below it, ascending. `path` is a directory, or relative to the
/// mount point of the hierarchy (`/system.slice/redis.service`).
///
/// # Errors
/// [`Error::NoSuchCgroup`] or [`Error::EmptyCgroup`]; [`Error::Read`] when a list cannot be read.
pub fn pids_in_cgroup(path: &Path) -> Result<Vec<u32>, Error> {
    let directory = cgroup_directory(path).ok_or_else(|| Error::NoSuchCgroup { path: path.to_owned() })?;
    let mut pids = Vec::new();
    let mut pending = vec![directory];
    while let Some(directory) = pending.pop() {
        let list = directory.join("cgroup.procs");
        match fs::read_to_string(&list) {
            // A process outside this PID namespace is listed as 0.
            Ok(text) => {
                pids.extend(text.lines().filter_map(|line| line.parse::<u32>().ok()).filter(|&p| p != 0));
            }
            // A group may be removed between being listed and being read.
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENODEV)) => continue,
            Err(source) => return Err(Error::Read { path: list, source }),
        }
        let below = fs::read_dir(&directory).into_iter().flatten().flatten();
        pending.extend(below.filter(|e| e.file_type().is_ok_and(|t| t.is_dir())).map(|e| e.path()));
    }
    pids.sort_unstable();
    pids.dedup();
    if pids.is_empty() { Err(Error::EmptyCgroup { path: path.to_owned() }) } else { Ok(pids) }
}

fn cgroup_directory(path: &Path) -> Option<PathBuf> {
    let relative = path.strip_prefix("/").unwrap_or(path);
    let below_roots = CGROUP_ROOTS.iter().map(|root| Path::new(root).join(relative));
    std::iter::once(path.to_owned())
        .chain(below_roots)
        .find(|directory| directory.join("cgroup.procs").is_file())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_child_is_found_by_its_name() {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("wt-find-by-comm-long-name");
        fs::copy("/bin/sleep", &program).unwrap();
        let mut child = Command::new(&program).arg("60").spawn().unwrap();
        let full = find_by_comm("wt-find-by-comm-long-name");
        let cut = find_by_comm("wt-find-by-comm");
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(full.unwrap(), [child.id()]);
        assert_eq!(cut.unwrap(), [child.id()]);
        assert!(matches!(find_by_comm("wt-find-by-comm"), Err(Error::NoProcessNamed { .. })));
    }

    #[test]
    fn groups_below_count_and_foreign_processes_do_not() {
        let root = tempfile::tempdir().unwrap();
        let below = root.path().join("a/b");
        fs::create_dir_all(&below).unwrap();
        fs::write(root.path().join("cgroup.procs"), "7\n0\n").unwrap();
        fs::write(root.path().join("a/cgroup.procs"), "").unwrap();
        fs::write(below.join("cgroup.procs"), "5\n7\n").unwrap();
        assert_eq!(pids_in_cgroup(root.path()).unwrap(), [5, 7]);
        fs::remove_file(below.join("cgroup.procs")).unwrap();
        assert!(matches!(pids_in_cgroup(&root.path().join("a")), Err(Error::EmptyCgroup { .. })));
        assert!(matches!(pids_in_cgroup(&below), Err(Error::NoSuchCgroup { .. })));
    }
}
