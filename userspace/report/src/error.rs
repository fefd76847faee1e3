//! What can go wrong while rendering: the writer fails, or there is nothing to draw.

use std::io;

use thiserror::Error;

/// Whatever a source of traced allocations or accesses fails with.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why an output was not written, or only in part.
#[derive(Debug, Error)]
pub enum Error {
    /// The writer refused bytes.
    #[error("cannot write the {format} output")]
    Write {
        /// Format being written.
        format: &'static str,
        /// What the writer said.
        source: io::Error,
    },
    /// The run's traced allocations could not be read to their end.
    #[error("cannot read the traced allocations")]
    Read {
        /// What their source said.
        source: Cause,
    },
    /// The run's sampled accesses could not be read to their end.
    #[error("cannot read the sampled accesses")]
    ReadAccesses {
        /// What their source said.
        source: Cause,
    },
    /// There is no sampled access to draw.
    #[error(
        "run `{run}` has no sampled memory access in view, so there is nothing to draw; profile with `--collect accesses`, \
         or widen --block-min, --block-max, --time-min and --time-max"
    )]
    NoAccesses {
        /// Name of the run.
        run: String,
    },
    /// The run's samples carry no latency.
    #[error(
        "run `{run}` knows no latencies: only a PMU with precise sampling tells them; use the weight `accesses`"
    )]
    NoLatencies {
        /// Name of the run.
        run: String,
    },
    /// The run has no weighted stack, so a drawing of stacks would be empty.
    #[error(
        "run `{run}` has no allocation sites, so there is nothing to draw; \
         profile with the allocation collector (`--collect allocations`), or export csv or json"
    )]
    NoStacks {
        /// Name of the run.
        run: String,
    },
}

impl Error {
    /// For `map_err`: the writer of `format` failed.
    pub(crate) fn writing<E: Into<io::Error>>(format: &'static str) -> impl Fn(E) -> Self {
        move |source| Self::Write { format, source: source.into() }
    }

    /// For `map_err`: the source of traced allocations failed.
    pub(crate) fn reading(error: impl Into<Cause>) -> Self {
        Self::Read { source: error.into() }
    }

    /// For `map_err`: the source of sampled accesses failed.
    pub(crate) fn reading_accesses(error: impl Into<Cause>) -> Self {
        Self::ReadAccesses { source: error.into() }
    }
}
