//! Who else has perf events open: they may hold counters, and then a group does not fit.
//!
//! Sees the processes whose descriptors this one may list (all, as root). Source: `anon_inode:[perf_event]` links of
//! `/proc/PID/fd`; `kernel/watchdog_perf.c`.

use std::fs;

use waytrace_hw::Root;
use waytrace_model::measured::PmuUser;

/// How the kernel names the descriptor of a perf event.
const LINK: &str = "anon_inode:[perf_event]";

/// Others than process `own`, most events first, and the NMI watchdog where there are counters for it to hold.
pub fn find(root: &Root, own: u32, has_core_pmu: bool) -> Vec<PmuUser> {
    let mut users = Vec::new();
    if has_core_pmu && root.read("proc/sys/kernel/nmi_watchdog").is_ok_and(|value| value == "1") {
        users.push(PmuUser {
            pid: None,
            name: "NMI watchdog (one counter of every CPU)".to_owned(),
            events: 1,
        });
    }
    let Ok(processes) = fs::read_dir(root.path("proc")) else { return users };
    for entry in processes.flatten() {
        let pid = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok());
        let Some(pid) = pid.filter(|pid| *pid != own) else { continue };
        let Ok(descriptors) = fs::read_dir(entry.path().join("fd")) else { continue };
        let is_event =
            |link: &fs::DirEntry| fs::read_link(link.path()).is_ok_and(|to| to.as_os_str() == LINK);
        let events = descriptors.flatten().filter(is_event).count();
        if events > 0 {
            let name = root.read(&format!("proc/{pid}/comm")).unwrap_or_default();
            users.push(PmuUser { pid: Some(pid), name, events: u32::try_from(events).unwrap_or(u32::MAX) });
        }
    }
    users.sort_by_key(|user| (std::cmp::Reverse(user.events), user.pid));
    users
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn processes_with_perf_events_are_named_and_the_watchdog_where_it_counts() {
        let tree = tempfile::tempdir().unwrap();
        for (pid, events) in [(10, 2), (11, 0), (12, 3), (13, 9)] {
            let fd = tree.path().join(format!("proc/{pid}/fd"));
            fs::create_dir_all(&fd).unwrap();
            fs::write(tree.path().join(format!("proc/{pid}/comm")), format!("p{pid}\n")).unwrap();
            symlink("/dev/null", fd.join("0")).unwrap();
            for number in 1..=events {
                symlink(LINK, fd.join(number.to_string())).unwrap();
            }
        }
        fs::create_dir_all(tree.path().join("proc/sys/kernel")).unwrap();
        fs::write(tree.path().join("proc/sys/kernel/nmi_watchdog"), "1\n").unwrap();
        let root = Root::new(tree.path());
        let found = |has_core_pmu| -> Vec<(Option<u32>, u32)> {
            find(&root, 13, has_core_pmu).iter().map(|user| (user.pid, user.events)).collect()
        };
        assert_eq!(found(false), [(Some(12), 3), (Some(10), 2)]);
        assert_eq!(found(true), [(Some(12), 3), (Some(10), 2), (None, 1)]);
        assert_eq!(find(&root, 13, false)[0].name, "p12");
    }
}
