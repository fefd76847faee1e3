//! `waytrace top` on windows of a file: in a terminal with keys and signals, and where there is none.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::NamedTempFile;
use waytrace_model::monitor::{Alert, HostWindow, Metric, ProcessWindow, SiteRate, TargetWindow, Values};

use crate::cli_top_terminal::Terminal;
use crate::harness::waytrace::{binary, command, run};

fn target(name: &str, pid: u32, cpu_pct: f64) -> TargetWindow {
    let values = Values::from_iter([
        (Metric::Processes, 1.0),
        (Metric::Cpu, cpu_pct * 1e7 * 10.0),
        (Metric::Rss, f64::from(pid) * 1_048_576.0),
    ]);
    TargetWindow {
        target: name.to_owned(),
        values,
        absent: [("cache".to_owned(), "no CMT here".to_owned())].into(),
        processes: vec![ProcessWindow {
            pid,
            comm: format!("{name}-main"),
            values,
            threads: vec![(pid + 1, "worker".to_owned(), 1_000_000_000)],
            ..ProcessWindow::default()
        }],
        sites: vec![SiteRate { name: "grow server.c:7".to_owned(), alloc_per_s: 10.0, bytes_per_s: 4096.0 }],
        ..TargetWindow::default()
    }
}

fn window(index: u64) -> HostWindow {
    HostWindow {
        index,
        start_unix_ns: index * 10_000_000_000,
        length_ns: 10_000_000_000,
        targets: vec![
            target("redis", 100, 50.0 + index as f64),
            target("evil\u{1b}]0;owned\u{7}", 200, 1.0),
            target("cron", 300, 0.5),
        ],
        ..HostWindow::default()
    }
}

fn file(windows: u64) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    for index in 0..windows {
        writeln!(file, "{}", serde_json::to_string(&window(index)).unwrap()).unwrap();
    }
    let alert = Alert {
        rule: "leak".to_owned(),
        target: "redis".to_owned(),
        detail: "1.1 MB/s".to_owned(),
        ..Alert::default()
    };
    writeln!(file, "{}", serde_json::to_string(&alert).unwrap()).unwrap();
    file
}

fn top(path: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command.args(["top", "--replay"]).arg(path).args(args).env_remove("NO_COLOR").env_remove("WAYTRACE_LOG");
    command
}

fn start(file: &NamedTempFile, args: &[&str]) -> Terminal {
    let terminal = Terminal::start(&mut top(file.path(), args), 24, 80);
    terminal.wait_for("redis");
    assert!(terminal.is_taken() && !terminal.is_cooked());
    terminal
}

#[test]
fn keys_lead_through_the_screens_and_out() {
    let file = file(5);
    let mut terminal = start(&file, &["--interval", "100ms"]);
    terminal.wait_for("END");
    terminal.wait_for("54.0");
    terminal.wait_for("1 ALERT (A)");
    terminal.press("\r");
    terminal.wait_for("redis-main");
    for (key, wanted) in [
        ("t", "worker"),
        ("a", "grow server.c:7"),
        ("c", "no CMT here"),
        ("v", "involuntary_switches_count"),
        ("m", "accesses: nothing"),
    ] {
        terminal.press(key);
        terminal.wait_for(wanted);
    }
    terminal.press("A");
    terminal.wait_for("1.1 MB/s");
    terminal.press("\u{1b}");
    terminal.wait_for("cron");
    terminal.press("?");
    terminal.wait_for("any of them leaves this");
    terminal.press("x");
    terminal.wait_without("any of them leaves this");
    terminal.press("R");
    terminal.wait_for("not recorded: a replay has no processes");
    terminal.press("/cro\r");
    terminal.wait_without("redis");
    terminal.press("\u{1b}");
    terminal.wait_for("redis");
    // Arrows, as a terminal sends them: back in time.
    terminal.press("\u{1b}[D");
    terminal.wait_for("PAUSED, 1 behind");
    terminal.wait_for("53.0");
    terminal.press("q");
    assert_eq!(terminal.finish(), 0);
}

#[test]
fn every_signal_that_ends_it_gives_the_terminal_back() {
    let file = file(3);
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT] {
        let mut terminal = start(&file, &[]);
        terminal.signal(signal);
        assert_eq!(terminal.finish(), 0, "{signal}");
    }
    let mut terminal = start(&file, &[]);
    terminal.press("\u{3}");
    assert_eq!(terminal.finish(), 0, "Ctrl-C");
}

#[test]
fn a_source_that_fails_gives_the_terminal_back_and_says_why() {
    let mut file = file(2);
    writeln!(file, "neither").unwrap();
    let mut terminal = start(&file, &["--interval", "100ms"]);
    assert_eq!(terminal.finish(), 2);
    terminal.wait_for(":4: not a window");
}

#[test]
fn ctrl_z_leads_to_the_shell_and_fg_back() {
    let file = file(3);
    let mut shell = Command::new("sh");
    let script = r#"set -m; "$0" top --replay "$1"; echo STOPPED; read -r line; fg; echo DONE $?"#;
    shell.args(["-c", script]).arg(binary()).arg(file.path());
    let mut terminal = Terminal::start(&mut shell, 24, 80);
    terminal.wait_for("redis");
    terminal.press("\u{1a}");
    terminal.wait_for("STOPPED");
    assert!(!terminal.is_taken() && terminal.is_cooked(), "{}", terminal.contents());
    terminal.press("\n");
    terminal
        .wait_until("the picture", |terminal| terminal.is_taken() && terminal.contents().contains("redis"));
    terminal.wait_until("raw keys", |terminal| !terminal.is_cooked());
    terminal.press("q");
    terminal.wait_for("DONE 0");
    assert_eq!(terminal.finish(), 0);
}

