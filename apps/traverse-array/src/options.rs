//! The command line; `app.toml` lists the same parameters with their ranges.

use clap::Parser;
use waytrace_model::units::{ParseError, parse_size_bytes};

/// Strided passes over an array beside a small request server: short-lived, longer-lived and leaking blocks.
#[derive(Debug, Clone, Copy, Parser)]
#[command(version)]
pub struct Options {
    /// Array each thread traverses.
    #[arg(long, value_name = "SIZE", default_value = "64KiB", value_parser = size)]
    pub size: usize,
    /// Distance between two accesses, in bytes.
    #[arg(long, value_name = "BYTES", default_value = "64", value_parser = stride)]
    pub stride: usize,
    /// Passes over the array per millisecond.
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub iters: u32,
    /// Requests per second and thread; each allocates at least once.
    #[arg(long, value_name = "HZ", default_value_t = 20_000)]
    pub alloc_rate: u32,
    /// Worker threads.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = threads)]
    pub threads: usize,
    /// How long to run; 0 runs until SIGTERM or SIGINT.
    #[arg(long, value_name = "S", default_value_t = 10)]
    pub seconds: u64,
    /// Stop each thread after this many requests: the truth is then the same on every run.
    #[arg(long, value_name = "N")]
    pub requests: Option<u64>,
    /// Begin only when a line, or the end, has come on stdin.
    #[arg(long)]
    pub wait: bool,
}

fn size(text: &str) -> Result<usize, String> {
    let bytes = parse_size_bytes(text).map_err(|error: ParseError| error.to_string())?;
    usize::try_from(bytes)
        .ok()
        .filter(|bytes| (1..1 << 40).contains(bytes))
        .ok_or_else(|| format!("`{text}` is not between 1B and 1TiB"))
}

fn stride(text: &str) -> Result<usize, String> {
    size(text).map_err(|_| format!("`{text}` is not a stride; write a number of bytes from 1"))
}

fn threads(text: &str) -> Result<usize, String> {
    let count = text.parse().ok().filter(|count| (1..=4096).contains(count));
    count.ok_or_else(|| format!("`{text}` is not a number of threads between 1 and 4096"))
}
