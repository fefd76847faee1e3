//! The plot: cells that hold every sample, text that stays text, and a size that no run exceeds.

use waytrace_report::{Error, View, plot};

use crate::{accesses, fixture, text};

fn drawing(view: &View) -> String {
    let detail = accesses::with_accesses(fixture::run(300, true));
    text(|out| plot::write(&detail, fixture::traced(&detail), accesses::accesses(&detail), view, out))
}

/// Elements are closed in the order they were opened; quotes and entities are whole.
fn well_formed(svg: &str) {
    let mut open = Vec::new();
    for tag in svg.split('<').skip(1) {
        let (tag, text) = tag.split_once('>').expect("a tag ends");
        assert!(!text.contains('>') && tag.matches('"').count() % 2 == 0, "{tag}");
        let entity =
            |part: &str| ["amp;", "lt;", "gt;", "quot;", "#39;"].iter().any(|known| part.starts_with(known));
        assert!(text.split('&').skip(1).all(entity), "{text}");
        let name = tag.split([' ', '/']).find(|part| !part.is_empty()).unwrap_or_default();
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name), "{tag}");
        } else if !tag.ends_with('/') {
            open.push(name);
        }
    }
    assert_eq!(open, Vec::<&str>::new());
}

#[test]
fn mappings_and_scales_are_named() {
    let svg = drawing(&View::default());
    well_formed(&svg);
    for text in [
        "[heap]",
        "[stack] ×",
        "libc.so.6",
        "48.0MiB huge",
        "12.0k samples",
        "forward walk",
        ">30s<",
        "558130000000",
    ] {
        assert!(svg.contains(text), "{text}");
    }
}

/// A second of a single page: one row of cells, at most as wide as the unit allows.
#[test]
fn a_view_cuts_the_picture() {
    let detail = accesses::with_accesses(fixture::run(300, true));
    let data = &detail.regions[4];
    let view = View {
        block_min: data.start,
        block_max: data.start + 4095,
        time_max_ns: Some(10_000_000_000),
        time_unit_ns: 1_000_000_000,
        ..View::default()
    };
    let count = accesses::accesses(&detail)
        .flatten()
        .filter(|own| (data.start..data.start + 4096).contains(&own.address) && own.at_ns < 10_000_000_000);
    let svg = drawing(&view);
    assert!(svg.contains(&format!(">{} samples over 4.00KiB", count.count())), "{svg}");
    assert!(svg.contains("a cell is 1.00s × 4.00KiB"), "{svg}");
    assert!(!svg.contains("[heap]"));
}

#[test]
fn a_long_run_makes_no_larger_picture() {
    let detail = accesses::with_accesses(fixture::run(300, true));
    let many = accesses::samples(1_200_000, detail.report.run.duration_ns);
    let svg = text(|out| plot::write(&detail, fixture::traced(&detail), many, &View::default(), out));
    assert!(svg.len() < 1_500_000, "{} bytes", svg.len());
    assert!(svg.contains("of 1.20M samples, chosen evenly"));
}

#[test]
fn hostile_names_stay_text() {
    let detail = accesses::hostile(fixture::hostile());
    let samples = accesses::accesses(&detail);
    let svg = text(|out| plot::write(&detail, fixture::traced(&detail), samples, &View::default(), out));
    well_formed(&svg);
    assert!(!svg.contains("<script>") && !svg.contains('\u{202e}') && !svg.contains('\0'));
}

#[test]
fn nothing_to_draw_is_said() {
    let detail = fixture::run(3, true);
    let samples = accesses::accesses(&detail);
    let error = plot::write(&detail, fixture::traced(&detail), samples, &View::default(), &mut Vec::new())
        .unwrap_err();
    assert!(matches!(error, Error::NoAccesses { .. }));
    assert!(error.to_string().contains("--collect accesses"), "{error}");
}
