//! Differences of readings written by hand.

use std::io;

use waytrace_hw::Error;
use waytrace_hw::events::PerfAttr;
use waytrace_model::measured::Quarantined;

use super::*;
use crate::Place;
use crate::groups::{Opener, open};

/// Takes everything.
struct Any;

impl Opener for Any {
    type Counter = ();

    fn open(&mut self, _: &PerfAttr, _: Place, _: Option<&mut ()>) -> Result<(), Error> {
        Ok(())
    }

    fn start(&mut self, (): &mut ()) -> io::Result<()> {
        Ok(())
    }

    fn stop(&mut self, (): &mut ()) -> io::Result<()> {
        Ok(())
    }

    fn read(&mut self, (): &mut ()) -> io::Result<GroupReading> {
        Ok(GroupReading::default())
    }
}

fn groups(places: &[Place]) -> Groups<()> {
    let events: Vec<_> = (0..2).map(|event| (event, PerfAttr::new(format!("e{event}"), 1, 0))).collect();
    open(&mut Any, &events, places).unwrap()
}

fn reading(time: u64, running: u64, values: [u64; 2]) -> Option<GroupReading> {
    Some(GroupReading { time_enabled_ns: time, time_running_ns: running, values: values.to_vec() })
}

fn values(counts: &[EventCount]) -> Vec<(u32, u32, u64, u64, u64)> {
    counts
        .iter()
        .map(|one| (one.event, one.place, one.value, one.time_enabled_ns, one.time_running_ns))
        .collect()
}

#[test]
fn slots_are_differences_and_leave_out_what_is_zero_and_whole() {
    let mut recorder = Recorder::new(&groups(&[Place::Cpu(3)]));
    recorder.add(100, vec![reading(100, 100, [5, 0])]);
    recorder.add(200, vec![reading(200, 200, [5, 0])]);
    recorder.add(250, vec![reading(250, 230, [9, 0])]);
    let recorded = recorder.finish();
    assert_eq!(values(&recorded.counts), [(0, 3, 9, 250, 230), (1, 3, 0, 250, 230)]);
    assert!(recorded.counts.iter().all(|count| !count.is_whole()));
    let slots: Vec<_> =
        recorded.by_slot.iter().map(|one| (one.slot, one.count.event, one.count.value)).collect();
    assert_eq!(slots, [(0, 0, 5), (2, 0, 4), (2, 1, 0)]);
    assert_eq!(recorded.slots[2], Slot { start_ns: 200, end_ns: 250 });
}

#[test]
fn threads_of_a_process_are_added_up() {
    let places = [Place::Thread { tgid: 9, tid: 9 }, Place::Thread { tgid: 9, tid: 11 }];
    let mut recorder = Recorder::new(&groups(&places));
    recorder.add(10, vec![reading(10, 10, [1, 2]), reading(4, 4, [10, 20])]);
    assert_eq!(values(&recorder.finish().counts), [(0, 9, 11, 14, 14), (1, 9, 22, 14, 14)]);
}

#[test]
fn what_cannot_be_read_once_is_counted_in_the_next_slot() {
    let mut recorder = Recorder::new(&groups(&[Place::Cpu(0)]));
    recorder.add(10, vec![None]);
    recorder.add(20, vec![reading(20, 20, [3, 0])]);
    let recorded = recorder.finish();
    assert_eq!((recorded.unreadable, recorded.counts[0].value, recorded.by_slot[0].slot), (1, 3, 1));
}

#[test]
fn a_refused_event_counts_nowhere_and_open_groups_go_on_from_where_they_are() {
    let mut groups = groups(&[Place::Cpu(0)]);
    groups.refused.push(Quarantined { event: 1, reason: "no".to_owned() });
    let mut recorder = Recorder::new(&groups);
    recorder.begin_at(vec![reading(50, 50, [100, 100])]);
    recorder.add(10, vec![reading(60, 60, [104, 109])]);
    assert_eq!(values(&recorder.finish().counts), [(0, 0, 4, 10, 10)]);
}
