//! The machine against what masks, associations and placement must come to.

use super::*;
use crate::hosts;
use crate::model::program::{Program, Workload};
use crate::model::truth;

const MS: u64 = 1_000_000;

fn machine_with(programs: &[(u32, usize, Program)]) -> Machine {
    let mut machine = Machine::new(&hosts::twelve(), 1);
    for (tid, cpu, program) in programs {
        let workload = Workload::of(program.clone());
        machine.start(TaskSpec { tgid: *tid, tid: *tid, cpu: *cpu, workload });
    }
    machine
}

/// What a task counts in `ms` milliseconds.
fn counted(machine: &mut Machine, tid: u32, ms: u64) -> Counters {
    let before = machine.tasks[&tid].counters;
    machine.step(ms * MS);
    machine.tasks[&tid].counters.since(&before)
}

fn way() -> u64 {
    hosts::twelve().l3.way_bytes()
}

#[test]
fn lines_outside_a_narrowed_mask_stay_until_somebody_else_takes_their_place() {
    let program = Program::Random { bytes: 16 * way() };
    let truth = truth::point(&hosts::twelve(), &Workload::of(program.clone()), 2);
    let mut alone = machine_with(&[(7, 2, program.clone())]);
    alone.step(400 * MS);
    alone.control.l3[0][0] = 0x003;
    alone.step(400 * MS);
    // 12 of its 16 ways' worth are in the cache, and nothing takes them out.
    let stale = counted(&mut alone, 7, 400).miss_ratio().unwrap();
    assert!((stale - 0.25).abs() < 0.02 && truth.miss_ratio > 0.86, "{stale}");
    let mut pressed = machine_with(&[(7, 2, program), (8, 3, Program::Stream)]);
    pressed.control.pqr[3].closid = 1;
    pressed.control.l3[0][1] = 0xffc;
    pressed.step(400 * MS);
    pressed.control.l3[0][0] = 0x003;
    pressed.step(400 * MS);
    let narrowed = counted(&mut pressed, 7, 400).miss_ratio().unwrap();
    assert!((narrowed - truth.miss_ratio).abs() < 0.01, "{narrowed} for {truth:?}");
}

#[test]
fn lines_in_frequent_use_outlast_a_mask_and_others_pressure() {
    let mut machine = machine_with(&[(7, 2, Program::Loop { bytes: 5 * way() }), (8, 3, Program::Stream)]);
    machine.control.pqr[3].closid = 1;
    machine.step(300 * MS);
    machine.control.l3[0][0] = 0x00f;
    machine.control.l3[0][1] = 0xff0;
    machine.step(300 * MS);
    // In a cold cache it would miss always.
    assert_eq!(counted(&mut machine, 7, 200).miss_ratio(), Some(0.0));
    assert!(machine.occupancy_bytes(0, 0) > 4 * way());
}

#[test]
fn a_wider_mask_counts_what_truth_says() {
    for (program, ways) in
        [(Program::Random { bytes: 16 * way() }, 6), (Program::Loop { bytes: 5 * way() }, 5)]
    {
        let mut machine = machine_with(&[(7, 2, program.clone())]);
        machine.control.l3[0][0] = crate::spec::full_mask(ways);
        machine.step(300 * MS);
        let counted = counted(&mut machine, 7, 400);
        let truth = truth::point(machine.spec(), &Workload::of(program), ways);
        assert!((counted.miss_ratio().unwrap() - truth.miss_ratio).abs() < 0.01, "{counted:?} for {truth:?}");
        assert!((counted.ipc().unwrap() / truth.ipc - 1.0).abs() < 0.02, "{counted:?} for {truth:?}");
    }
}

#[test]
fn a_stream_next_door_takes_the_cache_unless_a_mask_keeps_it_out() {
    // 11 of 12 ways: what the stream fills during one pass is more than the one way left.
    let parts = [(1, 0, Program::Loop { bytes: 11 * way() }), (2, 1, Program::Stream)];
    let mut shared = machine_with(&parts);
    shared.step(300 * MS);
    assert!(counted(&mut shared, 1, 200).miss_ratio().unwrap() > 0.9);
    let mut apart = machine_with(&parts);
    apart.control.pqr[1].closid = 1;
    apart.control.l3[0][0] = 0xffe;
    apart.control.l3[0][1] = 0x001;
    apart.step(300 * MS);
    assert_eq!(counted(&mut apart, 1, 200).miss_ratio(), Some(0.0));
}

