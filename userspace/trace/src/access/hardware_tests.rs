//! Samples taken off the rings, and sources that cannot be opened.

use waytrace_model::access::AccessKind;
use waytrace_model::collector::Status;

use super::super::{Mode, Prepared};
use super::*;

fn sample(tid: u32, kind: Option<AccessKind>, weight: u64) -> Event {
    let (tgid, address) = (std::process::id(), &raw const NOT_MUCH as u64);
    Event::Sample(MemorySample {
        time_ns: 500,
        tgid,
        tid,
        cpu: Some(1),
        ip: Some(0x1000 + u64::from(tid)),
        stack_pointer: None,
        address,
        kind,
        weight,
        precise: None,
    })
}

static NOT_MUCH: u64 = 7;

#[test]
fn every_event_is_an_access_or_has_its_reason() {
    let mut taken = Taken { start_ns: 100, period: 1, ..Taken::default() };
    let (load, store) = (Some(AccessKind::Load), Some(AccessKind::Store));
    for event in [
        sample(1, load, 8),
        sample(2, store, 8),
        sample(1, None, 8),
        Event::NoAddress,
        Event::InKernel,
        Event::Throttled,
        Event::Unthrottled,
        Event::Lost(3),
        Event::Damaged(40),
    ] {
        taken.take(event);
    }
    assert_eq!((taken.resolved, taken.kernel_samples, taken.throttled, taken.lost), (2, 1, 1, 4));
    assert_eq!(taken.unresolved, BTreeMap::from([("no_address", 1), ("unknown_direction", 1)]));
    let told: Vec<_> = taken.accesses.iter().map(|sampled| &sampled.access).collect();
    assert_eq!(
        told.iter().map(|access| access.kind).collect::<Vec<_>>(),
        [AccessKind::Load, AccessKind::Store]
    );
    assert!(told.iter().all(|access| access.at_ns == 400 && access.weight == 8));
    assert_eq!((told[0].code, told[1].code), (Some(0), Some(1)));
    assert_eq!((told[0].region, told[1].region), (Some(0), Some(0)));
    let regions = taken.places.conclude().0;
    let address = &raw const NOT_MUCH as u64;
    assert!((regions[0].start..regions[0].end).contains(&address), "{regions:?}");
}

#[test]
fn a_threads_stack_has_its_name_wherever_the_access_falls() {
    let (tell, told) = std::sync::mpsc::channel();
    let (end, ended) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::spawn(move || {
        let local = 7_u64;
        tell.send(&raw const local as u64).unwrap();
        ended.recv().unwrap_err();
    });
    let local = told.recv().unwrap();
    let mut taken = Taken { period: 1, ..Taken::default() };
    let Event::Sample(own) = sample(77, Some(AccessKind::Load), 1) else { panic!() };
    taken.take(Event::Sample(MemorySample { stack_pointer: Some(local - 64), ..own.clone() }));
    taken.take(Event::Sample(MemorySample { address: local, ..own }));
    drop(end);
    thread.join().unwrap();
    let (regions, _) = taken.places.conclude();
    assert_eq!((regions.len(), regions[1].name.as_str()), (2, "[stack:77]"), "{regions:?}");
    assert!((regions[1].start..regions[1].end).contains(&local));
}

#[test]
fn a_source_that_ignores_the_period_is_thinned_by_thread_and_no_event_is_lost() {
    let mut taken = Taken { period: 4, ..Taken::default() };
    for _ in 0..10 {
        taken.take(sample(1, Some(AccessKind::Store), 1));
    }
    for _ in 0..3 {
        taken.take(sample(2, Some(AccessKind::Store), 1));
    }
    taken.take(sample(2, Some(AccessKind::Store), 4));
    let kept = taken.take_weighed(None);
    let kept: Vec<_> = kept.iter().map(|s| (s.access.tid, s.access.weight)).collect();
    assert_eq!(kept, [(1, 4), (1, 4), (2, 4)]);
    assert_eq!((taken.passed[&1], taken.passed[&2]), (2, 3));
}

#[test]
fn a_source_that_cannot_be_opened_is_replaced_by_a_walk_unless_it_was_named() {
    let tgids = [std::process::id()];
    let targets = Targets { tgids: &tgids, only_tid: None, follow_forks: false };
    // The kernel lets nobody watch an address of its own for a program.
    let source = SamplingSource::watch(u64::MAX << 32, 8, true);
    let of = |fallback| {
        let rate = sampling::Rate::Period(1);
        Prepared::new(&Mode::Hardware(Precise { source: source.clone(), rate, fallback }), targets)
    };
    assert!(of(None).is_err());
    let replaced = of(Some(Rate::Hz(50.0))).unwrap();
    assert!(matches!(&replaced, Prepared::Walk(Rate::Hz(hz), Some(_)) if *hz == 50.0));
    let (status, reason) = replaced.status();
    assert_eq!(status, Status::Degraded);
    assert!(
        reason.is_some_and(|reason| reason.starts_with("by forward walk, as pmu-event cannot be opened: "))
    );
    assert_eq!(Prepared::Walk(Rate::Hz(1.0), None).status(), (Status::Ran, None));
}

#[test]
fn processes_not_asked_for_are_left_out() {
    let mut taken = Taken { only: Some(vec![std::process::id() + 1]), period: 1, ..Taken::default() };
    taken.take(sample(1, Some(AccessKind::Load), 1));
    assert_eq!((taken.resolved, taken.accesses.len()), (0, 0));
}
