//! `waytrace import`: recordings of perf and Heimdallr through the binary, into the store and out again.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::harness::waytrace::{Finished, Store};

/// Three stores and a load of two threads, in what perf prints.
const TEXT: &str = "\
          my app 10/10 [000]  5.000001000:       7 cpu/mem-stores/P:     7f001000      401010 fill+0x10 (/opt/npb/ft.A)
          my app 10/11 [001]  5.000002000:       7 cpu/mem-stores/P:     7f001008      401010 fill+0x10 (/opt/npb/ft.A)
          my app 10/11 [001]  5.000003000:       7 cpu/mem-stores/P:     7f002000      401010 fill+0x10 (/opt/npb/ft.A)
          my app 10/11 [001]  5.200004000:       9 cpu/mem-loads/P:      7f001000      401020 sum+0x4 (/opt/npb/ft.A)
";

fn write(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, text).unwrap();
    path.display().to_string()
}

fn assert_refused(finished: &Finished, word: &str) {
    assert_eq!((finished.code, finished.stdout.as_str()), (2, ""), "{finished:#?}");
    assert_eq!(finished.complaints().len(), 1, "{finished:#?}");
    assert!(finished.stderr.contains(word), "no `{word}`: {finished:#?}");
}

/// Twenty thousand stores, each second one by another thread: of a thousand and more that are kept, half are of each. With
/// 500 or more kept, six standard deviations are 14 %.
#[test]
fn a_bound_is_obeyed_if_asked_for() {
    let folder = TempDir::new().unwrap();
    let line = |at: u32| {
        let (tid, us) = (10 + at % 2, at);
        let address = 0x7f00_0000 + 64 * at;
        format!(
            "app 10/{tid} [000]  5.{us:06}000:       7 cpu/mem-stores/P:     {address:x}      401010 fill+0x10 (/opt/a)\n"
        )
    };
    let path = write(folder.path(), "script.txt", &(0..20_000).map(line).collect::<String>());
    let store = Store::new();
    for (name, bound) in [("whole", &[][..]), ("part", &["--max-samples", "1000"])] {
        let made = store.run(&[&["import", &path, "--name", name], bound].concat());
        assert_eq!(made.code, 0, "{made:#?}");
    }
    let kept = |name: &str| store.run(&["show", name, "--json"]).report().accesses.unwrap();
    let (whole, part) = (kept("whole"), kept("part"));
    assert_eq!((whole.kept.samples, whole.kept.factor, whole.stores), (20_000, 1, 140_000));
    assert_eq!((part.samples, part.kept.of, part.kept.stores), (20_000, 20_000, 140_000));
    assert!(part.kept.samples <= 1000, "{:?}", part.kept);
    assert_eq!(part.stores, part.kept.samples * 7 * part.kept.factor);
    let rows = store.run(&["export", "part", "--format", "accesses-csv"]).stdout;
    let of_first = rows.lines().filter(|row| row.split(',').any(|cell| cell == "10")).count() as f64;
    assert!((of_first / part.kept.samples as f64 - 0.5).abs() < 0.14, "{of_first} of {:?}", part.kept);
    let shown = store.run(&["show", "part"]).stdout;
    assert!(shown.contains(" of 20.0k accesses, drawn at random; each stands for "), "{shown}");
    let differ = store.run(&["diff", "whole", "part"]);
    assert!(
        differ.stdout.contains("ACCESSES") && differ.stdout.contains("seen in use, pages"),
        "{differ:#?}"
    );
}

#[test]
fn an_imported_text_is_a_run_like_any_other() {
    let folder = TempDir::new().unwrap();
    let path = write(folder.path(), "script.txt", TEXT);
    let store = Store::new();
    let made = store.run(&["import", &path]);
    assert_eq!(made.code, 0, "{made:#?}");
    assert!(made.stdout.starts_with("run 1 `my_app-1`: 4 accesses in 200ms"), "{made:#?}");
    assert!(made.stderr.contains("accesses: text of perf script"), "{made:#?}");
    let report = store.run(&["show", "1", "--json"]).report();
    let accesses = report.accesses.unwrap();
    assert_eq!((accesses.samples, accesses.loads, accesses.stores), (4, 9, 21));
    assert_eq!((accesses.working_set.pages, accesses.working_set.lines), (2, 2));
    let functions: Vec<_> = accesses
        .functions
        .iter()
        .map(|f| (f.frames[0].function.clone().unwrap(), f.loads, f.stores))
        .collect();
    assert_eq!(functions, [("fill".to_owned(), 0, 21), ("sum".to_owned(), 9, 0)]);
    assert_eq!((report.run.windows, report.target.tgid), (3, 10));
    assert_eq!(report.target.threads.len(), 2);
    let page = folder.path().join("run.html").display().to_string();
    for args in [
        &["report", "1", "-o", &page][..],
        &["export", "1", "--format", "json"],
        &["list"],
        &["prune", "--run", "1"],
    ] {
        let finished = store.run(args);
        assert_eq!(finished.code, 0, "{args:?}: {finished:#?}");
    }
}

