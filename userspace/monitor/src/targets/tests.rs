//! Selectors against trees of `/proc` written by hand from the formats that kernel, systemd, container runtimes and kubelet document.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use proptest::prelude::*;
use tempfile::TempDir;
use waytrace_hw::Root;

use super::facts::{Lazy, Proc};
use super::*;
use crate::config::TargetConfig;

const ID: &str = "3f4c1ea05d2b9d1c7be3e8bd64a2c54ff6ab1c4c0be9d5e8d8f0a1b2c3d4e5f6";
const UID: &str = "12723d69-9268-11e7-84d0-c85b76cda386";
const UID_IN_SLICE: &str = "12723d69_9268_11e7_84d0_c85b76cda386";

fn write_process(root: &Path, pid: u32, exe: &str, cgroup: &str) {
    let folder = root.join(format!("proc/{pid}"));
    fs::create_dir_all(&folder).unwrap();
    let _ = fs::remove_file(folder.join("exe"));
    symlink(exe, folder.join("exe")).unwrap();
    fs::write(folder.join("cgroup"), cgroup).unwrap();
}

fn matches(tree: &TempDir, target: &TargetConfig, pid: u32, comm: &str) -> bool {
    let root = Root::new(tree.path());
    let mut selector = Selector::new(target).unwrap();
    selector.refresh(&root);
    let (proc, lazy) = (Proc::new(root), Lazy::default());
    selector.matches(&ProcessFacts { pid, comm, lazy: &lazy, proc: &proc }, false)
}

fn of(key: &str, value: &str) -> TargetConfig {
    let value = Some(value.to_owned());
    let mut target = TargetConfig { name: "x".into(), ..TargetConfig::default() };
    match key {
        "comm" => target.comm = value,
        "exe" => target.exe = value,
        "cgroup" => target.cgroup = value,
        "unit" => target.unit = value,
        "container" => target.container = value,
        _ => target.pod = value,
    }
    target
}

