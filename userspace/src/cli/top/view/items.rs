//! Rows with numbers: targets, or the processes of one.

use waytrace_model::monitor::Metric;

use super::super::columns::{By, Item, Layout, layout};
use super::super::state::{Frame, List, State};
use super::super::text::width;
use super::paper::{Paper, Side};
use super::spark::sparkline;

/// What is drawn, and where one is in it.
pub struct Rows<'a> {
    /// Title of the names.
    pub title: &'a str,
    /// The rows in order.
    pub items: &'a [(usize, Item<'a>)],
    /// The window they are of.
    pub frame: &'a Frame,
    /// Whether each row's past is known by its place among the targets.
    pub have_past: bool,
}

/// Draws the titles and the rows that are seen.
pub fn draw(paper: &mut Paper<'_>, state: &State, list: &mut List, rows: &Rows<'_>) {
    let longest = rows.items.iter().map(|(_, item)| width(&item.name)).max().unwrap_or(0);
    let length_ns = rows.frame.window.length_ns;
    // Targets keep a column that had numbers once, lest it come and go.
    let told = |by: By| rows.items.iter().any(|(_, item)| by.number(item, length_ns).is_some());
    let of_targets = |by: By| by == By::Metric(Metric::Processes);
    let has = |by: By| if rows.have_past { state.has(by) } else { told(by) && !of_targets(by) };
    let layout = layout(paper.width(), longest, state.sort, has);
    titles(paper, state, rows, &layout);
    let seen = list.seen(paper.height().saturating_sub(1), rows.items.len());
    for (row, at) in seen.enumerate() {
        let Some((place, item)) = rows.items.get(at) else { break };
        line(paper, row + 1, &layout, item, length_ns);
        if rows.have_past && layout.spark > 0 {
            past(paper, row + 1, state, rows.frame, *place, &layout);
        }
        if at == list.cursor {
            let marked = paper.theme.marked();
            paper.paint(row + 1, marked);
        }
    }
}

fn titles(paper: &mut Paper<'_>, state: &State, rows: &Rows<'_>, layout: &Layout) {
    let style =
        |paper: &Paper<'_>, by: By| if by == state.sort { paper.theme.sorted() } else { paper.theme.title() };
    let of_name = style(paper, By::Name);
    paper.put(0, 0, layout.name, rows.title, of_name);
    let mut x = layout.name;
    for column in &layout.columns {
        let of_column = style(paper, column.by);
        paper.put_at(Side::Right, x + 1, 0, column.width, column.by.title(), of_column);
        x += column.width + 1;
    }
    if rows.have_past && layout.spark > 0 {
        let quiet = paper.theme.quiet();
        paper.put_at(Side::Right, x + 1, 0, layout.spark, past_metric(state).title(), quiet);
    }
}

/// What sparklines are of: what rows are sorted by, if that has a past.
fn past_metric(state: &State) -> By {
    match state.sort {
        By::Name => By::Metric(Metric::Cpu),
        By::Growth => By::Metric(Metric::Rss),
        by @ By::Metric(_) => by,
    }
}

fn line(paper: &mut Paper<'_>, y: usize, layout: &Layout, item: &Item<'_>, length_ns: u64) {
    let style = ratatui::style::Style::new();
    paper.put(0, y, layout.name, &item.name, style);
    let mut x = layout.name;
    for column in &layout.columns {
        let number = column.by.number(item, length_ns);
        let style = if number.is_some() { style } else { paper.theme.quiet() };
        let text = number.map_or_else(|| "-".to_owned(), |number| column.by.text(number));
        paper.put_at(Side::Right, x + 1, y, column.width, &text, style);
        x += column.width + 1;
    }
}

fn past(paper: &mut Paper<'_>, y: usize, state: &State, frame: &Frame, place: usize, layout: &Layout) {
    let (By::Metric(metric), Some(target)) = (past_metric(state), frame.window.targets.get(place)) else {
        return;
    };
    let rates = state.history.rates(&target.target, metric, frame.number, layout.spark);
    let x = layout.name + layout.columns.iter().map(|column| column.width + 1).sum::<usize>() + 1;
    let (text, style) = (sparkline(&rates, paper.theme), paper.theme.bar());
    paper.raw(x, y, &text, style);
}
