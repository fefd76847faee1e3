//! What came of many ends: how many failed, and how long the others took.

use std::time::Duration;

use serde_json::{Value, json};

/// Random numbers that are the same in every run of as many kills.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed | 1 << 63)
    }

    /// The next, below `end`. xorshift64*.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16) % end
    }
}

/// All ends of one kind.
pub struct Tally {
    what: String,
    end: String,
    taken: Vec<Duration>,
    pub failures: Vec<String>,
}

impl Tally {
    pub fn new(what: &str, end: &str) -> Self {
        Self { what: what.to_owned(), end: end.to_owned(), taken: Vec::new(), failures: Vec::new() }
    }

    pub fn add(&mut self, host: &str, result: Result<Duration, String>) {
        match result {
            Ok(taken) => self.taken.push(taken),
            Err(failure) => self.failures.push(format!("{} of {} on {host}: {failure}", self.end, self.what)),
        }
    }

    pub fn count(&self) -> usize {
        self.taken.len() + self.failures.len()
    }

    fn json(&self) -> Value {
        let mut ms: Vec<f64> = self.taken.iter().map(|taken| taken.as_secs_f64() * 1e3).collect();
        ms.sort_by(f64::total_cmp);
        json!({
            "what": self.what,
            "end": self.end,
            "count": self.count(),
            "failures": self.failures,
            "restored_ms": ms,
        })
    }
}

/// Writes them where the benchmark asks for them.
pub fn write(tallies: &[Tally]) {
    let Some(path) = std::env::var_os("WAYTRACE_KILLS_JSON") else { return };
    let path = std::path::PathBuf::from(path);
    let mut all: Vec<Value> =
        std::fs::read(&path).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
    all.extend(tallies.iter().map(Tally::json));
    std::fs::write(&path, Value::Array(all).to_string()).unwrap();
}
