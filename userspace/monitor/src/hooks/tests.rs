//! Hooks against real listeners and programs.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use waytrace_model::monitor::{Alert, RecordingLink};

use super::worker::Pace;
use super::{Error, HookConfig, HookState, Hooks, MOST_WAITING};
use crate::rules::Event;

const QUICK: Pace = Pace { attempts: 4, first: Duration::from_millis(5), longest: Duration::from_millis(10) };

fn event(rule: &str) -> Event {
    Event::Began(Alert {
        rule: rule.to_owned(),
        target: "redis\nERROR".to_owned(),
        detail: "rss_bytes = 1.00GiB".to_owned(),
        recording: RecordingLink::Run("alert-1".to_owned()),
        ..Alert::default()
    })
}

fn webhook(name: &str, url: &str) -> HookConfig {
    HookConfig { webhook: Some(url.to_owned()), timeout: Duration::from_secs(5), ..HookConfig::new(name) }
}

fn command(name: &str, script: &str) -> HookConfig {
    let words = ["sh", "-c", script].map(str::to_owned).to_vec();
    HookConfig { command: Some(words), timeout: Duration::from_secs(20), ..HookConfig::new(name) }
}

fn names(name: &str) -> Vec<String> {
    vec![name.to_owned()]
}

/// Looks until it is so; a minute is never needed.
fn until(hooks: &Hooks, is_so: impl Fn(&HookState) -> bool) -> HookState {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        let state = hooks.states().remove(0);
        if is_so(&state) || Instant::now() > end {
            return state;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Head and body of a request.
fn request(stream: &TcpStream) -> (String, String) {
    let mut reader = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    (head, String::from_utf8(body).unwrap())
}

/// A listener that answers each request with the next of these, the last again and again; `None`: never.
fn listener(answers: Vec<Option<u16>>) -> (String, Receiver<(String, String)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/alerts", listener.local_addr().unwrap());
    let (seen, requests) = channel();
    std::thread::spawn(move || {
        let mut answers = answers.into_iter();
        let mut answer = answers.next().flatten();
        let mut silent = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            if seen.send(request(&stream)).is_err() {
                return;
            }
            match answer {
                Some(code) => {
                    let text =
                        format!("HTTP/1.1 {code} Answer\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                    let _ = stream.write_all(text.as_bytes());
                }
                None => silent.push(stream),
            }
            answer = answers.next().unwrap_or(answer);
        }
    });
    (url, requests)
}

#[test]
fn a_webhook_is_posted_the_alert_with_its_headers() {
    let (url, requests) = listener(vec![Some(204)]);
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("headers");
    std::fs::write(&file, "Authorization: Bearer secret-1\n\nX-Team: memory\n").unwrap();
    let hook = HookConfig { header_file: Some(file.clone()), ..webhook("ops", &url) };
    let hooks = Hooks::start_at(&[hook], "host-7", QUICK).unwrap();
    hooks.tell(&["ops".to_owned(), "unknown".to_owned()], &event("leak"));
    let (head, body) = requests.recv().unwrap();
    assert!(head.starts_with("POST /alerts HTTP/1.1"), "{head}");
    assert!(head.to_lowercase().contains("authorization: bearer secret-1\r\n"), "{head}");
    assert!(head.to_lowercase().contains("x-team: memory"), "{head}");
    let json: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!((&json["event"], &json["host"]), (&"began".into(), &"host-7".into()));
    assert_eq!(json["alert"]["rule"], "leak");
    assert_eq!(json["alert"]["recording"]["what"], "alert-1");
    let state = until(&hooks, |state| state.delivered == 1);
    assert_eq!((state.delivered, state.failed, state.waiting), (1, 0, 0));
    // A rotated token counts from the next message on.
    std::fs::write(&file, "Authorization: Bearer secret-2\n").unwrap();
    hooks.tell(&names("ops"), &event("leak"));
    assert!(requests.recv().unwrap().0.contains("secret-2"));
}

#[test]
fn what_may_pass_is_tried_again_and_what_may_not_is_not() {
    for (answers, delivered, failed, dropped) in [
        (vec![Some(500), Some(503), Some(200)], 1, 2, 0),
        (vec![Some(429), Some(200)], 1, 1, 0),
        (vec![Some(500)], 0, 4, 1),
        (vec![Some(404)], 0, 1, 1),
        // Nobody is sent elsewhere with the token.
        (vec![Some(302)], 0, 1, 1),
    ] {
        let (url, _requests) = listener(answers.clone());
        let hooks = Hooks::start_at(&[webhook("ops", &url)], "h", QUICK).unwrap();
        hooks.tell(&names("ops"), &event("leak"));
        let state = until(&hooks, |state| state.delivered + state.dropped == 1);
        assert_eq!(
            (state.delivered, state.failed, state.dropped),
            (delivered, failed, dropped),
            "{answers:?}"
        );
        assert_eq!(state.last_error.is_some(), failed > 0);
    }
}

#[test]
fn a_refused_connection_is_tried_again() {
    let url = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}/", listener.local_addr().unwrap())
    };
    let hooks = Hooks::start_at(&[webhook("ops", &url)], "h", QUICK).unwrap();
    hooks.tell(&names("ops"), &event("leak"));
    let state = until(&hooks, |state| state.dropped == 1);
    assert_eq!((state.failed, state.dropped), (4, 1), "{state:?}");
}

