//! What is seen: the header, a screen, and a line at the bottom.

mod alerts;
mod detail;
mod header;
mod items;
mod paper;
mod popup;
mod spark;
#[cfg(test)]
mod tests;
mod theme;

use std::rc::Rc;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

pub use header::{clock, collectors, cpu, lost, missing, own};
pub use theme::Theme;

use super::state::{Popup, Screen, State};
use paper::{Paper, Side};

/// Draws all of it. Any size will do; what has no room is left out.
pub fn draw(buffer: &mut Buffer, area: Rect, state: &mut State, theme: Theme) {
    let mut paper = Paper::new(buffer, area, theme);
    let (width, height) = (paper.width(), paper.height());
    if width == 0 || height == 0 {
        return;
    }
    let top = header::draw(&mut paper, state);
    // A single row or two are for the header.
    let bottom = if height > top + 1 { height - 1 } else { height };
    screen(&mut paper.rows(top, bottom), state);
    if bottom < height {
        foot(&mut paper.rows(bottom, height), state);
    }
    popup::draw(&mut paper, state);
}

fn screen(paper: &mut Paper<'_>, state: &mut State) {
    let Some(frame) = state.shown.as_ref().map(Rc::clone) else { return };
    if paper.height() == 0 {
        return;
    }
    match state.screen.clone() {
        Screen::Targets => {
            let items = state.items(&frame);
            let mut list = state.targets.clone();
            let rows = items::Rows { title: "TARGET", items: &items, frame: &frame, have_past: true };
            items::draw(paper, state, &mut list, &rows);
            if items.is_empty() {
                let text = if state.filter.is_empty() {
                    "no target has a process".to_owned()
                } else {
                    format!("no target's name contains `{}`", state.filter)
                };
                paper.put(0, 1, paper.width(), &text, paper.theme.quiet());
            }
            state.targets = list;
        }
        Screen::Target(name, tab) => detail::draw(paper, state, &frame, &name, tab),
        Screen::Alerts => alerts::draw(paper, state),
    }
}

/// The filter while it is written, a message, or the keys.
fn foot(paper: &mut Paper<'_>, state: &State) {
    let theme = paper.theme;
    let width = paper.width();
    if let Some(Popup::Filter(_)) = state.popup {
        let end =
            paper.put(0, 0, width.saturating_sub(1), &format!("filter: {}", state.filter), theme.strong());
        paper.put(end, 0, 1, " ", theme.marked());
        return;
    }
    if let Some(message) = &state.message {
        let style = if message.failed { theme.alarm() } else { theme.strong() };
        paper.put(0, 0, width, &message.text, style);
        return;
    }
    let turned = if state.reversed { " reversed" } else { "" };
    let mut right = format!("by {}{turned}", state.sort.name());
    if !state.filter.is_empty() {
        right = format!("/{}  {right}", state.filter);
    }
    let keys = match state.screen {
        Screen::Targets => "? help  Enter open  s sort  / filter  p pause  q quit",
        Screen::Target(..) => "? help  Esc back  Tab next  R record  p pause  q quit",
        Screen::Alerts => "? help  Esc back  Enter target  q quit",
    };
    let right_width = super::text::width(&right);
    paper.put(0, 0, width, keys, theme.quiet());
    if width > keys.len() + right_width + 1 {
        paper.put_at(Side::Right, 0, 0, width, &right, theme.quiet());
    }
}
