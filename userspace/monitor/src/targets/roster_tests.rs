//! Rosters: life histories worked out by hand, and random ones against a model that works everything out anew after every piece of news.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use waytrace_hw::Root;

use super::*;
use crate::config::TargetConfig;

fn seen(pid: u32, start: u64, comm: &str, ppid: u32) -> Seen {
    Seen { pid, start_boot_ns: start * 1_000_000_000, comm: comm.into(), ppid, kernel_thread: false }
}

fn target(name: &str, comm: &str, children: bool) -> TargetConfig {
    TargetConfig { name: name.into(), comm: Some(comm.into()), children, ..TargetConfig::default() }
}

fn link(root: &Path, pid: u32, exe: &str) {
    let folder = root.join(format!("proc/{pid}"));
    fs::create_dir_all(&folder).unwrap();
    let _ = fs::remove_file(folder.join("exe"));
    symlink(exe, folder.join("exe")).unwrap();
}

fn told(changes: &[Change]) -> Vec<(u32, Option<&str>, Option<&str>)> {
    changes.iter().map(|change| (change.pid, change.from.as_deref(), change.to.as_deref())).collect()
}

fn roster(targets: &[TargetConfig]) -> Roster {
    Roster::new(targets, false, Root::new("/nonexistent")).unwrap()
}

#[test]
fn the_first_target_in_the_file_claims_a_process() {
    let mut roster = roster(&[target("one", "redis*", false), target("all", "*", false)]);
    assert_eq!(told(&roster.started(seen(5, 1, "redis-server", 1))), [(5, None, Some("one"))]);
    assert_eq!(told(&roster.started(seen(6, 1, "bash", 1))), [(6, None, Some("all"))]);
    assert_eq!(told(&roster.executed(seen(6, 1, "redis-cli", 1))), [(6, Some("all"), Some("one"))]);
    assert_eq!(roster.processes("one").collect::<Vec<_>>(), [5, 6]);
    assert_eq!(roster.missing(), ["all"]);
    assert_eq!(roster.target_of(6), Some("one"));
    assert_eq!(roster.ended(6, Some(1_000_000_000)).unwrap().from.as_deref(), Some("one"));
    assert_eq!(roster.ended(6, None), None);
    assert_eq!(roster.target_of(6), None);
}

#[test]
fn an_id_given_away_again_is_another_process() {
    let mut roster = roster(&[target("r", "redis", false)]);
    roster.started(seen(5, 1, "redis", 1));
    assert_eq!(told(&roster.started(seen(5, 9, "redis", 1))), [(5, Some("r"), None), (5, None, Some("r"))]);
    assert_eq!(roster.ended(5, Some(1_000_000_000)), None, "late news of the first");
    assert_eq!(roster.target_of(5), Some("r"));
    // The end of one and the start of the next were lost.
    assert_eq!(told(&roster.resync(&[seen(5, 20, "bash", 1)])), [(5, Some("r"), None)]);
    assert_eq!(roster.seen(5).unwrap().comm, "bash");
}

#[test]
fn descendants_belong_wherever_they_go() {
    let mut roster = roster(&[target("own", "helper", false), target("tree", "redis", true)]);
    roster.started(seen(1, 1, "init", 0));
    roster.started(seen(5, 2, "redis", 1));
    assert_eq!(told(&roster.forked(5, seen(6, 3, "redis", 5))), [(6, None, Some("tree"))]);
    assert!(roster.executed(seen(6, 3, "sh", 5)).is_empty(), "still a descendant");
    roster.ended(5, None);
    assert_eq!(roster.target_of(6), Some("tree"), "also without its parent");
    roster.forked(6, seen(7, 4, "sh", 6));
    assert_eq!(told(&roster.executed(seen(7, 4, "helper", 6))), [(7, Some("tree"), Some("own"))]);
    roster.forked(7, seen(8, 5, "helper", 7));
    assert_eq!(told(&roster.executed(seen(8, 5, "cat", 7))), [(8, Some("own"), Some("tree"))]);
    assert_eq!(roster.target_of(1), None);
}

