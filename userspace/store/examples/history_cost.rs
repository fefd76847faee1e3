//! What a history costs: bytes of a target's row, time of a window's write, longest chore between two. Arguments: targets, hours.

use std::time::{Duration, Instant};

use waytrace_model::monitor::{HostWindow, Metric, ProcessWindow, SiteRate, TargetWindow};
use waytrace_store::{MonitorWriter, Retention, Session, Tended};

const WINDOW: u64 = 10_000_000_000;
const START: u64 = 1_700_000_000_000_000_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1).filter_map(|arg| arg.parse::<u64>().ok());
    let (targets, hours) = (args.next().unwrap_or(200), args.next().unwrap_or(6));
    let path = std::env::temp_dir().join(format!("waytrace-history-cost-{}.db", std::process::id()));
    let session = Session {
        started_at_unix_ns: START,
        window_ns: WINDOW,
        command: String::new(),
        version: String::new(),
        host: waytrace_model::run::Host::default(),
    };
    let mut writer = MonitorWriter::begin(&path, &session)?;
    // Windows go after an hour, so that all kinds of chores come up.
    let retention = Retention { windows: Duration::from_secs(3600), ..Retention::default() };
    let (mut writes, mut chores) = (Vec::new(), Vec::new());
    let mut full = 0;
    for index in 0..hours * 360 {
        let window = window(index, targets);
        let began = Instant::now();
        writer.append(&window)?;
        writes.push(began.elapsed());
        loop {
            let began = Instant::now();
            let done = writer.tend(&retention)?;
            chores.push((began.elapsed(), done));
            if done == Tended::Nothing {
                break;
            }
        }
        if index == 360 {
            full = writer.bytes();
        }
    }
    println!("{targets} targets, {hours} h");
    println!(
        "bytes per target and window in the first hour, steps among them: {}",
        full / 360 / targets.max(1)
    );
    println!(
        "window: median {:?}, longest {:?}",
        median(&mut writes),
        writes.iter().max().unwrap_or(&Duration::ZERO)
    );
    for kind in [Tended::Nothing, Tended::Folded, Tended::Deleted, Tended::Shrunk] {
        let mut some: Vec<Duration> = chores.iter().filter(|one| one.1 == kind).map(|one| one.0).collect();
        println!(
            "{kind:?}: {} times, median {:?}, longest {:?}",
            some.len(),
            median(&mut some),
            some.iter().max()
        );
    }
    drop(writer);
    for suffix in ["", "-wal", "-shm", "-monitor"] {
        let _ = std::fs::remove_file(format!("{}{suffix}", path.display()));
    }
    Ok(())
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// Each target has two processes and all metrics of a machine without a PMU; ten in each window have their turn of allocations.
fn window(index: u64, targets: u64) -> HostWindow {
    let target = |at: u64| {
        let mut target = TargetWindow { target: format!("service-{at}"), ..TargetWindow::default() };
        let noise = |n: usize| ((index * 7919 + at * 104_729 + n as u64 * 31) % 100_003) as f64;
        target.values =
            Metric::ALL.iter().enumerate().take(13).map(|(n, metric)| (*metric, noise(n) * 1000.0)).collect();
        target.values.set(Metric::Overhead, Some(noise(3) / 1e7));
        target.processes = (0..2)
            .map(|n| ProcessWindow {
                pid: (at * 2 + n) as u32,
                start_boot_ns: at,
                comm: "service".to_owned(),
                ..Default::default()
            })
            .collect();
        if (at + index).is_multiple_of(targets.div_ceil(10)) {
            for (n, metric) in [Metric::AllocCount, Metric::AllocBytes, Metric::FreeCount, Metric::FreedBytes]
                .into_iter()
                .enumerate()
            {
                target.values.set(metric, Some(noise(n)));
            }
            target.values.set(Metric::Probed, Some(0.1));
            target.sites = (0..20)
                .map(|n| SiteRate {
                    name: format!("function_{}", (n * 7 + at) % 400),
                    alloc_per_s: noise(n as usize),
                    bytes_per_s: noise(n as usize),
                })
                .collect();
            target.sizes = vec![noise(1); 20];
        } else {
            target.absent.insert("allocations".to_owned(), "not its turn".to_owned());
        }
        target
    };
    HostWindow {
        index,
        start_unix_ns: START + index * WINDOW,
        start_boot_ns: index * WINDOW,
        length_ns: WINDOW,
        targets: (0..targets).map(target).collect(),
        ..HostWindow::default()
    }
}
