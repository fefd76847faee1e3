//! The live page in a real browser, over made-up windows: rows, numbers, sorting, one target, the keyboard, thousands of rows, the token.

use std::time::Duration;

use waytrace_model::monitor::{Alert, AlertEnd, Metric, RecordingLink};
use waytrace_monitor::web::{HistoryState, WebConfig};

use super::chromium::Browser;
use super::server::{Running, loopback, start, state, target, try_start, window};

/// A name that would run if it were taken for markup.
const SCRIPT: &str = "<img src=x onerror=alert(1)>";

/// Made-up windows: eight targets whose numbers go up and down, one that comes late, one alert that holds and one that is over.
fn filled() -> Running {
    let config = loopback();
    // Long enough that none is overdue while the browser starts.
    let server = try_start(config, state(Duration::from_secs(60), 500), None).unwrap();
    let names = [
        "nginx.service",
        "redis",
        "postgres",
        "checkout-7f9c",
        "batch",
        "python3 worker.py --queue high",
        SCRIPT,
        "idle",
    ];
    for index in 0..50_u64 {
        let wave = |n: usize| {
            let angle = index as f64 / (5.0 + n as f64) + n as f64;
            1.0 + n as f64 * 2.0 + angle.sin().abs() * 3.0
        };
        let mut targets: Vec<_> = (0..7).map(|n| target(names[n], 100)).collect();
        for (n, target) in targets.iter_mut().enumerate() {
            for metric in [Metric::Cpu, Metric::Rss, Metric::AllocBytes, Metric::RunQueue] {
                let value = target.values.get(metric).map(|value| (value * wave(n) / 20.0).round());
                target.values.set(metric, value);
            }
        }
        // In the last window its numbers are round: 30 % of a CPU, 3 MiB.
        targets.push(target("idle", 3));
        if index < 30 {
            targets.remove(3);
        }
        server.state.publish(window(index, targets));
    }
    let alert = |rule: &str, target: &str| Alert {
        rule: rule.into(),
        target: target.into(),
        when: "growth(rss_bytes, 60s) > 1MB/s".into(),
        detail: "rss_bytes grows by 1.1 MB/s".into(),
        began_unix_ns: 1_700_000_030_000_000_000,
        recording: RecordingLink::Run("leak-redis-3".into()),
        ..Alert::default()
    };
    let over = Some(AlertEnd { at_unix_ns: 1_700_000_040_000_000_000 });
    server.state.set_alert(Alert { ended: over, recording: RecordingLink::None, ..alert("busy", "batch") });
    server.state.set_alert(alert("leak", "redis"));
    let history =
        HistoryState { written: 50, waiting: 0, dropped: 0, errors: 0, bytes: 5 << 20, trouble: None };
    server.state.set_history(history);
    server
}

fn opened(server: &Running, width: u32, is_dark: bool) -> Option<Browser> {
    let mut browser = Browser::start(width, 900, is_dark)?;
    browser.go(&format!("http://{}/", server.address));
    browser.wait_for("document.querySelectorAll('#rows .row').length > 0");
    Some(browser)
}

const STICKS_OUT: &str = "document.documentElement.scrollWidth > document.documentElement.clientWidth";

const NAMES: &str = "[...document.querySelectorAll('#rows .row a')].map(a => a.textContent)";

fn names(browser: &mut Browser) -> Vec<String> {
    serde_json::from_value(browser.eval(NAMES)).unwrap()
}

