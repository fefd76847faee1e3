//! Entries of every dialect, with what each is known to mean.

use serde_json::{Value, json};

use super::*;

fn read(value: &Value) -> Result<Option<Event>, (String, Reason)> {
    let context = Context { pmu: "cpu".to_owned(), experimental: false };
    event(&Entry(value.as_object().unwrap()), &context)
}

fn one(value: &Value) -> Event {
    read(value).unwrap().unwrap()
}

#[test]
fn an_old_core_event() {
    let event = one(&json!({
        "EventCode": "0xB7, 0xBB", "UMask": "0x01", "EventName": "OFFCORE_RESPONSE.DEMAND_DATA_RD.L3_MISS",
        "BriefDescription": "Reads that miss", "PublicDescription": "Reads that miss", "Counter": "0,1,2,3",
        "CounterHTOff": "0,1,2,3,4,5,6,7", "SampleAfterValue": "100003", "MSRIndex": "0x1a6,0x1a7", "MSRValue": "0x3fbc000001",
        "TakenAlone": "0", "CounterMask": "0", "Invert": "0", "AnyThread": "0", "EdgeDetect": "0", "PEBS": "0", "Errata": "null",
        "Offcore": "1", "Deprecated": "0"
    }));
    assert_eq!((event.name.as_str(), event.pmu.as_str()), ("offcore_response.demand_data_rd.l3_miss", "cpu"));
    assert_eq!(
        (event.counters.general, event.counters.general_smt_off, event.counters.fixed),
        (0xf, 0xff, 0)
    );
    assert_eq!(event.fields.msr, Some(Msr { indices: vec![0x1a6, 0x1a7], value: 0x3f_bc00_0001 }));
    assert_eq!(
        (event.fields.codes.as_slice(), event.sample_period),
        ([0xb7, 0xbb].as_slice(), Some(100_003))
    );
    assert!(event.errata.is_empty() && event.details.is_none() && !event.deprecated);
}

#[test]
fn a_new_core_event_with_a_fixed_counter() {
    let event = one(&json!({
        "EventCode": "0x00", "UMask": "0x04", "EventName": "TOPDOWN.SLOTS", "BriefDescription": "Slots",
        "Counter": "Fixed counter 3", "PEBScounters": "35", "MSRIndex": "0x00", "MSRValue": "0x00", "Precise": "1",
        "Errata": "ADL038, ADL039"
    }));
    assert_eq!((event.counters.general, event.counters.fixed, event.precise), (0, 8, Precise::Possible));
    assert_eq!((event.fields.msr.as_ref(), event.errata.len()), (None, 2));
}

#[test]
fn fixed_counters_have_one_number_whatever_the_files_age() {
    for (name, text, bit) in [
        ("INST_RETIRED.ANY", "Fixed counter 1", 0),
        ("INST_RETIRED.ANY", "Fixed counter 0", 0),
        ("CPU_CLK_UNHALTED.REF_TSC", "Fixed counter 3", 2),
        ("CPU_CLK_UNHALTED.THREAD", "33", 1),
        ("SOMETHING.ELSE", "Fixed counter 4", 4),
    ] {
        let event = one(&json!({"EventName": name, "EventCode": "0x00", "Counter": text}));
        assert_eq!((event.counters.fixed, event.counters.general), (1 << bit, 0), "{name} {text}");
    }
}

#[test]
fn uncore_events_with_extensions_filters_and_masks() {
    let cha = one(&json!({
        "Unit": "CHA", "EventCode": "0x35", "UMask": "0x01", "UMaskExt": "0x00C8168A", "PortMask": "0x00", "FCMask": "0x00",
        "EventName": "UNC_CHA_TOR_INSERTS.IA", "Counter": "0", "Filter": "Filter1", "FILTER_VALUE": "0x40433", "ExtSel": "0"
    }));
    assert_eq!((cha.pmu.as_str(), cha.fields.umask, cha.counters.general), ("uncore_cha", 0xc816_8a01, 1));
    assert_eq!(cha.filters, [Filter { name: "Filter1".to_owned(), value: Some(0x40433) }]);
    let iio = one(&json!({
        "Unit": "IIO", "EventCode": "0x83", "UMask": "0x4", "PortMask": "0x01", "FCMask": "0x07", "EventName": "UNC_IIO_X",
        "Counter": "2,3", "Filter": "fc, chnl"
    }));
    assert_eq!((iio.fields.port_mask, iio.fields.fc_mask), (1, 7));
    assert!(iio.filters.len() == 2 && !iio.filters.iter().any(Filter::is_shared));
    let none = one(
        &json!({"Unit": "M2M", "EventName": "UNC_M2M_X", "EventCode": "0x1", "Counter": "0,1", "Filter": "na", "Errata": "0"}),
    );
    assert!(none.filters.is_empty() && none.errata.is_empty());
}