#[test]
fn children_follow_a_parent_that_becomes_a_member_later() {
    let mut roster = roster(&[target("tree", "redis", true)]);
    roster.started(seen(5, 2, "sh", 1));
    roster.forked(5, seen(6, 3, "sh", 5));
    roster.forked(6, seen(7, 3, "sh", 6));
    let changes = roster.executed(seen(5, 2, "redis", 1));
    assert_eq!(told(&changes), [(5, None, Some("tree")), (6, None, Some("tree")), (7, None, Some("tree"))]);
}

#[test]
fn a_list_of_all_finds_parents_by_their_ids() {
    let mut roster = roster(&[target("tree", "redis", true)]);
    let all = [seen(7, 5, "cat", 6), seen(6, 4, "sh", 5), seen(5, 2, "redis", 1), seen(8, 1, "old", 5)];
    assert_eq!(roster.resync(&all).len(), 3);
    assert_eq!(roster.target_of(7), Some("tree"));
    assert_eq!(roster.target_of(8), None, "its parent is younger, so it is not its real one");
}

#[test]
fn facts_are_read_once() {
    let tree = tempfile::tempdir().unwrap();
    let mut all = Vec::new();
    for pid in 1..=1000 {
        link(tree.path(), pid, "/usr/bin/worker");
        fs::write(tree.path().join(format!("proc/{pid}/cgroup")), "0::/work.slice\n").unwrap();
        all.push(seen(pid, u64::from(pid), "worker", 1));
    }
    let mut targets: Vec<TargetConfig> = (0..50)
        .map(|n| TargetConfig {
            name: format!("exe{n}"),
            exe: Some(format!("/opt/{n}/*")),
            ..TargetConfig::default()
        })
        .collect();
    for n in 0..50 {
        let (name, unit) = (format!("unit{n}"), Some(format!("u{n}")));
        targets.push(TargetConfig { name, unit, ..TargetConfig::default() });
    }
    let mut roster = Roster::new(&targets, false, Root::new(tree.path())).unwrap();
    roster.resync(&all);
    assert_eq!(roster.reads(), 2000, "an executable and the groups of each");
    roster.resync(&all);
    targets.reverse();
    roster.reload(&targets, true).unwrap();
    for pid in 1001..=2000 {
        roster.forked(pid - 1000, seen(pid, u64::from(pid), "worker", pid - 1000));
    }
    assert_eq!(roster.reads(), 2000, "neither again nor for what was forked");
    roster.executed(seen(1500, 1500, "other", 500));
    assert_eq!(roster.reads(), 2002);
    assert_eq!(roster.recheck_groups(64), []);
    assert_eq!(roster.reads(), 2066);

    let mut cheap = Roster::new(&[target("c", "nobody", true)], true, Root::new(tree.path())).unwrap();
    cheap.resync(&all);
    assert_eq!((cheap.reads(), cheap.recheck_groups(64).len()), (0, 0), "commands cost no read");
    assert_eq!(cheap.reads(), 0);
}

#[test]
fn processes_moved_to_another_group_are_found() {
    let tree = tempfile::tempdir().unwrap();
    let groups = |pid: u32, path: &str| {
        let folder = tree.path().join(format!("proc/{pid}"));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("cgroup"), format!("0::{path}\n")).unwrap();
    };
    let config = TargetConfig { name: "b".into(), cgroup: Some("/batch".into()), ..TargetConfig::default() };
    let mut roster = Roster::new(&[config], false, Root::new(tree.path())).unwrap();
    for pid in 1..=10 {
        groups(pid, "/other");
        roster.started(seen(pid, 1, "x", 0));
    }
    groups(7, "/batch/x");
    let found: Vec<usize> = (0..4).map(|_| roster.recheck_groups(3).len()).collect();
    assert_eq!(found, [0, 0, 1, 0], "three at a time, the third time with 7 to 9");
}