#[test]
fn rows_and_numbers_are_those_of_the_window() {
    let server = filled();
    let Some(mut browser) = opened(&server, 1280, false) else { return };
    let shown = names(&mut browser);
    assert_eq!(shown[7..], ["idle", "database"], "by CPU time, and those without a process last");
    assert!(shown.contains(&SCRIPT.to_owned()));
    let idle = "[...document.querySelectorAll('.row')].find(row => row.textContent.startsWith('idle'))";
    let cells =
        browser.eval(&format!("[...{idle}.querySelectorAll('[role=cell]')].map(cell => cell.textContent)"));
    let expected = ["30.0 %", "3.00 MiB", "6.00 MiB/s", "0.30 %", "2", "5", "100/s", "0.25 %"];
    assert_eq!(cells, serde_json::json!(expected));
    let curve = browser.eval(&format!("{idle}.querySelector('.line').getAttribute('d')"));
    assert_eq!(curve.as_str().unwrap().matches(['M', 'L']).count(), 50);
    let host = browser.eval("document.getElementById('host').innerText");
    let host = host.as_str().unwrap();
    for part in [
        "Targets\n8\n1 missing",
        "Own CPU\n0.50 %\nof 2.00 %",
        "60.0 MiB\nof 150 MiB",
        "Lost\n3\nring_full 3",
    ] {
        assert!(host.replace("\n\n", "\n").contains(part), "{part} in {host}");
    }
    let collectors = browser.eval("document.getElementById('collectors').innerText");
    assert!(collectors.as_str().unwrap().contains("allocations reduced: the budget has room for a tenth"));
    let alerts = browser.eval("document.getElementById('alerts').innerText");
    assert!(alerts.as_str().unwrap().contains("recorded as leak-redis-3"), "{alerts}");
    assert_eq!(browser.eval("document.title"), "(1) waytrace");
    browser.picture("light");
    assert!(browser.trouble.is_empty(), "{:?}", browser.trouble);
}

#[test]
fn rows_are_sorted_and_filtered_and_follow_new_windows() {
    let server = filled();
    let Some(mut browser) = opened(&server, 1280, true) else { return };
    browser.picture("dark");
    browser.eval("document.querySelector('#head button').click()");
    let mut sorted = names(&mut browser);
    let expected = sorted.clone();
    sorted.sort();
    assert_eq!(expected, sorted);
    browser
        .eval("[...document.querySelectorAll('#head button')].find(b => b.textContent === 'Memory').click()");
    assert_eq!(names(&mut browser)[8], "database");
    browser.press("/");
    browser.type_text("RED");
    assert_eq!(names(&mut browser), ["redis"]);
    assert_eq!(browser.eval("document.getElementById('shown').textContent"), "1 of 9");
    browser.press("Escape");
    assert_eq!(names(&mut browser).len(), 9);
    server.state.publish(window(50, vec![target("newcomer", 7)]));
    browser.eval("round()");
    browser.wait_for("document.querySelectorAll('#rows .row').length === 2");
    assert_eq!(names(&mut browser), ["newcomer", "database"]);
    assert!(browser.trouble.is_empty(), "{:?}", browser.trouble);
}

