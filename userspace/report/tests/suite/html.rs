//! The HTML page as text: every part is there, nothing from a run becomes markup, and size stays bounded.

use serde_json::Value;
use waytrace_model::detail::RunDetail;

use crate::fixture;

fn page(detail: &RunDetail) -> String {
    waytrace_report::html::page(detail, fixture::traced(detail)).expect("nothing to fail")
}

/// The page's embedded data, as a browser would read it.
fn data(page: &str) -> Value {
    let (_, rest) =
        page.split_once("<script type=\"application/json\" id=\"data\">").expect("the data element");
    let (json, _) = rest.split_once("</script>").expect("its end");
    serde_json::from_str(json).expect("valid JSON")
}

#[test]
fn all_parts_are_there() {
    let page = page(&fixture::run(300, true));
    for id in ["quality", "counters", "activity", "flame", "sites", "histograms", "traced", "provenance"] {
        assert!(page.contains(&format!("<section id=\"{id}\"")), "{id}");
    }
    for text in [
        "6.18.0 x86_64",
        "5f1e2d3c4b5a",
        "31.4% of the target",
        "no hardware PMU",
        "prefers-color-scheme: dark",
    ] {
        assert!(page.contains(text), "{text}");
    }
    assert!(!page.contains("{{"), "every slot is filled");
    let data = data(&page);
    assert_eq!(data["events"].as_array().map(Vec::len), Some(6));
    assert_eq!(data["points"]["merged"], 1);
    assert_eq!(data["traced"]["size"].as_array().map(Vec::len), Some(601));
    // The first four sites in turn, whatever their ids; the table has them in that order.
    let rows: Vec<_> = data["traced"]["site"].as_array().unwrap().iter().map(Value::as_u64).collect();
    assert_eq!(rows[..5], [None, Some(0), Some(1), Some(2), Some(3)]);
    assert!(data["flame"]["live"].is_array() && data["flame"]["peak"].is_array());
    assert_eq!(data["flame"]["bytes"][0], 80_000_000);
}

#[test]
fn phases_have_a_row_for_each_thread() {
    let detail = fixture::with_phases(fixture::run(50, true));
    let with = page(&detail);
    let (_, section) = with.split_once("<section id=\"phases\"").expect("the section");
    let section = section.split_once("</section>").expect("its end").0;
    assert!(with.contains("href=\"#phases\"") && section.contains("4 phases of 20.0ms task-clock each"));
    assert_eq!(section.matches("<tr><td>").count(), 2);
    assert!(section.contains("<td>3</td><td>1</td>"), "one of four is missing: {section}");
    assert!(!page(&fixture::run(50, true)).contains("#phases"), "nobody asked for them");
}

#[test]
fn nothing_is_loaded_from_elsewhere() {
    let page = page(&fixture::run(3, true));
    let outside: Vec<&str> = ["src=", "href=\"http", "url(http", "@import", "fetch(", "//cdn"]
        .into_iter()
        .filter(|needle| page.contains(needle))
        .collect();
    assert_eq!(outside, Vec::<&str>::new());
    assert!(page.contains("default-src 'none'"));
}

#[test]
fn hostile_names_stay_text() {
    let page = page(&fixture::hostile());
    assert!(!page.contains("<script>alert"), "a name became markup");
    assert_eq!(page.matches("</script>").count(), 2, "the data and the code end once each");
    assert!(!page.contains('\u{2028}') && !page.contains('\u{202e}') && !page.contains('\0'));
    assert!(page.contains("&lt;/script&gt;&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;"));
    let name = data(&page)["events"][0]["name"].as_str().unwrap_or_default().to_owned();
    assert!(name.starts_with("</script><script>alert(1)</script>\"'&<!--;"), "{name}");
    assert!(!name.contains('\u{202e}'), "text cannot change its direction on screen");
}

#[test]
fn slots_in_names_are_not_filled() {
    let mut detail = fixture::run(3, true);
    detail.report.run.name = "{{data}}{{script}}".into();
    assert_eq!(page(&detail).matches("<h1>{{data}}{{script}}</h1>").count(), 1);
}

#[test]
fn budgeted_runs_mark_estimates() {
    let page = page(&fixture::run(30, false));
    assert!(page.contains("~76.3MiB") && page.contains("±3.2%"));
    let data = data(&page);
    assert_eq!(data["mode"], "budgeted");
    assert!(data["flame"]["live"].is_null(), "not known is not zero");
    assert!(
        data["activity"]["bytes"].as_array().unwrap().contains(&Value::Null),
        "an unprobed window is a gap"
    );
}

#[test]
fn an_empty_run_has_a_page() {
    let page = page(&fixture::empty());
    let data = data(&page);
    assert!(data["activity"].is_null() && data["traced"].is_null());
    assert!(page.contains("no allocator found") && page.contains("not measured"));
}

#[test]
fn a_long_run_is_merged_and_keeps_its_totals() {
    let detail = fixture::run(100_000, true);
    let page = page(&detail);
    assert!(page.len() < 2_000_000, "{} bytes", page.len());
    let data = data(&page);
    assert_eq!(data["points"]["merged"], 67);
    let points = data["points"]["start_ns"].as_array().unwrap().len();
    assert!(points <= 1500);
    let event = &data["events"][2];
    let seconds = |i: usize| {
        let at = |name: &str| data["points"][name][i].as_f64().unwrap();
        (at("end_ns") - at("start_ns")) / 1e9
    };
    let threads = event["threads"].as_array().unwrap();
    let total: f64 = threads
        .iter()
        .map(|thread| (0..points).map(|i| thread["rates"][i].as_f64().unwrap() * seconds(i)).sum::<f64>())
        .sum();
    let expected = detail.report.counters[2].value.unwrap() as f64;
    assert!((total / expected - 1.0).abs() < 1e-4, "{total} is not {expected}");
    assert!(event["low"][3].as_f64() < event["high"][3].as_f64());
}
