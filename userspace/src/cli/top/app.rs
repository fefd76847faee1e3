//! `top` on a terminal: keys, windows and signals come from a thread each, and one takes them in turn.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread;
use std::time::Duration;

use anyhow::anyhow;
use ratatui::crossterm::event;
use waytrace_model::monitor::{Alert, HostWindow};

use super::signals::{self, Asked, Signals};
use super::source::{Facts, Record, Source};
use super::state::{Action, Key, State};
use super::terminal::{self, Terminal};
use super::view::{self, Theme};

/// How long a source may wait before it looks whether it was told anything.
const PATIENCE: Duration = Duration::from_millis(200);
/// How long a source may take to put away what it has in place.
const GRACE: Duration = Duration::from_secs(5);

/// What happened.
enum Event {
    Key(Key),
    Resized,
    Window(Box<HostWindow>, Facts),
    Alerts(Vec<Alert>),
    /// There will be no more windows: a replay is over.
    Ended,
    /// There is no going on.
    Failed(anyhow::Error),
    Recorded(u32, anyhow::Result<String>),
    Signal(Asked),
}

/// Shows windows until it is asked to end, or `count` were taken.
///
/// # Errors
/// No terminal, or a source that cannot go on.
pub fn run(
    source: Box<dyn Source>,
    record: &Record,
    signals: Signals,
    mut state: State,
    count: Option<u64>,
) -> anyhow::Result<()> {
    let (events, inbox) = channel();
    // Dropped after the terminal, which need not wait for what the source has to put away.
    let windows = Windows::follow(source, events.clone());
    let mut terminal = Terminal::take()?;
    listen(events.clone());
    wait(signals, events.clone());
    let theme = Theme::of_environment();
    let mut taken = 0;
    loop {
        terminal.draw(|frame| {
            let area = frame.area();
            view::draw(frame.buffer_mut(), area, &mut state, theme);
        })?;
        // All that has come meanwhile makes one picture.
        for event in next(&inbox)? {
            let action = match event {
                Event::Key(key) => state.press(key),
                Event::Resized => Action::None,
                Event::Window(window, facts) => {
                    state.take(*window, facts);
                    taken += 1;
                    if count.is_some_and(|most| taken >= most) { Action::Quit } else { Action::None }
                }
                Event::Alerts(alerts) => {
                    state.take_alerts(alerts);
                    Action::None
                }
                Event::Ended => {
                    state.ended = true;
                    Action::None
                }
                Event::Failed(error) => return Err(error),
                Event::Recorded(pid, result) => {
                    state.recorded(pid, &result);
                    Action::None
                }
                Event::Signal(Asked::End) => Action::Quit,
                Event::Signal(Asked::Stop) => {
                    terminal.leave();
                    signals::stop()?;
                    terminal.enter()?;
                    Action::None
                }
                Event::Signal(Asked::GoOn) => {
                    terminal.enter()?;
                    Action::None
                }
            };
            match action {
                Action::None => {}
                Action::Quit => return Ok(()),
                Action::Suspend => signals::stop_group(),
                Action::Repaint => terminal.repaint()?,
                Action::Interval(interval) => windows.tell(interval),
                Action::Record(pid) => start(record, pid, events.clone()),
            }
        }
    }
}

/// Waits for something to happen, and takes all that has.
fn next(inbox: &Receiver<Event>) -> anyhow::Result<Vec<Event>> {
    let mut all = vec![inbox.recv().map_err(|_| anyhow!("keys, windows and signals are gone"))?];
    while let Ok(event) = inbox.try_recv() {
        all.push(event);
    }
    Ok(all)
}

/// The thread that takes windows.
struct Windows {
    intervals: Option<Sender<Duration>>,
    /// Ends with the thread; of a source that leaves nothing behind there is none.
    done: Option<Receiver<()>>,
}

impl Windows {
    fn follow(mut source: Box<dyn Source>, events: Sender<Event>) -> Self {
        let (sender, intervals) = channel();
        let (alive, done) = channel::<()>();
        let done = source.has_to_end().then_some(done);
        thread::spawn(move || {
            let _alive = alive;
            let result = catch_unwind(AssertUnwindSafe(|| take(source.as_mut(), &events, &intervals)));
            // What it has in place is gone before the thread is.
            drop(source);
            let failed = match result {
                Ok(Ok(())) => return,
                Ok(Err(error)) => error,
                Err(_) => anyhow!("the thread that takes windows has panicked"),
            };
            let _ = events.send(Event::Failed(failed));
        });
        Self { intervals: Some(sender), done }
    }

    /// Tells the source its new interval, if it goes on.
    fn tell(&self, interval: Duration) {
        if let Some(intervals) = &self.intervals {
            let _ = intervals.send(interval);
        }
    }
}

impl Drop for Windows {
    fn drop(&mut self) {
        self.intervals = None;
        if let Some(done) = &self.done {
            // The answer is that there is nobody to answer.
            let _ = done.recv_timeout(GRACE);
        }
    }
}

fn take(
    source: &mut dyn Source,
    events: &Sender<Event>,
    intervals: &Receiver<Duration>,
) -> anyhow::Result<()> {
    loop {
        match intervals.try_recv() {
            Ok(interval) => source.set_interval(interval),
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Disconnected) => return Ok(()),
        }
        let window = source.next(PATIENCE)?;
        let alerts = source.alerts();
        let mut gone = !alerts.is_empty() && events.send(Event::Alerts(alerts)).is_err();
        if let Some(window) = window {
            let facts = source.facts();
            gone |= events.send(Event::Window(Box::new(window), facts)).is_err();
        }
        if source.has_ended() {
            let _ = events.send(Event::Ended);
            return Ok(());
        }
        if gone {
            return Ok(());
        }
    }
}

/// A thread that takes keys.
fn listen(events: Sender<Event>) {
    thread::spawn(move || {
        loop {
            let event = match event::read() {
                Ok(event::Event::Key(key)) => terminal::key(key).map(Event::Key),
                Ok(event::Event::Resize(..)) => Some(Event::Resized),
                Ok(_) => None,
                Err(error) => Some(Event::Failed(anyhow!(error).context("reading keys from the terminal"))),
            };
            let is_last = matches!(event, Some(Event::Failed(_)));
            if event.is_some_and(|event| events.send(event).is_err()) || is_last {
                return;
            }
        }
    });
}

/// A thread that takes signals.
fn wait(signals: Signals, events: Sender<Event>) {
    thread::spawn(move || {
        loop {
            let event = match signals.wait() {
                Ok(asked) => Event::Signal(asked),
                Err(error) => Event::Failed(anyhow!(error).context("waiting for signals")),
            };
            if events.send(event).is_err() {
                return;
            }
        }
    });
}

/// A thread that records.
fn start(record: &Record, pid: u32, events: Sender<Event>) {
    let record = Arc::clone(record);
    thread::spawn(move || {
        let result = catch_unwind(AssertUnwindSafe(|| record(pid)));
        let result = result.unwrap_or_else(|_| Err(anyhow!("the recording has panicked")));
        let _ = events.send(Event::Recorded(pid, result));
    });
}
