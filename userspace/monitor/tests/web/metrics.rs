//! `/metrics`: true sums, both forms held against parsers of others, and no more series than allowed.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;

use waytrace_model::monitor::{Alert, AlertEnd, HostWindow, ShareState};
use waytrace_monitor::web::{HistoryState, HookState, LinesState, WebConfig};

use super::client::{Reply, get, request};
use super::server::{Running, loopback, start, target, window};

const OPEN: &str = "Accept: application/openmetrics-text; version=1.0.0\r\n";

/// A target whose name needs every escape there is, and much else.
const WEIRD: &str = "we\"ird\\name\nwith é, {braces} and \u{1b}[31m";

fn filled() -> Running {
    let server = start(loopback());
    for index in 0..3 {
        server.state.publish(window(index, vec![target("web", 3), target(WEIRD, 1)]));
    }
    let begun = |rule: &str| Alert { rule: rule.into(), target: "web".into(), ..Alert::default() };
    server.state.set_alert(begun("leak"));
    server.state.set_alert(Alert { ended: Some(AlertEnd::default()), ..begun("loss") });
    server.state.set_history(HistoryState {
        written: 3,
        dropped: 1,
        errors: 2,
        bytes: 4096,
        ..HistoryState::default()
    });
    server.state.set_hooks(vec![HookState { name: "pager".into(), sent: 1, ..HookState::default() }]);
    server.state.set_lines(LinesState { written: 3, dropped: 0, is_closed: false });
    server
}

fn open(server: &Running) -> Reply {
    request(server.address, "GET", "/metrics", OPEN)
}

fn has(page: &str, line: &str) {
    assert!(page.lines().any(|found| found == line), "no line {line} in\n{page}");
}