#[test]
fn a_file_of_perf_agrees_with_its_text() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("perf.data").display().to_string();
    let source = write(
        folder.path(),
        "w.c",
        "volatile long w[8]; int main(void) { for (int i = 0; i < 50; i++) w[0] = i; return 0; }",
    );
    let program = folder.path().join("w").display().to_string();
    let run = |program: &str, args: &[&str]| {
        Command::new(program).args(args).output().map_err(|e| format!("{program}: {e}"))
    };
    let address =
        run("cc", &["-O1", "-no-pie", "-o", &program, &source]).and_then(|_| run("nm", &[&program]));
    let address = address.map(|nm| String::from_utf8_lossy(&nm.stdout).into_owned());
    let address =
        address.ok().and_then(|nm| nm.lines().find_map(|line| Some(line.strip_suffix(" B w")?.to_owned())));
    let Some(address) = address else { return println!("SKIP: no cc or nm") };
    let event = format!("mem:0x{address}:w:u");
    match run("perf", &["record", "-q", "-d", "-c", "1", "-e", &event, "-o", &data, &program]) {
        Ok(recorded) if recorded.status.success() => {}
        other => return println!("SKIP: perf cannot record {event}: {other:?}"),
    }
    let store = Store::new();
    let made = store.run(&["import", &data, "--json"]);
    assert_eq!(made.code, 0, "{made:#?}");
    let made: serde_json::Value = serde_json::from_str(&made.stdout).unwrap();
    assert_eq!((&made[0]["accesses"], &made[0]["run"]), (&50.into(), &1.into()), "{made}");
    let accesses = store.run(&["show", "1", "--json"]).report().accesses.unwrap();
    assert_eq!((accesses.stores, accesses.loads), (50, 0));
    assert_eq!((accesses.regions.len(), accesses.regions[0].name.as_str()), (1, program.as_str()));
}

#[test]
fn repetitions_of_heimdallr_are_runs_under_their_names() {
    let folder = TempDir::new().unwrap();
    let time = "0.51user 1.25system 12:34.00elapsed 99%CPU (0avgtext+0avgdata 2048maxresident)k\n";
    let log = "+100.000001000,1000,2000,1+1234\n-100.000008000,1000,2000\n";
    for run in ["1", "2"] {
        write(folder.path(), &format!("ft.A.1loc_00.{run}/time.log"), time);
        write(folder.path(), &format!("ft.A.1loc_00.{run}/alloc_0_11.log"), log);
    }
    let store = Store::new();
    let path = folder.path().display().to_string();
    let made = store.run(&["import", &path]);
    assert_eq!((made.code, made.stdout.lines().count()), (0, 2), "{made:#?}");
    let report = store.run(&["show", "ft.A.1loc_00.2", "--json"]).report();
    let counters: Vec<_> = report.counters.iter().map(|c| (c.event.as_str(), c.value)).collect();
    let expected = [
        ("duration_time", Some(754_000_000_000)),
        ("user_time", Some(510_000_000)),
        ("system_time", Some(1_250_000_000)),
        ("max_rss", Some(2 << 20)),
    ];
    assert_eq!(counters, expected);
    let allocations = report.allocations.unwrap();
    assert_eq!((allocations.alloc_count, allocations.traced_count), (Some(1.0), Some(1)));
    assert_refused(&store.run(&["import", &path]), "ft.A.1loc_00.1");
}

#[test]
fn what_cannot_be_imported_leaves_no_run() {
    let folder = TempDir::new().unwrap();
    let store = Store::new();
    let good = write(folder.path(), "good.txt", TEXT);
    let bad = write(folder.path(), "bad.txt", "nothing of the kind\n");
    assert_refused(&store.run(&["import", &good, &bad]), "neither perf.data");
    assert_refused(&store.run(&["import", &good, &good, "--name", "x"]), "--name is for one run");
    let gone = folder.path().join("gone").display().to_string();
    assert_refused(&store.run(&["import", &gone]), "No such file");
    assert_eq!(store.run(&["import", &good, "--format", "elf"]).code, 2);
    assert!(!store.path().exists(), "nothing was stored");
}
