//! The screens, as a terminal would show them.

use std::cell::Cell;

use insta::assert_snapshot;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::super::fixture::{FACTS, alerts, any_window, state, window};
use super::super::state::{Key, State};
use super::super::text;
use super::*;

const UNICODE: Theme = Theme::new(true, true);

fn render(state: &mut State, width: u16, height: u16, theme: Theme) -> TestBackend {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal
        .draw(|frame| {
            let area = frame.area();
            draw(frame.buffer_mut(), area, state, theme);
        })
        .unwrap();
    terminal.backend().clone()
}

/// The screen as lines, without blanks at their ends.
fn lines(state: &mut State, width: u16, height: u16, theme: Theme) -> String {
    let backend = render(state, width, height, theme);
    let buffer = backend.buffer();
    let mut text = String::new();
    for y in 0..height {
        let mut line = String::new();
        let mut x = 0;
        while x < width {
            let symbol = buffer[(x, y)].symbol();
            line += symbol;
            // The second half of a wide character has no cell of its own.
            x += u16::try_from(text::width(symbol)).unwrap().max(1);
        }
        text += line.trim_end();
        text.push('\n');
    }
    text
}

fn after(windows: u64, keys: &str) -> State {
    let mut state = state(windows);
    state.take_alerts(alerts());
    press(&mut state, keys);
    state
}

fn press(state: &mut State, keys: &str) {
    for key in keys.chars() {
        state.press(match key {
            '\n' => Key::Enter,
            '\u{1b}' => Key::Esc,
            '\t' => Key::Tab,
            key => Key::Char(key),
        });
    }
}

/// Every screen there is, by the keys that lead to it.
const SCREENS: [(&str, &str); 13] = [
    ("targets", ""),
    ("processes", "\n"),
    ("threads", "t"),
    ("sites", "a"),
    ("sizes", "h"),
    ("memory", "m"),
    ("cache", "c"),
    ("values", "v"),
    ("alerts", "A"),
    ("help", "?"),
    ("sort", "s"),
    ("filter", "/post"),
    ("paused", "p"),
];

#[test]
fn screens_at_80_by_24() {
    for (name, keys) in SCREENS {
        assert_snapshot!(format!("80x24_{name}"), lines(&mut after(30, keys), 80, 24, UNICODE));
    }
}

#[test]
fn screens_at_140_by_40() {
    for (name, keys) in SCREENS {
        assert_snapshot!(format!("140x40_{name}"), lines(&mut after(30, keys), 140, 40, UNICODE));
    }
}

#[test]
fn a_small_screen_shows_what_matters_most() {
    assert_snapshot!("40x8_targets", lines(&mut after(30, ""), 40, 8, UNICODE));
    assert_snapshot!("20x4_targets", lines(&mut after(30, ""), 20, 4, UNICODE));
}

#[test]
fn before_the_first_window_and_without_targets() {
    assert!(lines(&mut state(0), 80, 24, UNICODE).starts_with("waytrace top: waiting"));
    let mut empty = state(0);
    let mut window = window(0);
    window.targets.clear();
    empty.take(window, FACTS);
    assert!(lines(&mut empty, 80, 24, UNICODE).contains("no target has a process"));
}

#[test]
fn long_reasons_hide_nobody() {
    let mut state = state(0);
    let mut window = window(0);
    window.collectors[1].reason = Some("the budget has no room for it ".repeat(10));
    state.take(window, FACTS);
    assert!(lines(&mut state, 80, 24, UNICODE).contains("reduced: allocations; unavailable: cache\n"));
    press(&mut state, "h");
    assert!(lines(&mut state, 80, 24, UNICODE).contains("redis"));
}

#[test]
fn ascii_is_all_that_is_needed() {
    for (name, keys) in SCREENS {
        let text = lines(&mut after(30, keys), 100, 30, Theme::new(false, false));
        assert!(text.is_ascii(), "{name}: {text}");
    }
}

