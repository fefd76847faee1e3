//! `waytrace doctor --fix` and `--restore` on trees of plain files, the rows about caches on simulated hosts, and one live round
//! trip of a setting that can be changed anywhere.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::simulated::Simulated;
use crate::harness::waytrace::{Finished, Running, command};
use crate::or_skip;

const POLICY: &str = "sys/devices/system/cpu/cpufreq/policy";
const NO_TURBO: &str = "sys/devices/system/cpu/intel_pstate/no_turbo";
const PARANOID: &str = "proc/sys/kernel/perf_event_paranoid";

/// Two policies on powersave, turbo on, and counting for root only.
fn machine() -> TempDir {
    let dir = TempDir::new().unwrap();
    for policy in ["0", "1"] {
        for (file, text) in [
            ("scaling_governor", "powersave\n"),
            ("scaling_available_governors", "performance powersave\n"),
            ("scaling_min_freq", "800000\n"),
            ("scaling_max_freq", "3000000\n"),
        ] {
            write(dir.path(), &format!("{POLICY}{policy}/{file}"), text);
        }
    }
    write(dir.path(), NO_TURBO, "0\n");
    write(dir.path(), PARANOID, "2\n");
    write(dir.path(), "run/lock", "");
    dir
}

fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn read(root: &Path, path: &str) -> String {
    fs::read_to_string(root.join(path)).unwrap().trim().to_owned()
}

/// What `--fix` changes: governors, lower limits, turbo, who may count.
fn settings(root: &Path) -> Vec<String> {
    let of = |policy: &str, file: &str| read(root, &format!("{POLICY}{policy}/{file}"));
    vec![
        of("0", "scaling_governor"),
        of("1", "scaling_governor"),
        of("0", "scaling_min_freq"),
        of("1", "scaling_min_freq"),
        read(root, NO_TURBO),
        read(root, PARANOID),
    ]
}

const BEFORE: [&str; 6] = ["powersave", "powersave", "800000", "800000", "0", "2"];
const FIXED: [&str; 6] = ["performance", "performance", "3000000", "3000000", "1", "-1"];

fn doctor(root: &Path, args: &[&str]) -> Finished {
    let root = root.to_str().unwrap();
    let mut command = command(&[&["doctor"], args, &["--host-root", root]].concat());
    Running::start(command.env_remove("WAYTRACE_RUN_DIR")).finish()
}

fn row<'a>(document: &'a Value, name: &str) -> &'a Value {
    let rows = document["features"].as_array().unwrap();
    rows.iter().find(|row| row["name"].as_str().unwrap().starts_with(name)).unwrap()
}

#[test]
fn what_is_fixed_is_restored() {
    let dir = machine();
    let fixed = doctor(dir.path(), &["--fix"]);
    assert_eq!(fixed.code, 0, "{fixed:#?}");
    assert_eq!(settings(dir.path()), FIXED, "{fixed:#?}");
    for needle in ["governor: changed", "resctrl: not here", "msr: not here", "turbo: changed"] {
        assert!(fixed.stdout.contains(needle), "{needle}: {fixed:#?}");
    }
    // The first old value stays, whatever was set in between.
    write(dir.path(), &format!("{POLICY}0/scaling_governor"), "powersave\n");
    write(dir.path(), &format!("{POLICY}1/scaling_min_freq"), "900000\n");
    let again = doctor(dir.path(), &["--fix"]);
    assert!(again.code == 0 && again.stdout.contains("turbo: already so"), "{again:#?}");
    assert_eq!(settings(dir.path()), FIXED);
    let document = doctor(dir.path(), &["--json"]).json();
    assert_eq!(row(&document, "steady frequency")["state"], "works");
    assert!(row(&document, "changes in force")["fix"].as_str().unwrap().contains("--restore"));
    let restored = doctor(dir.path(), &["--restore"]);
    assert_eq!(restored.code, 0, "{restored:#?}");
    assert_eq!(settings(dir.path()), BEFORE, "{restored:#?}");
    let nothing = doctor(dir.path(), &["--restore"]);
    assert_eq!((nothing.code, nothing.stdout.as_str()), (0, "nothing is left changed"));
}

#[test]
fn what_somebody_else_has_set_since_is_left() {
    let dir = machine();
    assert_eq!(doctor(dir.path(), &["--fix", "governor", "paranoid"]).code, 0);
    assert_eq!(settings(dir.path())[2..5], BEFORE[2..5], "only what was named");
    write(dir.path(), PARANOID, "1\n");
    let restored = doctor(dir.path(), &["--restore", "--json"]);
    let document = restored.json();
    assert_eq!((restored.code, &document["restored"]), (0, &Value::from(true)), "{restored:#?}");
    let left = document["journals"][0]["left"].as_array().unwrap();
    assert!(left.len() == 1 && left[0].as_str().unwrap().contains("perf_event_paranoid is 1"), "{left:?}");
    assert_eq!(settings(dir.path())[0], "powersave");
    assert_eq!(read(dir.path(), PARANOID), "1");
}

