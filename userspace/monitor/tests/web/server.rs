//! A running server, and the made-up windows it is fed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::oneshot;
use waytrace_model::collector::Loss;
use waytrace_model::monitor::{
    CollectorShare, HostWindow, Metric, OwnCost, ProcessWindow, Region, ShareState, SiteRate, TargetWindow,
    Values,
};
use waytrace_monitor::web::{About, Error, Profiles, Server, ServerHandle, WebConfig, WebState};

/// Length of the made-up windows.
pub const SECOND: u64 = 1_000_000_000;

/// A server on a thread of its own, ended when dropped.
pub struct Running {
    pub address: SocketAddr,
    pub state: WebState,
    pub handle: Option<Arc<ServerHandle>>,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

pub fn loopback() -> WebConfig {
    WebConfig { listen: Some("127.0.0.1:0".into()), ..WebConfig::default() }
}

pub fn state(window: Duration, max_targets: usize) -> WebState {
    WebState::new(About {
        version: "0.0-test".into(),
        window,
        budget_cpu_pct: Some(2.0),
        budget_rss_bytes: Some(150 << 20),
        max_targets,
    })
}

pub fn start(config: WebConfig) -> Running {
    let state = state(Duration::from_secs(1), config.max_targets);
    try_start(config, state, None).unwrap()
}

pub fn try_start(
    config: WebConfig,
    state: WebState,
    profiles: Option<Arc<dyn Profiles>>,
) -> Result<Running, Error> {
    let (end, ended) = oneshot::channel();
    let (tell, told) = mpsc::channel();
    let shared = state.clone();
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let started = Server::start(config, shared, profiles, runtime.handle()).map(Arc::new);
        let is_running = started.is_ok();
        tell.send(started).unwrap();
        if is_running {
            let _ = runtime.block_on(ended);
        }
    });
    let handle = told.recv().unwrap()?;
    let address = handle.address().unwrap_or(SocketAddr::from(([127, 0, 0, 1], 0)));
    Ok(Running { address, state, handle: Some(handle), end: Some(end), thread: Some(thread) })
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.handle.take());
        let _ = self.end.take().map(|end| end.send(()));
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// A target of round numbers: `n` tenths of a CPU, `n` MiB.
pub fn target(name: &str, n: u32) -> TargetWindow {
    let mib = f64::from(n) * 1_048_576.0;
    let values = Values::from_iter([
        (Metric::Processes, 2.0),
        (Metric::Threads, 5.0),
        (Metric::Cpu, f64::from(n) * 1e8),
        (Metric::RunQueue, f64::from(n) * 1e6),
        (Metric::MinorFaults, 100.0),
        (Metric::Rss, mib),
        (Metric::AllocBytes, 2.0 * mib),
        (Metric::AllocCount, 1000.0),
        (Metric::Overhead, 0.0025),
    ]);
    let process = |pid, comm: &str| ProcessWindow {
        pid,
        comm: comm.to_owned(),
        values,
        threads: vec![(pid, comm.to_owned(), 60_000_000), (pid + 1, "io <b>".into(), 40_000_000)],
        ..ProcessWindow::default()
    };
    let site = |name: &str, bytes_per_s| SiteRate {
        name: name.into(),
        alloc_per_s: bytes_per_s / 64.0,
        bytes_per_s,
    };
    TargetWindow {
        target: name.to_owned(),
        values,
        absent: [("cache".to_owned(), "this machine has no CMT".to_owned())].into(),
        processes: vec![process(1000 + n * 10, "worker"), process(1001 + n * 10, "helper")],
        sites: vec![site("cache_insert (cache.c:120)", mib), site("parse_request (http.c:77)", mib / 3.0)],
        sizes: vec![0.0, 0.0, 0.0, 0.0, 1e5, 2e6, 5e5, 0.0, 0.0, 0.0, 3e4],
        regions: vec![
            Region { name: "[heap]".into(), share_ratio: 0.7, store_ratio: 0.4 },
            Region { name: "/usr/lib/libc.so.6".into(), share_ratio: 0.3, store_ratio: 0.0 },
        ],
        alloc_mode: None,
    }
}

/// A made-up window of those targets.
pub fn window(index: u64, targets: Vec<TargetWindow>) -> Arc<HostWindow> {
    let share = |name: &str, state, reason: Option<&str>| CollectorShare {
        name: name.to_owned(),
        state,
        reason: reason.map(str::to_owned),
        tool_cpu_pct: 0.1,
    };
    let mut loss = Loss::default();
    loss.add("ring_full", 3);
    Arc::new(HostWindow {
        index,
        start_unix_ns: 1_700_000_000 * SECOND + index * SECOND,
        start_boot_ns: index * SECOND,
        length_ns: SECOND,
        targets,
        missing: vec!["database".into()],
        collectors: vec![
            share("counters", ShareState::Full, None),
            share("allocations", ShareState::Reduced, Some("the budget has room for a tenth")),
            share("cache", ShareState::Unavailable, Some("this machine has no CMT")),
        ],
        loss,
        own: OwnCost {
            cpu_pct: 0.5,
            rss_bytes: 60 << 20,
            open_files: 40,
            probes: 6,
            store_bytes: Some(1 << 20),
            ..OwnCost::default()
        },
    })
}
