//! A simulated PMU with events planted in it.

use std::collections::BTreeMap;
use std::convert::Infallible;

use super::*;

/// Which candidates count, and how: what the first and the second count give.
struct Simulated {
    events: BTreeMap<(u64, u64), [u64; 2]>,
    refused: Vec<u64>,
    /// Counting it is a machine check.
    deadly: Option<(u64, u64)>,
    harm: Option<String>,
    counted: Vec<Candidate>,
}

impl Simulated {
    fn new(events: &[((u64, u64), [u64; 2])]) -> Self {
        let events = events.iter().copied().collect();
        Self { events, refused: Vec::new(), deadly: None, harm: None, counted: Vec::new() }
    }
}

impl Bench for Simulated {
    fn count(&mut self, candidate: Candidate) -> Result<u64, String> {
        let key = (candidate.code, candidate.umask);
        let turn = usize::from(self.counted.last() == Some(&candidate));
        self.counted.push(candidate);
        if self.deadly == Some(key) {
            self.harm = Some("machine check".to_owned());
        }
        if self.refused.contains(&candidate.code) {
            return Err("Invalid argument".to_owned());
        }
        Ok(self.events.get(&key).and_then(|counts| counts.get(turn)).copied().unwrap_or(0))
    }

    fn harm(&mut self) -> Option<String> {
        self.harm.clone()
    }
}

#[derive(Default)]
struct Notes {
    begun: Vec<Candidate>,
    ended: BTreeMap<Candidate, Verdict>,
}

impl Journal for Notes {
    type Error = Infallible;

    fn begin(&mut self, candidate: Candidate) -> Result<(), Infallible> {
        self.begun.push(candidate);
        Ok(())
    }

    fn end(&mut self, candidate: Candidate, verdict: &Verdict) -> Result<(), Infallible> {
        self.ended.insert(candidate, verdict.clone());
        Ok(())
    }
}

fn all() -> impl Iterator<Item = Candidate> {
    (1..=0xfe).flat_map(|code| (0..=0xff).map(move |umask| Candidate { code, umask }))
}

#[test]
fn exactly_the_planted_events_are_found() {
    let mut pmu = Simulated::new(&[
        ((0x3c, 0), [900, 901]),
        ((0xb7, 0x4f), [1, 2]),
        // An interrupt's, and one that comes late: neither counts twice.
        ((0x10, 0x01), [5, 0]),
        ((0x11, 0x01), [0, 5]),
    ]);
    pmu.refused = vec![0x20];
    let mut notes = Notes::default();
    assert_eq!(search(&mut pmu, &mut notes, all(), || true), Ok(End::Complete));
    assert_eq!(notes.ended.len(), 254 * 256);
    let counts: Vec<_> = notes
        .ended
        .iter()
        .filter_map(|(one, verdict)| match verdict {
            Verdict::Counts { value } => Some((one.code, one.umask, *value)),
            _ => None,
        })
        .collect();
    assert_eq!(counts, [(0x3c, 0, 901), (0xb7, 0x4f, 2)]);
    let refused = notes.ended.values().filter(|verdict| matches!(verdict, Verdict::Refused { .. })).count();
    assert_eq!(refused, 256);
}

#[test]
fn it_stops_at_the_planted_machine_check() {
    let mut pmu = Simulated::new(&[((0x02, 0x03), [7, 7]), ((0x02, 0x05), [7, 7])]);
    pmu.deadly = Some((0x02, 0x05));
    let mut notes = Notes::default();
    let end = search(&mut pmu, &mut notes, all(), || true).unwrap();
    let deadly = Candidate { code: 0x02, umask: 0x05 };
    assert_eq!(end, End::Harm { candidate: Some(deadly), sign: "machine check".to_owned() });
    assert_eq!(notes.ended[&deadly], Verdict::Suspect { sign: "machine check".to_owned() });
    assert_eq!(
        pmu.counted.iter().filter(|one| **one == deadly).count(),
        1,
        "it is not counted a second time"
    );
    assert_eq!(pmu.counted.last(), Some(&deadly), "and nothing after it");
    assert_eq!(notes.ended[&Candidate { code: 0x02, umask: 0x03 }], Verdict::Counts { value: 7 });
}

#[test]
fn a_machine_that_has_taken_harm_is_left_alone() {
    let mut pmu = Simulated::new(&[]);
    pmu.harm = Some("soft lock-up".to_owned());
    let mut notes = Notes::default();
    let end = search(&mut pmu, &mut notes, all(), || true).unwrap();
    assert_eq!(end, End::Harm { candidate: None, sign: "soft lock-up".to_owned() });
    assert!(pmu.counted.is_empty() && notes.begun.is_empty());
}

#[test]
fn it_ends_when_asked_to_between_two_candidates() {
    let mut pmu = Simulated::new(&[]);
    let mut notes = Notes::default();
    let mut left = 3;
    let goes_on = || {
        left -= 1;
        left >= 0
    };
    assert_eq!(search(&mut pmu, &mut notes, all(), goes_on), Ok(End::Interrupted));
    assert_eq!((notes.begun.len(), notes.ended.len()), (3, 3));
}
