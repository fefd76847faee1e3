//! `top` where there is no terminal: a block of lines for each window, or a line of JSON.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use waytrace_model::monitor::HostWindow;
use waytrace_model::units::format_ns;

use super::super::output::{plain, print, width};
use super::columns::layout;
use super::signals::{self, Asked, Signals};
use super::source::{Facts, Source};
use super::state::State;
use super::text::{clean, cut, width as columns_of};
use super::view;

/// How long a source may wait before it is asked again.
const PATIENCE: Duration = Duration::from_millis(200);

/// Prints windows until there are no more, it is asked to end, or `count` were printed.
///
/// # Errors
/// stdout cannot be written, or a source that cannot go on.
pub fn run(
    source: &mut dyn Source,
    signals: Signals,
    mut state: State,
    json: bool,
    count: Option<u64>,
) -> anyhow::Result<()> {
    let asked = end_when_asked(signals, source.has_to_end());
    let mut printed = 0;
    while !source.has_ended() && !asked.load(Ordering::Acquire) && count.is_none_or(|most| printed < most) {
        let Some(window) = source.next(PATIENCE)? else { continue };
        if json {
            print(&(serde_json::to_string(&window)? + "\n"))?;
        } else {
            let facts = source.facts();
            state.take(window, facts);
            state.take_alerts(source.alerts());
            let gap = if printed > 0 { "\n" } else { "" };
            print(&format!("{gap}{}", block(&state, width(), printed == 0)))?;
        }
        printed += 1;
    }
    Ok(())
}

/// A thread that waits for signals; whether one asked for the end. Where nothing has to be put away it ends the program
/// itself, for the source may be waiting for another program's next line.
fn end_when_asked(signals: Signals, in_order: bool) -> Arc<AtomicBool> {
    let asked = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&asked);
    thread::spawn(move || {
        while let Ok(signal) = signals.wait() {
            match signal {
                Asked::End if in_order => told.store(true, Ordering::Release),
                Asked::End => std::process::exit(0),
                Asked::Stop => drop(signals::stop()),
                Asked::GoOn => {}
            }
        }
    });
    asked
}

/// A window as lines; why collectors do less is told once.
fn block(state: &State, room: usize, with_reasons: bool) -> String {
    let Some(frame) = &state.shown else { return String::new() };
    let window = &frame.window;
    let mut text = head(window, frame.facts, with_reasons);
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

fn head(window: &HostWindow, facts: Facts, with_reasons: bool) -> String {
    let (own, _) = view::own(window, facts);
    let end = view::clock(window.start_unix_ns.saturating_add(window.length_ns));
    let count = window.targets.len();
    let plural = if count == 1 { "" } else { "s" };
    let first = format!(
        "{end}  window {} of {}  {count} target{plural}, {}; {own}\n",
        window.index,
        format_ns(window.length_ns as f64),
        view::cpu(window, facts)
    );
    let others = [view::lost(window), view::collectors(window, with_reasons), view::missing(window)];
    let others = others.iter().filter(|line| !line.is_empty()).map(|line| format!("{}\n", plain(line)));
    first + &others.collect::<String>()
}
