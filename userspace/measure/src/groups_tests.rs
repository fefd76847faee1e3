//! Groups on a PMU with few counters that refuses some events.

use super::*;

/// A PMU whose groups hold three events; an event of config 99 is refused, one of config 50 is refused in groups only.
#[derive(Default)]
struct Pmu {
    opened: usize,
    gone: Option<u32>,
    permitted: bool,
    /// Counters it has, where the groups it takes can be larger; 0 is as many as those hold.
    counters: usize,
    clock: u64,
}

impl Opener for Pmu {
    /// How many are in the group, where it is a leader.
    type Counter = usize;

    fn open(&mut self, attr: &PerfAttr, place: Place, leader: Option<&mut usize>) -> Result<usize, Error> {
        let fail = |errno| {
            let source = io::Error::from_raw_os_error(errno);
            Err(waytrace_hw::counter::open_error(attr.name().to_owned(), source))
        };
        if !self.permitted {
            return fail(libc::EACCES);
        }
        if matches!(place, Place::Thread { tid, .. } if Some(tid) == self.gone) {
            return fail(libc::ESRCH);
        }
        let config = attr.for_cpu(0).map_or(0, |encoding| encoding.config[0]);
        match (config, leader) {
            (99, _) => fail(libc::ENOENT),
            (50, Some(_)) => fail(libc::EINVAL),
            (_, Some(leader)) if *leader == 3 => fail(libc::EINVAL),
            (_, Some(leader)) => {
                *leader += 1;
                self.opened += 1;
                Ok(0)
            }
            (_, None) => {
                self.opened += 1;
                Ok(1)
            }
        }
    }

    fn start(&mut self, _: &mut usize) -> io::Result<()> {
        Ok(())
    }

    fn stop(&mut self, _: &mut usize) -> io::Result<()> {
        Ok(())
    }

    fn read(&mut self, leader: &mut usize) -> io::Result<GroupReading> {
        self.clock += 1;
        let fits = self.counters == 0 || *leader <= self.counters;
        let time_running_ns = if fits { self.clock } else { 0 };
        Ok(GroupReading { time_enabled_ns: self.clock, time_running_ns, values: vec![7; *leader] })
    }
}

fn pmu() -> Pmu {
    Pmu { permitted: true, ..Pmu::default() }
}

fn events(configs: &[(u32, u64)]) -> Vec<(u32, PerfAttr)> {
    let event = |(number, (pmu, config)): (usize, &(u32, u64))| {
        (number as u32, PerfAttr::new(format!("e{number}"), *pmu, *config))
    };
    configs.iter().enumerate().map(event).collect()
}

#[test]
fn events_of_a_pmu_are_a_group_at_each_place_as_far_as_it_takes_them() {
    let places = [Place::Cpu(0), Place::Cpu(1)];
    let events = events(&[(4, 1), (4, 2), (8, 1), (4, 3), (4, 4)]);
    let mut pmu = pmu();
    let mut groups = open(&mut pmu, &events, &places).unwrap();
    let at = |cpu: u32| -> Vec<Vec<u32>> {
        let here = groups.groups.iter().filter(|group| group.place == Place::Cpu(cpu));
        here.map(|group| group.events.clone()).collect()
    };
    assert_eq!(at(0), [vec![0, 1, 3], vec![2], vec![4]]);
    assert_eq!(at(0), at(1));
    assert_eq!((groups.counters(), pmu.opened), (10, 10));
    let values: usize = groups.read(&mut pmu).into_iter().flatten().map(|reading| reading.values.len()).sum();
    assert_eq!(values, 10);
}

#[test]
fn a_group_the_kernel_takes_and_the_pmu_does_not_count_is_made_two() {
    let groups = |pmu| {
        let mut opener = Pmu { counters: 2, ..self::pmu() };
        let events = events(&[(pmu, 1), (pmu, 2), (pmu, 3), (pmu, 4)]);
        let groups = open(&mut opener, &events, &[Place::Cpu(0)]).unwrap().groups;
        groups.into_iter().map(|group| group.events).collect::<Vec<_>>()
    };
    assert_eq!(groups(4), [vec![0, 1], vec![2, 3]]);
    assert_eq!(groups(2), [vec![0, 1, 2], vec![3]], "tracepoints need no counter and are not tried");
}

#[test]
fn a_bad_event_is_left_out_alone_with_its_reason() {
    let events = events(&[(4, 1), (4, 99), (4, 2), (4, 50)]);
    let groups = open(&mut pmu(), &events, &[Place::Cpu(0)]).unwrap();
    let refused: Vec<u32> = groups.refused.iter().map(|one| one.event).collect();
    assert_eq!(refused, [1]);
    assert!(groups.refused[0].reason.contains("no such event"), "{:?}", groups.refused);
    assert_eq!(
        groups.groups.iter().map(|group| group.events.clone()).collect::<Vec<_>>(),
        [vec![0, 2], vec![3]]
    );
}

#[test]
fn a_thread_that_ended_is_no_events_fault() {
    let places = [Place::Thread { tgid: 5, tid: 5 }, Place::Thread { tgid: 5, tid: 6 }];
    let mut pmu = Pmu { gone: Some(6), ..pmu() };
    let groups = open(&mut pmu, &events(&[(4, 1), (4, 2)]), &places).unwrap();
    assert_eq!((groups.refused.len(), groups.counters()), (0, 2));
}

#[test]
fn what_counts_for_a_package_is_not_counted_for_a_process() {
    let mut events = events(&[(4, 1), (20, 1)]);
    events[1].1.per_task = false;
    let groups = open(&mut pmu(), &events, &[Place::Thread { tgid: 5, tid: 5 }]).unwrap();
    assert_eq!(groups.refused.len(), 1);
    assert!(groups.refused[0].reason.contains("--all-cpus"), "{:?}", groups.refused);
}

#[test]
fn without_permission_nothing_is_blamed_on_an_event() {
    let refusal = open(&mut Pmu::default(), &events(&[(4, 1)]), &[Place::Cpu(0)]).unwrap_err();
    assert!(matches!(refusal, Error::PerfPermission { .. }), "{refusal}");
}
