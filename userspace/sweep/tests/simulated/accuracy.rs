//! How exact sweeps are, at length: run by `cargo xtask bench sweep`, which names a file for the figures.

use waytrace_analysis::curve::curves;
use waytrace_model::cache_report::Interface;
use waytrace_model::sweep::{Settled, SweepPoint};
use waytrace_model::sweep_curve::Estimate;
use waytrace_simhost::hosts;
use waytrace_simhost::model::machine::Machine;
use waytrace_simhost::model::program::{Program, Workload};
use waytrace_simhost::model::truth::{self, Point};
use waytrace_simhost::spec::HostSpec;

use crate::curves::{measured, programs};
use crate::host::{Swept, mount, request};

/// File the figures are written to.
const RESULT: &str = "WAYTRACE_SWEEP_JSON";
/// Sweeps of each program.
const REPEATS: u32 = 5;
/// Two standard errors of a true miss ratio, which is itself simulated, of 500,000 accesses.
const TRUTH_ERROR: f64 = 0.0014;
/// Share of a mask by which an occupancy at rest may differ from that in the window.
const AT_REST: f64 = 0.01;

/// What the target has in the cache of CPU 0 at a time.
#[derive(Clone, Copy)]
struct Sample {
    at_ns: u64,
    occupancy_bytes: u64,
    /// In ways that its mask has not.
    outside_bytes: u64,
}

impl Sample {
    fn of(machine: &Machine, at_ns: u64) -> Self {
        let association = machine.control.pqr[0];
        let mask = machine.control.l3_mask(0, association.closid, false);
        Self {
            at_ns,
            occupancy_bytes: machine.occupancy_bytes(0, association.rmid),
            outside_bytes: machine.outside_bytes(0, association.rmid, mask),
        }
    }
}

#[test]
#[ignore = "takes minutes; cargo xtask bench sweep runs it"]
fn all_programs_on_all_hosts() {
    let only = std::env::var("WAYTRACE_SWEEP_HOSTS").ok();
    let mut lines = Vec::new();
    for spec in hosts::NAMES
        .into_iter()
        .filter_map(hosts::named)
        .filter(|spec| spec.mounted && spec.nodes_per_cache == 1)
    {
        if only.as_ref().is_some_and(|only| !only.split(',').any(|name| name == spec.name)) {
            continue;
        }
        let phases = Program::Phases {
            first: Box::new(Program::Random { bytes: 16 * spec.l3.way_bytes() }),
            second: Box::new(Program::Stream),
            accesses: 500,
        };
        let mut all = programs(&spec);
        all.push(("phases", phases));
        for interface in [Interface::Resctrl, Interface::Msr] {
            for (name, program) in &all {
                let Some(line) = figures(&spec, interface, name, program) else { return };
                println!("{line}");
                lines.push(line);
            }
        }
    }
    if let Ok(path) = std::env::var(RESULT) {
        std::fs::write(path, serde_json::to_vec_pretty(&lines).unwrap()).unwrap();
    }
}

