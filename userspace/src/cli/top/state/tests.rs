//! What keys do, without a terminal.

use anyhow::anyhow;

use super::super::columns::By;
use super::super::fixture::{FACTS, alerts, state, window};
use super::*;

fn press(state: &mut State, keys: &[Key]) -> Vec<Action> {
    keys.iter().map(|key| state.press(*key)).collect()
}

fn write(state: &mut State, text: &str) {
    for c in text.chars() {
        assert_eq!(state.press(Key::Char(c)), Action::None);
    }
}

fn names(state: &State) -> Vec<String> {
    let frame = state.shown.clone().unwrap();
    state.items(&frame).into_iter().map(|(_, item)| item.name).collect()
}

#[test]
fn targets_are_sorted_by_what_is_chosen() {
    let mut state = state(2);
    assert_eq!(names(&state)[..3], ["redis", "postgres", "an exceptionally long name of a target 数据库"]);
    press(&mut state, &[Key::Char('r')]);
    assert_eq!(names(&state).last().unwrap(), "redis");
    let place = By::all().position(|by| by == By::Metric(Metric::Rss)).unwrap();
    press(&mut state, &[Key::Char('s'), Key::Home]);
    press(&mut state, &vec![Key::Down; place]);
    press(&mut state, &[Key::Enter]);
    assert_eq!((state.sort, state.reversed, state.popup.is_none()), (By::Metric(Metric::Rss), false, true));
    assert_eq!(names(&state)[..2], ["postgres", "redis"]);
    // Esc leaves it as it was.
    press(&mut state, &[Key::Char('s'), Key::End, Key::Esc]);
    assert_eq!(state.sort, By::Metric(Metric::Rss));
}

#[test]
fn growth_is_since_the_window_before() {
    let state = state(2);
    let frame = state.shown.clone().unwrap();
    let growth: Vec<_> = state.items(&frame).into_iter().map(|(_, item)| item.growth).collect();
    assert_eq!(growth, [Some(1_048_576.0), Some(0.0), Some(0.0), Some(0.0), Some(0.0)]);
    let target = frame.window.targets.iter().find(|target| target.target == "redis").unwrap();
    let growth: Vec<_> = state.processes(&frame, target).into_iter().map(|(_, item)| item.growth).collect();
    assert_eq!(growth, [Some(1_048_576.0), Some(0.0)]);
}

#[test]
fn a_filter_hides_the_others_and_esc_shows_them() {
    let mut state = state(1);
    press(&mut state, &[Key::Char('/')]);
    write(&mut state, "POST");
    assert_eq!(names(&state), ["postgres"]);
    // Letters are text as long as it is written: this is no command.
    write(&mut state, "q");
    assert!(names(&state).is_empty());
    press(&mut state, &[Key::Backspace, Key::Enter]);
    assert_eq!(names(&state), ["postgres"]);
    press(&mut state, &[Key::Char('/'), Key::Ctrl('u'), Key::Char('x'), Key::Esc]);
    assert_eq!(names(&state), ["postgres"], "Esc leaves the filter there was");
    press(&mut state, &[Key::Esc]);
    assert_eq!(names(&state).len(), 5);
}

#[test]
fn the_cursor_stays_on_its_target() {
    let mut state = state(1);
    press(&mut state, &[Key::Down]);
    let at = |state: &State| names(state)[state.targets.cursor].clone();
    assert_eq!(at(&state), "postgres");
    press(&mut state, &[Key::Char('r')]);
    assert_eq!((at(&state).as_str(), state.targets.cursor), ("postgres", 3));
    let mut next = window(1);
    next.targets.retain(|target| target.target != "cron");
    state.take(next, FACTS);
    assert_eq!((at(&state).as_str(), state.targets.cursor), ("postgres", 2));
    // At the top it stays there, whoever that is.
    press(&mut state, &[Key::Home]);
    let first = at(&state);
    press(&mut state, &[Key::Char('r')]);
    assert_eq!(state.targets.cursor, 0);
    assert_ne!(at(&state), first);
}

#[test]
fn one_target_and_back() {
    let mut state = state(1);
    let screen = |state: &State| state.screen.clone();
    press(&mut state, &[Key::Enter]);
    assert_eq!(screen(&state), Screen::Target("redis".into(), Tab::Processes));
    for (tab, key, _) in Tab::ALL {
        press(&mut state, &[Key::Char(key)]);
        assert_eq!(screen(&state), Screen::Target("redis".into(), tab));
    }
    press(&mut state, &[Key::Tab]);
    assert_eq!(screen(&state), Screen::Target("redis".into(), Tab::Processes));
    press(&mut state, &[Key::BackTab]);
    assert_eq!(screen(&state), Screen::Target("redis".into(), Tab::Values));
    press(&mut state, &[Key::Esc]);
    assert_eq!(screen(&state), Screen::Targets);
    press(&mut state, &[Key::Down, Key::Char('a')]);
    assert_eq!(screen(&state), Screen::Target("postgres".into(), Tab::Sites));
    // It stays on screen when it is gone, and is there again when it comes back.
    let mut next = window(1);
    next.targets.clear();
    state.take(next, FACTS);
    assert_eq!((screen(&state), state.target()), (Screen::Target("postgres".into(), Tab::Sites), None));
    state.take(window(2), FACTS);
    assert!(state.target().is_some());
}

