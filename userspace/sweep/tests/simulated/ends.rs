//! How sweeps end, and what is there afterwards.

use waytrace_model::cache_report::{Class, Interface};
use waytrace_model::sweep::EndReason;
use waytrace_simhost::faults::{Effect, Fault, Operation};
use waytrace_simhost::hosts;
use waytrace_simhost::model::program::{Program, Workload};
use waytrace_simhost::model::task::TaskSpec;

use crate::host::{Fixture, PID, Swept, mount, request};

const BOTH: [Interface; 2] = [Interface::Resctrl, Interface::Msr];

fn random() -> Program {
    Program::Random { bytes: 16 * hosts::twelve().l3.way_bytes() }
}

fn classes(host: &Fixture) -> Vec<Class> {
    // How many threads a class has changes with co-runners, which are no change of the machine.
    let mut classes = host.allocation().classes().unwrap();
    classes.iter_mut().for_each(|class| class.task_count = None);
    classes
}

/// Sweeps a host, and checks that all is as before.
fn ends(host: &Fixture, act: impl FnOnce(&Fixture) -> Swept) -> Swept {
    let before = classes(host);
    let swept = act(host);
    assert!(swept.end.restored, "{:?}", swept.end);
    assert_eq!(classes(host), before);
    swept
}

#[test]
fn who_interrupts_gets_the_points_so_far() {
    for interface in BOTH {
        let Some(host) = mount(&hosts::twelve(), &random(), interface) else { return };
        let swept = ends(&host, |host| host.sweep_until(&request(), |_, now| now < 1_500_000_000));
        assert_eq!((swept.end.reason, swept.end.detail), (EndReason::Interrupted, None));
        assert!((2..10).contains(&swept.points.len()), "{}", swept.points.len());
    }
}

#[test]
fn a_target_that_ends_ends_the_sweep() {
    for interface in BOTH {
        let Some(host) = mount(&hosts::twelve(), &random(), interface) else { return };
        let swept = ends(&host, |host| {
            host.sweep_until(&request(), |mounted, now| {
                if now > 1_500_000_000 {
                    mounted.host().machine.exit(PID);
                }
                true
            })
        });
        assert_eq!(swept.end.reason, EndReason::TargetExited, "{:?}", swept.end);
        assert!(!swept.points.is_empty());
    }
}

#[test]
fn a_slowdown_beyond_what_is_allowed_ends_it() {
    let Some(host) = mount(&hosts::twelve(), &random(), Interface::Resctrl) else { return };
    let slowdown = |allowed| waytrace_sweep::Request { max_slowdown: Some(allowed), ..request() };
    let swept = ends(&host, |host| host.sweep(&slowdown(0.2)));
    assert_eq!(swept.end.reason, EndReason::Guard);
    let detail = swept.end.detail.unwrap();
    assert!(detail.contains("fewer instructions a second") && detail.contains("20.0 %"), "{detail}");
    // With all but few ways it loses less, and at most two thirds in all.
    let swept = ends(&host, |host| host.sweep(&slowdown(0.9)));
    assert_eq!(swept.end.reason, EndReason::Completed);
}

#[test]
fn a_condition_that_does_not_hold_ends_it() {
    let Some(host) = mount(&hosts::twelve(), &random(), Interface::Resctrl) else { return };
    for (slo, reason) in [
        ("miss_ratio < 60%", EndReason::Guard),
        ("ipc > 0.05 && occupancy <= 24MiB", EndReason::Completed),
        ("ipc > 5", EndReason::Guard),
    ] {
        let swept = ends(&host, |host| {
            host.sweep(&waytrace_sweep::Request { slo: Some(slo.to_owned()), ..request() })
        });
        assert_eq!(swept.end.reason, reason, "{slo}: {:?}", swept.end);
        assert_eq!(swept.end.detail.is_some_and(|detail| detail.contains(slo)), reason == EndReason::Guard);
    }
}

