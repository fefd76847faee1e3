//! `top` where there is no terminal: a block of lines for each window, or a line of JSON.

use std::time::Duration;

use waytrace_model::monitor::HostWindow;
use waytrace_model::units::format_ns;

use super::super::output::{plain, print, width};
use super::columns::layout;
use super::source::{Facts, Source};
use super::state::State;
use super::text::{clean, cut, width as columns_of};
use super::view;

/// How long a source may wait before it is asked again.
const PATIENCE: Duration = Duration::from_secs(1);

/// Prints windows until there are no more, or `count` were printed.
///
/// # Errors
/// stdout cannot be written, or a source that cannot go on.
pub fn run(source: &mut dyn Source, mut state: State, json: bool, count: Option<u64>) -> anyhow::Result<()> {
    let mut printed = 0;
    while !source.has_ended() && count.is_none_or(|most| printed < most) {
        let Some(window) = source.next(PATIENCE)? else { continue };
        if json {
            print(&(serde_json::to_string(&window)? + "\n"))?;
        } else {
            let facts = source.facts();
            state.take(window, facts);
            state.take_alerts(source.alerts());
            let gap = if printed > 0 { "\n" } else { "" };
            print(&format!("{gap}{}", block(&state, width())))?;
        }
        printed += 1;
    }
    Ok(())
}

/// A window as lines.
fn block(state: &State, room: usize) -> String {
    let Some(frame) = &state.shown else { return String::new() };
    let window = &frame.window;
    let mut text = head(window, frame.facts);
    for alert in state.alerts.iter().filter(|alert| alert.ended.is_none()) {
        text +=
            &format!("alert: {} {}: {}\n", clean(&alert.rule), clean(&alert.target), clean(&alert.detail));
    }
    let items = state.items(frame);
    let longest = items.iter().map(|(_, item)| columns_of(&item.name)).max().unwrap_or(0);
    let layout = layout(room, longest, state.sort, |by| state.has(by));
    let pad = |name: &str| {
        let name = cut(name, layout.name, '~');
        let blank = layout.name.saturating_sub(columns_of(&name));
        format!("{name}{}", " ".repeat(blank))
    };
    let mut line = pad("TARGET");
    for column in &layout.columns {
        line += &format!(" {:>1$}", column.by.title(), column.width);
    }
    text += &format!("{}\n", line.trim_end());
    for (_, item) in &items {
        let mut line = pad(&item.name);
        for column in &layout.columns {
            let number = column.by.number(item, window.length_ns);
            let cell = number.map_or_else(|| "-".to_owned(), |number| column.by.text(number));
            line += &format!(" {cell:>0$}", column.width);
        }
        text += &format!("{}\n", line.trim_end());
    }
    text
}

fn head(window: &HostWindow, facts: Facts) -> String {
    let (own, _) = view::own(window, facts);
    let end = view::clock(window.start_unix_ns.saturating_add(window.length_ns));
    let first = format!(
        "{end}  window {} of {}  {} targets, {}; {own}\n",
        window.index,
        format_ns(window.length_ns as f64),
        window.targets.len(),
        view::cpu(window, facts)
    );
    let others = [view::lost(window), view::collectors(window), view::missing(window)];
    let others = others.iter().filter(|line| !line.is_empty()).map(|line| format!("{}\n", plain(line)));
    first + &others.collect::<String>()
}