#[test]
fn a_pid_file_means_the_process_it_was_written_for() {
    let tree = tempfile::tempdir().unwrap();
    let path = tree.path().join("run/redis.pid");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let config = TargetConfig {
        name: "r".into(),
        pid_file: Some(PathBuf::from("/run/redis.pid")),
        children: true,
        ..TargetConfig::default()
    };
    let mut roster = Roster::new(std::slice::from_ref(&config), false, Root::new(tree.path())).unwrap();
    assert!(roster.resync(&[seen(5, 1, "redis", 1)]).is_empty());
    fs::write(&path, "5\n").unwrap();
    let all = [seen(5, 1, "redis", 1), seen(6, 2, "redis", 5)];
    assert_eq!(told(&roster.resync(&all)), [(5, None, Some("r")), (6, None, Some("r"))]);
    // The file is left behind, and its id becomes another's.
    roster.ended(5, None);
    roster.ended(6, None);
    assert!(roster.started(seen(5, 9, "bash", 1)).is_empty());
    assert_eq!(roster.missing(), ["r"]);
    // It is written before the start is told.
    fs::write(&path, " 12 \nsecond line").unwrap();
    roster.resync(&[seen(5, 9, "bash", 1)]);
    assert_eq!(told(&roster.started(seen(12, 10, "redis", 1))), [(12, None, Some("r"))]);
    // It is written, and the process is not there for longer than a window.
    fs::write(&path, "13").unwrap();
    let all = [seen(12, 10, "redis", 1)];
    assert_eq!(told(&roster.resync(&all)), [(12, Some("r"), None)]);
    roster.resync(&all);
    assert!(roster.started(seen(13, 11, "late", 1)).is_empty());
    for text in ["", "x", "0", "-1", "99999999999"] {
        fs::write(&path, text).unwrap();
        assert!(roster.resync(&all).is_empty(), "{text}");
    }
    fs::remove_file(&path).unwrap();
    assert!(roster.resync(&all).is_empty());
    // A reload with the same file does not take a stale one for new.
    fs::write(&path, "12").unwrap();
    assert_eq!(roster.resync(&all).len(), 1);
    roster.ended(12, None);
    roster.started(seen(12, 30, "bash", 1));
    assert!(roster.reload(&[config], false).unwrap().is_empty());
    assert_eq!(roster.target_of(12), None);
}

#[test]
fn with_machine_everybody_else_is_named_by_command() {
    let mut roster = Roster::new(&[pid_target("bash", 5)], true, Root::new("/nonexistent")).unwrap();
    roster.started(seen(5, 1, "bash", 1));
    roster.started(seen(6, 1, "bash", 1));
    roster.started(seen(7, 1, "cat", 1));
    let kernel = Seen { kernel_thread: true, ..seen(2, 1, "kthreadd", 0) };
    assert!(roster.started(kernel).is_empty());
    assert_eq!(roster.target_of(5), Some("bash"));
    assert_eq!(roster.target_of(6), Some("command:bash"), "not the configured one of that name");
    assert_eq!(roster.present().collect::<Vec<_>>(), ["bash", "cat", "command:bash"]);
    assert_eq!(told(&roster.resync(&[seen(7, 1, "dog", 1)])).last(), Some(&(7, Some("cat"), Some("dog"))));
    assert_eq!((roster.missing(), roster.present().count()), (vec!["bash"], 1));
}

#[test]
fn waytrace_itself_is_never_a_target() {
    let mut roster = Roster::new(&[target("all", "*", true)], true, Root::default()).unwrap();
    let own = Seen::read(&Root::default(), std::process::id()).unwrap();
    assert!(roster.started(own.clone()).is_empty());
    assert!(roster.resync(&[own]).is_empty());
    assert_eq!(roster.missing(), ["all"]);
}

