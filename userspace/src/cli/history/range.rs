//! `--since` and `--until`: how long ago, or when.

use anyhow::bail;
use waytrace_model::units::{format_ns, parse_duration_ns};

use super::super::output::now_unix_ns;

/// Title of these options.
pub const HEADING: &str = "History of `waytrace monitor`";

/// A range of the history instead of a run.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = HEADING)]
pub struct RangeArgs {
    /// A range of the history: from so long ago (90s, 2h, 30d), or from a time in UTC (2026-01-31, 2026-01-31T12:30:00).
    #[arg(long, value_name = "AGO|TIME")]
    since: Option<Moment>,
    /// Its end, likewise [default: now].
    #[arg(long, value_name = "AGO|TIME", requires = "since")]
    until: Option<Moment>,
}

/// Nanoseconds since the Unix epoch, the end exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// Begin.
    pub from_unix_ns: u64,
    /// End.
    pub to_unix_ns: u64,
}

impl RangeArgs {
    /// The range asked for; `None`: none is.
    ///
    /// # Errors
    /// Its begin is not before its end.
    pub fn range(&self) -> anyhow::Result<Option<Range>> {
        let Some(since) = self.since else { return Ok(None) };
        let now = now_unix_ns();
        let range =
            Range { from_unix_ns: since.at(now), to_unix_ns: self.until.map_or(now, |until| until.at(now)) };
        if range.from_unix_ns >= range.to_unix_ns {
            let late = format_ns((range.from_unix_ns - range.to_unix_ns) as f64);
            bail!(
                "--since is not before --until, but {late} after it; the earlier of both is the one longer ago: --since 2h --until 1h"
            );
        }
        Ok(Some(range))
    }
}

impl Range {
    /// The same range so much earlier.
    pub fn earlier(self, ns: u64) -> Self {
        Self {
            from_unix_ns: self.from_unix_ns.saturating_sub(ns),
            to_unix_ns: self.to_unix_ns.saturating_sub(ns),
        }
    }
}

/// A moment as it is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// So long ago.
    Ago(u64),
    /// At that time, nanoseconds since the Unix epoch.
    At(u64),
}

impl Moment {
    fn at(self, now_unix_ns: u64) -> u64 {
        match self {
            Self::Ago(ns) => now_unix_ns.saturating_sub(ns),
            Self::At(unix_ns) => unix_ns,
        }
    }
}

impl std::str::FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(ns) = parse_duration_ns(text) {
            return Ok(Self::Ago(ns));
        }
        waytrace_store::time::parse_rfc3339(text).map(Self::At).ok_or_else(|| {
            format!("`{text}` is neither how long ago (90s, 2h, 30d) nor a time in UTC (2026-01-31, 2026-01-31T12:30:00)")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_ages_or_times() {
        assert_eq!("2h".parse(), Ok(Moment::Ago(7_200_000_000_000)));
        assert_eq!("2023-11-14T22:13:20Z".parse(), Ok(Moment::At(1_700_000_000_000_000_000)));
        for text in ["", "yesterday", "2023-13-01", "-2h"] {
            let error = text.parse::<Moment>().unwrap_err();
            assert!(error.contains("neither how long ago"), "{error}");
        }
    }

    #[test]
    fn a_range_ends_after_it_begins() {
        let args = |since, until| RangeArgs { since: Some(since), until };
        assert_eq!(RangeArgs::default().range().unwrap(), None);
        let range = args(Moment::At(5), Some(Moment::At(9))).range().unwrap().unwrap();
        assert_eq!(range.earlier(3), Range { from_unix_ns: 2, to_unix_ns: 6 });
        let wrong = args(Moment::Ago(60_000_000_000), Some(Moment::Ago(7_200_000_000_000)));
        assert!(wrong.range().unwrap_err().to_string().contains("--since is not before --until"));
    }
}