/// An endpoint that never answers: telling returns, its queue stays bounded, the other hook is told, and the end comes in time.
#[test]
fn a_silent_endpoint_delays_nobody() {
    let (silent, _silent_requests) = listener(vec![None]);
    let (good, good_requests) = listener(vec![Some(200)]);
    let configs = [
        HookConfig { timeout: Duration::from_secs(600), ..webhook("silent", &silent) },
        webhook("good", &good),
    ];
    let hooks = Hooks::start_at(&configs, "h", QUICK).unwrap();
    for n in 0..200 {
        hooks.tell(&["silent".to_owned(), "good".to_owned()], &event(&format!("rule-{n}")));
    }
    let state = until(&hooks, |state| state.dropped > 0);
    assert!(state.waiting <= MOST_WAITING as u64 + 1, "{state:?}");
    assert_eq!(state.waiting + state.dropped, 200, "{state:?}");
    // The good one may have been overtaken as well, and has the newest in any case.
    let newest = good_requests.iter().find(|(_, body)| body.contains("rule-199"));
    assert!(newest.is_some());
    let begun = Instant::now();
    hooks.stop(Duration::from_millis(300));
    assert!(begun.elapsed() < Duration::from_secs(60), "its own timeout is ten minutes");
}

#[test]
fn a_command_has_the_alert_on_its_input_and_in_variables() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("said");
    let script = format!(
        "cat > {0}.new; echo \"$WAYTRACE_EVENT $WAYTRACE_RULE $WAYTRACE_RUN $WAYTRACE_HOST\" >> {0}.new; mv {0}.new {0}",
        file.display()
    );
    let hooks = Hooks::start_at(&[command("run", &script)], "host-7", QUICK).unwrap();
    hooks.tell(&names("run"), &event("leak; rm -rf x"));
    assert_eq!(until(&hooks, |state| state.delivered == 1).delivered, 1);
    let said = std::fs::read_to_string(&file).unwrap();
    let (json, variables) = said.split_once('\n').unwrap();
    let json: serde_json::Value = serde_json::from_str(json).unwrap();
    assert_eq!(json["alert"]["target"], "redis\nERROR");
    assert_eq!(variables, "began leak; rm -rf x alert-1 host-7\n");
}

#[test]
fn a_command_that_hangs_is_killed_with_all_it_started() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("pid");
    let script = format!("sleep 1000 & echo $! > {0}.new; mv {0}.new {0}; wait", file.display());
    let hook = HookConfig { timeout: Duration::from_secs(1), ..command("run", &script) };
    let hooks = Hooks::start_at(&[hook], "h", QUICK).unwrap();
    hooks.tell(&names("run"), &event("leak"));
    let state = until(&hooks, |state| state.dropped == 1);
    assert_eq!((state.failed, state.dropped), (1, 1), "not tried again");
    assert!(state.last_error.unwrap().contains("killed"));
    let sleeper = std::fs::read_to_string(&file).unwrap();
    let stat = Path::new("/proc").join(sleeper.trim()).join("stat");
    let end = Instant::now() + Duration::from_secs(60);
    let is_alive = || std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z "));
    while is_alive() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(!is_alive());
}