#[test]
fn a_real_process_is_found_by_everything_that_is_known_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("wt-roster-live");
    fs::copy("/bin/sleep", &program).unwrap();
    let mut child = std::process::Command::new(&program).arg("60").spawn().unwrap();
    fs::remove_file(&program).unwrap();
    let path = program.to_str().unwrap().to_owned();
    let of = |name: &str| TargetConfig { name: name.into(), ..TargetConfig::default() };
    let all = [
        TargetConfig { exe: Some(path), ..of("exe, removed") },
        TargetConfig { exe: Some("wt-roster-*".into()), ..of("name") },
        TargetConfig { comm: Some("wt-roster-live".into()), ..of("comm") },
        TargetConfig { pid: Some(child.id()), ..of("pid") },
    ];
    let found: Vec<Vec<u32>> = all
        .iter()
        .map(|target| {
            let mut roster = Roster::new(std::slice::from_ref(target), false, Root::default()).unwrap();
            roster.resync(&processes(&Root::default()));
            roster.processes(&target.name).collect()
        })
        .collect();
    let pid = child.id();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(found, vec![vec![pid]; 4]);
}

#[test]
fn a_reload_keeps_who_still_matches() {
    let old = [target("redis", "redis", true), target("web", "nginx", false)];
    let mut roster = roster(&old);
    roster.started(seen(5, 1, "redis", 1));
    roster.forked(5, seen(6, 2, "redis", 5));
    roster.executed(seen(6, 2, "sh", 5));
    roster.ended(5, None);
    roster.started(seen(8, 1, "nginx", 1));
    let new = [target("web", "nginx", true), target("redis", "redis", true)];
    assert!(roster.reload(&new, false).unwrap().is_empty(), "the orphaned descendant stays, too");
    let new = [target("redis", "redis", false), target("front", "nginx", false)];
    let changes = roster.reload(&new, false).unwrap();
    assert_eq!(told(&changes), [(6, Some("redis"), None), (8, Some("web"), Some("front"))]);
    let wrong = TargetConfig { name: "w".into(), ..TargetConfig::default() };
    assert_eq!(roster.reload(&[wrong], false).unwrap_err().key, "name");
    assert_eq!(roster.target_of(8), Some("front"), "nothing has changed");
}

fn pid_target(name: &str, pid: u32) -> TargetConfig {
    TargetConfig { name: name.into(), pid: Some(pid), ..TargetConfig::default() }
}

/// What the roster is to do, without haste: after each piece of news everybody's target is worked out until nothing changes.
#[derive(Debug, Default)]
struct Model {
    targets: Vec<TargetConfig>,
    machine: bool,
    alive: BTreeMap<u32, Known>,
}

#[derive(Debug, Clone)]
struct Known {
    seen: Seen,
    exe: String,
    parent: Option<(u32, u64)>,
    /// Names of targets it descends from.
    descends: BTreeSet<String>,
    target: Option<String>,
}

impl Model {
    fn matches(&self, target: &TargetConfig, known: &Known) -> bool {
        target.comm.as_ref().is_none_or(|comm| Glob::new(comm).unwrap().matches(&known.seen.comm))
            && target.exe.as_ref().is_none_or(|exe| *exe == known.exe)
            && target.pid.is_none_or(|pid| pid == known.seen.pid)
    }

    fn settle(&mut self) {
        loop {
            let before: Vec<_> =
                self.alive.values().map(|k| (k.target.clone(), k.descends.clone())).collect();
            let pids: Vec<u32> = self.alive.keys().copied().collect();
            for pid in pids {
                let mut known = self.alive[&pid].clone();
                let parent = known.parent.and_then(|(pid, start)| {
                    self.alive.get(&pid).filter(|parent| parent.seen.start_boot_ns == start)
                });
                if let Some(parent) = parent {
                    known.descends.extend(parent.descends.iter().cloned());
                    let of_parent =
                        self.targets.iter().find(|target| Some(&target.name) == parent.target.as_ref());
                    known
                        .descends
                        .extend(of_parent.filter(|target| target.children).map(|target| target.name.clone()));
                }
                let first = self
                    .targets
                    .iter()
                    .find(|target| known.descends.contains(&target.name) || self.matches(target, &known));
                let command = || self.machine.then(|| known.seen.comm.clone());
                known.target = first.map(|target| target.name.clone()).or_else(command);
                self.alive.insert(pid, known);
            }
            if before.iter().eq(self
                .alive
                .values()
                .map(|k| (k.target.clone(), k.descends.clone()))
                .collect::<Vec<_>>()
                .iter())
            {
                return;
            }
        }
    }

