//! Accesses by the function that makes them, each opening into its lines.

use waytrace_model::access_report::{AccessReport, FunctionAccesses};

use super::{cell, frames_html, omitted, share_cell, table};
use crate::access_words::{share_pct, total};
use crate::markup::escape;
use crate::text::percent;

const FUNCTIONS_MAX: usize = 25;

/// The functions, most accesses first.
pub fn functions(own: &AccessReport) -> String {
    if own.functions.is_empty() {
        return String::new();
    }
    let all = total(own);
    let row = |function: &FunctionAccesses| {
        let made = function.loads.saturating_add(function.stores);
        vec![
            format!("<td>{}</td>", with_lines(function, made)),
            share_cell(share_pct(made, all)),
            cell(&percent(share_pct(function.stores, made))),
        ]
    };
    let rows: Vec<Vec<String>> = own.functions.iter().take(FUNCTIONS_MAX).map(row).collect();
    format!(
        "<h3>Functions and lines</h3>\n{}{}",
        table(&["Function", "Accesses", "Stores"], &rows),
        omitted(own.functions.len(), FUNCTIONS_MAX, "functions")
    )
}

fn with_lines(function: &FunctionAccesses, made: u64) -> String {
    let head = frames_html(&function.frames);
    if function.lines.is_empty() {
        return head;
    }
    let line = |own: &waytrace_model::access_report::LineAccesses| {
        let of_line = own.loads.saturating_add(own.stores);
        format!(
            "<li><span class=\"mono\">{}:{}</span> <span class=\"place\">{} of it, {} stores</span></li>",
            escape(&own.file),
            own.line,
            percent(share_pct(of_line, made)),
            percent(share_pct(own.stores, of_line))
        )
    };
    let lines: String = function.lines.iter().map(line).collect();
    format!("<details><summary>{head}</summary><ul>{lines}</ul></details>")
}
