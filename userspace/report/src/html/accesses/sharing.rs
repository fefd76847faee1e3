//! Cache lines that look falsely shared: who uses which word of them.

use waytrace_model::access_report::{AccessReport, SharedLine, SharedWord};
use waytrace_model::units::format_count;

use super::{cell, frames_html, share_cell, table};
use crate::access_words::{share_pct, total};
use crate::markup::escape;
use crate::text::percent;

/// The suspects, most accesses first. That there is none is worth a line: it was looked for.
pub fn suspects(own: &AccessReport) -> String {
    let heading = "<h3>False-sharing suspects</h3>\n";
    if own.sharing.is_empty() {
        return format!(
            "{heading}<p class=\"note\">None among the samples: no line whose words several threads use apart, one of \
             them writing.</p>\n"
        );
    }
    let all = total(own);
    let row = |line: &SharedLine| {
        let of_line = line.loads.saturating_add(line.stores);
        let site = if line.frames.is_empty() { String::new() } else { frames_html(&line.frames) };
        let words: String = line.words.iter().map(word).collect();
        vec![
            format!(
                "<td><span class=\"mono\">{:#x}</span> <span class=\"place\">{}</span> {site}<ul>{words}</ul></td>",
                line.address,
                escape(&line.region)
            ),
            share_cell(share_pct(of_line, all)),
            cell(&percent(share_pct(line.stores, of_line))),
        ]
    };
    let rows: Vec<Vec<String>> = own.sharing.iter().map(row).collect();
    format!(
        "{heading}{}<p class=\"note\">Lines of 64 bytes of which several threads use different words, at least one of \
         them writing. Each write takes the line from the other CPUs; padding or a place of its own for each word mends it.</p>\n",
        table(&["Line", "Accesses", "Stores"], &rows)
    )
}

fn word(own: &SharedWord) -> String {
    format!(
        "<li>byte {}: thread {}, {} loads, {} stores</li>",
        own.offset,
        own.tid,
        format_count(own.loads as f64),
        format_count(own.stores as f64)
    )
}
