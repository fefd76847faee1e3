//! A watched address goes the way hardware samples go, so the truth is known: each access is one event.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::channel;

use waytrace_model::access::{AccessKind, Precise};

use super::*;
use crate::counter::Inherit;
use crate::sampling::data_source::DataSource;
use crate::sampling::layout::Layout;
use crate::sampling::spe::Operation;

const PAGE: usize = 4096;

/// The watch on one word, or a printed SKIP where there are no debug registers or no right to them.
fn watch(word: &AtomicU64, stores_only: bool, scope: &Scope, ring_bytes: usize) -> Option<Sampler> {
    let source = SamplingSource::watch(word.as_ptr() as u64, 8, stores_only);
    match Sampler::open(source, scope, Rate::Period(1), ring_bytes) {
        Ok(sampler) => Some(sampler),
        Err(error) => {
            println!("SKIP: {error}");
            None
        }
    }
}

fn own() -> Scope {
    Scope::Threads { tids: vec![0], inherit: Inherit::Nobody }
}

fn drain(sampler: &mut Sampler) -> Vec<Event> {
    let mut events = Vec::new();
    sampler.drain(&mut |event| events.push(event));
    events
}

fn samples(events: &[Event]) -> Vec<&MemorySample> {
    events
        .iter()
        .filter_map(|event| if let Event::Sample(sample) = event { Some(sample) } else { None })
        .collect()
}

fn tid() -> u32 {
    // SAFETY: gettid takes nothing and cannot fail.
    unsafe { libc::gettid() as u32 }
}

/// Stores so many times, and says where a debug register finds the thread: behind the instruction.
#[cfg(target_arch = "x86_64")]
fn store(word: &AtomicU64, times: u64) -> Option<u64> {
    let mut behind = 0;
    for value in 0..times {
        // SAFETY: the address is that of an atomic word, which anybody may write.
        unsafe {
            std::arch::asm!(
                "lea {behind}, [rip + 2f]", "mov qword ptr [{word}], {value}", "2:",
                behind = out(reg) behind, word = in(reg) word.as_ptr(), value = in(reg) value,
            );
        }
    }
    Some(behind)
}

#[cfg(not(target_arch = "x86_64"))]
fn store(word: &AtomicU64, times: u64) -> Option<u64> {
    (0..times).for_each(|value| black_box(word).store(value, Ordering::Relaxed));
    None
}

fn now_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a timespec that lives through the call.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

#[test]
fn every_store_is_a_sample_of_its_thread_address_and_time() {
    let word = AtomicU64::new(0);
    let Some(mut sampler) = watch(&word, true, &own(), 64 * PAGE) else { return };
    store(&word, 5);
    sampler.enable().unwrap();
    let begin_ns = now_ns();
    let behind = store(&word, 100);
    let end_ns = now_ns();
    sampler.disable().unwrap();
    store(&word, 5);
    let events = drain(&mut sampler);
    let samples = samples(&events);
    assert_eq!(samples.len(), 100, "{events:?}");
    for sample in &samples {
        assert_eq!((sample.address, sample.kind), (word.as_ptr() as u64, Some(AccessKind::Store)));
        assert_eq!((sample.tgid, sample.tid, sample.weight), (std::process::id(), tid(), 1));
        assert!((begin_ns..=end_ns).contains(&sample.time_ns), "{sample:?} not in {begin_ns}–{end_ns}");
        assert!(behind.is_none_or(|behind| sample.ip == Some(behind)), "{sample:x?} is not of {behind:x?}");
        assert!(sample.cpu.is_some());
    }
    assert!(
        samples.is_sorted_by_key(|sample| sample.time_ns) || samples.iter().any(|s| s.cpu != samples[0].cpu)
    );
    if sampler.has_physical_addresses() {
        let precise = samples[0].precise.clone().unwrap();
        assert_eq!((precise.page_bytes, precise.latency_cycles, precise.served_by), (Some(4096), None, None));
        assert_eq!(precise.physical_address.unwrap() % 4096, samples[0].address % 4096);
    }
    assert_eq!(events.len(), 100, "nothing but samples");
    assert_eq!(drain(&mut sampler), [], "each is handed over once");
}

#[test]
fn loads_count_where_both_are_watched_and_nothing_tells_which() {
    let word = AtomicU64::new(7);
    let Some(mut sampler) = watch(&word, false, &own(), 16 * PAGE) else { return };
    sampler.enable().unwrap();
    for _ in 0..30 {
        black_box(black_box(&word).load(Ordering::Relaxed));
    }
    store(&word, 20);
    sampler.disable().unwrap();
    let events = drain(&mut sampler);
    assert_eq!(samples(&events).len(), 50);
    assert!(samples(&events).iter().all(|sample| sample.kind.is_none() && sample.access(0).is_none()));
}