#[test]
fn without_colours_no_cell_has_one() {
    for (_, keys) in SCREENS {
        let backend = render(&mut after(3, keys), 100, 30, Theme::new(false, true));
        for cell in &backend.buffer().content {
            assert_eq!((cell.fg, cell.bg), (ratatui::style::Color::Reset, ratatui::style::Color::Reset));
        }
    }
}

#[test]
fn reasons_are_told_where_there_is_no_data() {
    let mut state = after(3, "");
    state.press(Key::Down);
    for (keys, wanted) in [
        ("a", "allocations: reduced (budget)"),
        ("h", "allocations: reduced (budget)"),
        ("m", "accesses: nothing in this window"),
        ("c", "cache: unavailable (no resctrl)"),
        ("t", "counters: nothing in this window"),
    ] {
        press(&mut state, keys);
        let text = lines(&mut state, 80, 24, UNICODE);
        assert!(text.contains(wanted), "{keys}: {text}");
    }
    assert!(lines(&mut after(3, "c"), 80, 24, UNICODE).contains("this CPU has no PMU"));
}

/// Nothing a terminal would obey, and no more columns than there are.
fn check(state: &mut State, width: u16, height: u16, theme: Theme) {
    let area = Rect { x: 0, y: 0, width, height };
    let mut buffer = Buffer::empty(area);
    draw(&mut buffer, area, state, theme);
    for y in 0..height {
        let mut x = 0;
        while x < width {
            let symbol = buffer[(x, y)].symbol();
            if matches!(symbol.as_bytes(), [b' '..=b'~']) {
                x += 1;
                continue;
            }
            assert!(!symbol.chars().any(char::is_control), "{symbol:?} at {x},{y} of {width}x{height}");
            assert_eq!(text::clean(symbol), symbol);
            let columns = u16::try_from(text::width(symbol)).unwrap();
            assert!(x + columns <= width, "{symbol:?} at {x},{y} goes beyond {width}");
            x += columns.max(1);
        }
    }
}

#[test]
fn every_size_can_be_drawn() {
    let mut runner = TestRunner::deterministic();
    let strategy = prop::collection::vec(any_window(), 1..3);
    let turn = Cell::new(0);
    let mut states: Vec<State> = SCREENS
        .iter()
        .map(|(_, keys)| {
            let mut state = state(2);
            for window in strategy.new_tree(&mut runner).unwrap().current() {
                state.take(window, FACTS);
            }
            state.take_alerts(alerts());
            press(&mut state, keys);
            state
        })
        .collect();
    for width in 1..=200 {
        for height in 1..=60 {
            turn.set((turn.get() + 1) % states.len());
            let unicode = (width + height) % 2 == 0;
            check(&mut states[turn.get()], width, height, Theme::new(true, unicode));
        }
    }
}

fn any_key() -> impl Strategy<Value = Key> {
    prop_oneof![
        4 => "[stahmcvPArRp/?+=gGjk\\- ]".prop_map(|text| Key::Char(text.chars().next().unwrap_or(' '))),
        1 => any::<char>().prop_map(Key::Char),
        4 => prop::sample::select(vec![
            Key::Enter, Key::Esc, Key::Up, Key::Down, Key::Left, Key::Right, Key::Home, Key::End, Key::PageUp,
            Key::PageDown, Key::Tab, Key::BackTab, Key::Backspace, Key::Ctrl('u'), Key::Ctrl('x'),
        ]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn any_keys_and_windows_at_any_size(
        windows in prop::collection::vec(any_window(), 0..5),
        steps in prop::collection::vec((any_key(), 0u16..201, 0u16..61, any::<bool>()), 1..40),
    ) {
        let mut state = State::new(super::super::columns::By::Name, false, std::time::Duration::from_secs(1));
        let mut windows = windows.into_iter();
        for (key, width, height, takes) in steps {
            if let Some(window) = takes.then(|| windows.next()).flatten() {
                state.take(window, FACTS);
            }
            state.press(key);
            check(&mut state, width, height, UNICODE);
        }
    }
}
