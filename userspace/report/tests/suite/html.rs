//! The HTML page as text: every part is there, nothing from a run becomes markup, and size stays bounded.

use serde_json::Value;
use waytrace_model::detail::RunDetail;

use waytrace_report::View;

use crate::{accesses, fixture};

fn page(detail: &RunDetail) -> String {
    waytrace_report::html::page(detail, fixture::traced(detail), accesses::accesses(detail), &View::default())
        .expect("nothing to fail")
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

/// Sums of the flame graph's nodes by name, whatever the path to them.
fn by_name(data: &Value, weight: &str) -> std::collections::BTreeMap<String, u64> {
    let own = &data["flame_accesses"];
    let column = |name: &str| own[name].as_array().expect("a column").iter().filter_map(Value::as_u64);
    let mut sums = std::collections::BTreeMap::new();
    for (frame, value) in column("frame").zip(column(weight)) {
        let name = data["frames"][frame as usize]["name"].as_str().unwrap_or_default().to_owned();
        *sums.entry(name).or_default() += value;
    }
    sums
}

/// The tree's sums are those of the samples, by function and by mapping; cycles where they are told.
#[test]
fn the_flame_graph_has_accesses_too() {
    let detail = accesses::with_accesses(fixture::run(300, true));
    let told = data(&page(&detail));
    let (by_code, by_region) =
        (accesses::sums(&detail, |own| own.code), accesses::sums(&detail, |own| own.region));
    let all = accesses::sums(&detail, |_| Some(()))[&()];
    for (weight, of) in [
        ("accesses", (|(loads, stores)| loads + stores) as fn((u64, u64)) -> u64),
        ("loads", |sums| sums.0),
        ("stores", |sums| sums.1),
    ] {
        let found = by_name(&told, weight);
        assert_eq!(told["flame_accesses"][weight][0], of(all), "{weight}");
        assert_eq!(found["dictFind"], of(by_code[&100]), "{weight}");
        assert_eq!(found["[stack]"], of(by_region[&30]), "{weight}");
    }
    assert!(told["flame_accesses"]["latency"].is_null(), "the walk tells none");
    let precise = accesses::precise(&detail);
    let page = waytrace_report::html::page(&detail, fixture::traced(&detail), precise, &View::default());
    let told = data(&page.expect("nothing to fail"));
    assert_eq!(told["flame_accesses"]["accesses"][0], 1000 * (all.0 + all.1));
    assert_eq!(told["flame_accesses"]["latency"][0], 40 * 1000 * all.0);
    assert_eq!(by_name(&told, "latency")["dictFind"], 40 * 1000 * by_code[&100].0);
    assert!(data(&self::page(&fixture::run(300, true)))["flame_accesses"].is_null(), "none were sampled");
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

/// What the page's scripts do: base64 (RFC 4648), then varints of seven bits.
fn unpacked(text: &str) -> Vec<u64> {
    let digit = |c: u8| match c {
        b'A'..=b'Z' => c - b'A',
        b'a'..=b'z' => c - b'a' + 26,
        b'0'..=b'9' => c - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let digits: Vec<u8> = text.bytes().filter(|c| *c != b'=').map(digit).collect();
    let bytes = digits.chunks(4).flat_map(|chunk| {
        let word =
            chunk.iter().fold(0u32, |word, digit| word << 6 | u32::from(*digit)) << (6 * (4 - chunk.len()));
        [(word >> 16) as u8, (word >> 8) as u8, word as u8].into_iter().take(chunk.len() - 1)
    });
    let (mut values, mut value, mut shift) = (Vec::new(), 0, 0);
    for byte in bytes {
        value |= u64::from(byte & 0x7f) << shift;
        shift += 7;
        if byte < 0x80 {
            values.push(std::mem::take(&mut value));
            shift = 0;
        }
    }
    values
}

fn number(value: &Value) -> u64 {
    value.as_u64().expect("a number")
}

/// Every sample comes out of the packed columns with its time, address, direction, function and site.
#[test]
fn the_heat_map_holds_every_sample() {
    let detail = accesses::with_accesses(fixture::run(300, true));
    let data = data(&page(&detail));
    let heat = &data["heat"];
    let column = |name: &str| unpacked(heat[name].as_str().unwrap_or_default());
    let (at, what, place) = (column("at"), column("what"), column("place"));
    assert_eq!((number(&heat["shown"]), number(&heat["count"])), (accesses::COUNT, accesses::COUNT));
    assert!(heat["weight"].is_null(), "each stands for one");
    let mut height = 0;
    let stretches: Vec<(u64, u64, u64, u64)> = heat["stretches"]
        .as_array()
        .unwrap()
        .iter()
        .map(|own| {
            let start = u64::from_str_radix(own[1].as_str().unwrap(), 16).unwrap();
            let own = (height, start, number(&own[2]), number(&own[3]));
            height += own.2 * own.3;
            own
        })
        .collect();
    assert_eq!(number(&heat["height"]), height);
    let mut samples: Vec<_> = accesses::accesses(&detail).flatten().collect();
    samples.sort_by_key(|access| access.at_ns);
    let (mut now_us, mut heights) = (0, std::collections::HashMap::new());
    for (i, access) in samples.iter().enumerate() {
        now_us += at[i];
        assert_eq!(now_us, access.at_ns / 1000);
        let maker = |of: usize| number(&heat["makers"][of][(what[i] / 2) as usize]) as usize;
        let code = maker(0);
        let step = (place[i] >> 1) as i64 ^ -((place[i] & 1) as i64);
        let height: &mut i64 = heights.entry(code).or_default();
        *height += step;
        let (from, start, _, scale) =
            stretches.iter().rev().find(|(from, ..)| *from <= *height as u64).expect("a stretch");
        assert_eq!(start + (*height as u64 - from) / scale, access.address);
        let frame = &data["frames"][number(&heat["code"][code]) as usize];
        let known = detail.code.iter().find(|own| Some(own.id) == access.code).unwrap();
        assert_eq!(frame["name"].as_str(), known.frames[0].function.as_deref());
        assert_eq!(what[i] % 2 == 1, access.kind == waytrace_model::access::AccessKind::Store);
        let thread = heat["threads"][maker(1)].as_str().unwrap();
        assert!(thread.ends_with(&access.tid.to_string()), "{thread}");
        let row = (maker(2) > 0).then(|| number(&heat["sites"][maker(2) - 1]) as usize);
        let block =
            access.block.map(|block| detail.sites.iter().position(|own| own.id == block.site).unwrap());
        assert_eq!(row, block, "the fixture's sites are in the table's order");
    }
}

#[test]
fn a_view_cuts_the_heat_map() {
    let detail = accesses::with_accesses(fixture::run(300, true));
    let heap = &detail.regions[0];
    let view = View {
        block_min: heap.start,
        block_max: heap.end - 1,
        time_min_ns: 10_000_000_000,
        time_max_ns: Some(20_000_000_000),
        ..View::default()
    };
    let inside = accesses::accesses(&detail)
        .flatten()
        .filter(|own| own.region == Some(heap.id) && (10_000_000_000..20_000_000_000).contains(&own.at_ns));
    let page =
        waytrace_report::html::page(&detail, fixture::traced(&detail), accesses::accesses(&detail), &view);
    let data = data(&page.unwrap());
    assert_eq!(number(&data["heat"]["count"]), inside.count() as u64);
    assert_eq!(number(&data["heat"]["from_ns"]), 10_000_000_000);
    assert_eq!(data["heat"]["regions"].as_array().map(Vec::len), Some(1));
    assert_eq!(data["heat"]["blocks"].as_array().map(Vec::len), Some(0));
}

#[test]
fn accesses_have_tables_that_need_no_scripts() {
    let detail = accesses::with_accesses(fixture::run(300, true));
    let with = page(&detail);
    let (_, section) = with.split_once("<section id=\"accesses\"").expect("the section");
    let section = section.split_once("</section>").expect("its end").0;
    let own = detail.report.accesses.as_ref().unwrap();
    let share = |part: u64| format!("{:.1}%", 100.0 * part as f64 / (own.loads + own.stores) as f64);
    for text in [
        "12.0k (96.2%): the access is known".to_owned(),
        "99.2% of 120 walks".to_owned(),
        "a branch depends on a value that was not captured".to_owned(),
        "<td class=\"never-touched\">never touched</td>".to_owned(),
        "thread 4244, 10 loads, 60 stores".to_owned(),
        "<b>16.0MiB</b> of 126MiB at no more than 1% of the accesses".to_owned(),
        share(own.regions[0].loads + own.regions[0].stores),
        share(own.functions[0].loads + own.functions[0].stores),
    ] {
        assert!(section.contains(&text), "{text}");
    }
    assert!(with.contains("href=\"#heat\""));
    let without = page(&fixture::run(3, true));
    assert!(
        !without.contains("#heat\"") && !without.contains("<section id=\"heat\""),
        "nobody asked for them"
    );
}

#[test]
fn a_source_of_accesses_that_fails_is_an_error() {
    let detail = accesses::with_accesses(fixture::run(3, true));
    let failing =
        accesses::accesses(&detail).take(3).map(|row| Ok(row.unwrap())).chain([Err("the disk is gone")]);
    let error = waytrace_report::html::page(&detail, fixture::traced(&detail), failing, &View::default())
        .unwrap_err();
    assert_eq!(error.to_string(), "cannot read the sampled accesses");
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
    let page = page(&accesses::hostile(fixture::hostile()));
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