    fn enter(&mut self, seen: Seen, exe: String, parent: Option<(u32, u64)>) {
        if self.alive.get(&seen.pid).is_some_and(|known| known.seen.start_boot_ns == seen.start_boot_ns) {
            return;
        }
        let known = Known { seen, exe, parent, descends: BTreeSet::new(), target: None };
        self.alive.insert(known.seen.pid, known);
        self.settle();
    }

    fn start_of(&self, pid: u32) -> Option<(u32, u64)> {
        self.alive.get(&pid).map(|known| (pid, known.seen.start_boot_ns))
    }
}

/// What happens to a process of a small machine, and whether the roster is told.
type Event = (u8, u32, u32, bool);

struct World {
    tree: tempfile::TempDir,
    now: u64,
    alive: BTreeMap<u32, (Seen, String)>,
}

const COMMS: [&str; 3] = ["a", "b", "c"];
const EXES: [&str; 3] = ["/bin/x", "/bin/y", "/bin/z"];

fn targets_of(variant: u32) -> Vec<TargetConfig> {
    let exe = TargetConfig { name: "x".into(), exe: Some("/bin/x".into()), ..TargetConfig::default() };
    let children = |bit: u32| variant & bit != 0;
    let pid = TargetConfig { children: children(4), ..pid_target("three", 3) };
    let mut rest = vec![target("a", "a", children(1)), target("ab", "[ab]", children(2)), pid];
    if children(8) {
        rest.reverse();
    }
    // First, so that executables are read when a process is entered and not later.
    rest.insert(0, exe);
    rest
}

