//! Ports and collectors that are not to be had.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};

use super::Monitor;
use crate::harness::live;
use crate::harness::waytrace::{Store, run};
use crate::harness::workload::{Start, Workload};
use crate::or_skip;

#[test]
fn a_port_that_is_taken_is_one_clear_error() {
    let _turn = or_skip!(live::turn());
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let store = Store::new();
    let finished = run(&["monitor", "--machine", "--listen", &address, "--db", &store.arg()]);
    assert_eq!(finished.code, 2, "{finished:#?}");
    let [complaint] = finished.complaints()[..] else { panic!("{finished:#?}") };
    assert!(complaint.contains(&address) && complaint.contains("in use"), "{complaint}");
}

/// A monitor that sends a profile of one second a minute.
fn sending(workload: &Workload, store: &Store, name: &str, to: SocketAddr) -> Monitor {
    let config = store.folder().join(name);
    let text = format!(
        "window = \"1s\"\n[budget]\ncpu_pct = 100\n[http]\nlisten = \"127.0.0.1:0\"\n\
         [http.push]\nurl = \"http://{to}\"\nevery_s = 60\nseconds = 1\ntimeout_s = 1\nkinds = [\"allocs\"]\n\
         [[target]]\nname = \"busy\"\npid = {}\n",
        workload.pid()
    );
    fs::write(&config, text).unwrap();
    Monitor::start(&["--config", config.to_str().unwrap()])
}

/// Takes one profile.
fn take(listener: &TcpListener) {
    let (mut stream, _) = listener.accept().unwrap();
    let mut chunk = [0; 1 << 16];
    assert!(stream.read(&mut chunk).unwrap() > 0);
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
    // Until all of it has come: closed before, the sender would see a reset.
    while stream.read(&mut chunk).is_ok_and(|count| count > 0) {}
}

#[test]
fn a_collector_that_is_down_or_never_answers_costs_no_window() {
    let _turn = or_skip!(live::turn());
    let mut workload = or_skip!(Start::plain("churn.c")).args(&["300", "20000", "64"]).spawn();
    workload.go();
    let store = Store::new();
    // It accepts into its backlog and never reads.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let down = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut monitors = [
        sending(&workload, &store, "silent.toml", silent.local_addr().unwrap()),
        sending(&workload, &store, "down.toml", down),
    ];
    for monitor in &mut monitors {
        monitor.await_metric("waytrace_push_failed_total", |failed| failed >= 1.0);
        assert_eq!(monitor.metric("waytrace_push_up"), Some(0.0));
        assert_eq!(monitor.metric("waytrace_push_sent_total"), Some(0.0));
    }
    // One comes back while the profile still waits.
    let back = TcpListener::bind(down).unwrap();
    take(&back);
    monitors[1].await_metric("waytrace_push_up", |up| up == 1.0);
    assert_eq!(monitors[1].metric("waytrace_push_sent_total"), Some(1.0));
    for mut monitor in monitors {
        monitor.await_windows(2);
        assert_eq!(monitor.metric("waytrace_alerts_active"), Some(0.0));
        let windows = monitor.stop();
        assert!(windows.len() >= 60, "one a second for more than a minute: {}", windows.len());
        assert!(windows.iter().zip(0..).all(|(window, index)| window.index == index), "no gaps");
    }
    workload.kill();
}