fn figures(
    spec: &HostSpec,
    interface: Interface,
    name: &str,
    program: &Program,
) -> Option<serde_json::Value> {
    let host = mount(spec, program, interface)?;
    let began_ns = host.mounted.host().machine.now_ns();
    let mut samples = Vec::new();
    let request = waytrace_sweep::Request { repeats: Some(REPEATS), ..request() };
    let swept = host.sweep_until(&request, |mounted, at_ns| {
        samples.push(Sample::of(&mounted.host().machine, at_ns));
        true
    });
    let truth = truth::curve(spec, &Workload::of(program.clone()));
    let true_of = |ways: u32| truth[usize::try_from(ways).unwrap() - 1];
    let errors = swept.points.iter().map(|point| {
        let (truth, (miss_ratio, ipc)) = (true_of(point.ways), measured(point));
        ((miss_ratio - truth.miss_ratio).abs(), (ipc / truth.ipc - 1.0).abs())
    });
    let (miss_errors, ipc_errors): (Vec<f64>, Vec<f64>) = errors.unzip();
    let (curve_miss_errors, curve_ipc_errors) = of_curve(&swept, true_of);
    let (covered, bands) = coverage(&swept, true_of);
    let waits: Vec<(f64, f64)> = match program {
        // A phase is no rest, and what is waited for is its mean; without monitors all have the one RMID there is.
        Program::Phases { .. } => Vec::new(),
        _ if spec.monitoring.is_none() => Vec::new(),
        _ => swept.points.iter().map(|point| waits(spec, &samples, began_ns, point)).collect(),
    };
    Some(serde_json::json!({
        "host": spec.name,
        "interface": if interface == Interface::Msr { "msr" } else { "resctrl" },
        "program": name,
        "miss_ratio_error": largest(&curve_miss_errors),
        "ipc_error": largest(&curve_ipc_errors),
        "window_miss_ratio_error": largest(&miss_errors),
        "window_ipc_error": largest(&ipc_errors),
        "covered": covered,
        "bands": bands,
        "waits_ms": waits,
        "unsettled": swept.points.iter().filter(|point| point.settled == Settled::Not).count(),
        "restored": swept.end.restored,
    }))
}

fn largest(values: &[f64]) -> f64 {
    values.iter().copied().fold(0.0, f64::max)
}

/// Errors of a curve's points, each of which is the mean of its windows: of miss ratios, and of IPC relative to it.
fn of_curve(swept: &Swept, true_of: impl Fn(u32) -> Point) -> (Vec<f64>, Vec<f64>) {
    let points = curves(&swept.header, &swept.points).ways;
    let errors = points.iter().map(|point| {
        let truth = true_of(point.ways);
        let error = |estimate: Option<Estimate>, value: f64| {
            estimate.map_or(f64::INFINITY, |estimate| (estimate.value - value).abs())
        };
        (error(point.miss_ratio, truth.miss_ratio), error(point.ipc, truth.ipc) / truth.ipc)
    });
    errors.unzip()
}

/// Bands that hold the truth, and how many there are.
fn coverage(swept: &Swept, true_of: impl Fn(u32) -> Point) -> (u32, u32) {
    let (mut covered, mut bands) = (0, 0);
    for point in curves(&swept.header, &swept.points).ways {
        let truth = true_of(point.ways);
        let mut judge = |estimate: Option<Estimate>, value: f64, error: f64| {
            let Some((low, high)) = estimate.and_then(|estimate| estimate.band()) else { return };
            bands += 1;
            covered += u32::from((low - error..=high + error).contains(&value));
        };
        judge(point.miss_ratio, truth.miss_ratio, TRUTH_ERROR);
        // An access that misses takes 160 of 50 to 210 cycles more.
        judge(point.ipc, truth.ipc, 4.0 * TRUTH_ERROR * truth.ipc);
    }
    (covered, bands)
}

/// What was waited for a point, and what had to be: until no line was outside the mask any more, and the occupancy was what it
/// stayed in the window. Milliseconds after the mask was set.
fn waits(spec: &HostSpec, samples: &[Sample], began_ns: u64, point: &SweepPoint) -> (f64, f64) {
    let window = began_ns + point.at_ns;
    let set = window - point.settle_ns;
    let at = |from, to| samples.iter().filter(move |sample| (from..=to).contains(&sample.at_ns));
    let stays = at(window, window + point.window_ns).next_back().map_or(0, |sample| sample.occupancy_bytes);
    let most = AT_REST * (spec.l3.way_bytes() * u64::from(point.ways)) as f64;
    let is_off =
        |sample: &&Sample| sample.outside_bytes > 0 || sample.occupancy_bytes.abs_diff(stays) as f64 > most;
    let last = at(set + 1, window + point.window_ns).filter(is_off).map(|sample| sample.at_ns).max();
    (point.settle_ns as f64 / 1e6, (last.unwrap_or(set) - set) as f64 / 1e6)
}