fn run(events: &[Event], variant: u32, machine: bool) {
    let mut world = World { tree: tempfile::tempdir().unwrap(), now: 1, alive: BTreeMap::new() };
    let targets = targets_of(variant);
    let mut roster = Roster::new(&targets, machine, Root::new(world.tree.path())).unwrap();
    let mut model = Model { targets, machine, alive: BTreeMap::new() };
    for &(kind, a, b, lost) in events {
        world.now += 1;
        let (pid, other) = (a % 6 + 1, b % 6 + 1);
        match kind % 6 {
            // A process appears, by fork or from nowhere.
            0 | 1 => {
                let parent =
                    (kind % 6 == 0 && other != pid).then(|| world.alive.get(&other).cloned()).flatten();
                let (comm, exe) = match &parent {
                    Some((parent, exe)) => (parent.comm.clone(), exe.clone()),
                    None => (COMMS[b as usize % 3].to_owned(), EXES[a as usize % 3].to_owned()),
                };
                let ppid = parent.as_ref().map_or(0, |_| other);
                let new = seen(pid, world.now, &comm, ppid);
                link(world.tree.path(), pid, &exe);
                world.alive.insert(pid, (new.clone(), exe.clone()));
                if lost {
                    continue;
                }
                if parent.is_some() {
                    roster.forked(other, new.clone());
                    let known = model.alive.get(&other).map(|known| known.exe.clone());
                    // The old process of this id has ended before its parent's id is looked at.
                    let link = model.start_of(other);
                    model.enter(new, known.unwrap_or(exe), link);
                } else {
                    roster.started(new.clone());
                    model.enter(new, exe, None);
                }
            }
            // It becomes another program; unnoticed only with another name, else nobody could notice.
            2 => {
                let Some((now, exe)) = world.alive.get_mut(&pid) else { continue };
                let comm = COMMS[b as usize % 3];
                if lost && now.comm == comm {
                    continue;
                }
                *exe = EXES[(a + b) as usize % 3].to_owned();
                now.comm = comm.to_owned();
                link(world.tree.path(), pid, exe);
                if lost {
                    continue;
                }
                roster.executed(now.clone());
                let (now, exe) = (now.clone(), exe.clone());
                executed(&mut model, now, exe);
            }
            3 => {
                let Some((gone, _)) = world.alive.remove(&pid) else { continue };
                if !lost {
                    roster.ended(pid, Some(gone.start_boot_ns));
                    if model.start_of(pid) == Some((pid, gone.start_boot_ns)) {
                        model.alive.remove(&pid);
                        model.settle();
                    }
                }
            }
            4 => {
                let targets = targets_of(a);
                let kept: BTreeSet<String> = model
                    .targets
                    .iter()
                    .filter(|old| targets.iter().any(|new| new == *old))
                    .map(|target| target.name.clone())
                    .collect();
                roster.reload(&targets, machine).unwrap();
                for known in model.alive.values_mut() {
                    known.descends.retain(|name| kept.contains(name));
                    known.target = None;
                }
                model.targets = targets;
                model.settle();
            }
            _ => {
                let all: Vec<Seen> = world.alive.values().map(|(seen, _)| seen.clone()).collect();
                roster.resync(&all);
                model.alive.retain(|pid, known| {
                    world
                        .alive
                        .get(pid)
                        .is_some_and(|(seen, _)| seen.start_boot_ns == known.seen.start_boot_ns)
                });
                model.settle();
                let mut all: Vec<(Seen, String)> = world.alive.values().cloned().collect();
                all.sort_by_key(|(seen, _)| seen.start_boot_ns);
                for (seen, exe) in all {
                    match model.alive.get(&seen.pid) {
                        None => {
                            let parent =
                                model.start_of(seen.ppid).filter(|(_, start)| *start <= seen.start_boot_ns);
                            model.enter(seen, exe, parent);
                        }
                        Some(known) if known.seen.comm != seen.comm => executed(&mut model, seen, exe),
                        Some(_) => {}
                    }
                }
                let known: Vec<u32> = model.alive.keys().copied().collect();
                assert!(known.iter().eq(world.alive.keys()), "nobody is missed, nobody is left");
            }
        }
        compare(&roster, &model);
    }
}

fn executed(model: &mut Model, seen: Seen, exe: String) {
    match model.alive.get_mut(&seen.pid) {
        Some(known) if known.seen.start_boot_ns == seen.start_boot_ns => {
            (known.seen.comm, known.exe) = (seen.comm, exe);
            model.settle();
        }
        _ => {
            let parent = model.start_of(seen.ppid).filter(|(_, start)| *start <= seen.start_boot_ns);
            model.enter(seen, exe, parent);
        }
    }
}

fn compare(roster: &Roster, model: &Model) {
    let mut members: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
    for pid in 1..=6 {
        let expected = model.alive.get(&pid).and_then(|known| known.target.as_deref());
        assert_eq!(roster.target_of(pid), expected, "process {pid}: {model:#?}");
        if let Some(name) = roster.target_of(pid) {
            members.entry(name).or_default().push(pid);
        }
    }
    assert!(roster.present().eq(members.keys().copied()));
    for (name, pids) in &members {
        assert!(roster.processes(name).eq(pids.iter().copied()));
    }
    let names = model.targets.iter().map(|target| target.name.as_str());
    assert!(roster.missing().into_iter().eq(names.filter(|name| !members.contains_key(name))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn random_lives_agree_with_the_model(
        events in proptest::collection::vec((0u8..6, 0u32..16, 0u32..16, proptest::bool::weighted(0.2)), 1..60),
        variant in 0u32..16,
        machine: bool,
    ) {
        run(&events, variant, machine);
    }
}
