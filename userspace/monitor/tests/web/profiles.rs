//! `/debug/pprof`: who may have which profile, and how often.

use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use waytrace_monitor::web::{
    PprofConfig, ProfileError, ProfileFuture, ProfileKind, ProfileRequest, Profiles, WebConfig,
};

use super::client::{connect, get, request};
use super::server::{Running, loopback, state, try_start};

/// Makes what stands for a profile here: its own request, as text. Of process 14 it takes ten minutes, and others go wrong in their ways.
#[derive(Default)]
pub struct Fake {
    pub begun: AtomicUsize,
    pub ended: Arc<AtomicUsize>,
}

struct CountWhenDropped(Arc<AtomicUsize>);

impl Drop for CountWhenDropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Profiles for Fake {
    fn target_of(&self, pid: u32) -> Option<String> {
        (10..20).contains(&pid).then(|| "web".to_owned())
    }

    fn profile(&self, request: ProfileRequest) -> ProfileFuture<'_> {
        let _ = self.begun.fetch_add(1, Ordering::SeqCst);
        let guard = CountWhenDropped(Arc::clone(&self.ended));
        Box::pin(async move {
            let _guard = guard;
            match request.pid {
                14 => tokio::time::sleep(Duration::from_secs(600)).await,
                15 => return Err(ProfileError::Gone(15)),
                16 => return Err(ProfileError::Unavailable("no uprobes here".into())),
                17 => return Err(ProfileError::Failed("it broke".into())),
                _ => {}
            }
            Ok(format!("{} {} {}", request.kind, request.pid, request.seconds).into_bytes())
        })
    }
}

fn serving(pprof: PprofConfig) -> (Running, Arc<Fake>) {
    let fake = Arc::new(Fake::default());
    let config = WebConfig { pprof, ..loopback() };
    let server = try_start(config, state(Duration::from_secs(1), 10), Some(fake.clone())).unwrap();
    (server, fake)
}

#[test]
fn a_profile_is_what_was_asked_for() {
    let (server, _) = serving(PprofConfig::default());
    for kind in ProfileKind::ALL {
        let reply = get(server.address, &format!("/debug/pprof/{kind}?pid=11&seconds=5"));
        assert_eq!((reply.code, reply.text()), (200, format!("{kind} 11 5")));
        assert_eq!(
            reply.header("content-disposition"),
            Some(&*format!("attachment; filename=\"{kind}-11.pb.gz\""))
        );
    }
    assert_eq!(get(server.address, "/debug/pprof/heap?pid=11").text(), "heap 11 10");
    assert!(get(server.address, "/debug/pprof/").text().contains("/debug/pprof/accesses?pid=PID"));
}

#[test]
fn mistakes_are_told_and_cost_nothing() {
    let (server, fake) = serving(PprofConfig::default());
    let answer = |query: &str| {
        let reply = get(server.address, &format!("/debug/pprof/heap{query}"));
        (reply.code, reply.text().trim_end().to_owned())
    };
    assert_eq!(answer(""), (400, "pid: which process? add ?pid=PID".into()));
    for bad in ["?pid=", "?pid=0", "?pid=-1", "?pid=x", "?pid=99999999999", "?pid=1%002"] {
        assert_eq!(answer(bad), (400, "pid: must be a whole number from 1 to 4194304".into()), "{bad}");
    }
    for bad in ["0", "61", "x", "1.5"] {
        let expected = (400, "seconds: must be a whole number from 1 to 60".into());
        assert_eq!(answer(&format!("?pid=11&seconds={bad}")), expected, "{bad}");
    }
    assert_eq!(answer("?pid=11&debug=1"), (400, "unknown parameter; known: pid, seconds".into()));
    assert_eq!(answer("?pid=99").0, 404);
    assert_eq!(request(server.address, "HEAD", "/debug/pprof/heap?pid=11", "").code, 405);
    assert_eq!(fake.begun.load(Ordering::SeqCst), 0);
    assert_eq!((answer("?pid=15").0, answer("?pid=16").0, answer("?pid=17").0), (404, 501, 500));
    let page = get(server.address, "/metrics").text();
    assert!(page.contains("waytrace_profiles_total{kind=\"heap\",result=\"failed\"} 3"), "{page}");
}

#[test]
fn processes_of_no_target_only_where_that_is_allowed() {
    let (server, _) = serving(PprofConfig { any_pid: true, ..PprofConfig::default() });
    assert_eq!(get(server.address, "/debug/pprof/heap?pid=99&seconds=1").text(), "heap 99 1");
}

#[test]
fn so_many_an_hour() {
    let (server, fake) = serving(PprofConfig { per_hour: 2, ..PprofConfig::default() });
    let code = || get(server.address, "/debug/pprof/heap?pid=11&seconds=1").code;
    assert_eq!((code(), code()), (200, 200));
    let reply = get(server.address, "/debug/pprof/allocs?pid=11&seconds=1");
    assert_eq!(reply.code, 429);
    let after: u64 = reply.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=3600).contains(&after) && after > 3000, "{after}");
    assert_eq!(fake.begun.load(Ordering::SeqCst), 2);
}

/// Waits until something has happened once.
fn reached(count: &AtomicUsize) {
    let start = Instant::now();
    while count.load(Ordering::SeqCst) == 0 {
        assert!(start.elapsed() < Duration::from_secs(30));
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Asks for a profile that takes as long as the connection is there.
fn endless(server: &Running) -> TcpStream {
    let mut client = connect(server.address);
    client.write_all(b"GET /debug/pprof/heap?pid=14&seconds=60 HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    client
}

#[test]
fn one_at_a_time() {
    let (server, fake) = serving(PprofConfig::default());
    let client = endless(&server);
    reached(&fake.begun);
    let busy = get(server.address, "/debug/pprof/allocs?pid=11&seconds=1");
    assert_eq!((busy.code, busy.text()), (429, "another profile is being made\n".into()));
    let after: u64 = busy.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&after), "{after}");
    drop(client);
}

#[test]
fn a_client_that_leaves_ends_its_profile() {
    let (server, fake) = serving(PprofConfig::default());
    let client = endless(&server);
    reached(&fake.begun);
    drop(client);
    reached(&fake.ended);
    assert_eq!(get(server.address, "/debug/pprof/heap?pid=11&seconds=1").code, 200);
}
