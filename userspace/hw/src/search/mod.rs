//! Looks for event codes and unit masks that count though nobody documents them, one after another, and stops at the first
//! sign that the machine takes harm.
//!
//! What is counted is behind [`Bench`], so that the decisions are tested on a simulated PMU. Not verified on hardware.

mod health;

use serde::{Deserialize, Serialize};

pub use health::Health;

/// A code and a unit mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Candidate {
    /// Event code.
    pub code: u64,
    /// Unit mask.
    pub umask: u64,
}

/// What became of a candidate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
pub enum Verdict {
    /// It counted twice; the second count.
    Counts {
        /// Of one period under load.
        value: u64,
    },
    /// It counted nothing, or not twice.
    Silent,
    /// The kernel does not take it.
    Refused {
        /// What it said.
        reason: String,
    },
    /// While or after it was counted there was a sign of harm, or the machine did not come back: never again.
    Suspect {
        /// The sign.
        sign: String,
    },
}

/// The PMU, a load on it, and the machine's health.
pub trait Bench {
    /// Counts a candidate for one period while the load runs; what the kernel says where it does not take it.
    fn count(&mut self, candidate: Candidate) -> Result<u64, String>;

    /// A sign of harm since the search began.
    fn harm(&mut self) -> Option<String>;
}

/// Keeps what the search finds, so that it survives the machine.
pub trait Journal {
    /// Why it cannot.
    type Error;

    /// A candidate is about to be counted.
    ///
    /// # Errors
    /// It cannot be kept: then it is not counted.
    fn begin(&mut self, candidate: Candidate) -> Result<(), Self::Error>;

    /// What became of it.
    ///
    /// # Errors
    /// It cannot be kept.
    fn end(&mut self, candidate: Candidate, verdict: &Verdict) -> Result<(), Self::Error>;
}

/// How a search ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// Every candidate was tried.
    Complete,
    /// Somebody asked for the end.
    Interrupted,
    /// There was a sign of harm.
    Harm {
        /// The last candidate; `None`: before any was tried.
        candidate: Option<Candidate>,
        /// The sign.
        sign: String,
    },
}

/// Tries the candidates in order, until one does harm or `goes_on` says no. A candidate that counts is counted again at once:
/// a single count may be an interrupt's.
///
/// # Errors
/// The journal's.
pub fn search<J: Journal>(
    bench: &mut impl Bench,
    journal: &mut J,
    candidates: impl IntoIterator<Item = Candidate>,
    mut goes_on: impl FnMut() -> bool,
) -> Result<End, J::Error> {
    if let Some(sign) = bench.harm() {
        return Ok(End::Harm { candidate: None, sign });
    }
    for candidate in candidates {
        if !goes_on() {
            return Ok(End::Interrupted);
        }
        journal.begin(candidate)?;
        let verdict = count(bench, candidate);
        if let Some(sign) = bench.harm() {
            journal.end(candidate, &Verdict::Suspect { sign: sign.clone() })?;
            return Ok(End::Harm { candidate: Some(candidate), sign });
        }
        journal.end(candidate, &verdict)?;
    }
    Ok(End::Complete)
}

fn count(bench: &mut impl Bench, candidate: Candidate) -> Verdict {
    match bench.count(candidate) {
        Err(reason) => Verdict::Refused { reason },
        Ok(0) => Verdict::Silent,
        // Nothing is counted twice on a machine that takes harm from it.
        Ok(_) if bench.harm().is_some() => Verdict::Silent,
        Ok(_) => match bench.count(candidate) {
            Ok(value) if value > 0 => Verdict::Counts { value },
            _ => Verdict::Silent,
        },
    }
}

#[cfg(test)]
mod tests;
