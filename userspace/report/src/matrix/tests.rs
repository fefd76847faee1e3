//! Tests: cells stand where they belong, and no name leaves its place.

use std::io::Read as _;

use super::*;

/// Three events: the first two go together, the third against them by chance only.
fn matrix() -> Matrix {
    let cell = |coefficient, q| Some(Cell { coefficient, q: Some(q) });
    Matrix {
        title: "Events of <a & b>".to_owned(),
        note: "Pearson".to_owned(),
        events: vec!["one".to_owned(), "two".to_owned(), "</script><b>\"three\"".to_owned()],
        cells: vec![cell(1.0, 0.001), cell(-0.5, 0.4), None],
        left_out: vec![("zero<".to_owned(), "never occurred".to_owned())],
    }
}

fn text(write: impl Fn(&Matrix, &mut Vec<u8>) -> Result<(), Error>, matrix: &Matrix) -> String {
    let mut out = Vec::new();
    write(matrix, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// Pixels of the picture within, read back.
fn pixels(svg: &str) -> Vec<u8> {
    let data = svg.split_once("base64,").unwrap().1.split_once('"').unwrap().0;
    let digit = |c: u8| match c {
        b'A'..=b'Z' => c - b'A',
        b'a'..=b'z' => c - b'a' + 26,
        b'0'..=b'9' => c - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let mut png = Vec::new();
    for four in data.trim_end_matches('=').as_bytes().chunks(4) {
        let all = (0..4).fold(0u32, |all, at| all << 6 | u32::from(four.get(at).map_or(0, |c| digit(*c))));
        png.extend(&all.to_be_bytes()[1..four.len()]);
    }
    let at = png.windows(4).position(|four| four == b"IDAT").unwrap();
    let length = u32::from_be_bytes(png[at - 4..at].try_into().unwrap()) as usize;
    let mut rows = Vec::new();
    flate2::read::ZlibDecoder::new(&png[at + 4..at + 4 + length]).read_to_end(&mut rows).unwrap();
    rows
}

#[test]
fn a_square_of_coefficients() {
    assert_eq!(
        text(csv, &matrix()),
        "event,one,two,\"</script><b>\"\"three\"\"\"\none,1,1,-0.5\ntwo,1,1,\n\"</script><b>\"\"three\"\"\",-0.5,,1\n"
    );
}

#[test]
fn every_pair_has_its_pixel() {
    let rows = pixels(&text(svg, &matrix()));
    // Filter byte, then the row: 127 is +1; -0.5 is 31.5 steps above -1, and pale; 0 is unknown.
    assert_eq!(rows, [0, 127, 127, 1 + 32 + 127, 0, 127, 127, 0, 0, 1 + 32 + 127, 0, 127]);
}

#[test]
fn names_stay_text() {
    let page = text(html, &matrix());
    assert_eq!(page.matches("</script>").count(), 3, "only the page's own");
    assert!(!page.contains("<b>") && page.contains("zero&lt;") && page.contains("a &amp; b"));
    assert!(page.contains("<code>one</code><td><code>two</code><td class=\"n\">+1.000"), "{page}");
    assert!(!page.contains("-0.500"), "what may be chance is no strong pair");
}

#[test]
fn nothing_and_very_much_can_be_drawn() {
    let empty = Matrix { events: Vec::new(), cells: Vec::new(), ..matrix() };
    assert!(text(svg, &empty).ends_with("</svg>\n"));
    let size = 600;
    let large = Matrix {
        events: (0..size).map(|at| format!("event_{at}")).collect(),
        cells: vec![None; size * (size - 1) / 2],
        ..matrix()
    };
    let drawn = text(svg, &large);
    assert!(drawn.len() < 100_000, "{} bytes", drawn.len());
    assert!(drawn.matches("<text").count() < 2 * 120, "only names that can be read");
}
