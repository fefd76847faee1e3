//! Journals on trees of plain files: what is taken back, what is left, who may, and what survives a kill at any byte.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Barrier;

use waytrace_model::cache::{CacheId, WayMask};
use waytrace_model::cache_report::Interface;

use super::*;
use crate::testing::Tree;

const PARANOID: &str = "proc/sys/kernel/perf_event_paranoid";
const GOVERNOR: &str = "sys/devices/system/cpu/cpufreq/policy0/scaling_governor";

/// A machine with settings, and resctrl with a class `web`.
fn machine() -> Tree {
    Tree::new(&[
        ("run/lock", ""),
        (PARANOID, "2\n"),
        (GOVERNOR, "powersave\n"),
        ("proc/mounts", "resctrl /sys/fs/resctrl resctrl rw 0 0\n"),
        ("sys/devices/system/cpu/online", "0-1\n"),
        ("sys/fs/resctrl/info/L3/cbm_mask", "fff\n"),
        ("sys/fs/resctrl/info/L3/min_cbm_bits", "1\n"),
        ("sys/fs/resctrl/info/L3/num_closids", "4\n"),
        ("sys/fs/resctrl/schemata", "L3:0=fff\n"),
        ("sys/fs/resctrl/cpus_list", "0-1\n"),
        ("sys/fs/resctrl/tasks", "1\n"),
        ("sys/fs/resctrl/web/schemata", "L3:0=0ff\n"),
        ("sys/fs/resctrl/web/cpus_list", "\n"),
        ("sys/fs/resctrl/web/tasks", "42\n"),
    ])
}

fn file(path: &str, old: &str, ours: &[&str]) -> Undo {
    let ours = ours.iter().map(|text| (*text).to_owned()).collect();
    Undo::File { path: path.to_owned(), old: old.to_owned(), ours }
}

fn mask(bits: u64) -> Setting {
    Setting::Mask { resource: "L3".to_owned(), cache_id: CacheId(0), mask: WayMask::from_bits(bits) }
}

fn settings(class: &str, old: u64, ours: &[u64]) -> Undo {
    Undo::Settings {
        interface: Interface::Resctrl,
        class: class.to_owned(),
        old: vec![mask(old)],
        ours: ours.iter().copied().map(mask).collect(),
    }
}

/// Leaves a journal as a kill does: its lock is gone, and its process another than the one that has its number now.
fn kill(journal: Journal) -> PathBuf {
    let path = journal.path().to_owned();
    let text = fs::read_to_string(&path).unwrap().replacen("\"started\":", "\"started\":9", 1);
    std::mem::forget(journal);
    fs::write(path.with_extension("other"), text).unwrap();
    fs::rename(path.with_extension("other"), &path).unwrap();
    path
}

fn restored(tree: &Tree, purpose: &str) -> Undone {
    match restore(&tree.root, purpose).unwrap() {
        Outcome::Undone(undone) => undone,
        other => panic!("{other:?}"),
    }
}

#[test]
fn changes_are_taken_back_the_last_one_first() {
    let tree = machine();
    let mut journal = Journal::open(&tree.root, "test").unwrap();
    journal.add(file(PARANOID, "2", &[])).unwrap();
    journal.add(file(PARANOID, "1", &[])).unwrap();
    tree.write(PARANOID, "0\n");
    let path = journal.path().to_owned();
    let undone = journal.undo();
    assert!(undone.restored && undone.left.is_empty(), "{undone:?}");
    assert_eq!(undone.done.len(), 2);
    assert_eq!(tree.root.read(PARANOID).unwrap(), "2");
    assert!(!path.exists());
}

#[test]
fn dropping_a_journal_takes_back() {
    let tree = machine();
    let mut journal = Journal::open(&tree.root, "test").unwrap();
    journal.add(file(GOVERNOR, "powersave", &[])).unwrap();
    tree.write(GOVERNOR, "performance\n");
    drop(journal);
    assert_eq!(tree.root.read(GOVERNOR).unwrap(), "powersave");
    assert_eq!(pending(&tree.root), []);
}

#[test]
fn what_somebody_else_has_changed_is_left() {
    let tree = machine();
    let mut journal = Journal::open(&tree.root, "test").unwrap();
    journal.add(file(GOVERNOR, "powersave", &["performance"])).unwrap();
    journal.add(settings("web", 0xff, &[0xf, 0x3])).unwrap();
    journal.add(settings("default", 0xfff, &[0xff0])).unwrap();
    tree.write(GOVERNOR, "ondemand\n");
    tree.write("sys/fs/resctrl/web/schemata", "L3:0=7\n");
    tree.write("sys/fs/resctrl/schemata", "L3:0=ff0\n");
    let undone = journal.undo();
    assert!(undone.restored, "{undone:?}");
    assert_eq!(undone.left.len(), 2, "{undone:?}");
    assert!(undone.left[0].contains("web") && undone.left[0].contains("L3:0=7"), "{undone:?}");
    assert!(undone.left[1].contains("ondemand"), "{undone:?}");
    let now = |path: &str| tree.root.read(path).unwrap();
    assert_eq!((now(GOVERNOR), now("sys/fs/resctrl/web/schemata")), ("ondemand".into(), "L3:0=7".into()));
    assert_eq!(now("sys/fs/resctrl/schemata"), "L3:0=fff");
}

