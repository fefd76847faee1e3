//! Groups on a PMU of this test's making, and software events on the machine's.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;

use super::*;
use crate::Root;
use crate::events::Encoding;
use crate::topology::cpus_online;

/// A PMU that knows some events, takes `most` into a group, and has counters for `room` of them.
struct FakePmu {
    unknown: Vec<(&'static str, u32, i32)>,
    most: usize,
    room: usize,
}

type Members = Rc<RefCell<Vec<String>>>;

/// A counter of it, in its group until it is dropped.
#[derive(Debug)]
struct Fake {
    name: String,
    group: Members,
    started: bool,
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.group.borrow_mut().retain(|name| *name != self.name);
    }
}

impl Opener for FakePmu {
    type Counter = Fake;

    fn open(&mut self, attr: &PerfAttr, cpu: u32, leader: Option<&mut Fake>) -> Result<Fake, Error> {
        let refusal = |errno| open_error(describe(attr, cpu), io::Error::from_raw_os_error(errno));
        if let Some((.., errno)) =
            self.unknown.iter().find(|(name, at, _)| (*name, *at) == (attr.name(), cpu))
        {
            return Err(refusal(*errno));
        }
        let group = leader.map_or_else(Members::default, |leader| leader.group.clone());
        if group.borrow().len() >= self.most {
            return Err(refusal(libc::EINVAL));
        }
        group.borrow_mut().push(attr.name().to_owned());
        Ok(Fake { name: attr.name().to_owned(), group, started: false })
    }

    fn runs(&mut self, leader: &mut Fake) -> bool {
        leader.group.borrow().len() <= self.room
    }

    fn start(&mut self, _: &PerfAttr, _: u32, leader: &mut Fake) -> Result<(), Error> {
        leader.started = true;
        Ok(())
    }
}

/// Has all events and room for them.
const ALL: FakePmu = FakePmu { unknown: Vec::new(), most: 99, room: 99 };

fn hardware(names: &[&str]) -> Vec<PerfAttr> {
    names.iter().zip(0..).map(|(name, id)| PerfAttr::new(*name, 0, id)).collect()
}

fn open(pmu: &mut FakePmu, attrs: &[PerfAttr], cpus: &[u32], all: bool) -> Result<Opened<Fake>, Error> {
    open_groups(pmu, &attrs.iter().collect::<Vec<_>>(), cpus, all)
}

/// CPU and events of each group; what the PMU holds to be in it agrees, and it counts.
fn groups(opened: &Opened<Fake>) -> Vec<(u32, Vec<usize>)> {
    let each = |group: &Group<Fake>| {
        let (_, leader) = &group.members[0];
        let names: Vec<&str> = group.members.iter().map(|(_, counter)| counter.name.as_str()).collect();
        assert_eq!(*leader.group.borrow(), names);
        assert!(leader.started, "{names:?}");
        (group.cpu, group.members.iter().map(|(event, _)| *event).collect())
    };
    opened.groups.iter().map(each).collect()
}

#[test]
fn events_of_a_pmu_are_one_group_on_each_cpu() {
    let attrs = hardware(&["cycles", "instructions", "branches"]);
    let opened = open(&mut FakePmu { ..ALL }, &attrs, &[0, 5], true).unwrap();
    assert_eq!(groups(&opened), [(0, vec![0, 1, 2]), (5, vec![0, 1, 2])]);
    assert_eq!(opened.turns(), None);
}

#[test]
fn what_one_cpu_refuses_counts_nowhere_and_the_others_stay_together() {
    let attrs = hardware(&["cache-misses", "cycles", "branches", "instructions"]);
    let unknown = vec![("cache-misses", 1, libc::ENOENT), ("branches", 0, libc::EOPNOTSUPP)];
    let opened = open(&mut FakePmu { unknown, ..ALL }, &attrs, &[0, 1], false).unwrap();
    assert_eq!(groups(&opened), [(0, vec![1, 3]), (1, vec![1, 3])]);
    let reasons: Vec<_> = opened.refused.iter().map(|(event, why)| (*event, why.to_string())).collect();
    assert_eq!((reasons[0].0, reasons[1].0, reasons.len()), (2, 0, 2));
    assert!(reasons[0].1.contains("`branches` on CPU 0"), "{reasons:?}");
    assert!(reasons[1].1.contains("`cache-misses` on CPU 1"), "{reasons:?}");
}

#[test]
fn all_refused_leaves_nothing() {
    let unknown = vec![("cycles", 0, libc::EINVAL)];
    let opened = open(&mut FakePmu { unknown, ..ALL }, &hardware(&["cycles"]), &[0], false).unwrap();
    assert_eq!((opened.groups.len(), opened.refused.len()), (0, 1));
}

#[test]
fn asked_for_by_name_a_refusal_is_an_error_that_says_how_to_mend_it() {
    for (errno, meaning) in [
        (libc::ENOENT, "no such event"),
        (libc::EOPNOTSUPP, "cannot count it"),
        (libc::EINVAL, "refuses"),
        (libc::EBUSY, "another tool"),
    ] {
        let unknown = vec![("cache-misses", 0, errno)];
        let attrs = hardware(&["cycles", "cache-misses"]);
        let error = open(&mut FakePmu { unknown, ..ALL }, &attrs, &[0], true).unwrap_err().to_string();
        let parts = ["`cache-misses` on CPU 0", meaning, "os error"];
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
    }
}