#[test]
fn occupancy_and_traffic_are_booked_to_the_rmid() {
    let mut machine = machine_with(&[(1, 0, Program::Loop { bytes: 3 * way() }), (2, 1, Program::Stream)]);
    machine.control.pqr[0] = Association { closid: 1, rmid: 5 };
    machine.control.pqr[1] = Association { closid: 2, rmid: 6 };
    machine.control.l3[0][1] = 0x00f;
    machine.control.l3[0][2] = 0xff0;
    machine.step(200 * MS);
    assert_eq!(machine.occupancy_bytes(0, 5), 3 * way());
    assert_eq!(machine.occupancy_bytes(0, 6), 8 * way());
    assert_eq!(machine.traffic_bytes(0, 5), 3 * way(), "its lines are fetched once");
    let misses = machine.tasks[&2].counters.llc_misses;
    assert_eq!(machine.traffic_bytes(0, 6), misses * 64);
}

#[test]
fn tasks_of_one_cpu_share_its_time_and_cpus_do_not() {
    let mut machine =
        machine_with(&[(1, 0, Program::Stream), (2, 0, Program::Stream), (3, 1, Program::Stream)]);
    machine.step(100 * MS);
    let time = |tid: u32| machine.tasks[&tid].counters.time_running_ns;
    assert_eq!([time(1), time(2), time(3)], [50 * MS, 50 * MS, 100 * MS]);
    let cycles = machine.tasks[&3].counters.cycles;
    assert!(cycles.abs_diff(200 * MS) < 100_000, "{cycles} cycles in 100 ms at 2 GHz");
}

#[test]
fn a_bandwidth_limit_slows_misses_only() {
    let mut machine = machine_with(&[(1, 0, Program::Stream), (2, 1, Program::Loop { bytes: way() })]);
    machine.control.pqr[0].closid = 1;
    machine.control.pqr[1].closid = 1;
    machine.control.l3[0][1] = 0xff0;
    let ipc = |machine: &mut Machine, tid| counted(machine, tid, 200).ipc().unwrap();
    let before = (ipc(&mut machine, 1), 20.0 / 210.0);
    assert!((before.0 - before.1).abs() < 1e-6, "{before:?}");
    machine.control.mba[0][1] = 50;
    assert!((ipc(&mut machine, 1) - 20.0 / 410.0).abs() < 1e-4);
}

#[test]
fn the_kernel_writes_an_association_only_where_it_changes() {
    let mut machine = machine_with(&[(1, 0, Program::Stream)]);
    machine.kernel_assigns = true;
    machine.tasks.get_mut(&1).unwrap().closid = 4;
    machine.cpus[0].default = Association { closid: 2, rmid: 9 };
    machine.step(MS);
    assert_eq!(
        machine.control.pqr[0],
        Association { closid: 4, rmid: 9 },
        "class of the task, RMID of the CPU"
    );
    machine.control.pqr[0] = Association { closid: 7, rmid: 0 };
    machine.step(MS);
    assert_eq!(machine.control.pqr[0].closid, 7, "written beside the kernel, which has nothing new to say");
    machine.tasks.get_mut(&1).unwrap().closid = 0;
    machine.sync_associations();
    assert_eq!(machine.control.pqr[0], Association { closid: 2, rmid: 9 });
}

#[test]
fn an_offline_cpu_hands_its_tasks_on() {
    let mut machine = machine_with(&[(1, 0, Program::Stream)]);
    machine.take_offline(0);
    machine.step(MS);
    assert_eq!((machine.is_online(0), machine.tasks[&1].spec.cpu), (false, 1));
    assert!(machine.tasks[&1].counters.cycles > 0);
}

#[test]
fn the_same_seed_gives_the_same_machine() {
    let run = || {
        let mut machine = machine_with(&[(1, 0, Program::Random { bytes: 20 * way() })]);
        machine.step(50 * MS);
        machine.tasks[&1].counters
    };
    assert_eq!(run(), run());
}