#[test]
fn what_is_gone_is_no_failure() {
    let tree = machine();
    let mut journal = Journal::open(&tree.root, "test").unwrap();
    journal.add(settings("gone", 0xff, &[0xf])).unwrap();
    journal.add(Undo::CreatedClass { interface: Interface::Resctrl, name: "gone".to_owned() }).unwrap();
    journal.add(file("sys/devices/system/cpu/cpu9/gone", "1", &[])).unwrap();
    journal.add(Undo::LoadedModule { name: "gone".to_owned() }).unwrap();
    let undone = journal.undo();
    assert!(undone.restored && undone.done.is_empty(), "{undone:?}");
    assert_eq!(undone.left.len(), 2, "{undone:?}");
    // Unmounting resctrl sets everything back.
    let mut journal = Journal::open(&tree.root, "test").unwrap();
    journal.add(settings("web", 0xff, &[0xf])).unwrap();
    tree.write("sys/fs/resctrl/web/schemata", "L3:0=00f\n");
    tree.write("proc/mounts", "");
    let undone = journal.undo();
    assert!(undone.restored && undone.left[0].contains("unmounted since"), "{undone:?}");
}

#[test]
fn only_files_that_are_ever_changed_are_written() {
    let tree = machine();
    tree.write("etc/shadow", "secret");
    let mut journal = Journal::open(&tree.root, "test").unwrap();
    for path in ["etc/shadow", "proc/sys/kernel/../../../etc/shadow", "/etc/shadow"] {
        journal.add(file(path, "open", &[])).unwrap();
    }
    assert_eq!(journal.undo().left.len(), 3);
    assert_eq!(tree.root.read("etc/shadow").unwrap(), "secret");
}

#[test]
fn a_failure_does_not_stop_the_rest_and_keeps_the_journal() {
    let tree = machine();
    let mut journal = Journal::open(&tree.root, "test").unwrap();
    journal.add(file(GOVERNOR, "powersave", &[])).unwrap();
    // A directory where a file is expected: it can be neither read nor written.
    journal.add(file("sys/devices/system/cpu/cpufreq/policy0", "1", &[])).unwrap();
    tree.write(GOVERNOR, "performance\n");
    let path = journal.path().to_owned();
    let undone = journal.undo();
    assert!(!undone.restored && undone.left.len() == 1, "{undone:?}");
    assert_eq!(tree.root.read(GOVERNOR).unwrap(), "powersave");
    assert!(path.exists(), "it can be gone on with");
    assert!(!restored(&tree, "test").restored);
    fs::remove_dir_all(tree.root.path("sys/devices/system/cpu/cpufreq")).unwrap();
    assert!(restored(&tree, "test").restored && !path.exists());
}

#[test]
fn another_is_refused_while_one_is_open_or_left() {
    let tree = machine();
    let mut journal = Journal::open(&tree.root, "test").unwrap();
    let other = Journal::open(&tree.root, "other").unwrap();
    journal.add(file(GOVERNOR, "powersave", &[])).unwrap();
    tree.write(GOVERNOR, "performance\n");
    let Err(UndoError::Alive { pid, .. }) = Journal::open(&tree.root, "test") else { panic!() };
    assert_eq!(pid, std::process::id());
    assert!(matches!(restore(&tree.root, "test"), Ok(Outcome::Busy)));
    assert_eq!(pending(&tree.root), [], "it lives");
    drop(other);
    kill(journal);
    let refused = Journal::open(&tree.root, "test").unwrap_err().to_string();
    assert!(refused.contains("is gone") && refused.contains("doctor --restore --host-root"), "{refused}");
    let left = pending(&tree.root);
    assert_eq!((left.len(), left[0].kept, left[0].changes), (1, false, 1));
    assert!(restored(&tree, "test").restored);
    assert_eq!(tree.root.read(GOVERNOR).unwrap(), "powersave");
    assert!(matches!(restore(&tree.root, "test"), Ok(Outcome::Gone)));
    assert!(Journal::open(&tree.root, "test").is_ok());
}

#[test]
fn a_journal_is_whole_wherever_it_was_cut() {
    let tree = machine();
    let mut journal = Journal::open(&tree.root, "test").unwrap();
    journal.add(file(GOVERNOR, "powersave", &[])).unwrap();
    let whole = fs::read(journal.path()).unwrap();
    let path = kill(journal);
    let text = fs::read(&path).unwrap();
    assert_eq!(text.len(), whole.len() + 1);
    for cut in 0..=text.len() {
        fs::write(&path, &text[..cut]).unwrap();
        tree.write(GOVERNOR, "performance\n");
        if cut < text.len() {
            // Its only change had not been made: the next one begins.
            assert_eq!(pending(&tree.root), [], "cut at {cut}");
            drop(Journal::open(&tree.root, "test").unwrap());
            assert!(!path.exists());
        } else {
            assert!(matches!(Journal::open(&tree.root, "test"), Err(UndoError::Pending { .. })));
        }
    }
}

