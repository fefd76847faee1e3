//! One self-contained HTML page per run: no outside resources, no framework, readable without JavaScript as far
//! as totals go.
//!
//! The page is a fixed frame (`page/page.html`) whose slots are filled once, in one pass, so that nothing in a
//! run can fill another slot. Text is escaped here; the data for the drawings goes in as JSON that cannot end its
//! `<script>` element, and the scripts only ever set text nodes.

mod accesses;
mod data;
mod facts;
mod phases;

use waytrace_model::access::Access;
use waytrace_model::allocation::TracedAllocation;
use waytrace_model::detail::RunDetail;

use crate::markup::escape;
use crate::{Cause, Error, View, terminal};

const FRAME: &str = include_str!("page/page.html");
const STYLE: &[&str] = &[include_str!("page/style.css"), include_str!("page/widgets.css")];
const SCRIPTS: &[&str] = &[
    include_str!("page/format.js"),
    include_str!("page/dom.js"),
    include_str!("page/time.js"),
    include_str!("page/timeline.js"),
    include_str!("page/counters.js"),
    include_str!("page/activity.js"),
    include_str!("page/histogram.js"),
    include_str!("page/sites.js"),
    include_str!("page/flame.js"),
    include_str!("page/traced.js"),
    include_str!("page/unpack.js"),
    include_str!("page/plane.js"),
    include_str!("page/bins.js"),
    include_str!("page/told.js"),
    include_str!("page/heat.js"),
    include_str!("page/working.js"),
    include_str!("page/main.js"),
];

/// Width of the plain-text summary inside the page.
const SUMMARY_WIDTH: usize = 100;

/// The page of a run. Long series are merged to at most 1,500 points and long lists cut; the page says where. Its heat map
/// is made of what `view` shows of `accesses`, at most a million samples of it.
///
/// # Errors
/// [`Error::Read`] when `traced` fails, [`Error::ReadAccesses`] when `accesses` does.
pub fn page<E: Into<Cause>, F: Into<Cause>>(
    detail: &RunDetail,
    traced: impl Iterator<Item = Result<TracedAllocation, E>>,
    accesses: impl Iterator<Item = Result<Access, F>>,
    view: &View,
) -> Result<String, Error> {
    let data = data::Data::of(detail, traced, accesses, view)?;
    Ok(fill(FRAME, |slot| match slot {
        "title" => escape(&detail.report.run.name),
        "style" => STYLE.concat(),
        "facts" => facts::header(&detail.report),
        "tiles" => facts::tiles(&detail.report),
        "quality" => facts::quality(&detail.report),
        "phases-link" => phases::link(detail.report.phases.as_ref()).to_owned(),
        "phases" => phases::section(
            detail.report.phases.as_ref(),
            &detail.phases,
            &detail.events,
            &detail.report.target.threads,
        ),
        "accesses-links" => accesses::links(detail.report.accesses.as_ref()).to_owned(),
        "accesses" => accesses::section(&detail.report),
        "provenance" => facts::provenance(&detail.report),
        "summary" => escape_lines(&terminal::summary(&detail.report, SUMMARY_WIDTH)),
        "data" => script_safe(&data),
        "script" => SCRIPTS.concat(),
        _ => String::new(),
    }))
}

/// Replaces every `{{slot}}` of `frame`; what is put in is not looked at again.
fn fill(frame: &str, slot: impl Fn(&str) -> String) -> String {
    let mut page = String::with_capacity(frame.len() + (1 << 18));
    let mut rest = frame;
    while let Some((before, (name, after))) =
        rest.split_once("{{").and_then(|(before, tail)| Some((before, tail.split_once("}}")?)))
    {
        page.push_str(before);
        page.push_str(&slot(name));
        rest = after;
    }
    page.push_str(rest);
    page
}

fn escape_lines(text: &str) -> String {
    text.lines().map(escape).collect::<Vec<_>>().join("\n")
}

/// JSON that is inert inside `<script>`: no `<`, `>` or `&`, and no line separators JavaScript knows and JSON
/// does not. All of them can only be inside strings, where the escape means the same character.
fn script_safe(data: &data::Data<'_>) -> String {
    // Nothing in `Data` can fail to serialise: keys are field names, and the writer is a String.
    let json = serde_json::to_string(data).unwrap_or_else(|_| "null".to_owned());
    let mut safe = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => safe.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_filled_once() {
        let page = fill("a {{x}} b {{y}} {{open", |slot| format!("<{slot} {{{{y}}}}>"));
        assert_eq!(page, "a <x {{y}}> b <y {{y}}> {{open");
    }

    #[test]
    fn text_cannot_become_markup() {
        assert_eq!(escape("<a href='x'>\"&\u{0}"), "&lt;a href=&#39;x&#39;&gt;&quot;&amp;\u{fffd}");
    }
}