/// Whether the kernel refuses the fifth or the PMU merely never counts five: neither may go unnoticed.
#[test]
fn a_group_too_large_is_split() {
    let attrs = hardware(&["a", "b", "c", "d", "e", "f"]);
    for mut pmu in [FakePmu { most: 4, ..ALL }, FakePmu { room: 4, ..ALL }] {
        let opened = open(&mut pmu, &attrs, &[0, 1], true).unwrap();
        let (one, two) = (vec![0, 1, 2, 3], vec![4, 5]);
        assert_eq!(groups(&opened), [(0, one.clone()), (0, two.clone()), (1, one.clone()), (1, two.clone())]);
        assert_eq!(opened.turns(), Some(vec![one, two]));
    }
}

#[test]
fn a_pmu_that_never_counts_still_has_each_event_opened() {
    let opened = open(&mut FakePmu { room: 0, ..ALL }, &hardware(&["a", "b"]), &[0], true).unwrap();
    assert_eq!(groups(&opened), [(0, vec![0]), (0, vec![1])]);
}

#[test]
fn other_pmus_and_what_must_lead_have_groups_of_their_own() {
    let mut attrs = hardware(&["cycles", "pinned", "instructions"]);
    attrs[1].modifiers.pinned = true;
    attrs.push(PerfAttr::new("msr/tsc/", 9, 0));
    attrs.push(PerfAttr::new("r01c2", 4, 0x1c2));
    let opened = open(&mut FakePmu { ..ALL }, &attrs, &[0], true).unwrap();
    assert_eq!(groups(&opened), [(0, vec![0, 2, 4]), (0, vec![1]), (0, vec![3])]);
    assert_eq!(opened.turns(), None);
}

#[test]
fn kinds_of_cores_are_told_apart() {
    let mut attrs = hardware(&["cycles", "raw"]);
    let generic = |pmu: u64| Encoding { type_: 0, config: [pmu << 32, 0, 0, 0] };
    attrs[0].encodings = vec![(Some(vec![0]), generic(4)), (Some(vec![1]), generic(10))];
    attrs[1] = PerfAttr::new("raw", 10, 1);
    let opened = open(&mut FakePmu { ..ALL }, &attrs, &[0, 1], true).unwrap();
    assert_eq!(groups(&opened), [(0, vec![0]), (0, vec![1]), (1, vec![0, 1])]);
}

/// Events of one group are counted over the same time: faults are minor and major ones, whoever else runs on the CPU,
/// and the pages touched here are among them.
#[test]
fn a_group_counts_known_faults_over_one_time() {
    const PAGES: usize = 500;
    let software = |name: &str, id| PerfAttr::new(name, 1, id);
    let attrs = [software("page-faults", 2), software("minor-faults", 5), software("major-faults", 6)];
    let cpus = cpus_online(&Root::default()).unwrap();
    // Every CPU, for the test may be moved in between.
    let mut opened = match open_groups(&mut PerfEvents, &attrs.iter().collect::<Vec<_>>(), &cpus, true) {
        Ok(opened) => opened,
        Err(error) => return println!("SKIP: {error}"),
    };
    assert_eq!(opened.groups.len(), cpus.len());
    // Only what is counted between two stops is of all three: members joined one after the other.
    let before: Vec<_> = opened.groups.iter_mut().map(stopped).collect();
    for group in &mut opened.groups {
        group.members[0].1.enable().unwrap();
    }
    touch(PAGES);
    let after: Vec<_> = opened.groups.iter_mut().map(stopped).collect();
    let mut sum = 0;
    for (before, after) in before.iter().zip(&after) {
        let counted = |at: usize| after[at].count - before[at].count;
        let running = |at: usize| after[at].time_running - before[at].time_running;
        assert_eq!(counted(0), counted(1) + counted(2), "{after:?}");
        assert!(running(0) > 0 && running(0) == after[0].time_enabled - before[0].time_enabled, "{after:?}");
        assert_eq!((running(1), running(2)), (running(0), running(0)));
        sum += counted(0);
    }
    assert!(sum >= PAGES as u64, "{sum}");
}

/// What the members of a group stand at, once its leader, and with it all, has been stopped.
fn stopped(group: &mut Group<Counter>) -> Vec<perf_event::CountAndTime> {
    group.members[0].1.disable().unwrap();
    group.members.iter_mut().map(|(_, counter)| counter.read_count_and_time().unwrap()).collect()
}

/// Touches fresh pages, each once.
fn touch(pages: usize) {
    const PAGE: usize = 4096;
    let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a new anonymous mapping, wherever there is room.
    let start = unsafe { libc::mmap(std::ptr::null_mut(), pages * PAGE, protection, flags, -1, 0) };
    assert_ne!(start, libc::MAP_FAILED);
    // SAFETY: the mapping just made; refusing huge pages changes no content.
    unsafe { libc::madvise(start, pages * PAGE, libc::MADV_NOHUGEPAGE) };
    for page in 0..pages {
        // SAFETY: within the mapping, which nobody else knows.
        unsafe { start.cast::<u8>().add(page * PAGE).write_volatile(1) };
    }
    // SAFETY: the mapping made above, not used after.
    unsafe { libc::munmap(start, pages * PAGE) };
}

#[test]
fn an_impossible_event_is_refused_by_the_kernel() {
    let attrs = [PerfAttr::new("cpu-clock", 1, 0), PerfAttr::new("nonsense", 0xffff, 0)];
    let cpus = [cpus_online(&Root::default()).unwrap()[0]];
    let attrs: Vec<&PerfAttr> = attrs.iter().collect();
    assert!(open_groups(&mut PerfEvents, &attrs, &cpus, true).is_err());
    match open_groups(&mut PerfEvents, &attrs, &cpus, false) {
        Ok(opened) if opened.refused.len() == 2 => println!("SKIP: {}", opened.refused[0].1),
        opened => assert_eq!(opened.unwrap().refused[0].0, 1),
    }
}
