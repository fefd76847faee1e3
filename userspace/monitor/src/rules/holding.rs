//! Whether a rule holds for a target, window after window: hysteresis.

use waytrace_model::monitor::{Alert, AlertEnd};

/// State of one rule for one target.
#[derive(Debug, Clone, Default)]
pub struct Holding {
    /// Windows in a row it held, and the end of the first by the wall clock. Those without a value do not count either way.
    held: u32,
    since_unix_ns: u64,
    /// Windows in a row in which it was over.
    cleared: u32,
    /// Those whom the alert is about are gone: windows without a value count as over.
    orphaned: bool,
    /// While it is told.
    pub alert: Option<Alert>,
}

/// How often it must hold, and be over.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Windows.
    pub hold_for: u32,
    /// Windows.
    pub clear_after: u32,
}

/// What changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It has held for long enough, and did first at this time.
    Begins {
        /// End of the first window in which it held, nanoseconds since the Unix epoch.
        since_unix_ns: u64,
    },
    /// It has been over for long enough.
    Ends,
}

impl Holding {
    /// The processes it was about are not there.
    pub fn orphan(&mut self) {
        self.orphaned = true;
    }

    /// Others are there instead.
    pub fn replace(&mut self) {
        self.held = 0;
        self.orphaned = true;
    }

    /// The next window: whether the condition holds, and whether what ends it does.
    pub fn next(
        &mut self,
        patience: Patience,
        holds: Option<bool>,
        is_over: Option<bool>,
        now_unix_ns: u64,
    ) -> Option<Turn> {
        if self.alert.is_none() {
            match holds {
                Some(true) => self.held += 1,
                Some(false) => self.held = 0,
                None => return None,
            }
            if self.held == 1 {
                self.since_unix_ns = now_unix_ns;
            }
            return (self.held >= patience.hold_for)
                .then_some(Turn::Begins { since_unix_ns: self.since_unix_ns });
        }
        match is_over {
            Some(true) => self.cleared += 1,
            Some(false) => (self.cleared, self.orphaned) = (0, false),
            None if self.orphaned => self.cleared += 1,
            None => {}
        }
        (self.cleared >= patience.clear_after).then_some(Turn::Ends)
    }

    /// From now on it is told.
    pub fn begin(&mut self, alert: Alert) {
        *self = Self { alert: Some(alert), ..Self::default() };
    }

    /// It is over; gives the alert that was told.
    pub fn end(&mut self, now_unix_ns: u64) -> Option<Alert> {
        let ended = std::mem::take(self).alert?;
        Some(Alert { ended: Some(AlertEnd { at_unix_ns: now_unix_ns }), ..ended })
    }
}