#[test]
fn names_cannot_talk_to_the_terminal() {
    let file = file(3);
    let mut terminal = start(&file, &[]);
    terminal.wait_for("evil");
    terminal.press("\u{1b}[B\r");
    terminal.wait_for("processes");
    terminal.press("q");
    terminal.finish();
    let bytes = terminal.bytes();
    assert!(!bytes.windows(4).any(|piece| piece == b"\x1b]0;"), "a title was set");
}

#[test]
fn colours_are_left_out_when_they_are_not_wanted() {
    let file = file(3);
    for (no_color, has) in [("", true), ("1", false)] {
        let mut command = top(file.path(), &["--interval", "100ms"]);
        let mut terminal = Terminal::start(command.env("NO_COLOR", no_color), 24, 80);
        terminal.wait_for("1 ALERT");
        assert_eq!(terminal.has_colours(), has, "NO_COLOR={no_color}");
        terminal.press("q");
        assert_eq!(terminal.finish(), 0);
    }
}

#[test]
fn another_size_is_another_picture() {
    let file = file(3);
    let mut terminal = start(&file, &[]);
    terminal.wait_for("by cpu_ns");
    for (rows, columns) in [(10, 30), (3, 10), (1, 1), (50, 160)] {
        terminal.resize(rows, columns);
        terminal.press("p");
    }
    terminal.wait_until("a wide picture", |terminal| {
        terminal.contents().lines().any(|line| line.len() > 140 && line.ends_with("by cpu_ns"))
    });
    terminal.press("q");
    assert_eq!(terminal.finish(), 0);
}

#[test]
fn it_ends_after_as_many_windows_as_asked_for() {
    let file = file(20);
    let mut terminal =
        Terminal::start(&mut top(file.path(), &["--count", "3", "--interval", "100ms"]), 24, 80);
    assert_eq!(terminal.finish(), 0);
}

#[test]
fn keys_come_from_the_terminal_while_windows_come_from_stdin() {
    let file = file(3);
    let mut shell = Command::new("sh");
    shell.args(["-c", r#""$0" top --replay - < "$1""#]).arg(binary()).arg(file.path());
    let mut terminal = Terminal::start(&mut shell, 24, 80);
    terminal.wait_for("END");
    terminal.press("t");
    terminal.wait_for("worker");
    terminal.press("q");
    assert_eq!(terminal.finish(), 0);
}

#[test]
fn without_a_terminal_there_is_a_block_for_each_window() {
    let file = file(3);
    let path = file.path().to_str().unwrap();
    let finished = run(&["top", "--replay", path]);
    assert_eq!((finished.code, finished.stderr.as_str()), (0, ""), "{finished:#?}");
    let blocks: Vec<&str> = finished.stdout.split("\n\n").collect();
    assert_eq!(blocks.len(), 3);
    for (index, block) in blocks.iter().enumerate() {
        let rows: Vec<&str> = block.lines().skip_while(|line| !line.starts_with("TARGET")).skip(1).collect();
        let cells: Vec<&str> = rows[0].split_whitespace().collect();
        assert_eq!(cells[..3], ["redis", "1", &format!("{}.0", 50 + index)]);
        assert_eq!(rows.len(), 3, "{block}");
    }
    assert!(!finished.stdout.contains('\u{1b}'), "{finished:#?}");
    let once = run(&["top", "--replay", path, "--once", "--sort", "rss"]);
    let rows: Vec<&str> =
        once.stdout.lines().skip_while(|line| !line.starts_with("TARGET")).skip(1).collect();
    assert!(rows.len() == 3 && rows[0].starts_with("cron"), "{once:#?}");
    let two = run(&["top", "--replay", path, "--count", "2"]);
    assert_eq!(two.stdout.matches("TARGET").count(), 2);
}

#[test]
fn json_is_the_windows_one_on_a_line() {
    let file = file(3);
    let path = file.path().to_str().unwrap();
    let read = |args: &[&str]| -> Vec<HostWindow> {
        let finished = run(&[&["top", "--replay", path, "--json"], args].concat());
        assert_eq!((finished.code, finished.stderr.as_str()), (0, ""), "{finished:#?}");
        finished.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    assert_eq!(read(&[]), [window(0), window(1), window(2)]);
    assert_eq!(read(&["--once"]), [window(0)]);
    // What it writes it reads.
    let mut writer = command(&["top", "--replay", path, "--json"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut reader = command(&["top", "--replay", "-", "--json"]);
    let output = reader.stdin(writer.stdout.take().unwrap()).output().unwrap();
    assert!(writer.wait().unwrap().success());
    assert_eq!(String::from_utf8(output.stdout).unwrap().lines().count(), 3);
}

#[test]
fn mistakes_are_named() {
    let file = file(1);
    let path = file.path().to_str().unwrap();
    for (args, wanted) in [
        (&["--replay", "no-such-file"][..], "no-such-file: cannot be opened"),
        (&["--replay", "/dev/null"], "no windows in it"),
        (&["--replay", path, "--sort", "memory"], "there are name, rss_growth_bytes"),
        (&["--replay", path, "--sort", "alloc"], "alloc_count, alloc_bytes"),
        (&["--replay", path, "--interval", "1ms"], "100ms is the least"),
        (&["--replay", path, "--pid", "1"], "cannot be used with"),
        (&["--replay", path, "--once", "--count", "2"], "cannot be used with"),
        (&["--replay", path, "--machine"], "cannot be used with"),
    ] {
        let finished = run(&[&["top"], args].concat());
        assert_eq!(finished.code, 2, "{args:?}: {finished:#?}");
        assert!(finished.stderr.contains(wanted) && finished.stdout.is_empty(), "{args:?}: {finished:#?}");
    }
}
