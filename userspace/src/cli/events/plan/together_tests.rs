//! Sets of events and metrics whose runs are known, on a PMU of two general counters and a fixed one.

use waytrace_analysis::packing::{pack, validate};
use waytrace_hw::catalogue::Counters;

use super::*;

fn events() -> Vec<Event> {
    let event = |(name, pmu, general, fixed): (&str, &str, u64, u64)| Event {
        name: name.to_owned(),
        pmu: pmu.to_owned(),
        counters: Counters { general, general_smt_off: general, fixed, unlimited: false },
        ..Event::default()
    };
    [
        ("inst", "cpu", 0, 1),
        ("a", "cpu", 3, 0),
        ("b", "cpu", 3, 0),
        ("c", "cpu", 3, 0),
        ("d", "cpu", 3, 0),
        ("u", "uncore_x", 1, 0),
    ]
    .map(event)
    .to_vec()
}

fn metric(name: &str, group: &str, names: &[&str]) -> Metric {
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    Metric { name: name.to_owned(), groups: vec![group.to_owned()], names, ..Metric::default() }
}

fn metrics() -> Vec<Metric> {
    vec![
        metric("ab", "Small", &["a", "b", "inst"]),
        metric("cd", "Small", &["c", "d", "inst"]),
        metric("ua", "Small", &["a", "u"]),
        metric("large", "Big", &["a", "b", "c"]),
        metric("lost", "Big", &["a", "gone"]),
        metric("clocks", "Big", &["tsc"]),
    ]
}

fn kept(groups: &[&str]) -> anyhow::Result<(Vec<Event>, Kept)> {
    let groups: Vec<String> = groups.iter().map(|group| (*group).to_owned()).collect();
    let mut events = events();
    let kept = keep(&groups, &mut events, &metrics(), Setup::default())?;
    Ok((events, kept))
}

/// Those sharing a run's worth are one set; what another needs as well is counted again.
#[test]
fn a_group_keeps_each_of_its_metrics_together() {
    let (events, kept) = kept(&["small"]).unwrap();
    let names = |set: &Vec<usize>| -> Vec<&str> { set.iter().map(|at| events[*at].name.as_str()).collect() };
    assert_eq!(
        kept.sets.iter().map(names).collect::<Vec<_>>(),
        [vec!["inst", "a", "b", "u"], vec!["inst", "c", "d"]]
    );
    let places: Vec<_> = kept.wanted.iter().map(|(wanted, place)| (wanted.name.as_str(), *place)).collect();
    assert_eq!(places, [("ab", 0), ("cd", 1), ("ua", 0)]);
    assert_eq!((kept.again, events.len()), (1, 7));
    let problem = pose(&events, kept.sets.clone(), Setup::default());
    let plan = pack(&problem).unwrap();
    assert_eq!(validate::faults(&problem, &plan), Vec::<String>::new());
    assert!(plan.separated.is_empty() && plan.runs.len() == 2);
}

#[test]
fn a_metric_and_events_in_one_list_are_one_set() {
    let (_, kept) = kept(&["AB,u"]).unwrap();
    assert_eq!(kept.sets, [vec![0, 1, 2, 5]]);
}

#[test]
fn what_no_run_counts_at_once_is_told() {
    let (_, of_group) = kept(&["Big"]).unwrap();
    let apart: Vec<String> =
        of_group.apart.iter().map(|(name, reason)| format!("{name}: {reason}")).collect();
    assert_eq!(
        apart,
        [
            "lost: counts gone, which is not among the events planned for",
            "clocks: counts no event of a PMU",
            "large: no run can count 3 events (3 of cpu) at once"
        ]
    );
    let (_, of_list) = kept(&["a,b,c"]).unwrap();
    assert!(of_list.sets.is_empty() && of_list.apart[0].0 == "a,b,c");
    for (group, reason) in [
        ("large", "--keep-together large: no run can count 3 events (3 of cpu) at once"),
        ("lost", "metric lost counts gone"),
        ("nothing", "no event `nothing`"),
    ] {
        let error = kept(&[group]).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
}
