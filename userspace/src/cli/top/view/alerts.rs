//! Alerts, newest first.

use ratatui::style::Style;
use waytrace_model::monitor::RecordingLink;

use super::super::state::State;
use super::detail::wrapped;
use super::header::clock;
use super::paper::Paper;

/// Draws them.
pub fn draw(paper: &mut Paper<'_>, state: &mut State) {
    let theme = paper.theme;
    let width = paper.width();
    if state.alerts.is_empty() {
        paper.put(
            0,
            0,
            width,
            "no alerts; rules are in the configuration of `waytrace monitor`",
            theme.quiet(),
        );
        return;
    }
    paper.put(
        0,
        0,
        width,
        &format!("{:<9} {:<9} {:<16} {:<16} DETAIL", "BEGAN", "ENDED", "RULE", "TARGET"),
        theme.title(),
    );
    let count = state.alerts.len();
    let mut list = state.rows.clone();
    // Room for all that is known of the marked one.
    let told = if paper.height() > 8 { 4 } else { 0 };
    let table = paper.height() - told;
    for (row, at) in list.seen(table.saturating_sub(1), count).enumerate() {
        let Some(alert) = state.alerts.get(count - 1 - at) else { break };
        let style = if alert.ended.is_none() { theme.alarm() } else { Style::new() };
        let ended = alert.ended.map_or_else(|| "holds".to_owned(), |end| clock(end.at_unix_ns));
        let target = if alert.target.is_empty() { "(host)" } else { &alert.target };
        let y = row + 1;
        paper.put(0, y, 9, &clock(alert.began_unix_ns), style);
        paper.put(10, y, 9, &ended, style);
        paper.put(20, y, 16, &alert.rule, style);
        paper.put(37, y, 16, target, style);
        paper.put(54, y, width.saturating_sub(54), &alert.detail, style);
        if at == list.cursor {
            paper.paint(y, theme.marked());
            let lines = [alert.when.clone(), alert.detail.clone(), recording(&alert.recording)];
            let lines = lines.iter().flat_map(|line| wrapped(line, width)).filter(|line| !line.is_empty());
            for (row, line) in lines.take(told).enumerate() {
                paper.put(0, table + row, width, &line, theme.quiet());
            }
        }
    }
    state.rows = list;
}

fn recording(link: &RecordingLink) -> String {
    match link {
        RecordingLink::None => String::new(),
        RecordingLink::Running => "a recording is under way".to_owned(),
        RecordingLink::Run(name) => format!("recorded: waytrace show {name}"),
        RecordingLink::Failed(reason) => format!("not recorded: {reason}"),
    }
}
