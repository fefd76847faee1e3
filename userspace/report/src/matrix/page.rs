//! The matrix as a self-contained page: the picture, a line on the pair under the pointer, the strongest pairs as a table,
//! and what was left out. Readable without JavaScript but for that line.

use std::io;

use super::svg::{Layout, draw};
use super::{Cell, Matrix, SIGNIFICANT};
use crate::base64;
use crate::markup::escape;

/// Pairs in the table.
const SHOWN: usize = 50;
const STYLE: &str = "body{font:14px/1.45 system-ui,'Segoe UI','Noto Sans','DejaVu Sans',sans-serif;color:#1c2430;margin:24px;background:#fff}\
svg{max-width:100%;height:auto}\
#told{position:sticky;top:0;background:#fff;padding:6px 0;min-height:1.5em;border-bottom:1px solid #dfe3e8}\
table{border-collapse:collapse;margin:8px 0 24px}td,th{padding:2px 14px 2px 0;text-align:left;border-bottom:1px solid #eceff2}\
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}code{font:12px ui-monospace,Consolas,'DejaVu Sans Mono',monospace}";
const SCRIPT: &str = include_str!("page.js");

/// The page.
///
/// # Errors
/// The compressor's.
pub fn page(matrix: &Matrix) -> io::Result<String> {
    let Layout { left, top, side, .. } = Layout::of(matrix);
    let place = format!("data-left=\"{left}\" data-top=\"{top}\" data-side=\"{side}\"");
    let picture = draw(matrix, &["id=\"matrix\"", &place])?;
    Ok(format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>{}</title>\n<style>{STYLE}</style>\n\
         <div id=\"told\">Point at a cell to see which events it is of.</div>\n{picture}\
         <h2>Strongest pairs</h2>\n{}<h2>Not in the matrix</h2>\n{}\
         <script type=\"application/json\" id=\"names\">{}</script>\n\
         <script type=\"text/plain\" id=\"cells\">{}</script>\n<script>{SCRIPT}</script>\n</html>\n",
        escape(&matrix.title),
        strongest(matrix),
        left_out(matrix),
        names(matrix),
        packed(matrix)
    ))
}

fn strongest(matrix: &Matrix) -> String {
    let size = matrix.events.len();
    let pair = |(row, column): (usize, usize)| Some((row, column, matrix.get(row, column)?));
    let mut pairs: Vec<(usize, usize, Cell)> =
        (0..size).flat_map(|row| (0..row).map(move |column| (row, column))).filter_map(pair).collect();
    pairs.sort_by(|one, other| other.2.coefficient.abs().total_cmp(&one.2.coefficient.abs()));
    pairs.retain(|(_, _, cell)| cell.q.is_some_and(|q| q < SIGNIFICANT));
    if pairs.is_empty() {
        return format!("<p>No pair is significant (q &lt; {SIGNIFICANT}).</p>\n");
    }
    let more = pairs.len().saturating_sub(SHOWN);
    let name = |at: usize| escape(matrix.events.get(at).map_or("", String::as_str));
    let row = |(one, other, cell): &(usize, usize, Cell)| {
        let q = cell.q.map_or_else(|| "-".to_owned(), |q| format!("{q:.2e}"));
        format!(
            "<tr><td><code>{}</code><td><code>{}</code><td class=\"n\">{:+.3}<td class=\"n\">{q}\n",
            name(*other),
            name(*one),
            cell.coefficient
        )
    };
    let rows: String = pairs.iter().take(SHOWN).map(row).collect();
    let rest =
        if more > 0 { format!("<p>And {more} more with q &lt; {SIGNIFICANT}.</p>\n") } else { String::new() };
    format!("<table><tr><th>Event<th>Event<th class=\"n\">r<th class=\"n\">q\n{rows}</table>\n{rest}")
}

fn left_out(matrix: &Matrix) -> String {
    if matrix.left_out.is_empty() {
        return "<p>Every event is in it.</p>\n".to_owned();
    }
    let row = |(name, why): &(String, String)| {
        format!("<tr><td><code>{}</code><td>{}\n", escape(name), escape(why))
    };
    format!("<table><tr><th>Event<th>Why\n{}</table>\n", matrix.left_out.iter().map(row).collect::<String>())
}

/// The names as JSON that cannot end its element.
fn names(matrix: &Matrix) -> String {
    let json = serde_json::to_string(&matrix.events).unwrap_or_else(|_| "[]".to_owned());
    json.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

/// Two bytes per pair, the lower first: 0 is unknown, else 1 to 20,001 from -1 to 1; the highest bit tells what is
/// significant.
fn packed(matrix: &Matrix) -> String {
    let pair = |cell: &Option<Cell>| match cell {
        None => 0u16,
        Some(cell) => {
            let step = ((cell.coefficient.clamp(-1.0, 1.0) + 1.0) * 10_000.0).round() as u16 + 1;
            step | if cell.q.is_some_and(|q| q < SIGNIFICANT) { 0x8000 } else { 0 }
        }
    };
    let bytes: Vec<u8> = matrix.cells.iter().flat_map(|cell| pair(cell).to_le_bytes()).collect();
    base64::encode(&bytes)
}