/// The groups of one process, and what does and does not match it.
struct Case {
    what: &'static str,
    cgroup: String,
    yes: Vec<(&'static str, String)>,
    no: Vec<(&'static str, String)>,
}

fn cases() -> Vec<Case> {
    let s = str::to_owned;
    let other = ID.replace("3f4c", "4f4c");
    vec![
        Case {
            what: "a service under v2",
            cgroup: s("0::/system.slice/redis.service\n"),
            yes: vec![
                ("unit", s("redis")),
                ("unit", s("redis.service")),
                ("unit", s("redis*.service")),
                ("unit", s("system.slice")),
                ("cgroup", s("/system.slice/redis.service")),
                ("cgroup", s("system.slice")),
                ("cgroup", s("/sys/fs/cgroup/system.slice/redis*")),
                ("cgroup", s("/**/redis.service")),
            ],
            no: vec![
                ("unit", s("redi")),
                ("unit", s("redis.slice")),
                ("cgroup", s("/system.slice/redis")),
                ("cgroup", s("/*/*/x")),
                ("container", s("3f4c1ea05d2b")),
                ("pod", s(UID)),
            ],
        },
        Case {
            what: "an instance of a template",
            cgroup: s("0::/system.slice/system-redis.slice/redis@6380.service\n"),
            yes: vec![("unit", s("redis@")), ("unit", s("redis@6380")), ("unit", s("system-redis.slice"))],
            no: vec![("unit", s("redis@6381")), ("unit", s("redis"))],
        },
        Case {
            what: "a user's unit with an escaped name",
            cgroup: s("0::/user.slice/user-1000.slice/user@1000.service/app.slice/app-foo\\x2dbar.scope\n"),
            yes: vec![
                ("unit", s("app-foo\\x2dbar.scope")),
                ("unit", s("app.slice")),
                ("unit", s("user@1000")),
                ("unit", s("user-1000.slice")),
            ],
            no: vec![("unit", s("user@1001")), ("unit", s("foo-bar.scope"))],
        },
        Case {
            what: "a name systemd escapes, of a group that was removed",
            cgroup: s("0::/system.slice/_cpu.service (deleted)\n"),
            yes: vec![("unit", s("cpu.service")), ("cgroup", s("/system.slice/_cpu.service"))],
            no: vec![("unit", s("pu.service"))],
        },
        Case {
            what: "v1 beside systemd's own hierarchy",
            cgroup: s(
                "4:memory:/batch/night\n3:cpu,cpuacct:/batch/day\n1:name=systemd:/system.slice/cron.service\n0::/\n",
            ),
            yes: vec![
                ("unit", s("cron")),
                ("cgroup", s("/batch")),
                ("cgroup", s("/sys/fs/cgroup/memory/batch/night")),
                ("cgroup", s("/sys/fs/cgroup/cpu,cpuacct/batch/day")),
                ("cgroup", s("/sys/fs/cgroup/cpu/batch/*")),
                ("cgroup", s("/sys/fs/cgroup/systemd/system.slice")),
            ],
            no: vec![
                ("cgroup", s("/sys/fs/cgroup/memory/batch/day")),
                ("cgroup", s("/sys/fs/cgroup/systemd/batch")),
                ("cgroup", s("/sys/fs/cgroup/unified/batch")),
            ],
        },
        Case {
            what: "a group of v2 that is called like a controller",
            cgroup: s("0::/memory/hog\n"),
            yes: vec![("cgroup", s("/sys/fs/cgroup/memory/hog")), ("cgroup", s("/memory"))],
            no: vec![("cgroup", s("/hog"))],
        },
        Case {
            what: "docker by systemd's driver",
            cgroup: format!("0::/system.slice/docker-{ID}.scope\n"),
            yes: vec![
                ("container", s("3f4c1ea05d2b")),
                ("container", s(ID)),
                ("container", format!("docker://{ID}")),
                ("container", s("3F4C1EA05D2B")),
                ("unit", s("docker-*.scope")),
            ],
            no: vec![("container", s("3f4c1ea05d2c")), ("container", other)],
        },
        Case {
            what: "docker by the kernel's driver, v1",
            cgroup: format!("5:cpu:/docker/{ID}\n1:name=systemd:/docker/{ID}\n"),
            yes: vec![("container", s("3f4c1ea05d2b")), ("cgroup", s("/docker/*"))],
            no: vec![("container", s("docker").replace("docker", "d0c3d0c3d0c3"))],
        },
        Case {
            what: "podman, with a group of its own below",
            cgroup: format!("0::/machine.slice/libpod-{ID}.scope/container\n"),
            yes: vec![("container", s("3f4c1ea05d2b"))],
            no: vec![],
        },
        Case {
            what: "podman's split groups",
            cgroup: format!("0::/system.slice/app.service/libpod-payload-{ID}\n"),
            yes: vec![("container", s("3f4c1ea05d2b")), ("unit", s("app"))],
            no: vec![],
        },
        Case {
            what: "podman's monitor process is not in the container",
            cgroup: format!("0::/machine.slice/libpod-conmon-{ID}.scope\n"),
            yes: vec![],
            no: vec![("container", s("3f4c1ea05d2b"))],
        },
        Case {
            what: "a pod by systemd's driver, containerd",
            cgroup: format!(
                "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{UID_IN_SLICE}.slice/cri-containerd-{ID}.scope\n"
            ),
            yes: vec![
                ("pod", s(UID)),
                ("pod", s(UID_IN_SLICE)),
                ("pod", s(UID).to_uppercase()),
                ("container", format!("containerd://{ID}")),
                ("cgroup", s("/kubepods.slice/kubepods-burstable.slice")),
            ],
            no: vec![("pod", s("22723d69-9268-11e7-84d0-c85b76cda386"))],
        },
        Case {
            what: "a guaranteed pod, CRI-O",
            cgroup: format!("0::/kubepods.slice/kubepods-pod{UID_IN_SLICE}.slice/crio-{ID}.scope\n"),
            yes: vec![("pod", s(UID)), ("container", s("3f4c1ea05d2b"))],
            no: vec![],
        },
        Case {
            what: "a pod by the kernel's driver, CRI-O, v1",
            cgroup: format!("9:pids:/kubepods/besteffort/pod{UID}/crio-{ID}\n"),
            yes: vec![
                ("pod", s(UID)),
                ("container", s("3f4c1ea05d2b")),
                ("cgroup", s("/kubepods/besteffort")),
            ],
            no: vec![],
        },
        Case {
            what: "CRI-O's monitor process belongs to the pod, not to the container",
            cgroup: format!("0::/kubepods.slice/kubepods-pod{UID_IN_SLICE}.slice/crio-conmon-{ID}.scope\n"),
            yes: vec![("pod", s(UID))],
            no: vec![("container", s("3f4c1ea05d2b"))],
        },
        Case {
            what: "kubelet and containerd with different drivers",
            cgroup: format!(
                "0::/system.slice/containerd.service/kubepods-burstable-pod{UID_IN_SLICE}.slice:cri-containerd:{ID}\n"
            ),
            yes: vec![("pod", s(UID)), ("container", s("3f4c1ea05d2b")), ("unit", s("containerd"))],
            no: vec![],
        },
        Case {
            what: "a static pod, in kind's own slice",
            cgroup: format!(
                "0::/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod5a1f0c3e9b7d4d2e8f6a0b1c2d3e4f50.slice/cri-containerd-{ID}.scope\n"
            ),
            yes: vec![("pod", s("5a1f0c3e9b7d4d2e8f6a0b1c2d3e4f50"))],
            no: vec![("pod", s(UID))],
        },
        Case {
            what: "seen from another control group namespace",
            cgroup: format!("0::/../../kubepods-pod{UID_IN_SLICE}.slice/cri-containerd-{ID}.scope\n"),
            yes: vec![("pod", s(UID)), ("container", s("3f4c1ea05d2b"))],
            no: vec![("cgroup", s("/kubepods.slice"))],
        },
    ]
}

#[test]
fn groups_of_every_kind_are_told_apart() {
    for Case { what, cgroup, yes, no } in cases() {
        let tree = tempfile::tempdir().unwrap();
        write_process(tree.path(), 7, "/bin/x", &cgroup);
        for (key, value) in &yes {
            assert!(matches(&tree, &of(key, value), 7, "x"), "{what}: {key} = {value}");
        }
        for (key, value) in &no {
            assert!(!matches(&tree, &of(key, value), 7, "x"), "{what}: {key} = {value}");
        }
    }
}

#[test]
fn commands_match_as_the_kernel_keeps_them() {
    let tree = tempfile::tempdir().unwrap();
    for (pattern, comm, expected) in [
        ("redis-server", "redis-server", true),
        ("redis*", "redis-server", true),
        ("systemd-resolved", "systemd-resolve", true),
        ("systemd-resolve?", "systemd-resolve", false),
        ("kworker/*", "kworker/0:1", true),
        ("redis", "redis-server", false),
    ] {
        assert_eq!(matches(&tree, &of("comm", pattern), 1, comm), expected, "{pattern} {comm}");
    }
}

#[test]
fn executables_match_by_path_name_link_and_after_their_removal() {
    let tree = tempfile::tempdir().unwrap();
    fs::create_dir_all(tree.path().join("usr/bin")).unwrap();
    fs::write(tree.path().join("usr/bin/python3.11"), "").unwrap();
    symlink("python3.11", tree.path().join("usr/bin/python3")).unwrap();
    for (exe, pattern, expected) in [
        ("/usr/bin/redis-server", "/usr/bin/redis-server", true),
        ("/usr/bin/redis-server", "redis-server", true),
        ("/usr/bin/redis-server", "redis-*", true),
        ("/usr/bin/redis-server", "/usr/**", true),
        ("/usr/bin/redis-server", "/usr/*", false),
        ("/usr/bin/redis-server", "server", false),
        ("/usr/bin/redis-server (deleted)", "/usr/bin/redis-server", true),
        ("/usr/bin/redis-server (deleted)", "redis-server", true),
        ("/usr/bin/odd (deleted)", "/usr/bin/odd (deleted)", true),
        ("/usr/bin/python3.11", "/usr/bin/python3", true),
        ("/usr/bin/python3.11 (deleted)", "/usr/bin/python3", true),
        ("/usr/bin/python3.12", "/usr/bin/python3", false),
    ] {
        write_process(tree.path(), 7, exe, "");
        assert_eq!(matches(&tree, &of("exe", pattern), 7, "x"), expected, "{exe} {pattern}");
    }
    assert!(!matches(&tree, &of("exe", "*"), 8, "x"), "a process that has gone has none");
}

#[test]
fn all_that_is_said_must_hold() {
    let tree = tempfile::tempdir().unwrap();
    write_process(tree.path(), 7, "/usr/bin/redis-server", "0::/a\n");
    let both = |comm: &str, exe: &str| TargetConfig {
        comm: Some(comm.into()),
        exe: Some(exe.into()),
        ..TargetConfig::default()
    };
    assert!(matches(&tree, &both("redis*", "redis-server"), 7, "redis-server"));
    assert!(!matches(&tree, &both("redis*", "valkey-server"), 7, "redis-server"));
    assert!(!matches(&tree, &both("valkey*", "redis-server"), 7, "redis-server"));
}

#[test]
fn processes_are_read_from_proc() {
    let tree = tempfile::tempdir().unwrap();
    let stat = |pid: u32, comm: &str, ppid: u32, flags: u64, start: u64| {
        fs::create_dir_all(tree.path().join(format!("proc/{pid}"))).unwrap();
        let text =
            format!("{pid} ({comm}) S {ppid} 1 1 0 -1 {flags} 1 2 3 4 5 6 7 8 20 0 1 0 {start} 9 10\n");
        fs::write(tree.path().join(format!("proc/{pid}/stat")), text).unwrap();
    };
    stat(12, "a) (b", 3, 0x0040_0000, 500);
    stat(2, "kthreadd", 0, 0x0020_8040, 4);
    fs::create_dir_all(tree.path().join("proc/self")).unwrap();
    fs::create_dir_all(tree.path().join("proc/99")).unwrap();
    let root = Root::new(tree.path());
    let expected = [
        Seen { pid: 2, start_boot_ns: 40_000_000, comm: "kthreadd".into(), ppid: 0, kernel_thread: true },
        Seen { pid: 12, start_boot_ns: 5_000_000_000, comm: "a) (b".into(), ppid: 3, kernel_thread: false },
    ];
    assert_eq!(processes(&root), expected);
    assert_eq!(Seen::read(&root, 99), None);
    let own = Seen::read(&Root::default(), std::process::id()).unwrap();
    assert!(!own.kernel_thread && own.start_boot_ns > 0 && own.ppid > 0);
    assert!(own.is(own.pid, own.start_boot_ns + 9_999_999), "the kernel's own time is of the same tick");
    assert!(!own.is(own.pid, own.start_boot_ns + 10_000_000));
}

proptest! {
    #[test]
    fn no_group_panics(text in "[0-9:,a-z/._@ -]{0,40}\n?.*", pattern in ".*") {
        let groups = cgroup::Groups::parse(&text);
        let _ = groups.in_container("0123456789ab") || groups.in_pod(UID);
        if let Ok(glob) = cgroup::GroupGlob::new(&pattern) {
            let _ = glob.matches(&groups);
        }
    }
}
