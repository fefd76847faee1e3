//! What keys do.

use std::rc::Rc;
use std::time::Duration;

use super::super::columns::By;
use super::{List, Message, Popup, Screen, State, Tab};

/// A key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// A character.
    Char(char),
    /// A character with Ctrl.
    Ctrl(char),
    /// Return.
    Enter,
    /// Escape.
    Esc,
    /// Arrow.
    Up,
    /// Arrow.
    Down,
    /// Arrow.
    Left,
    /// Arrow.
    Right,
    /// To the first row.
    Home,
    /// To the last row.
    End,
    /// A page back.
    PageUp,
    /// A page on.
    PageDown,
    /// To the next tab.
    Tab,
    /// To the tab before.
    BackTab,
    /// Takes a character back.
    Backspace,
}

/// What is left to be done by whoever has a terminal and a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Nothing but to draw.
    None,
    /// To end.
    Quit,
    /// To stop until the shell brings it back.
    Suspend,
    /// To draw everything anew.
    Repaint,
    /// To tell the source the new interval.
    Interval(Duration),
    /// To record a process.
    Record(u32),
}

/// Intervals `+` and `-` choose from, in milliseconds.
const INTERVALS_MS: [u64; 10] = [100, 250, 500, 1000, 2000, 5000, 10_000, 30_000, 60_000, 300_000];
/// Longest filter.
const LONGEST_FILTER: usize = 64;

impl State {
    /// Does what a key asks for.
    pub fn press(&mut self, key: Key) -> Action {
        self.message = None;
        match key {
            Key::Ctrl('c') => return Action::Quit,
            Key::Ctrl('z') => return Action::Suspend,
            Key::Ctrl('l') => return Action::Repaint,
            _ => {}
        }
        match self.popup.take() {
            Some(Popup::Filter(before)) => self.write_filter(key, before),
            Some(Popup::Sort(list)) => self.choose_sort(key, list),
            Some(Popup::Help) => {}
            None => return self.command(key),
        }
        Action::None
    }

    fn command(&mut self, key: Key) -> Action {
        match key {
            Key::Char('q') => return Action::Quit,
            Key::Char('R') => return self.record(),
            Key::Char('+' | '=') => return self.change_interval(true),
            Key::Char('-') => return self.change_interval(false),
            Key::Char('?') => self.popup = Some(Popup::Help),
            Key::Char('s') => {
                let at = By::all().position(|by| by == self.sort).unwrap_or(0);
                self.popup = Some(Popup::Sort(List::at(at)));
            }
            Key::Char('r') => self.order(self.sort, !self.reversed),
            Key::Char('/') => {
                self.open(Screen::Targets);
                self.popup = Some(Popup::Filter(self.filter.clone()));
            }
            Key::Char('p' | ' ') => self.pause(!self.paused),
            Key::Left => self.step(false),
            Key::Right => self.step(true),
            Key::Char('A') => self.open(Screen::Alerts),
            Key::Enter => self.enter(),
            Key::Esc => self.back(),
            Key::Tab => self.turn_tab(true),
            Key::BackTab => self.turn_tab(false),
            Key::Char(letter) if Tab::ALL.iter().any(|(_, key, _)| *key == letter) => self.go_to_tab(letter),
            key => self.go(key),
        }
        Action::None
    }

    fn go(&mut self, key: Key) {
        let len = self.len();
        let is_targets = self.screen == Screen::Targets;
        let list = if is_targets { &mut self.targets } else { &mut self.rows };
        match key {
            Key::Up | Key::Char('k') => list.go(-1, len),
            Key::Down | Key::Char('j') => list.go(1, len),
            Key::PageUp => list.turn(false, len),
            Key::PageDown => list.turn(true, len),
            Key::Home | Key::Char('g') => list.go(isize::MIN, len),
            Key::End | Key::Char('G') => list.go(isize::MAX, len),
            _ => return,
        }
        if is_targets {
            // At the top it stays there, whoever comes first.
            self.chosen = if self.targets.cursor == 0 { None } else { self.under_cursor() };
        }
    }

    fn open(&mut self, screen: Screen) {
        if self.screen != screen {
            self.screen = screen;
            self.rows = List::default();
        }
    }