#[test]
fn amounts_add_up_in_base_units_and_levels_are_the_last() {
    let server = filled();
    let page = get(server.address, "/metrics");
    assert_eq!(page.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let page = page.text();
    // Three windows of 3e8 ns of CPU time, 3 MiB of memory, 6 MiB allocated.
    has(&page, "waytrace_target_cpu_seconds_total{target=\"web\"} 0.9");
    has(&page, "waytrace_target_rss_bytes{target=\"web\"} 3145728");
    has(&page, "waytrace_target_alloc_bytes_total{target=\"web\"} 18874368");
    has(&page, "waytrace_target_minor_faults_total{target=\"web\"} 300");
    has(&page, "waytrace_target_up{target=\"web\"} 1");
    has(&page, "waytrace_target_up{target=\"database\"} 0");
    has(&page, "waytrace_lost_total{kind=\"ring_full\"} 9");
    has(&page, "waytrace_own_cpu_ratio 0.005");
    has(&page, "waytrace_budget_cpu_ratio 0.02");
    has(&page, "waytrace_windows_total 3");
    has(&page, "waytrace_collector_state{collector=\"allocations\",state=\"reduced\"} 1");
    has(&page, "waytrace_collector_state{collector=\"allocations\",state=\"full\"} 0");
    has(&page, "waytrace_alerts_active 1");
    has(&page, "waytrace_rule_alerts_active{rule=\"loss\"} 0");
    has(&page, "waytrace_alerts_total{rule=\"loss\"} 1");
    has(&page, "waytrace_history_dropped_windows_total 1");
    has(&page, "waytrace_hook_sent_total{hook=\"pager\"} 1");
    has(&page, "waytrace_build_info{version=\"0.0-test\"} 1");
    assert!(!page.contains("llc_occupancy"), "what was not measured has no sample");
    let again = get(server.address, "/metrics").text();
    has(&again, "waytrace_http_requests_total{code=\"200\"} 1");
}

#[test]
fn series_are_bounded() {
    let server = start(WebConfig { max_targets: 20, ..loopback() });
    server.state.publish(window(0, (0..1000).map(|n| target(&format!("t{n}"), 1)).collect()));
    let page = get(server.address, "/metrics").text();
    let series = page.lines().filter(|line| line.starts_with("waytrace_target_cpu_seconds_total{")).count();
    assert_eq!(series, 21);
    has(&page, "waytrace_targets_other 980");
    has(&page, "waytrace_targets 1000");
    has(&page, "waytrace_target_cpu_seconds_total{target=\"_other\"} 98");
}

#[test]
fn states_are_one_hot() {
    let server = filled();
    for state in [ShareState::Paused, ShareState::Full] {
        let mut next = HostWindow::clone(&window(9, Vec::new()));
        next.collectors[0].state = state;
        server.state.publish(Arc::new(next));
        let page = get(server.address, "/metrics").text();
        let set: Vec<_> = page
            .lines()
            .filter(|line| {
                line.starts_with("waytrace_collector_state{collector=\"counters\"") && line.ends_with(" 1")
            })
            .collect();
        assert_eq!(
            set,
            [format!("waytrace_collector_state{{collector=\"counters\",state=\"{}\"}} 1", state.as_str())]
        );
    }
}

/// The rules of the OpenMetrics 1.0 specification that a page can break, checked line by line.
#[test]
fn the_open_form_keeps_the_rules() {
    let server = filled();
    let reply = open(&server);
    assert_eq!(
        reply.header("content-type"),
        Some("application/openmetrics-text; version=1.0.0; charset=utf-8")
    );
    let page = reply.text();
    assert!(page.ends_with("\n# EOF\n"));
    let (mut families, mut series) = (Vec::new(), Vec::new());
    let (mut family, mut kind) = ("", "");
    for line in page.lines().take_while(|line| *line != "# EOF") {
        if let Some(rest) = line.strip_prefix("# ") {
            let mut words = rest.splitn(3, ' ');
            let (word, name, value) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
            match word {
                "HELP" => {
                    assert!(!families.contains(&name), "{name} comes twice");
                    families.push(name);
                    family = name;
                }
                "TYPE" => kind = value,
                "UNIT" => assert!(name.ends_with(&format!("_{value}")), "{line}"),
                other => panic!("{other}"),
            }
            assert_eq!(name, family);
            continue;
        }
        let name = line.split(['{', ' ']).next().unwrap();
        let suffix = match kind {
            "counter" => "_total",
            "info" => "_info",
            _ => "",
        };
        assert_eq!(name, format!("{family}{suffix}"), "{line}");
        assert!(name.bytes().all(|c| c.is_ascii_lowercase() || c == b'_' || c.is_ascii_digit()), "{name}");
        let (key, value) = line.rsplit_once(' ').unwrap();
        let value: f64 = value.parse().unwrap();
        assert!(value.is_finite() && (kind != "counter" || value >= 0.0), "{line}");
        assert!(!series.contains(&key), "{key} comes twice");
        series.push(key);
    }
    assert!(series.len() > 60, "{}", series.len());
    assert!(page.contains(r#"{target="we\"ird\\name\nwith é, {braces} and "#), "{page}");
}

fn run(command: &mut Command, input: &[u8]) -> Option<(bool, String)> {
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.ok()?;
    child.stdin.take()?.write_all(input).ok()?;
    let output = child.wait_with_output().ok()?;
    let text = [output.stdout, output.stderr].concat();
    Some((output.status.success(), String::from_utf8_lossy(&text).into_owned()))
}

#[test]
fn promtool_has_nothing_to_say() {
    let server = filled();
    let page = get(server.address, "/metrics").body;
    let Some((is_clean, said)) = run(Command::new("promtool").args(["check", "metrics"]), &page) else {
        println!("SKIP: no promtool (Debian package prometheus)");
        return;
    };
    assert!(is_clean && said.trim().is_empty(), "{said}");
}

#[test]
fn the_reference_parser_reads_the_open_form() {
    let server = filled();
    let reads = "import sys\n\
                 from prometheus_client.openmetrics.parser import text_string_to_metric_families as read\n\
                 text = sys.stdin.buffer.read().decode()\n\
                 samples = [s for f in read(text) for s in f.samples]\n\
                 cpu = [s for s in samples if s.name == 'waytrace_target_cpu_seconds_total']\n\
                 print(len(cpu), *sorted(s.labels['target'].encode().hex() for s in cpu))";
    // The system's own one has Debian's packages, also where another comes first.
    let has_parser = |python: &&str| {
        run(Command::new(python).args(["-c", "import prometheus_client"]), b"")
            .is_some_and(|(is_there, _)| is_there)
    };
    let Some(python) = ["python3", "/usr/bin/python3"].into_iter().find(has_parser) else {
        println!("SKIP: no prometheus_client (Debian package python3-prometheus-client)");
        return;
    };
    let (is_read, said) = run(Command::new(python).args(["-c", reads]), &open(&server).body).unwrap();
    assert!(is_read, "{said}");
    let hex = |name: &str| name.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!(said.trim(), format!("2 {} {}", hex(WEIRD), hex("web")));
}
