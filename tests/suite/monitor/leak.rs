//! A leak is flagged, recorded and named; what is steady raises nothing.

use std::fs;

use serde_json::Value;

use super::Monitor;
use crate::harness::live;
use crate::harness::waytrace::Store;
use crate::harness::workload::Start;
use crate::or_skip;

/// 1 MB/s, in windows of two seconds: flagged and named while a minute's work is under way, by a rule of the program's own.
#[test]
fn a_leak_is_flagged_and_named_by_its_site() {
    let _turn = or_skip!(live::turn());
    let mut leaking = or_skip!(Start::plain("leak.c")).args(&["120"]).spawn();
    let mut steady = or_skip!(Start::plain("leak.c")).args(&["120", "0"]).spawn();
    let store = Store::new();
    let config = store.folder().join("waytrace.toml");
    let target = |name: &str, pid: u32| format!("[[target]]\nname = \"{name}\"\npid = {pid}\n");
    let text = format!(
        "window = \"2s\"\ndefault_rules = false\n[history]\npath = \"{}\"\n[record]\nduration = \"4s\"\n{}{}\
         [[rule]]\nname = \"leak\"\nwhen = \"growth(rss_bytes, 20s) > 250KB/s\"\nrecord = true\nhooks = [\"log\"]\n\
         [[hook]]\nname = \"log\"\nlog = true\n",
        store.path().display(),
        target("leaking", leaking.pid()),
        target("steady", steady.pid()),
    );
    fs::write(&config, text).unwrap();
    let mut monitor = Monitor::start(&["--config", config.to_str().unwrap()]);
    leaking.go();
    steady.go();
    monitor.await_line("alert recorded: leak on leaking");
    assert!(leaking.is_running(), "it took longer than the work");
    monitor.await_windows(1);
    monitor.stop();

    let listed = store.run(&["list", "--since", "1h", "--json"]);
    let alerts: Vec<Value> =
        listed.json()["alerts"].as_array().unwrap_or_else(|| panic!("{listed:#?}")).clone();
    let [alert] = &alerts[..] else { panic!("one alert, not {alerts:#?}") };
    assert_eq!((&alert["rule"], &alert["target"]), (&"leak".into(), &"leaking".into()));
    let detail = alert["detail"].as_str().unwrap();
    let named = detail.split("live at the end: ").nth(1).unwrap_or_else(|| panic!("{detail}"));
    assert!(named.contains("leak_site") && !named.starts_with("churn_site"), "{detail}");
    let run = alert["recording"]["what"].as_str().unwrap_or_else(|| panic!("{alert:#?}"));
    assert_eq!(store.run(&["show", run, "--json"]).report().target.tgid, leaking.pid());
    leaking.kill();
    steady.kill();
}
