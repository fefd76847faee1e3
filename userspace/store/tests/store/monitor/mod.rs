//! The history of `monitor`: windows go in, ranges come out.

mod crash;
mod faults;
mod retention;
mod roundtrip;
mod steps;

use waytrace_model::collector::Loss;
use waytrace_model::monitor::{
    CollectorShare, HostWindow, Metric, OwnCost, ProcessWindow, Region, ShareState, SiteRate, TargetWindow,
    Values,
};
use waytrace_store::{MonitorWriter, Session, StoreError};

use crate::support::Place;

pub const SECOND: u64 = 1_000_000_000;
pub const WINDOW: u64 = 10 * SECOND;
pub const MINUTE: u64 = 60 * SECOND;
pub const HOUR: u64 = 60 * MINUTE;
/// A full hour.
pub const START: u64 = 1_700_000_000 / 3600 * HOUR;

pub fn session(started_at_unix_ns: u64) -> Session {
    Session {
        started_at_unix_ns,
        window_ns: WINDOW,
        command: "waytrace monitor".to_owned(),
        version: "0.1.0".to_owned(),
        host: waytrace_model::run::Host::default(),
    }
}

pub fn begin(place: &Place) -> MonitorWriter {
    begun(place).unwrap()
}

pub fn begun(place: &Place) -> Result<MonitorWriter, StoreError> {
    MonitorWriter::begin(&place.file(), &session(START))
}

/// Window `index` of 10 s: `db` uses 2 s of CPU and holds 100 bytes more each window, allocates in windows that are a multiple of 3, and
/// `web` has a process in all windows but every tenth.
pub fn window(index: u64) -> HostWindow {
    let mut db = Values::from_iter([
        (Metric::Cpu, 2e9),
        (Metric::Rss, 1000.0 + 100.0 * index as f64),
        (Metric::Threads, 4.0),
        (Metric::Stores, 0.25),
        (Metric::Samples, 100.0),
    ]);
    let mut target = TargetWindow { target: "db".to_owned(), ..TargetWindow::default() };
    if index.is_multiple_of(3) {
        db.set(Metric::AllocBytes, Some(5000.0));
        target.sites = vec![site("grow", 400.0), site(&format!("rare {index}"), 100.0)];
        target.sizes = vec![0.0, 0.0, 5000.0];
    } else {
        target.absent.insert("allocations".to_owned(), "not its turn".to_owned());
    }
    target.regions = vec![Region { name: "[heap]".to_owned(), share_ratio: 0.6, store_ratio: 0.5 }];
    target.values = db;
    target.processes = vec![process(42, "redis-server"), process(1000 + index as u32, "sh")];
    let web = TargetWindow {
        target: "web".to_owned(),
        values: Values::from_iter([(Metric::Cpu, 1e9)]),
        processes: vec![process(77, "nginx")],
        ..TargetWindow::default()
    };
    let has_web = index % 10 != 9;
    let mut loss = Loss::default();
    loss.add("ring_full", index % 2);
    HostWindow {
        index,
        start_unix_ns: START + index * WINDOW,
        start_boot_ns: 5_000 * SECOND + index * WINDOW,
        length_ns: WINDOW,
        targets: if has_web { vec![target, web] } else { vec![target] },
        missing: if has_web { vec![] } else { vec!["web".to_owned()] },
        collectors: vec![CollectorShare {
            name: "allocations".to_owned(),
            state: if index.is_multiple_of(3) { ShareState::Full } else { ShareState::Paused },
            reason: (!index.is_multiple_of(3)).then(|| "no budget".to_owned()),
            tool_cpu_pct: 0.5,
        }],
        loss,
        own: OwnCost { cpu_pct: 1.0, rss_bytes: 50 << 20, store_bytes: Some(index), ..OwnCost::default() },
    }
}

fn site(name: &str, bytes_per_s: f64) -> SiteRate {
    SiteRate { name: name.to_owned(), alloc_per_s: bytes_per_s / 10.0, bytes_per_s }
}

fn process(pid: u32, comm: &str) -> ProcessWindow {
    ProcessWindow {
        pid,
        start_boot_ns: u64::from(pid) * SECOND,
        comm: comm.to_owned(),
        ..ProcessWindow::default()
    }
}

/// Does all there is to do.
pub fn tend(writer: &mut MonitorWriter, retention: &waytrace_store::Retention) {
    while writer.tend(retention).unwrap() != waytrace_store::Tended::Nothing {}
}