#[test]
fn one_target_is_shown_by_keyboard_and_left_again() {
    let server = filled();
    let Some(mut browser) = opened(&server, 1280, false) else { return };
    for _ in 0..8 {
        browser.press("j");
    }
    assert_eq!(browser.eval("document.activeElement.textContent"), "idle");
    browser.press("Enter");
    browser.wait_for("document.querySelectorAll('#detail table').length === 6");
    let text = browser.eval("document.getElementById('detail').innerText");
    let text = text.as_str().unwrap().to_owned();
    for part in [
        "cache_insert (cache.c:120)\t3.00 MiB/s\t49.2 k/s",
        "helper\t1031\t30.0 %\t3.00 MiB\t5",
        "io <b>\t1031\t1030\t4.00 %",
        "64 B\t488 KiB/s",
        "[heap]\t70.0 %\t40.0 %",
        "this machine has no CMT",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert_eq!(browser.eval("document.getElementById('targets').hidden"), true);
    browser.picture("target");
    browser.press("Escape");
    browser.wait_for(
        "!document.getElementById('targets').hidden && document.querySelectorAll('#rows .row').length === 9",
    );
    assert!(browser.trouble.is_empty(), "{:?}", browser.trouble);
}

#[test]
fn caches_are_shown_where_they_were_measured() {
    let server = try_start(loopback(), state(Duration::from_secs(60), 500), None).unwrap();
    let mut measured = target("measured", 3);
    measured.absent.clear();
    let mib = |count: u32| Some(f64::from(count << 20));
    for (metric, bytes) in
        [(Metric::LlcOccupancy, mib(3)), (Metric::MemoryTraffic, mib(20)), (Metric::LocalTraffic, mib(5))]
    {
        measured.values.set(metric, bytes);
    }
    server.state.publish(window(0, vec![measured, target("not", 3)]));
    let Some(mut browser) = Browser::start(1280, 900, false) else { return };
    let mut shown = |name: &str| {
        browser.go(&format!("http://{}/#target={name}", server.address));
        browser.wait_for(&format!("document.querySelector('#detail .name')?.textContent === '{name}'"));
        let text = browser.eval("document.getElementById('detail').innerText");
        assert!(browser.trouble.is_empty(), "{:?}", browser.trouble);
        text.as_str().unwrap().replace("\n\n", "\n")
    };
    let text = shown("measured");
    for part in ["Cache occupied\n3.00 MiB", "Memory traffic\n20.0 MiB/s", "Of it local\n5.00 MiB/s"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(!text.contains("Not measured"), "{text}");
    let text = shown("not");
    assert!(!text.contains("Cache occupied") && text.contains("cache\tthis machine has no CMT"), "{text}");
}

#[test]
fn nothing_sticks_out_of_a_narrow_window() {
    let server = filled();
    let Some(mut browser) = opened(&server, 400, false) else { return };
    assert_eq!(browser.eval(STICKS_OUT), false);
    let overlap = "[...document.querySelectorAll('.row')].some(row => row.querySelector('.name').getBoundingClientRect().right > \
                   row.querySelector('.cell svg').getBoundingClientRect().left + 1 && !row.classList.contains('gone'))";
    assert_eq!(browser.eval(overlap), false);
    browser.eval("document.getElementById('targets').scrollIntoView()");
    browser.picture("narrow");
    browser.eval("location.hash = '#target=redis'");
    browser.wait_for("document.querySelectorAll('#detail table').length === 6");
    assert_eq!(browser.eval(STICKS_OUT), false);
    browser.picture("narrow-target");
    assert!(browser.trouble.is_empty(), "{:?}", browser.trouble);
}

#[test]
fn of_thousands_only_those_in_sight_are_made() {
    let server = try_start(loopback(), state(Duration::from_secs(60), 500), None).unwrap();
    for index in 0..5 {
        server.state.publish(window(index, (0..5_000).map(|n| target(&format!("t{n:04}"), n)).collect()));
    }
    let Some(mut browser) = Browser::start(1280, 900, false) else { return };
    browser.go(&format!("http://{}/", server.address));
    browser.wait_for("document.querySelectorAll('#rows .row').length > 10");
    let made = browser.eval("document.querySelectorAll('#rows .row').length").as_u64().unwrap();
    assert!(made < 60, "{made} rows for a window of 900 pixels");
    assert_eq!(names(&mut browser)[0], "t4999");
    browser.eval("scrollTo(0, document.documentElement.scrollHeight)");
    browser.wait_for("[...document.querySelectorAll('#rows .row a')].some(a => a.textContent === 't0000')");
    let made = browser.eval("document.querySelectorAll('#rows .row').length").as_u64().unwrap();
    assert!(made < 60, "{made}");
    assert!(browser.trouble.is_empty(), "{:?}", browser.trouble);
}

#[test]
fn the_token_is_asked_for_and_kept_for_the_tab() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, "0123456789abcdef0123456789abcdef").unwrap();
    let server = start(WebConfig { token_file: Some(path), ..loopback() });
    server.state.publish(window(0, vec![target("web", 3)]));
    let Some(mut browser) = Browser::start(800, 600, false) else { return };
    browser.go(&format!("http://{}/", server.address));
    // Focus comes with the first frame, later than the field: what is typed before is lost.
    browser.wait_for("document.readyState === 'complete' && document.activeElement?.id === 'token'");
    browser.picture("login");
    browser.type_text("not the token at all");
    browser.press("Enter");
    browser.wait_for("document.getElementById('trouble').textContent === 'This token is not the one.'");
    browser.eval("document.getElementById('token').focus()");
    browser.eval("document.getElementById('token').value = '0123456789abcdef0123456789abcdef'");
    browser.press("Enter");
    browser.wait_for("document.querySelectorAll('#rows .row').length === 2");
    assert_eq!(names(&mut browser), ["web", "database"]);
    let colour = browser.eval("getComputedStyle(document.querySelector('.row')).display");
    assert_eq!(colour, "grid", "styles came along");
    browser.go(&format!("http://{}/#again", server.address));
    browser.eval("location.reload()");
    browser.wait_for("document.querySelectorAll('#rows .row').length === 2");
    let refused: Vec<_> = browser.trouble.iter().filter(|text| !text.contains("401")).collect();
    assert!(refused.is_empty(), "{refused:?}");
}
