//! One figure of a benchmark: what was asked, what was reached, and what to think of it.

use super::stats::Spread;
use serde_json::{Value, json};

/// What is asked of a figure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Asked {
    /// Most measurements are at most this.
    AtMost(f64),
    /// Most measurements are at least this.
    AtLeast(f64),
    /// Every single measurement is this far from zero at most: for errors, where a good median excuses nothing.
    Within(f64),
    /// Every single measurement is exactly this.
    Exactly(f64),
}

/// What to think of a figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Met,
    Missed,
    /// What was asked lies among the measurements (within the quartiles, where there are such): more repetitions or a quieter machine would tell.
    Unclear,
    /// Nothing was asked; it stands there to be compared with.
    Reference,
    /// It could not be measured.
    Unavailable,
}

impl Verdict {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::Missed => "MISSED",
            Self::Unclear => "unclear",
            Self::Reference => "-",
            Self::Unavailable => "not available",
        }
    }
}

/// One line of the table.
#[derive(Debug, Clone)]
pub struct Figure {
    what: String,
    unit: &'static str,
    asked: Option<Asked>,
    reached: Result<Spread, String>,
}

impl Figure {
    /// A figure from its measurements; without any it is not available.
    pub fn new(what: impl Into<String>, unit: &'static str, values: impl IntoIterator<Item = f64>) -> Self {
        let reached = Spread::of(values).ok_or_else(|| "nothing was measured".to_owned());
        Self { what: what.into(), unit, asked: None, reached }
    }

    /// A figure from the measurements that succeeded; if none did, why.
    pub fn of_results(
        what: impl Into<String>,
        unit: &'static str,
        results: impl IntoIterator<Item = Result<f64, String>>,
    ) -> Self {
        let (values, failures): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
        match failures.into_iter().find_map(Result::err) {
            Some(why) if values.is_empty() => Self::unavailable(what, unit, why),
            _ => Self::new(what, unit, values.into_iter().flatten()),
        }
    }

    /// A figure that cannot be had, and why.
    pub fn unavailable(what: impl Into<String>, unit: &'static str, why: impl Into<String>) -> Self {
        Self { what: what.into(), unit, asked: None, reached: Err(why.into()) }
    }

    pub fn asked(mut self, asked: Asked) -> Self {
        self.asked = Some(asked);
        self
    }

    pub fn verdict(&self) -> Verdict {
        match (&self.reached, self.asked) {
            (Err(_), _) => Verdict::Unavailable,
            (Ok(_), None) => Verdict::Reference,
            (Ok(spread), Some(asked)) => judge(spread, asked),
        }
    }

    /// The cells of its line: figure, asked, reached, verdict.
    pub fn cells(&self, is_noisy: bool) -> [String; 4] {
        let verdict = self.verdict();
        let is_judged = !matches!(verdict, Verdict::Reference | Verdict::Unavailable);
        let noisy = if is_noisy && is_judged { " (noisy)" } else { "" };
        let asked = self.asked.map(|asked| asked_text(asked, self.unit)).unwrap_or_default();
        let reached = self.reached.as_ref().map_or_else(|why| brief(why), |spread| self.spread_text(spread));
        [self.what.clone(), asked, reached, format!("{}{noisy}", verdict.as_str())]
    }

    fn spread_text(&self, spread: &Spread) -> String {
        let (unit, median) = (self.unit, number(spread.median()));
        if spread.count() == 1 {
            return format!("{median} {unit}").trim_end().to_owned();
        }
        let (low, high) = most_of(spread);
        let what = if has_quartiles(spread) { "IQR " } else { "" };
        format!("{median} {unit} ({what}{} .. {}, n={})", number(low), number(high), spread.count())
            .replace("  ", " ")
    }

    pub fn json(&self) -> Value {
        let asked = self.asked.map(|asked| asked_text(asked, self.unit));
        let (reached, reason) = match &self.reached {
            Ok(spread) => (spread.json(), None),
            Err(reason) => (Value::Null, Some(reason)),
        };
        json!({
            "figure": self.what, "unit": self.unit, "asked": asked, "reached": reached, "reason": reason,
            "verdict": self.verdict().as_str(),
        })
    }
}

/// Between which values most measurements lie: the quartiles, or all where there are too few for such.
fn most_of(spread: &Spread) -> (f64, f64) {
    if has_quartiles(spread) { spread.quartiles() } else { (spread.min(), spread.max()) }
}

fn has_quartiles(spread: &Spread) -> bool {
    spread.count() > 3
}