/// Records go around the end of a ring of one page many times, and none is damaged or doubled.
#[test]
fn a_ring_goes_around() {
    let word = AtomicU64::new(0);
    let Some(mut sampler) = watch(&word, true, &own(), PAGE) else { return };
    sampler.enable().unwrap();
    let mut found = 0;
    for _ in 0..200 {
        store(&word, 7);
        let events = drain(&mut sampler);
        assert!(
            !events.iter().any(|event| matches!(event, Event::Damaged(_) | Event::Lost(_))),
            "{events:?}"
        );
        found += samples(&events).len();
    }
    assert_eq!(found, 1400);
}

#[test]
fn what_finds_no_room_is_counted_to_the_sample() {
    let word = AtomicU64::new(0);
    let Some(mut sampler) = watch(&word, true, &own(), PAGE) else { return };
    sampler.enable().unwrap();
    store(&word, 1000);
    let mut events = drain(&mut sampler);
    // The kernel says what was lost when the next record finds room.
    store(&word, 1);
    events.extend(drain(&mut sampler));
    let lost: u64 = events.iter().map(|event| if let Event::Lost(count) = event { *count } else { 0 }).sum();
    let there = samples(&events).len() as u64;
    assert!(lost > 500, "{lost}");
    // A thread that moves between CPUs during the test leaves the other ring's losses unsaid.
    let cpus: HashSet<_> = samples(&events).iter().map(|sample| sample.cpu).collect();
    if cpus.len() == 1 {
        assert_eq!(there + lost, 1001);
    }
}

#[test]
fn threads_made_later_are_sampled_where_they_are_inherited() {
    static WORD: AtomicU64 = AtomicU64::new(0);
    for (inherit, expected) in [(Inherit::Threads, 10), (Inherit::Nobody, 0)] {
        let scope = Scope::Threads { tids: vec![0], inherit };
        let Some(mut sampler) = watch(&WORD, true, &scope, 16 * PAGE) else { return };
        sampler.enable().unwrap();
        let thread = std::thread::Builder::new().name("late one".to_owned()).spawn(|| {
            store(&WORD, 10);
            tid()
        });
        let late = thread.unwrap().join().unwrap();
        let events = drain(&mut sampler);
        let found = samples(&events);
        assert_eq!(found.len(), expected, "{inherit:?}");
        assert!(found.iter().all(|sample| sample.tid == late));
        let told = |event: &Event| matches!(event, Event::Task(TaskChange::Named { tid, comm, .. }) if *tid == late && comm == "late one");
        assert_eq!(events.iter().any(told), expected > 0);
    }
}

#[test]
fn a_thread_named_by_its_id_is_sampled_and_no_other() {
    static WORD: AtomicU64 = AtomicU64::new(0);
    let (tell_tid, told_tid) = channel();
    let (tell_go, told_go) = channel::<()>();
    let other = std::thread::spawn(move || {
        tell_tid.send(tid()).unwrap();
        told_go.recv().unwrap();
        store(&WORD, 25);
    });
    let scope = Scope::Threads { tids: vec![told_tid.recv().unwrap()], inherit: Inherit::Nobody };
    let Some(mut sampler) = watch(&WORD, true, &scope, 16 * PAGE) else { return };
    sampler.enable().unwrap();
    store(&WORD, 40);
    tell_go.send(()).unwrap();
    other.join().unwrap();
    assert_eq!(samples(&drain(&mut sampler)).len(), 25);
    let gone = Scope::Threads { tids: vec![i32::MAX as u32], inherit: Inherit::Nobody };
    let error = Sampler::open(SamplingSource::watch(8, 8, true), &gone, Rate::Period(1), PAGE).unwrap_err();
    assert!(error.to_string().contains("No such process"), "{error}");
}

#[test]
fn samples_say_where_the_stack_is() {
    let word = AtomicU64::new(0);
    let Some(mut sampler) = watch(&word, true, &own(), 16 * PAGE) else { return };
    sampler.enable().unwrap();
    store(&word, 3);
    let events = drain(&mut sampler);
    let here = &raw const events as u64;
    // The word, this frame and the one that stores are on one stack, within a page or so.
    let is_near = |sample: &&MemorySample| sample.stack_pointer.is_some_and(|sp| sp.abs_diff(here) < 1 << 14);
    assert_eq!(samples(&events).into_iter().filter(is_near).count(), 3, "{events:?}");
}

#[test]
fn all_cpus_give_only_the_processes_asked_for() {
    let word = AtomicU64::new(0);
    for (tgids, expected) in [(vec![std::process::id()], 15), (vec![1], 0)] {
        let Some(mut sampler) = watch(&word, true, &Scope::Cpus { tgids }, 16 * PAGE) else { return };
        sampler.enable().unwrap();
        store(&word, 15);
        sampler.disable().unwrap();
        let events = drain(&mut sampler);
        assert_eq!(samples(&events).len(), expected);
    }
}

fn user(kind: u32) -> Header {
    Header { kind, misc: 2, size: 8 }
}