    fn enter(&mut self) {
        match &self.screen {
            Screen::Targets => {
                if let Some(name) = self.under_cursor() {
                    self.chosen = Some(name.clone());
                    self.open(Screen::Target(name, Tab::Processes));
                }
            }
            Screen::Alerts => {
                let alert =
                    self.alerts.len().checked_sub(self.rows.cursor + 1).and_then(|at| self.alerts.get(at));
                if let Some(name) = alert.map(|alert| alert.target.clone()).filter(|name| !name.is_empty()) {
                    self.open(Screen::Target(name, Tab::Processes));
                }
            }
            Screen::Target(..) => {}
        }
    }

    fn back(&mut self) {
        if self.screen == Screen::Targets {
            self.filter.clear();
        }
        self.open(Screen::Targets);
        self.follow();
    }

    fn turn_tab(&mut self, forward: bool) {
        let Screen::Target(name, tab) = &self.screen else { return };
        let at = Tab::ALL.iter().position(|(one, ..)| one == tab).unwrap_or(0);
        let next = at + if forward { 1 } else { Tab::ALL.len() - 1 };
        let (tab, ..) = Tab::ALL[next % Tab::ALL.len()];
        self.open(Screen::Target(name.clone(), tab));
    }

    /// From the targets, too: of the marked one.
    fn go_to_tab(&mut self, letter: char) {
        if self.screen == Screen::Targets {
            self.enter();
        }
        let tab = Tab::ALL.iter().find(|(_, key, _)| *key == letter);
        if let (Screen::Target(name, _), Some((tab, ..))) = (&self.screen, tab) {
            self.open(Screen::Target(name.clone(), *tab));
        }
    }

    fn write_filter(&mut self, key: Key, before: String) {
        match key {
            Key::Enter => {
                self.follow();
                return;
            }
            Key::Esc => {
                self.filter = before;
                self.follow();
                return;
            }
            Key::Backspace => {
                self.filter.pop();
            }
            Key::Ctrl('u') => self.filter.clear(),
            Key::Char(c) if self.filter.chars().count() < LONGEST_FILTER && !c.is_control() => {
                self.filter.push(c);
            }
            _ => {}
        }
        self.follow();
        self.popup = Some(Popup::Filter(before));
    }

    fn choose_sort(&mut self, key: Key, mut list: List) {
        let all = By::all().count();
        match key {
            Key::Enter => {
                if let Some(by) = By::all().nth(list.cursor) {
                    self.order(by, false);
                }
                return;
            }
            Key::Esc | Key::Char('q' | 's') => return,
            Key::Up | Key::Char('k') => list.go(-1, all),
            Key::Down | Key::Char('j') => list.go(1, all),
            Key::PageUp => list.turn(false, all),
            Key::PageDown => list.turn(true, all),
            Key::Home | Key::Char('g') => list.go(isize::MIN, all),
            Key::End | Key::Char('G') => list.go(isize::MAX, all),
            _ => {}
        }
        self.popup = Some(Popup::Sort(list));
    }

    fn order(&mut self, by: By, reversed: bool) {
        (self.sort, self.reversed) = (by, reversed);
        self.follow();
    }

    fn pause(&mut self, paused: bool) {
        self.paused = paused;
        if !paused {
            self.shown = self.history.newest().map(Rc::clone);
            self.follow();
        }
    }

    fn step(&mut self, forward: bool) {
        let Some(number) = self.shown.as_ref().map(|frame| frame.number) else { return };
        self.paused = true;
        match self.history.beside(number, forward) {
            Some(frame) => self.shown = Some(Rc::clone(frame)),
            None => {
                let text = if forward {
                    "this is the newest window"
                } else {
                    "windows before are no longer kept whole"
                };
                self.message = Some(Message { text: text.to_owned(), failed: false });
            }
        }
        self.follow();
    }

    fn change_interval(&mut self, longer: bool) -> Action {
        let now = self.interval;
        let mut steps = INTERVALS_MS.iter().map(|&ms| Duration::from_millis(ms));
        let next = if longer { steps.find(|&step| step > now) } else { steps.rev().find(|&step| step < now) };
        let Some(next) = next else { return Action::None };
        self.interval = next;
        self.message = Some(Message { text: format!("interval {next:?}"), failed: false });
        Action::Interval(next)
    }

    fn record(&mut self) -> Action {
        let say = |text: &str| Some(Message { text: text.to_owned(), failed: true });
        if self.recording > 0 {
            self.message = say("a recording is under way; one at a time");
            return Action::None;
        }
        let Some(pid) = self.process_under_cursor() else {
            self.message = say("no process to record: mark a target or one of its processes");
            return Action::None;
        };
        self.recording += 1;
        self.message = Some(Message { text: format!("recording process {pid}"), failed: false });
        Action::Record(pid)
    }
}