fn judge(spread: &Spread, asked: Asked) -> Verdict {
    let (low, high) = most_of(spread);
    let (best, worst) = match asked {
        Asked::AtMost(limit) => (limit - low, limit - high),
        Asked::AtLeast(limit) => (high - limit, low - limit),
        Asked::Within(limit) => {
            let room = limit - spread.max().abs().max(spread.min().abs());
            (room, room)
        }
        Asked::Exactly(value) => {
            let off = -(spread.max() - value).abs().max((spread.min() - value).abs());
            (off, off)
        }
    };
    match (best >= 0.0, worst >= 0.0) {
        (_, true) => Verdict::Met,
        (true, false) => Verdict::Unclear,
        (false, false) => Verdict::Missed,
    }
}

fn asked_text(asked: Asked, unit: &str) -> String {
    match asked {
        Asked::AtMost(limit) => format!("<= {} {unit}", number(limit)),
        Asked::AtLeast(limit) => format!(">= {} {unit}", number(limit)),
        Asked::Within(limit) => format!("within +-{} {unit}", number(limit)),
        Asked::Exactly(value) => format!("{} {unit}", number(value)),
    }
}

/// A reason on one line of the table; the file has all of it.
fn brief(reason: &str) -> String {
    const MOST_CHARS: usize = 60;
    let line = reason.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MOST_CHARS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// Three digits that mean something, and no more.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 || value == 0.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 0.1 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(values: &[f64], asked: Asked) -> Verdict {
        Figure::new("x", "%", values.iter().copied()).asked(asked).verdict()
    }

    #[test]
    fn a_limit_among_the_measurements_is_unclear() {
        assert_eq!(verdict(&[1.0, 1.1, 1.2, 1.3], Asked::AtMost(2.0)), Verdict::Met);
        assert_eq!(verdict(&[1.0, 1.9, 2.1, 3.0], Asked::AtMost(2.0)), Verdict::Unclear);
        assert_eq!(verdict(&[2.1, 2.2, 2.3, 2.4], Asked::AtMost(2.0)), Verdict::Missed);
        assert_eq!(verdict(&[2.1, 2.2, 2.3, 2.4], Asked::AtLeast(2.0)), Verdict::Met);
    }

    #[test]
    fn an_outlier_among_few_leaves_it_unclear_and_among_many_does_not() {
        assert_eq!(verdict(&[1.0, 1.1, 9.0], Asked::AtMost(2.0)), Verdict::Unclear);
        assert_eq!(verdict(&[1.0, 1.1, 1.2, 1.3, 9.0], Asked::AtMost(2.0)), Verdict::Met);
    }

    #[test]
    fn errors_are_judged_by_their_worst() {
        assert_eq!(verdict(&[0.1, -0.2, 4.9], Asked::Within(5.0)), Verdict::Met);
        assert_eq!(verdict(&[0.1, 0.2, -5.1], Asked::Within(5.0)), Verdict::Missed);
        assert_eq!(verdict(&[0.0, 0.0, 0.0], Asked::Exactly(0.0)), Verdict::Met);
        assert_eq!(verdict(&[0.0, 0.0, 1.0], Asked::Exactly(0.0)), Verdict::Missed);
    }

    #[test]
    fn nothing_asked_and_nothing_measured_are_no_verdicts() {
        assert_eq!(Figure::new("x", "ns", [1.0]).verdict(), Verdict::Reference);
        assert_eq!(Figure::new("x", "ns", []).asked(Asked::AtMost(1.0)).verdict(), Verdict::Unavailable);
        let missing = Figure::unavailable("x", "ns", "no such tool");
        assert_eq!(missing.cells(true), ["x", "", "no such tool", "not available"]);
        let long = Figure::unavailable("x", "ns", "one\n  two ".repeat(30));
        assert!(long.cells(true)[2].starts_with("one two one"));
        assert_eq!(long.cells(true)[2].chars().count(), 61);
    }

    #[test]
    fn measurements_that_failed_leave_the_others_or_a_reason() {
        let reached = |results: &[Result<f64, String>]| {
            Figure::of_results("x", "ns", results.iter().cloned()).cells(false)[2].clone()
        };
        let failed = || Err("no such tool".to_owned());
        assert_eq!(reached(&[failed(), Ok(3.0)]), "3.00 ns");
        assert_eq!(reached(&[failed(), failed()]), "no such tool");
        assert_eq!(reached(&[]), "nothing was measured");
    }

    #[test]
    fn noise_marks_judged_figures_only() {
        let judged = Figure::new("x", "us", [1.5]).asked(Asked::AtMost(2.0));
        assert_eq!(judged.cells(true), ["x", "<= 2.00 us", "1.50 us", "met (noisy)"]);
        assert_eq!(Figure::new("x", "us", [0.012, 0.02]).cells(true)[2], "0.0160 us (0.0120 .. 0.0200, n=2)");
    }
}