#[test]
fn what_is_named_and_not_here_is_an_error() {
    let dir = TempDir::new().unwrap();
    write(dir.path(), "run/lock", "");
    write(dir.path(), "proc/cpuinfo", "flags\t: fpu hypervisor\n");
    let all = doctor(dir.path(), &["--fix", "--json"]);
    assert_eq!(all.code, 0, "{all:#?}");
    let steps = all.json()["steps"].as_array().unwrap().clone();
    assert!(steps.len() == 6 && steps.iter().all(|step| step["outcome"] == "not-here"), "{steps:#?}");
    for (what, needle) in [
        ("governor", "no policies"),
        ("resctrl", "virtual machine"),
        ("msr", "files only"),
        ("turbo", "no_turbo"),
    ] {
        let named = doctor(dir.path(), &["--fix", what]);
        assert!(named.code == 2 && named.stderr.contains(needle), "{what}: {named:#?}");
    }
    assert_eq!(doctor(dir.path(), &["--restore"]).stdout, "nothing is left changed");
    assert_eq!(doctor(dir.path(), &["--fix", "coffee"]).code, 2);
    assert_eq!(doctor(dir.path(), &["--fix", "--restore"]).code, 2);
}

fn journal(dir: &TempDir) -> PathBuf {
    fs::read_dir(dir.path().join("run/waytrace")).unwrap().next().unwrap().unwrap().path()
}

/// A process changed a governor that was prepared, and was killed: it is taken back before the preparation is.
#[test]
fn the_last_who_changed_something_is_taken_back_first() {
    let dir = machine();
    assert_eq!(doctor(dir.path(), &["--fix", "governor"]).code, 0);
    let kept = journal(&dir);
    let header = fs::read_to_string(&kept).unwrap().lines().next().unwrap().to_owned();
    let mut header: Value = serde_json::from_str(&header).unwrap();
    header["purpose"] = "frequency".into();
    header["kept"] = false.into();
    header["started"] = 1.into();
    let governor = format!("{POLICY}0/scaling_governor");
    let change = json!({"file": {"path": governor, "old": "performance", "ours": []}});
    let killed = kept.to_str().unwrap().replace("doctor@", "frequency@");
    fs::write(killed, format!("{header}\n{change}\n")).unwrap();
    write(dir.path(), &governor, "ondemand\n");
    let document = doctor(dir.path(), &["--json"]).json();
    let row = row(&document, "changes in force");
    assert!(row["state"] == "degraded" && row["reason"].as_str().unwrap().contains("was killed"), "{row}");
    let restored = doctor(dir.path(), &["--restore"]);
    assert_eq!(restored.code, 0, "{restored:#?}");
    assert_eq!(settings(dir.path()), BEFORE, "{restored:#?}");
}

#[test]
fn a_damaged_journal_is_named_and_left() {
    let dir = machine();
    assert_eq!(doctor(dir.path(), &["--fix", "turbo"]).code, 0);
    let journal = journal(&dir);
    fs::write(&journal, "{}\n").unwrap();
    let refused = doctor(dir.path(), &["--restore"]);
    assert!(refused.code == 2 && refused.stdout.contains("damaged"), "{refused:#?}");
    assert!(journal.exists());
}

#[test]
fn the_rows_about_caches_come_from_the_host() {
    for (host, needle) in [
        ("twelve", "L3: 12 ways of 2.00MiB on 1 caches, at least 1, 16 classes"),
        ("two-sockets", "L3: 11 ways of"),
        ("cdp", "L3: 12 ways"),
    ] {
        let simulated = or_skip!(Simulated::named(host));
        let document = doctor(simulated.mounted.path(), &["--json"]).json();
        let allocation = row(&document, "cache allocation");
        let reason = allocation["reason"].as_str().unwrap();
        assert!(reason.contains(needle) && reason.contains("not verified on hardware"), "{host}: {reason}");
        assert_eq!(allocation["state"], "works");
        assert_eq!(row(&document, "resctrl")["state"], "works");
        let split = if host == "cdp" { "works" } else { "degraded" };
        assert!([split, "unavailable"].contains(&row(&document, "code and data")["state"].as_str().unwrap()));
        assert!(row(&document, "cache monitoring")["reason"].as_str().unwrap().contains("llc_occupancy"));
    }
    let simulated = or_skip!(Simulated::named("unmounted"));
    let document = doctor(simulated.mounted.path(), &["--json"]).json();
    let resctrl = row(&document, "resctrl");
    assert!(resctrl["fix"].as_str().unwrap().contains("doctor --fix resctrl"), "{resctrl}");
    assert!(row(&document, "cache allocation")["reason"].as_str().unwrap().contains("--interface msr"));
}

/// The one setting of the running machine that is changed, and set back whatever happens.
#[test]
fn a_setting_of_this_machine_makes_the_round_trip() {
    struct Guard(String);
    impl Drop for Guard {
        fn drop(&mut self) {
            fs::write(Path::new("/").join(PARANOID), &self.0).unwrap();
        }
    }
    let path = Path::new("/").join(PARANOID);
    let old = or_skip!(fs::read_to_string(&path)).trim().to_owned();
    // Writing what is there already changes nothing, and tells whether it may be written.
    or_skip!(fs::write(&path, &old).map_err(|error| format!("{}: {error}", path.display())));
    let _guard = Guard(old.clone());
    let run = TempDir::new().unwrap();
    let live = |args: &[&str]| {
        Running::start(command(&[&["doctor"], args].concat()).env("WAYTRACE_RUN_DIR", run.path())).finish()
    };
    let fixed = live(&["--fix", "paranoid"]);
    assert_eq!((fixed.code, read(Path::new("/"), PARANOID).as_str()), (0, "-1"), "{fixed:#?}");
    let restored = live(&["--restore"]);
    assert_eq!((restored.code, read(Path::new("/"), PARANOID)), (0, old), "{restored:#?}");
    assert_eq!(fs::read_dir(run.path()).unwrap().count(), 0);
}
