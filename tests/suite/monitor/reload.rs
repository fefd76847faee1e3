//! SIGHUP: the configuration is read again, and a bad one is refused whole.

use std::fs;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::{Monitor, of};
use crate::harness::live;
use crate::or_skip;

#[test]
fn a_good_file_is_taken_and_a_bad_one_changes_nothing() {
    let _turn = or_skip!(live::turn());
    let folder = TempDir::new().unwrap();
    let config = folder.path().join("waytrace.toml");
    let target = |name: &str, comm: &str| format!("[[target]]\nname = \"{name}\"\ncomm = \"{comm}\"\n");
    let write = |text: &str| fs::write(&config, format!("window = \"300ms\"\n{text}")).unwrap();
    write(&target("first", "wt-none"));
    let mut sleeper = Command::new("/bin/sleep").arg("60").stdin(Stdio::null()).spawn().unwrap();
    let mut monitor = Monitor::start(&["--config", config.to_str().unwrap()]);
    monitor.await_windows(1);

    write(&format!("{}{}", target("first", "wt-none"), target("sleepers", "sleep")));
    monitor.signal(libc::SIGHUP);
    monitor.await_line("1 targets added");
    monitor.await_windows(3);

    write("[[target]]\nname = \"third\"\ncom = \"sleep\"\n");
    monitor.signal(libc::SIGHUP);
    monitor.await_line("stays as it was");
    monitor.await_windows(2);

    let windows = monitor.stop();
    sleeper.kill().unwrap();
    sleeper.wait().unwrap();
    assert!(of(&windows[..1], "sleepers").next().is_none());
    assert!(of(&windows[windows.len() - 2..], "sleepers").next().is_some(), "it goes on as before");
    assert!(of(&windows, "third").next().is_none());
}
