//! The HTML page in a real browser: every drawing appears, gestures work, nothing fails, no name runs as code.

use std::path::PathBuf;
use std::process::Command;

use waytrace_model::detail::RunDetail;

use waytrace_report::View;

use crate::{accesses, fixture};

/// Runs before the page: whatever goes wrong ends up in an attribute of the document.
const RECORDER: &str = "<script>
const fail = text => document.documentElement.setAttribute('data-failed', text);
addEventListener('error', event => fail(event.message));
addEventListener('securitypolicyviolation', event => fail(event.violatedDirective));
window.alert = () => fail('a name ran as code');
</script>";

/// Runs after the page: uses it as a person would.
const VISITOR: &str = "<script>
const all = what => [...document.querySelectorAll(what)];
const point = (on, type, x, y) => { const box = on.getBoundingClientRect();
  on.dispatchEvent(new PointerEvent(type, {clientX: box.left + x, clientY: box.top + y, bubbles: true, pointerId: 1})); };
all('.chart svg, canvas').forEach(on => { on.setPointerCapture = () => {};
  point(on, 'pointermove', 300, 60); point(on, 'pointerdown', 200, 60); point(on, 'pointermove', 400, 60); point(on, 'pointerup', 400, 60);
  on.dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowRight', bubbles: true})); });
document.documentElement.setAttribute('data-zoomed', String(!document.getElementById('zoom-reset').hidden));
all('.choice button, .events button, .sites th button').forEach(on => on.click());
all('input').forEach(on => { on.value = 'sds'; on.dispatchEvent(new Event('input')); });
const frame = all('.flame g').at(-1);
if (frame) { point(frame, 'pointermove', 2, 2); frame.dispatchEvent(new MouseEvent('click', {bubbles: true})); }
all('.sites details').forEach(on => { on.open = true; });
setTimeout(() => document.documentElement.setAttribute('data-visited', 'yes'), 300);
</script>";

/// Uses the heat map, before [`VISITOR`] changes what is on screen: what it tells of its cells, and what gestures do.
const HEAT_VISITOR: &str = "<script>
const heat = document.querySelector('.heat .overlay');
if (heat) {
  const box = heat.getBoundingClientRect(), reset = document.getElementById('zoom-reset'), told = new Set();
  const note = (name, value) => document.documentElement.setAttribute('data-heat-' + name, String(value));
  const at = (type, x, y, more) => heat.dispatchEvent(new PointerEvent(type, {clientX: box.left + x, clientY: box.top + y, pointerId: 1, ...more}));
  const key = (key, more) => heat.dispatchEvent(new KeyboardEvent('keydown', {key, bubbles: true, ...more}));
  const tip = document.getElementById('tip');
  heat.setPointerCapture = () => {};
  for (let y = 7; y < 450; y += 3) for (let x = 300; x < 420; x += 20) { at('pointermove', x, y); if (!tip.hidden) told.add(tip.textContent); }
  note('told', [...told].join(' | '));
  const map = document.querySelector('.heat canvas');
  const colours = new Set(new Uint32Array(map.getContext('2d').getImageData(100, 10, map.width - 300, 400).data.buffer));
  note('colours', colours.size);
  const title = () => document.querySelector('#heat .bar > button:last-child').hidden;
  at('pointerdown', 200, 100); at('pointermove', 400, 300); at('pointerup', 400, 300);
  note('dragged', !reset.hidden && !title());
  key('Escape');
  note('whole', reset.hidden && title());
  key('+'); key('ArrowLeft', {shiftKey: true}); key('ArrowUp');
  note('keys', !reset.hidden && document.getElementById('live').textContent !== '');
  key('Escape');
  heat.dispatchEvent(new WheelEvent('wheel', {deltaY: -200, ctrlKey: true, clientX: box.left + 300, clientY: box.top + 100, cancelable: true}));
  requestAnimationFrame(() => { note('wheel', !reset.hidden); key('Escape'); });
}
</script>";

/// Chooses weights of the flame graph and notes what it then shows.
const FLAME_VISITOR: &str = "<script>
for (const weight of [...document.querySelectorAll('#flame .choice button')]) {
  weight.click();
  const shown = [...document.querySelectorAll('.flame g')].map(on => on.getAttribute('aria-label'));
  const name = 'data-flame-' + weight.textContent.toLowerCase().replaceAll(' ', '-');
  document.documentElement.setAttribute(name, shown.join(' | ') + ' # ' + document.querySelector('#flame .note').textContent);
}
</script>";

/// A directory of this process that goes when the test ends.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("waytrace-page-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a temporary directory");
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The document after a visit, or `None` where there is no Chromium.
fn visited(detail: &RunDetail, name: &str) -> Option<String> {
    let scratch = Scratch::new(name);
    let file = scratch.0.join("page.html");
    let page = waytrace_report::html::page(
        detail,
        fixture::traced(detail),
        accesses::accesses(detail),
        &View::default(),
    )
    .expect("nothing to fail");
    let page = page.replacen("<head>", &format!("<head>{RECORDER}"), 1);
    let page = page.replacen("</body>", &format!("{HEAT_VISITOR}{FLAME_VISITOR}{VISITOR}</body>"), 1);
    std::fs::write(&file, page).expect("our own directory");
    let output = Command::new("chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .args(["--window-size=1200,900", "--virtual-time-budget=3000", "--dump-dom"])
        .arg(format!("--user-data-dir={}", scratch.0.join("profile").display()))
        .arg(format!("file://{}", file.display()))
        .output()
        .ok()?;
    let document = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(document.contains("data-visited=\"yes\""), "{}", String::from_utf8_lossy(&output.stderr));
    let failed =
        document.split_once("data-failed=\"").map(|(_, rest)| rest.split('"').next().unwrap_or_default());
    assert_eq!(failed, None);
    Some(document)
}

fn section<'a>(document: &'a str, id: &str) -> &'a str {
    let (_, rest) = document.split_once(&format!("<section id=\"{id}\"")).expect("the section");
    rest.split_once("</section>").expect("its end").0
}

/// What a visitor noted.
fn attribute(document: &str, name: &str) -> String {
    let (_, rest) = document.split_once(&format!("{name}=\"")).expect("what the visitor noted");
    rest.split('"').next().unwrap_or_default().to_owned()
}

#[test]
fn the_page_works() {
    let Some(document) = visited(&fixture::run(300, true), "exact") else {
        println!("SKIP: no `chromium` here, so the page cannot be opened");
        return;
    };
    assert!(document.contains("data-zoomed=\"true\""), "dragging zooms");
    for id in ["counters", "activity", "histograms"] {
        assert!(
            section(&document, id).matches("<path").count() + section(&document, id).matches("<rect").count()
                > 3,
            "{id}"
        );
    }
    assert!(section(&document, "flame").contains("match"), "the search says what it found");
    assert!(section(&document, "sites").contains("_sdsnewlen"), "an opened row shows its stack");
    assert!(section(&document, "traced").contains("601 allocations"));
    let hostile = accesses::hostile(fixture::hostile());
    for (detail, name) in
        [(fixture::run(40, false), "budgeted"), (hostile, "hostile"), (fixture::empty(), "empty")]
    {
        visited(&detail, name);
    }
}

#[test]
fn the_heat_map_and_the_flame_graph_of_accesses_work() {
    let detail = accesses::with_accesses(fixture::run(300, true));
    let Some(document) = visited(&detail, "heat") else {
        println!("SKIP: no `chromium` here, so the page cannot be opened");
        return;
    };
    let noted = |name: &str| attribute(&document, &format!("data-heat-{name}"));
    let told = noted("told");
    for text in [
        "dictFind dict.c:512",
        "__memmove_avx_unaligned_erms",
        "[heap]",
        "[stack] ×",
        "48.0MiB in huge pages",
        "bio_aof 4244",
        "allocated by",
        "in blocks of",
        "0x5581",
    ] {
        assert!(told.contains(text), "{text}: {told}");
    }
    assert!(noted("colours").parse::<u32>().is_ok_and(|count| count > 10), "cells differ");
    for name in ["dragged", "whole", "keys", "wheel"] {
        assert_eq!(noted(name), "true", "{name}");
    }
    assert!(section(&document, "heat").contains("12,000 samples"));
    let all = accesses::sums(&detail, |_| Some(()))[&()];
    let dict = accesses::sums(&detail, |own| own.code)[&100];
    let pct = |part: u64, whole: u64| format!("{:.1}%", 100.0 * part as f64 / whole as f64);
    let of = |weight: &str| attribute(&document, &format!("data-flame-{weight}"));
    for (weight, part) in [("accesses", pct(dict.0 + dict.1, all.0 + all.1)), ("stores", pct(dict.1, all.1))]
    {
        let shown = of(weight);
        let dict = shown.split(" | ").find(|label| label.starts_with("dictFind, "));
        assert!(dict.is_some_and(|label| label.contains(&part)), "{weight}: {part} in {shown}");
        assert!(shown.contains(" | [heap], ") && shown.contains("A sample has no call stack"), "{shown}");
    }
    let bytes = of("bytes");
    assert!(bytes.starts_with("all, 76.3MiB, 100%") && !bytes.contains("[heap]"), "{bytes}");
    assert!(
        section(&document, "accesses").matches("<path").count() > 2,
        "the working set and the advice are drawn"
    );
}