#[test]
fn uncore_counters_that_are_no_general_ones() {
    let fixed = one(
        &json!({"Unit": "iMC", "EventName": "UNC_M_DCLOCKTICKS", "EventCode": "0xff", "Counter": "FIXED"}),
    );
    assert_eq!((fixed.counters.general, fixed.counters.fixed, fixed.counters.unlimited), (0, 1, false));
    let free = one(&json!({
        "Unit": "IIO", "EventName": "UNC_IIO_BANDWIDTH_IN.PART0_FREERUN", "EventCode": "0xff", "UMask": "0x20", "Counter": "16",
        "CounterType": "FREERUN"
    }));
    assert_eq!((free.pmu.as_str(), free.counters.unlimited), ("uncore_iio_free_running", true));
}

#[test]
fn the_kernels_events_of_amd_and_arm() {
    let amd = one(&json!({
        "EventName": "l3_lookup_state.all_l3_req_typs", "EventCode": "0x04", "UMask": "0xff", "Unit": "L3PMC",
        "BriefDescription": "L3 requests"
    }));
    assert_eq!((amd.pmu.as_str(), amd.counters.is_unstated()), ("amd_l3", true));
    let core = one(&json!({"EventName": "ex_ret_instr", "EventCode": "0xc0", "BriefDescription": "Retired"}));
    assert_eq!((core.pmu.as_str(), core.encoding().as_str()), ("cpu", "event=0xc0"));
    let filtered = one(
        &json!({"EventName": "unc_c_tor", "Unit": "CBO", "EventCode": "0x35", "UMask": "0x3", "Filter": "filter_opc=0x182"}),
    );
    assert_eq!(filtered.encoding(), "event=0x35,umask=0x3,filter_opc=0x182");
    let whole = one(&json!({"EventName": "hisi", "Unit": "hisi_sccl,ddrc", "ConfigCode": "0x0"}));
    assert_eq!(whole.fields.terms, [("config".to_owned(), 0)]);
}

#[test]
fn what_is_no_event_is_none_and_what_is_wrong_has_a_name_and_a_reason() {
    assert_eq!(read(&json!({"MetricName": "IPC", "MetricExpr": "a / b"})), Ok(None));
    for (value, name, reason) in [
        (json!({"EventName": "A", "EventCode": "0xzz"}), "a", "`EventCode` is `0xzz`"),
        (json!({"EventName": "A", "EventCode": "1,2,3"}), "a", "3 event codes"),
        (json!({"EventName": "A", "EventCode": "1", "Counter": "0,x"}), "a", "lists no counters"),
        (json!({"EventName": "A", "SampleAfterValue": "2000003,5"}), "", ""),
        (json!({"EventName": "A", "SampleAfterValue": "1e6"}), "a", "no number"),
        (json!({"EventName": "A", "UMaskExt": "0xffffffffffffffff"}), "a", "too large"),
        (json!({"EventName": "A B"}), "a b", "no event name"),
        (json!({"EventName": "x".repeat(300)}), "xxx", "no event name"),
        (json!({"EventName": "A", "Filter": "opc=red"}), "a", "has no number"),
    ] {
        match read(&value) {
            Ok(event) => assert!(reason.is_empty() && event.is_some(), "{value}"),
            Err((named, why)) => {
                assert!(
                    !reason.is_empty() && named.starts_with(name) && why.contains(reason),
                    "{value}: {named}: {why}"
                );
            }
        }
    }
}