#[test]
fn what_fails_is_told_and_all_else_taken_back() {
    let Some(host) = mount(&hosts::twelve(), &random(), Interface::Resctrl) else { return };
    for (operation, pattern, nth) in [
        (Operation::Write, "sys/fs/resctrl/*/schemata", 5),
        (Operation::Write, "sys/fs/resctrl/*/tasks", 1),
        (Operation::Mkdir, "sys/fs/resctrl/*-corunner", 1),
        (Operation::Read, "counters/1000/group", 30),
    ] {
        let fault =
            Fault { pattern: pattern.to_owned(), operation, nth, times: 1, effect: Effect::Fail(libc::EIO) };
        host.mounted.host().faults.add(fault);
        let swept = ends(&host, |host| host.sweep(&request()));
        assert_eq!(swept.end.reason, EndReason::Failed, "{pattern}: {:?}", swept.end);
        assert!(swept.end.detail.is_some(), "{pattern}");
        host.mounted.host().faults.clear();
    }
}

#[test]
fn another_tools_change_is_noticed_and_stays() {
    let Some(host) = mount(&hosts::twelve(), &random(), Interface::Resctrl) else { return };
    let group = format!("waytrace-sweep-{PID}");
    let mut changed = false;
    let swept = host.sweep_until(&request(), |mounted, now| {
        if now > 1_500_000_000 && !changed {
            changed = true;
            let line = "L3:0=3f0\n".to_owned();
            let host = &mut *mounted.host();
            host.resctrl.write(&mut host.machine, &[&group, "schemata"], &line).unwrap();
        }
        true
    });
    assert_eq!(swept.end.reason, EndReason::Disturbed, "{:?}", swept.end);
    assert!(swept.end.detail.unwrap().contains("0x3f0"));
    let (last, others) = swept.points.split_last().unwrap();
    assert!(last.disturbed && others.iter().all(|point| !point.disturbed));
}

#[test]
fn a_class_the_target_was_in_has_it_again() {
    let Some(host) = mount(&hosts::twelve(), &random(), Interface::Resctrl) else { return };
    let mut allocation = host.allocation();
    allocation.create_class("web").unwrap();
    allocation.assign_tasks("web", &[PID]).unwrap();
    let swept = ends(&host, |host| {
        host.sweep(&waytrace_sweep::Request { ways: Some("3,6".to_owned()), ..request() })
    });
    assert_eq!((swept.end.reason, swept.header.plan.ways), (EndReason::Completed, vec![3, 6, 12]));
    let web = classes(&host).into_iter().find(|class| class.name == "web").unwrap();
    assert_eq!(web.tasks, [PID]);
}

#[test]
fn threads_born_meanwhile_are_swept_too() {
    let Some(host) = mount(&hosts::twelve(), &random(), Interface::Resctrl) else { return };
    let mut is_born = false;
    let swept = ends(&host, |host| {
        host.sweep_until(&request(), |mounted, now| {
            if now > 1_500_000_000 && !is_born {
                is_born = true;
                let mut host = mounted.host();
                let workload = Workload::of(Program::Stream);
                host.start(TaskSpec { tgid: PID, tid: PID + 1, cpu: 2, workload });
                // As if its maker had not been in the class yet.
                let task = host.machine.tasks.get_mut(&(PID + 1)).unwrap();
                (task.closid, task.rmid) = (0, 0);
            }
            true
        })
    });
    assert_eq!(swept.end.reason, EndReason::Completed, "{:?}", swept.end);
    let tids: Vec<u32> = swept.points.last().unwrap().threads.iter().map(|thread| thread.tid).collect();
    assert_eq!(tids, [PID, PID + 1]);
    assert!(!swept.points.iter().any(|point| point.disturbed));
}

#[test]
fn what_cannot_be_done_is_refused_before_anything_is_changed() {
    let Some(host) = mount(&hosts::twelve(), &random(), Interface::Resctrl) else { return };
    let before = classes(&host);
    let base = request();
    for (request, needle) in [
        (waytrace_sweep::Request { pid: 77, ..base.clone() }, "no process 77"),
        (waytrace_sweep::Request { ways: Some("13".to_owned()), ..base.clone() }, "from 1 to 12"),
        (waytrace_sweep::Request { slo: Some("speed > 1".to_owned()), ..base.clone() }, "no metric"),
        (waytrace_sweep::Request { cpus: Some(vec![0]), ..base }, "--interface msr"),
    ] {
        let error = host.prepare(&request).map(drop).unwrap_err().to_string();
        assert!(error.contains(needle), "{error}");
    }
    assert_eq!(classes(&host), before);
}