#[test]
fn a_damaged_journal_is_named_and_not_guessed_at() {
    let tree = machine();
    let mut journal = Journal::open(&tree.root, "test").unwrap();
    journal.add(file(GOVERNOR, "powersave", &[])).unwrap();
    let path = kill(journal);
    OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"odd\":1}\n").unwrap();
    for refused in [Journal::open(&tree.root, "test").unwrap_err(), restore(&tree.root, "test").unwrap_err()]
    {
        assert!(matches!(refused, UndoError::Damaged { .. }), "{refused}");
    }
    assert_eq!(pending(&tree.root).len(), 1);
    let newer = fs::read_to_string(&path).unwrap().replacen("\"version\":1", "\"version\":2", 1);
    fs::write(&path, newer.lines().next().unwrap().to_owned() + "\n").unwrap();
    assert!(matches!(restore(&tree.root, "test"), Err(UndoError::Damaged { .. })));
}

#[test]
fn a_kept_journal_outlives_its_process_and_goes_on() {
    let tree = machine();
    let mut journal = Journal::keep(&tree.root, "doctor").unwrap();
    journal.add(file(GOVERNOR, "powersave", &["performance"])).unwrap();
    tree.write(GOVERNOR, "performance\n");
    drop(journal);
    assert_eq!(tree.root.read(GOVERNOR).unwrap(), "performance");
    assert_eq!(pending(&tree.root).iter().map(|left| left.kept).collect::<Vec<_>>(), [true]);
    let mut again = Journal::keep(&tree.root, "doctor").unwrap();
    assert_eq!(again.undos().len(), 1);
    again.add(file(PARANOID, "2", &["-1"])).unwrap();
    again.add(file("proc/sys/kernel/refused", "0", &[])).unwrap();
    again.forget().unwrap();
    tree.write(PARANOID, "-1\n");
    drop(again);
    assert_eq!(pending(&tree.root)[0].changes, 2);
    assert!(restored(&tree, "doctor").restored);
    assert_eq!([tree.root.read(GOVERNOR).unwrap(), tree.root.read(PARANOID).unwrap()], ["powersave", "2"]);
}

#[test]
fn a_class_that_is_there_cannot_be_created() {
    let tree = machine();
    let mut journal = Journal::open(&tree.root, "test").unwrap();
    let created = |name: &str| Undo::CreatedClass { interface: Interface::Resctrl, name: name.to_owned() };
    assert!(matches!(journal.add(created("web")), Err(UndoError::ClassExists { .. })));
    journal.add(created("ours")).unwrap();
    fs::create_dir(tree.root.path("sys/fs/resctrl/ours")).unwrap();
    for (file, text) in [("schemata", "L3:0=fff\n"), ("cpus_list", "\n"), ("tasks", "")] {
        tree.write(&format!("sys/fs/resctrl/ours/{file}"), text);
    }
    // A directory of plain files cannot be removed as the kernel's can: the failure is told, and the class named.
    let undone = journal.undo();
    assert!(!undone.restored && undone.left[0].contains("ours"), "{undone:?}");
}

#[test]
fn of_many_exactly_one_wins() {
    const MANY: usize = 8;
    let tree = machine();
    let all_at_once = |act: &(dyn Fn() -> bool + Sync)| {
        let barrier = Barrier::new(MANY);
        std::thread::scope(|scope| {
            let racer = || {
                barrier.wait();
                act()
            };
            let racers: Vec<_> = (0..MANY).map(|_| scope.spawn(racer)).collect();
            racers.into_iter().map(|racer| racer.join().unwrap()).filter(|won| *won).count()
        })
    };
    for _ in 0..20 {
        let opened = all_at_once(&|| match Journal::open(&tree.root, "test") {
            Ok(mut journal) => {
                journal.add(file(GOVERNOR, "powersave", &[])).unwrap();
                tree.write(GOVERNOR, "performance\n");
                kill(journal);
                true
            }
            Err(UndoError::Alive { .. } | UndoError::Pending { .. }) => false,
            Err(error) => panic!("{error}"),
        });
        assert_eq!(opened, 1);
        let undone = all_at_once(&|| match restore(&tree.root, "test").unwrap() {
            Outcome::Undone(undone) => {
                assert_eq!(undone.done.len(), 1, "{undone:?}");
                true
            }
            Outcome::Busy | Outcome::Gone => false,
        });
        assert_eq!(undone, 1);
        assert_eq!(tree.root.read(GOVERNOR).unwrap(), "powersave");
    }
}