#[test]
fn windows_go_on_being_taken_while_paused() {
    let mut state = state(3);
    press(&mut state, &[Key::Char('p')]);
    for number in 3..8 {
        state.take(window(number), FACTS);
    }
    let shown = |state: &State| state.shown.as_ref().unwrap().window.index;
    assert_eq!((shown(&state), state.behind()), (2, 5));
    press(&mut state, &[Key::Right]);
    assert_eq!((shown(&state), state.behind()), (3, 4));
    press(&mut state, &[Key::Left, Key::Left, Key::Left, Key::Left]);
    assert_eq!(shown(&state), 0);
    assert!(state.message.is_some(), "there is nothing before the first");
    press(&mut state, &[Key::Char(' ')]);
    assert_eq!((shown(&state), state.behind(), state.paused), (7, 0, false));
    // Stepping back pauses.
    press(&mut state, &[Key::Left]);
    assert_eq!((shown(&state), state.paused), (6, true));
}

#[test]
fn paused_before_the_first_window_that_is_the_one_to_see() {
    let mut state = state(0);
    press(&mut state, &[Key::Char('p')]);
    for number in 0..3 {
        state.take(window(number), FACTS);
    }
    assert_eq!((state.shown.as_ref().unwrap().window.index, state.behind()), (0, 2));
}

#[test]
fn the_interval_goes_in_steps() {
    let mut state = state(1);
    let ms = Duration::from_millis;
    let actions = press(&mut state, &[Key::Char('+'), Key::Char('-'), Key::Char('-')]);
    assert_eq!(actions, [ms(5000), ms(2000), ms(1000)].map(Action::Interval));
    let last = press(&mut state, &[Key::Char('-'); 10]);
    assert_eq!((last[9], state.interval), (Action::None, ms(100)));
}

#[test]
fn recordings_are_of_the_marked_process_one_at_a_time() {
    let mut state = state(1);
    assert_eq!(state.press(Key::Char('R')), Action::Record(4242), "of a target it is the busiest");
    assert_eq!(state.press(Key::Char('R')), Action::None);
    assert!(state.message.as_ref().unwrap().failed);
    state.recorded(4242, &Ok("redis-7".to_owned()));
    assert_eq!(state.message.as_ref().unwrap().text, "process 4242 is recorded: waytrace show redis-7");
    press(&mut state, &[Key::Enter, Key::Down]);
    assert_eq!(state.press(Key::Char('R')), Action::Record(4300));
    state.recorded(4300, &Err(anyhow!("it has ended")));
    assert_eq!(state.message.as_ref().unwrap().text, "process 4300 is not recorded: it has ended");
    press(&mut state, &[Key::Esc, Key::Down]);
    assert_eq!(state.press(Key::Char('R')), Action::None, "nothing is told of its processes");
}

#[test]
fn alerts_are_told_once_each_and_not_without_end() {
    let mut state = state(1);
    state.take_alerts(alerts());
    assert_eq!((state.alerts.len(), state.active()), (2, 1));
    let mut over = alerts().remove(1);
    over.ended = Some(waytrace_model::monitor::AlertEnd { at_unix_ns: over.began_unix_ns + 1 });
    state.take_alerts(vec![over]);
    assert_eq!((state.alerts.len(), state.active()), (2, 0));
    press(&mut state, &[Key::Char('A'), Key::Enter]);
    assert_eq!(state.screen, Screen::Target("redis".into(), Tab::Processes));
    let many = (0..500).map(|n| Alert { began_unix_ns: n, ..Alert::default() }).collect();
    state.take_alerts(many);
    assert_eq!((state.alerts.len(), state.alerts.last().unwrap().began_unix_ns), (MOST_ALERTS, 499));
}

#[test]
fn control_keys_count_everywhere() {
    let mut state = state(0);
    for opened in [Key::Char('x'), Key::Char('?'), Key::Char('s'), Key::Char('/'), Key::Char('A')] {
        state.press(opened);
        assert_eq!(state.press(Key::Ctrl('c')), Action::Quit);
        assert_eq!(state.press(Key::Ctrl('z')), Action::Suspend);
        assert_eq!(state.press(Key::Ctrl('l')), Action::Repaint);
    }
    state.press(Key::Esc);
    assert_eq!(state.press(Key::Char('q')), Action::Quit);
}
