//! Steps of a minute and an hour tell the same as the windows they were made of.

use proptest::prelude::*;
use waytrace_model::monitor::{Fold, Metric, Step, TargetHistory};
use waytrace_store::{MonitorWriter, Retention};

use super::*;

fn keeping(windows: u64, minutes: u64) -> Retention {
    let seconds = |s| std::time::Duration::from_secs(s);
    Retention { windows: seconds(windows), minutes: seconds(minutes), ..Retention::default() }
}

const LONG: u64 = 400 * 86_400;

fn read(place: &Place, target: &str) -> TargetHistory {
    place.open().target_history(target, START, START + 24 * HOUR).unwrap()
}

fn assert_alike(whole: &TargetHistory, steps: &TargetHistory) {
    assert_eq!((whole.windows, whole.covered_ns), (steps.windows, steps.covered_ns));
    assert_eq!(whole.range.covered_ns, steps.range.covered_ns);
    assert_eq!(whole.metrics.len(), steps.metrics.len());
    for (one, other) in whole.metrics.iter().zip(&steps.metrics) {
        assert_eq!((one.metric, one.covered_ns), (other.metric, other.covered_ns));
        match one.metric.fold() {
            Fold::Sum => assert_eq!(one.total, other.total, "{:?}", one.metric),
            Fold::Level | Fold::Mean => {
                assert!((one.mean - other.mean).abs() <= one.mean.abs() * 1e-9, "{one:?} {other:?}");
            }
        }
    }
    let bytes = |history: &TargetHistory| history.sites.iter().map(|site| site.alloc_bytes).sum::<f64>();
    assert!((bytes(whole) - bytes(steps)).abs() < 1e-6 * bytes(whole).max(1.0));
    assert_eq!(whole.sizes, steps.sizes);
    assert_eq!(whole.absent, steps.absent);
}

#[test]
fn three_hours_read_alike_by_windows_minutes_and_hours() {
    let place = Place::new();
    let mut writer = begin(&place);
    for index in 0..1100 {
        writer.append(&window(index)).unwrap();
        if index % 7 == 0 {
            writer.tend(&keeping(LONG, LONG)).unwrap();
        }
    }
    tend(&mut writer, &keeping(LONG, LONG));
    let by_window = read(&place, "db");
    assert_eq!((by_window.range.step, by_window.points.len()), (Step::Window, 1100));
    let overview = place.open().history_overview(START, START + 4 * HOUR).unwrap();
    assert_eq!(overview.range.step, Step::Minute);
    assert_eq!((overview.loss["ring_full"], overview.targets[1].missing_ns), (550, 110 * WINDOW));

    tend(&mut writer, &keeping(0, LONG));
    let by_minute = read(&place, "db");
    // The minute under way is of 2 windows: index 1098 and 1099.
    assert_eq!((by_minute.range.step, by_minute.points.len()), (Step::Minute, 183 + 2));
    assert_alike(&by_window, &by_minute);

    tend(&mut writer, &keeping(0, 0));
    let by_hour = read(&place, "db");
    assert_eq!((by_hour.range.step, by_hour.points.len()), (Step::Hour, 4 + 2));
    assert_alike(&by_window, &by_hour);
    // A site in every third window is not lost among hundreds that came once.
    assert_eq!(by_hour.sites[0].name.as_deref(), Some("grow"));
    assert_eq!(by_hour.sites[0].alloc_bytes, by_window.sites[0].alloc_bytes);
    assert!(by_hour.sites.len() <= 21 && by_hour.sites.last().unwrap().name.is_none());
}

#[test]
fn a_clock_set_back_adds_to_the_minutes_there_are() {
    let place = Place::new();
    let mut writer = begin(&place);
    for index in 0..40 {
        let mut window = window(index);
        if index >= 20 {
            window.start_unix_ns -= 15 * WINDOW;
        }
        writer.append(&window).unwrap();
        writer.tend(&keeping(LONG, LONG)).unwrap();
    }
    tend(&mut writer, &keeping(LONG, LONG));
    let whole = read(&place, "db");
    assert_eq!(whole.windows, 40);
    let overview = place.open().history_overview(START, START + HOUR).unwrap();
    assert_eq!((overview.range.windows, overview.range.covered_ns), (40, 400 * SECOND));
    assert_eq!(overview.targets[0].means.get(Metric::Cpu), Some(2e8));
}

#[derive(Debug, Clone)]
enum Act {
    Window { values: Vec<Option<u16>>, length_s: u64, pause_s: u64 },
    Tend,
    Reopen,
}

fn act() -> impl Strategy<Value = Act> {
    let value = prop::option::weighted(0.8, any::<u16>());
    prop_oneof![
        8 => (prop::collection::vec(value, Metric::COUNT), 1..15u64, prop_oneof![4 => Just(0), 1 => 0..4000u64])
            .prop_map(|(values, length_s, pause_s)| Act::Window { values, length_s, pause_s }),
        3 => Just(Act::Tend),
        1 => Just(Act::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_no_window_is_lost_or_counted_twice(acts in prop::collection::vec(act(), 1..120)) {
        let place = Place::new();
        let mut writer: Option<MonitorWriter> = None;
        let (mut at, mut index) = (START, 0);
        let mut sums = [0.0; Metric::COUNT];
        for act in &acts {
            let open = writer.get_or_insert_with(|| begin(&place));
            match act {
                Act::Tend => drop(open.tend(&keeping(0, 600)).unwrap()),
                Act::Reopen => writer = None,
                Act::Window { values, length_s, pause_s } => {
                    let mut window = window(index);
                    (window.start_unix_ns, window.length_ns) = (at, length_s * SECOND);
                    window.start_boot_ns = at - START;
                    let given = Metric::ALL.iter().zip(values).filter_map(|(&m, v)| v.map(|v| (m, f64::from(v))));
                    window.targets[0].values = given.collect();
                    for (sum, value) in sums.iter_mut().zip(values) {
                        *sum += f64::from(value.unwrap_or(0));
                    }
                    open.append(&window).unwrap();
                    (at, index) = (at + (length_s + pause_s) * SECOND, index + 1);
                }
            }
        }
        prop_assume!(index > 0);
        let history = place.open().target_history("db", START, at + HOUR).unwrap();
        prop_assert_eq!(history.windows, index);
        for one in history.metrics.iter().filter(|one| one.metric.fold() == Fold::Sum) {
            prop_assert_eq!(one.total, Some(sums[one.metric.index()]));
        }
    }
}
