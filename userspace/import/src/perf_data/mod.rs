//! `perf.data`: the file `perf record` writes, and the stream it writes into a pipe.
//!
//! Source: `tools/perf/Documentation/perf.data-file-format.txt`, `tools/perf/util/header.c`.

mod attr;
mod features;
mod header;
mod reader;

pub use reader::scan;
