//! Expressions whose events are known, and metrics of metrics.

use proptest::prelude::*;

use super::*;

fn event(name: &str, pmu: &str) -> Event {
    Event { name: name.to_owned(), pmu: pmu.to_owned(), ..Event::default() }
}

fn metric(name: &str, expression: &str) -> Metric {
    Metric { name: name.to_owned(), names: names(expression), ..Metric::default() }
}

#[test]
fn an_expression_speaks_of_events_and_of_nothing_else() {
    for (expression, expected) in [
        ("INST_RETIRED.ANY / cycles", vec!["inst_retired.any", "cycles"]),
        ("100 * d_ratio(a, b) / 1e9 + 0x10", vec!["a", "b"]),
        ("min(A.1_X, max(0, B - A.1_X)) if #SMT_on else #num_cores / 2.5", vec!["a.1_x", "b"]),
        (
            r"cha@UNC_CHA_A\,config1\=0x4@ / cpu@UOPS.X\,cmask\=1@",
            vec!["cha@unc_cha_a,config1=0x4@", "cpu@uops.x,cmask=1@"],
        ),
        ("cha@UNC_CHA_A,config1=0x4@/B", vec!["cha@unc_cha_a,config1=0x4@", "b"]),
        (r"LLC\-loads:u - (1 < tma_x)", vec!["llc-loads:u", "tma_x"]),
        ("a+a*a", vec!["a"]),
        ("", vec![]),
    ] {
        assert_eq!(names(expression), expected, "{expression}");
    }
}

#[test]
fn events_are_found_and_what_is_none_is_named() {
    let events = [
        event("inst_retired.any", "cpu_atom"),
        event("inst_retired.any", "cpu_core"),
        event("unc_cha_a", "uncore_cha"),
    ];
    let of = |metric: &Metric, metrics: &[Metric]| metric.counted(&events, metrics);
    let mut ipc = metric("ipc", "INST_RETIRED.ANY / missing / tsc * duration_time");
    assert_eq!((of(&ipc, &[]).events, of(&ipc, &[]).unknown), (vec![0], vec!["missing".to_owned()]));
    ipc.pmu = Some("cpu_core".to_owned());
    assert_eq!(of(&ipc, &[]).events, [1]);
    let named = metric("named", "cpu_core@INST_RETIRED.ANY@");
    assert_eq!((of(&named, &[]).events, of(&named, &[]).altered.len()), (vec![1], 0));
    let altered = metric("altered", r"cha@UNC_CHA_A\,config1\=0x4@ + INST_RETIRED.ANY:k");
    let counted = of(&altered, &[]);
    assert_eq!(
        (counted.events, counted.altered),
        (vec![0, 2], vec!["cha@unc_cha_a,config1=0x4@".to_owned()])
    );
}

/// Their register is read with the slots' counter; where there is none it cannot be.
#[test]
fn shares_of_slots_count_with_the_slots() {
    let events = [event("a", "cpu"), event("topdown.slots", "cpu")];
    let shares = metric(
        "shares",
        r"topdown\-retiring / (PERF_METRICS.BAD_SPECULATION + a) + FREERUN_PKG_ENERGY_STATUS",
    );
    assert_eq!(shares.counted(&events, &[]), Counted { events: vec![0, 1], ..Counted::default() });
    assert_eq!(shares.counted(&events[..1], &[]).unknown.len(), 2);
}

#[test]
fn metrics_of_metrics_count_what_those_count_and_circles_end() {
    let events = [event("a", "cpu"), event("b", "cpu"), event("c", "cpu")];
    let all = [metric("one", "a / two"), metric("two", "b + one + three"), metric("three", "c - nothing")];
    let counted = all[0].counted(&events, &all);
    assert_eq!((counted.events, counted.unknown), (vec![0, 1, 2], vec!["nothing".to_owned()]));
}

proptest! {
    #[test]
    fn any_text_has_names_of_its_own_letters(text in "[ -~äß]{0,120}") {
        for name in names(&text) {
            prop_assert!(name.chars().any(|c| c.is_ascii_alphabetic()), "{name}");
        }
    }
}
