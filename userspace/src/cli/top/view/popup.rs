//! What stands before the picture: the keys, or what to sort by.

use super::super::columns::By;
use super::super::state::{Popup, State};
use super::paper::Paper;

/// The keys and what they do.
pub const KEYS: [(&str, &str); 19] = [
    ("Up Down PgUp PgDn Home End", "move; also j k g G"),
    ("Enter", "one target, Esc back"),
    ("P t a", "its processes, threads, allocation sites"),
    ("h m c v", "sizes, memory accesses, cache, all values"),
    ("Tab", "the next of these"),
    ("s, r", "sort by any metric, reverse"),
    ("/", "only targets whose name contains a text"),
    ("p, Space", "pause: windows go on being taken"),
    ("Left Right", "step through the windows kept"),
    ("+ -", "longer, shorter interval"),
    ("R", "record the marked process now"),
    ("A", "alerts"),
    ("Ctrl-L", "draw anew"),
    ("Ctrl-Z", "to the shell; fg comes back"),
    ("q, Ctrl-C", "quit"),
    ("", ""),
    ("%", "of one CPU; OVERHD% of the target's time"),
    ("-", "not measured; v tells why"),
    ("RSS+-", "since the window before"),
];

/// Draws it, if there is one.
pub fn draw(paper: &mut Paper<'_>, state: &mut State) {
    match &mut state.popup {
        Some(Popup::Help) => help(paper),
        Some(Popup::Sort(list)) => {
            let all: Vec<By> = By::all().collect();
            let mut inside = centred(paper, 76, all.len() + 2);
            let mut inside = inside.framed("sort by: Enter chooses, Esc leaves");
            let theme = inside.theme;
            for (row, at) in list.seen(inside.height(), all.len()).enumerate() {
                let Some(by) = all.get(at) else { break };
                let width = inside.width();
                inside.put(0, row, 26, by.name(), theme.strong());
                inside.put(28, row, width.saturating_sub(28), by.help(), theme.quiet());
                if at == list.cursor {
                    inside.paint(row, theme.marked());
                }
            }
        }
        Some(Popup::Filter(_)) | None => {}
    }
}

fn help(paper: &mut Paper<'_>) {
    let mut outside = centred(paper, 76, KEYS.len() + 2);
    let mut inside = outside.framed("keys; any of them leaves this");
    let theme = inside.theme;
    for (row, (keys, what)) in KEYS.iter().enumerate() {
        let width = inside.width();
        inside.put(0, row, 26, keys, theme.strong());
        inside.put(28, row, width.saturating_sub(28), what, ratatui::style::Style::new());
    }
}

/// A cleared part in the middle.
fn centred<'a>(paper: &'a mut Paper<'_>, width: usize, height: usize) -> Paper<'a> {
    let (width, height) = (width.min(paper.width()), height.min(paper.height()));
    let (x, y) = ((paper.width() - width) / 2, (paper.height() - height) / 2);
    let mut part = paper.part(x, y, width, height);
    part.clear();
    part
}
