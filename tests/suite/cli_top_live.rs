//! `waytrace top` on processes of this host, in a terminal.

use tempfile::TempDir;

use crate::cli_top_terminal::Terminal;
use crate::harness::bpf::{await_nothing_left, held_by};
use crate::harness::live;
use crate::harness::memory::changed_code_bytes;
use crate::harness::waytrace::{command, run};
use crate::harness::workload::{Start, Workload};
use crate::or_skip;

/// One that allocates for as long as it is let.
fn busy() -> Result<Workload, String> {
    let mut workload = Start::plain("churn.c")?.args(&["86400", "20000", "64"]).spawn();
    workload.go();
    Ok(workload)
}

/// Shows it, beside a target that is not there; what is recorded goes below `home`.
fn watch(workload: &Workload, home: &TempDir) -> Terminal {
    let pid = workload.pid().to_string();
    let mut top = command(&["top", "--interval", "500ms", "--comm", "wt-nobody", "--pid", &pid]);
    let terminal = Terminal::start(top.env("XDG_DATA_HOME", home.path()), 24, 80);
    terminal.wait_for(&format!("pid-{pid}"));
    terminal
}

#[test]
fn what_is_marked_is_recorded_at_a_key() {
    let _turn = or_skip!(live::turn());
    let (workload, home) = (or_skip!(busy()), TempDir::new().unwrap());
    let mut terminal = watch(&workload, &home);
    terminal.press("R");
    terminal.wait_for(&format!("recording process {}", workload.pid()));
    terminal.wait_for("is recorded: waytrace show top-churn-");
    let shown = terminal.contents();
    let name = shown.split("waytrace show ").nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
    terminal.press("q");
    assert_eq!(terminal.finish(), 0);
    let db = home.path().join("waytrace/runs.db");
    let report = run(&["show", "--db", db.to_str().unwrap(), &name, "--json"]).report();
    assert_eq!(report.target.tgid, workload.pid());
    assert!(report.allocations.unwrap().alloc_count.unwrap() > 0.0);
    workload.kill();
}

/// Alerts of a host are by the rules that come with waytrace.
#[test]
fn alerts_begin_while_it_is_looked_at() {
    let _turn = or_skip!(live::turn());
    let (workload, home) = (or_skip!(busy()), TempDir::new().unwrap());
    let mut terminal = watch(&workload, &home);
    terminal.wait_for("ALERT");
    terminal.press("A");
    terminal.wait_for("no process of it is there");
    assert!(terminal.contents().contains("wt-nobody"), "{}", terminal.contents());
    terminal.press("q");
    assert_eq!(terminal.finish(), 0);
    workload.kill();
}

#[test]
fn nothing_is_left_however_it_ends() {
    let _turn = or_skip!(live::turn());
    let (workload, home) = (or_skip!(busy()), TempDir::new().unwrap());
    for end in ["q", "SIGTERM", "SIGKILL"] {
        let mut terminal = watch(&workload, &home);
        // A closer look is under way.
        terminal.wait_until("a probe", |_| changed_code_bytes(workload.pid()).0 > 0);
        let held = held_by(terminal.pid() as u32);
        assert!(!held.is_empty(), "{end}");
        match end {
            "q" => terminal.press("q"),
            "SIGTERM" => terminal.signal(libc::SIGTERM),
            _ => {
                terminal.signal(libc::SIGKILL);
                // Nobody gives the terminal back then.
                drop(terminal);
                await_nothing_left(&held, workload.pid()).unwrap();
                continue;
            }
        }
        assert_eq!(terminal.finish(), 0, "{end}");
        await_nothing_left(&held, workload.pid()).unwrap();
    }
    workload.kill();
}
