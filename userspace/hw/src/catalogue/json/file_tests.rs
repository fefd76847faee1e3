//! Whole files: their shapes, and everything that is none.

use proptest::prelude::*;

use super::*;

fn read(text: &str) -> Result<Parsed, String> {
    let context = Context { pmu: "cpu".to_owned(), experimental: false };
    parse(text.as_bytes(), &context, &StandardEvents::new())
}

const EVENT: &str = r#"{"EventName": "A.B", "EventCode": "0x3c", "Counter": "0,1"}"#;

#[test]
fn a_list_and_a_list_with_a_header_are_the_same() {
    let old = read(&format!("[{EVENT}]")).unwrap();
    let new =
        read(&format!(r#"{{"Header": {{"Version": "1"}}, "Events": [{EVENT}], "More": [1]}}"#)).unwrap();
    assert_eq!(old.events, new.events);
    assert_eq!(old.events[0].name, "a.b");
}

#[test]
fn a_bad_entry_spoils_no_other_and_is_named() {
    let parsed =
        read(&format!(r#"[{EVENT}, {{"EventName": "BAD", "EventCode": "?"}}, 7, {{}}, {EVENT}]"#)).unwrap();
    assert_eq!(parsed.events.len(), 2);
    let names: Vec<&str> = parsed.rejected.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["bad", "entry 3"]);
}

#[test]
fn what_is_no_file_of_events_says_where_it_goes_wrong() {
    for (text, reason) in [
        ("", "EOF"),
        ("[", "EOF"),
        (&format!("[{EVENT}"), "EOF"),
        (&format!("[{EVENT}] x"), "trailing"),
        ("{}", "no list `Events`"),
        (r#"{"Events": 7}"#, "expected a list of events"),
        ("\"text\"", "expected a list of events"),
        (&"[".repeat(100_000), "recursion limit"),
        (&format!("[{}", r#"{"a":"#.repeat(100_000)), "recursion limit"),
        (r#"[{"EventName": "\ud800"}]"#, "line 1"),
    ] {
        let error = read(text).unwrap_err();
        assert!(error.contains(reason), "{}: {error}", text.get(..20).unwrap_or(text));
    }
    assert!(parse(b"[{\"EventName\": \"\xff\"}]", &Context::default(), &StandardEvents::new()).is_err());
}

#[test]
fn a_list_beyond_all_measure_is_refused() {
    let text = format!("[{}0]", "0,".repeat(limits::EVENTS));
    assert!(read(&text).unwrap_err().contains("more than 200000 entries"));
    let rejected = read(&format!("[{}0]", "0,".repeat(5000))).unwrap().rejected;
    assert_eq!(rejected.len(), limits::REJECTED);
}

#[test]
fn arms_standard_events_are_filled_in() {
    let mut all = StandardEvents::new();
    standard(
        br#"[{"EventName": "L1I_CACHE_REFILL", "EventCode": "0x01", "BriefDescription": "Refills"}]"#,
        &mut all,
    )
    .unwrap();
    let text = r#"[{"ArmStdEvent": "l1i_cache_refill", "BriefDescription": "Of this core"}, {"ArmStdEvent": "NONE_SUCH"}]"#;
    let parsed =
        parse(text.as_bytes(), &Context { pmu: "cpu".to_owned(), experimental: false }, &all).unwrap();
    assert_eq!(
        (parsed.events[0].name.as_str(), parsed.events[0].encoding().as_str()),
        ("l1i_cache_refill", "event=0x1")
    );
    assert_eq!(parsed.events[0].description, "Of this core");
    assert_eq!(parsed.rejected[0].0, "NONE_SUCH");
}

/// Values that stand where the files have others.
fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[0-9a-fx, .=-]{0,12}".prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
        Just(serde_json::json!([[{}]])),
    ]
}

const KEYS: [&str; 22] = [
    "EventName",
    "EventCode",
    "UMask",
    "UMaskExt",
    "Counter",
    "CounterHTOff",
    "MSRIndex",
    "MSRValue",
    "Filter",
    "FILTER_VALUE",
    "Errata",
    "TakenAlone",
    "Precise",
    "PEBS",
    "Unit",
    "CounterType",
    "SampleAfterValue",
    "PortMask",
    "ExtSel",
    "Deprecated",
    "ConfigCode",
    "ArmStdEvent",
];

proptest! {
    #[test]
    fn any_bytes_are_events_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&bytes, &Context::default(), &StandardEvents::new());
    }

    #[test]
    fn any_entry_is_an_event_or_a_reason(fields in proptest::collection::hash_map(proptest::sample::select(&KEYS[..]), value(), 0..12)) {
        let mut entry: Map<String, Value> = fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        entry.entry("EventName").or_insert_with(|| "A".into());
        let parsed = read(&Value::from(vec![Value::from(entry)]).to_string()).unwrap();
        prop_assert!(parsed.events.len() + parsed.rejected.len() <= 1);
        for event in parsed.events {
            let text = serde_json::to_string(&event).unwrap();
            prop_assert_eq!(serde_json::from_str::<Event>(&text).unwrap(), event.clone());
            event.encoding();
        }
    }

    #[test]
    fn a_damaged_file_is_no_panic(at in 0usize..500, byte in any::<u8>(), cut in 0usize..500) {
        let mut bytes = format!(r#"{{"Header": {{}}, "Events": [{EVENT}, {EVENT}, {EVENT}]}}"#).into_bytes();
        let at = at % bytes.len();
        bytes[at] = byte;
        bytes.truncate(bytes.len() - cut % bytes.len());
        let _ = parse(&bytes, &Context::default(), &StandardEvents::new());
    }
}