#[test]
fn commands_that_fail_or_are_not_there_are_told() {
    for (words, needle) in [
        (vec!["sh", "-c", "exit 3"], "ended with code 3"),
        (vec!["sh", "-c", "kill -9 $$"], "code 137"),
        (vec!["/no/such/program"], "cannot start `/no/such/program`"),
    ] {
        let words = words.into_iter().map(str::to_owned).collect();
        let hook = HookConfig { command: Some(words), ..HookConfig::new("run") };
        let hooks = Hooks::start_at(&[hook], "h", QUICK).unwrap();
        hooks.tell(&names("run"), &event("leak"));
        let state = until(&hooks, |state| state.dropped == 1);
        assert!(state.last_error.as_ref().unwrap().contains(needle), "{state:?}");
        assert_eq!(state.failed, 1);
    }
}

/// What waits at the end is tried once more.
#[test]
fn the_end_waits_for_what_can_still_be_told() {
    let (url, requests) = listener(vec![Some(200)]);
    let hooks = Hooks::start_at(&[webhook("ops", &url)], "h", QUICK).unwrap();
    for _ in 0..5 {
        hooks.tell(&names("ops"), &event("leak"));
    }
    hooks.stop(Duration::from_secs(60));
    assert_eq!(requests.try_iter().count(), 5);
}

#[test]
fn lines_are_one_line() {
    let hook = HookConfig { log: true, ..HookConfig::new("log") };
    let hooks = Hooks::start_at(&[hook], "h", QUICK).unwrap();
    hooks.tell(&names("log"), &event("leak"));
    assert_eq!(until(&hooks, |state| state.delivered == 1).delivered, 1);
    let line = super::Message::of(&event("leak"), "h").line();
    assert_eq!(line, "alert began: leak on redis ERROR: rss_bytes = 1.00GiB; recorded as alert-1");
}

#[test]
fn mistakes_in_hooks_are_named() {
    let bare = HookConfig::new("ops");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "X-A: 1\nBearer hunter2\n").unwrap();
    let path = Some(file.path().to_owned());
    let good = webhook("ops", "http://127.0.0.1:1/");
    for (hook, needle) in [
        (HookConfig::new(" "), "hook 1 has no name"),
        (bare.clone(), "0 of webhook, command and log"),
        (HookConfig { log: true, ..good.clone() }, "2 of webhook"),
        (webhook("ops", "ftp://x"), "`ftp://x` is no address"),
        (webhook("ops", "http:///x"), "is no address"),
        (webhook("ops", "http://a b/"), "is no address"),
        (HookConfig { command: Some(vec![]), ..bare.clone() }, "no program"),
        (
            HookConfig { log: true, header_file: path.clone(), ..bare },
            "key `header_file`: it is for webhooks",
        ),
        (HookConfig { timeout: Duration::ZERO, ..good.clone() }, "from 1ms to 1h"),
        (HookConfig { header_file: path.clone(), ..good.clone() }, "line 2 is no header"),
        (HookConfig { header_file: Some("/no/such".into()), ..good.clone() }, "/no/such: No such file"),
        (HookConfig { ca_file: path, ..webhook("ops", "https://127.0.0.1:1/") }, "no certificate"),
    ] {
        let error = Hooks::start(&[hook], "h").err().unwrap().to_string();
        assert!(error.contains(needle), "{error}");
        assert!(!error.contains("hunter2"), "what headers hold is a secret: {error}");
    }
    let twice = Hooks::start(&[good.clone(), good], "h").err().unwrap();
    assert!(matches!(twice, Error::NameTaken { .. }));
}

#[test]
fn a_hook_is_read_from_its_keys_and_no_others() {
    let read = |json: &str| serde_json::from_str::<HookConfig>(json);
    let hook = read(r#"{"name": "ops", "webhook": "https://example.org/", "timeout": "500ms"}"#).unwrap();
    assert_eq!(hook.timeout, Duration::from_millis(500));
    let again = serde_json::to_string(&hook).unwrap();
    assert_eq!(read(&again).unwrap(), hook);
    assert!(read(r#"{"name": "ops", "web_hook": "x"}"#).is_err());
    assert!(
        read(r#"{"name": "ops", "log": true, "timeout": "soon"}"#)
            .unwrap_err()
            .to_string()
            .contains("duration")
    );
}
