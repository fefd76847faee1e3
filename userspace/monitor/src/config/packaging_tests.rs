//! What is in `packaging/` against the program: names of metrics, configurations, and the checkers of those who read the files.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use waytrace_model::monitor::{Fold, Metric, Unit};

use super::*;

/// Metrics of waytrace itself that the files use.
const OWN: [&str; 18] = [
    "waytrace_alerts_active",
    "waytrace_budget_cpu_ratio",
    "waytrace_budget_rss_bytes",
    "waytrace_collector_state",
    "waytrace_history_bytes",
    "waytrace_history_dropped_windows_total",
    "waytrace_history_up",
    "waytrace_hook_dropped_total",
    "waytrace_lost_total",
    "waytrace_own_cpu_ratio",
    "waytrace_own_recording_cpu_ratio",
    "waytrace_own_rss_bytes",
    "waytrace_rule_alerts_active",
    "waytrace_targets",
    "waytrace_targets_missing",
    "waytrace_window_end_seconds",
    "waytrace_window_length_seconds",
    "waytrace_windows_total",
];

/// The name under which a metric of targets is exported: in seconds, without `_count`, sums as counters, `_total` only as their ending.
fn exported(metric: Metric) -> String {
    let (base, _) = metric.name().rsplit_once('_').unwrap();
    let base = base.trim_end_matches("_total");
    let unit = match metric.unit() {
        Unit::Count => "",
        Unit::Bytes => "_bytes",
        Unit::Nanoseconds => "_seconds",
        Unit::Ratio => "_ratio",
    };
    let total = if metric.fold() == Fold::Sum { "_total" } else { "" };
    format!("waytrace_target_{base}{unit}{total}")
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging")
}

fn names_in(text: &str) -> BTreeSet<String> {
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    text.split(|c: char| !is_name(c))
        .filter(|word| word.starts_with("waytrace_"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn names_are_those_of_prometheus() {
    assert_eq!(exported(Metric::Cpu), "waytrace_target_cpu_seconds_total");
    assert_eq!(exported(Metric::AllocBytes), "waytrace_target_alloc_bytes_total");
    assert_eq!(exported(Metric::MinorFaults), "waytrace_target_minor_faults_total");
    assert_eq!(exported(Metric::MemoryTraffic), "waytrace_target_mbm_bytes_total");
    assert_eq!(exported(Metric::Rss), "waytrace_target_rss_bytes");
    assert_eq!(exported(Metric::Threads), "waytrace_target_threads");
    assert_eq!(exported(Metric::Stores), "waytrace_target_store_ratio");
}

#[test]
fn alerts_and_dashboard_use_metrics_there_are() {
    let known: BTreeSet<String> =
        Metric::ALL.iter().map(|metric| exported(*metric)).chain(OWN.map(str::to_owned)).collect();
    let alerts = include_str!("../../../../packaging/prometheus-alerts.yaml");
    let dashboard = include_str!("../../../../packaging/grafana-dashboard.json");
    for (file, text) in [("prometheus-alerts.yaml", alerts), ("grafana-dashboard.json", dashboard)] {
        let names = names_in(text);
        assert!(names.len() > 10, "{file}: {names:?}");
        let unknown: Vec<&String> = names.difference(&known).collect();
        assert!(unknown.is_empty(), "{file}: {unknown:?}");
    }
}

#[test]
fn what_is_used_of_waytrace_itself_is_exported() {
    let exporters = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/web/metrics");
    let files = std::fs::read_dir(exporters).unwrap().map(|entry| entry.unwrap().path());
    let code: String = files.map(|path| std::fs::read_to_string(path).unwrap()).collect();
    for name in OWN {
        let family = name.strip_suffix("_total").unwrap_or(name);
        assert!(code.contains(&format!("\"{family}\"")), "{name}");
    }
}

#[test]
fn the_dashboard_is_one() {
    let text = include_str!("../../../../packaging/grafana-dashboard.json");
    let board: serde_json::Value = serde_json::from_str(text).unwrap();
    let panels = board["panels"].as_array().unwrap();
    let ids: BTreeSet<u64> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len());
    for panel in panels {
        let place = &panel["gridPos"];
        assert!(place["x"].as_u64().unwrap() + place["w"].as_u64().unwrap() <= 24, "{}", panel["title"]);
        let queries = panel["targets"].as_array().map_or(&[][..], Vec::as_slice);
        assert_eq!(queries.is_empty(), panel["type"] == "row", "{}", panel["title"]);
        assert!(queries.iter().all(|query| query["expr"].as_str().is_some_and(|expr| !expr.is_empty())));
    }
}

#[test]
fn the_daemon_set_has_a_configuration_that_is_right() {
    let text = include_str!("../../../../packaging/daemonset.yaml");
    let (_, config) = text.split_once("waytrace.toml: |\n").unwrap();
    let lines = config.lines().take_while(|line| line.is_empty() || line.starts_with("    "));
    let config: String = lines.map(|line| format!("{}\n", line.trim_start())).collect();
    let config = Config::parse(&config, "daemonset.yaml").unwrap();
    assert!(config.machine && config.http.listen.unwrap().ends_with(":9477"));
    assert!(text.contains("containerPort: 9477") && text.contains("mountPath: /var/lib/waytrace}"));
}

/// Runs a checker over a file; `None`, having said why, where there is none.
fn checked(program: &str, args: &[&str], file: &str) -> Option<(bool, String)> {
    let output = Command::new(program).args(args).arg(folder().join(file)).output();
    match output {
        Ok(output) => {
            let text = [output.stdout, output.stderr].concat();
            Some((output.status.success(), String::from_utf8_lossy(&text).into_owned()))
        }
        Err(error) => {
            eprintln!("SKIP: {program}: {error}");
            None
        }
    }
}

#[test]
fn prometheus_takes_the_alerts() {
    if let Some((good, text)) = checked("promtool", &["check", "rules"], "prometheus-alerts.yaml") {
        assert!(good && text.contains("SUCCESS"), "{text}");
    }
}

#[test]
fn systemd_takes_the_unit_and_finds_it_well_guarded() {
    let security = ["security", "--offline=yes", "--threshold=30"];
    if let Some((good, text)) = checked("systemd-analyze", &security, "waytrace.service") {
        assert!(good, "{text}");
    }
    // That the program is not installed here is no fault of the unit.
    if let Some((_, text)) = checked("systemd-analyze", &["verify", "--man=no"], "waytrace.service") {
        let complaints: Vec<&str> = text.lines().filter(|line| line.contains("waytrace.service:")).collect();
        let installed = |line: &&str| !line.contains("is not executable");
        assert_eq!(complaints.into_iter().filter(installed).collect::<Vec<_>>(), Vec::<&str>::new());
    }
}
