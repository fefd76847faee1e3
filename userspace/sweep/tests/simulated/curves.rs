//! Measured curves against true ones.

use waytrace_model::cache_report::Interface;
use waytrace_model::sweep::{MissSource, Settled, SweepPoint};
use waytrace_simhost::hosts;
use waytrace_simhost::model::program::{Program, Workload};
use waytrace_simhost::model::truth;
use waytrace_simhost::spec::HostSpec;

use crate::host::{mount, request};

/// Greatest error of a miss ratio.
const MISS_RATIO: f64 = 0.02;
/// Greatest error of instructions per cycle, as a share of them.
const IPC: f64 = 0.03;

/// Programs in measures of the host's ways.
pub fn programs(spec: &HostSpec) -> Vec<(&'static str, Program)> {
    let ways = |count: u64| count * spec.l3.way_bytes();
    vec![
        ("stream", Program::Stream),
        ("loop", Program::Loop { bytes: ways(5) }),
        ("random", Program::Random { bytes: ways(16) }),
        (
            "mixed",
            Program::Mixed(vec![
                (3, Program::Loop { bytes: ways(3) }),
                (2, Program::Random { bytes: ways(6) }),
                (1, Program::Stream),
            ]),
        ),
        ("zipf", Program::Zipf { bytes: ways(16), exponent: 0.8 }),
    ]
}

/// Miss ratio and instructions per cycle of a point.
pub fn measured(point: &SweepPoint) -> (f64, f64) {
    let sum = |of: fn(&waytrace_model::sweep::ThreadCounts) -> Option<u64>| {
        point.threads.iter().filter_map(of).sum::<u64>() as f64
    };
    (
        sum(|thread| thread.llc_misses) / sum(|thread| thread.llc_references),
        sum(|thread| thread.instructions) / sum(|thread| thread.cycles),
    )
}

fn check(spec: &HostSpec, interface: Interface, name: &str, program: &Program) {
    let Some(host) = mount(spec, program, interface) else { return };
    let swept = host.sweep(&request());
    let place = format!("{name} on {} by {interface:?}", spec.name);
    assert!(swept.end.restored && swept.end.left.is_empty(), "{place}: {:?}", swept.end);
    assert_eq!(swept.header.misses, Some(MissSource::LlcEvents), "{place}");
    let mut visited: Vec<u32> =
        swept.points.iter().filter(|point| !point.reference).map(|point| point.ways).collect();
    visited.sort_unstable();
    assert_eq!(visited, swept.header.plan.ways, "{place}");
    let mut wrong = Vec::new();
    for point in &swept.points {
        let truth = truth::point(spec, &Workload::of(program.clone()), usize::try_from(point.ways).unwrap());
        let (miss_ratio, ipc) = measured(point);
        let (miss_error, ipc_error) = ((miss_ratio - truth.miss_ratio).abs(), (ipc / truth.ipc - 1.0).abs());
        if miss_error > MISS_RATIO || ipc_error > IPC || point.settled == Settled::Not {
            wrong.push(format!(
                "{} ways: miss ratio {miss_ratio:.4} for {:.4}, IPC {ipc:.4} for {:.4}, {:?} after {:.1} ms",
                point.ways,
                truth.miss_ratio,
                truth.ipc,
                point.settled,
                point.settle_ns as f64 / 1e6
            ));
        }
    }
    assert!(wrong.is_empty(), "{place}:\n{}", wrong.join("\n"));
}

#[test]
fn an_occupancy_is_of_all_the_target_holds() {
    let spec = hosts::twelve();
    let way = spec.l3.way_bytes();
    let Some(host) = mount(&spec, &Program::Loop { bytes: 5 * way }, Interface::Resctrl) else { return };
    for point in host.sweep(&request()).points {
        let held = point.monitors[0].occupancy_bytes;
        assert_eq!(
            held,
            Some(u64::from(point.ways.min(5)) * way),
            "{} ways at {}",
            point.ways,
            point.position
        );
    }
}

#[test]
fn every_program_by_resctrl() {
    let spec = hosts::twelve();
    for (name, program) in programs(&spec) {
        check(&spec, Interface::Resctrl, name, &program);
    }
}

#[test]
fn every_program_by_registers() {
    let spec = hosts::twelve();
    for (name, program) in programs(&spec) {
        check(&spec, Interface::Msr, name, &program);
    }
}

#[test]
fn a_loops_cliff_and_a_random_slope_on_every_host() {
    // A cache that is divided into nodes is not swept.
    let can_be = |spec: &HostSpec| spec.mounted && spec.nodes_per_cache == 1;
    for spec in hosts::NAMES.into_iter().filter_map(hosts::named).filter(can_be) {
        for (name, program) in
            programs(&spec).into_iter().filter(|(name, _)| ["loop", "random"].contains(name))
        {
            check(&spec, Interface::Resctrl, name, &program);
        }
    }
}