#[test]
fn what_a_sample_says_goes_before_what_its_event_says() {
    let event = SampledEvent::watch(8, 8, true);
    let sample =
        |word: u64| Sample { address: Some(8), data_source: Some(DataSource(word)), ..Sample::default() };
    let kind = |sample: &Sample, event: Option<&SampledEvent>| match sampled(sample, user(9), event) {
        Event::Sample(sample) => sample.kind,
        other => panic!("{other:?}"),
    };
    assert_eq!(kind(&sample(0x02 | 0x0d << 33), Some(&event)), Some(AccessKind::Load));
    assert_eq!(kind(&sample(0x0508_0021), Some(&event)), Some(AccessKind::Store));
    assert_eq!(kind(&sample(0x0508_0021), None), None);
    // A PMU that samples all operations: this one was no access, that one has no address.
    assert_eq!(sampled(&sample(0x01 | 0x0d << 33), user(9), None), Event::NoAddress);
    assert_eq!(sampled(&sample(0x08 | 0x0d << 33), user(9), Some(&event)), Event::NoAddress);
    assert_eq!(sampled(&Sample::default(), user(9), Some(&event)), Event::NoAddress);
    assert_eq!(sampled(&sample(2), Header { misc: 1, ..user(9) }, Some(&event)), Event::InKernel);
    let weighted = Sample { period: Some(4000), ..sample(2) };
    let Event::Sample(weighted) = sampled(&weighted, user(9), None) else { panic!() };
    assert_eq!((weighted.weight, weighted.access(0).unwrap().weight), (4000, 4000));
}

#[test]
fn what_the_kernel_says_besides_samples_is_handed_on() {
    let source = SamplingSource::watch(8, 8, true);
    let word = AtomicU64::new(0);
    let Some(sampler) = watch(&word, true, &own(), PAGE) else { return };
    let said = |kind: u32, body: &[u64]| {
        // Every record ends with process and thread, time, CPU, and the event it is of.
        let bytes: Vec<u8> = body.iter().chain(&[0, 0, 0, 0]).flat_map(|word| word.to_le_bytes()).collect();
        let mut events = Vec::new();
        let ring = &sampler.opened.rings[0];
        let mut part = spe::Records::default();
        decode(&source, &sampler.opened, ring, &mut part, user(kind), &bytes, &mut |event| {
            events.push(event);
        });
        events
    };
    assert_eq!(said(kind::THROTTLE, &[0, 0, 0]), [Event::Throttled]);
    assert_eq!(said(kind::UNTHROTTLE, &[0, 0, 0]), [Event::Unthrottled]);
    assert_eq!(said(kind::LOST_SAMPLES, &[31]), [Event::Lost(31)]);
    assert_eq!(
        said(kind::EXIT, &[5 << 32 | 4, 7 << 32 | 6]),
        [Event::Task(TaskChange::Exited { tgid: 4, tid: 6 })]
    );
    assert_eq!(said(kind::LOST, &[]), [Event::Damaged(8)], "shorter than it has to be");
    assert_eq!(said(kind::AUX, &[0, 64, 0]), [Event::Lost(1)], "an area that was never mapped");
    assert_eq!(said(99, &[]), []);
}

#[test]
fn an_atomic_operation_of_spe_is_a_load_and_a_store() {
    let record = SpeRecord {
        ip: Some(4),
        address: Some(0x1000),
        operation: Operation::Atomic,
        latency_cycles: Some(9),
        data_source: Some(8),
        ..SpeRecord::default()
    };
    let trailer = Trailer { tgid: Some(6), tid: Some(7), time_ns: Some(99), cpu: Some(1) };
    let mut events = Vec::new();
    from_spe(&record, 3, trailer, &mut |event| events.push(event));
    let found = samples(&events);
    assert_eq!(
        found.iter().map(|sample| sample.kind.unwrap()).collect::<Vec<_>>(),
        [AccessKind::Load, AccessKind::Store]
    );
    let precise = Precise { latency_cycles: Some(9), served_by: Some("L2".to_owned()), ..Precise::default() };
    assert_eq!((found[0].tid, found[0].time_ns, found[0].precise.clone()), (7, 99, Some(precise)));
    events.clear();
    from_spe(&SpeRecord { operation: Operation::Branch, ..record }, 3, trailer, &mut |event| {
        events.push(event);
    });
    assert_eq!(events, [Event::NoAddress]);
}

#[test]
fn cpus_are_filtered_by_process_and_its_children() {
    let mut tgids = Some([10].into());
    let mut filter = Filter { tgids: &mut tgids };
    let mut passed = Vec::new();
    let sample = |tgid| {
        Event::Sample(MemorySample {
            time_ns: 0,
            tgid,
            tid: tgid,
            cpu: None,
            ip: None,
            stack_pointer: None,
            address: 8,
            kind: None,
            weight: 1,
            precise: None,
        })
    };
    let forked = |tgid, parent_tgid| Event::Task(TaskChange::Forked { tgid, tid: tgid, parent_tgid });
    for event in
        [sample(10), sample(11), forked(12, 11), sample(12), forked(13, 10), sample(13), Event::Lost(3)]
    {
        filter.pass(event, &mut |event| passed.push(event));
    }
    assert_eq!(passed, [sample(10), forked(13, 10), sample(13), Event::Lost(3)]);
    assert_eq!(Layout::default().trailer_bytes(), 0);
}
