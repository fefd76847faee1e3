//! The rules that are there without being written.

use super::config::{Record, RuleConfig};

/// What the shipped rules compare with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Length of windows, nanoseconds.
    pub window_ns: u64,
    /// What waytrace may take of CPU time, percent of one CPU.
    pub cpu_pct: f64,
    /// What it may take of memory, bytes.
    pub rss_bytes: u64,
}

/// `leak`, `missing`, `budget` and `losses`.
///
/// A leak grows by 0.25 MB/s at least, which keeps out what small processes do; and in a minute by 5 % of what is resident, or by 2 %
/// to 6 % more than was usual for ten minutes, which keeps out how large ones swing. Growth needs five windows, so windows of
/// more than 12 s make its time longer.
pub fn shipped(limits: Limits) -> Vec<RuleConfig> {
    let seconds = limits.window_ns.saturating_mul(6).div_ceil(1_000_000_000).max(60);
    let growth = format!("growth(rss_bytes, {seconds}s)");
    let usual = format!("baseline({}s)", 10 * seconds);
    let relative = format!(
        "({growth} * 60s > 5% * rss_bytes or {growth} * 60s > 2% * rss_bytes and rss_bytes > 106% * {usual})"
    );
    let when = format!("{growth} > 0.25MB/s and {relative}");
    let leak = RuleConfig {
        clear_when: Some(format!("{growth} < 0.05MB/s")),
        clear_after: 6,
        record: Record::Switch(true),
        ..RuleConfig::new("leak", &when)
    };
    let budget = format!("own_cpu_pct > {}% or own_rss_bytes > {}B", limits.cpu_pct, limits.rss_bytes);
    vec![
        leak,
        RuleConfig::new("missing", "missing"),
        // One window may be dear (a recording ends, a database is tidied); a minute of them is not by chance.
        RuleConfig { hold_for: 6, clear_after: 6, ..RuleConfig::new("budget", &budget) },
        RuleConfig { hold_for: 3, ..RuleConfig::new("losses", "lost > 0") },
    ]
}

/// Shipped rules, with those of the configuration in place of and beside them. One whose condition is `false` is left out.
pub fn with_shipped(limits: Limits, configured: &[RuleConfig]) -> Vec<RuleConfig> {
    let is_replaced = |rule: &RuleConfig| configured.iter().any(|own| own.name == rule.name);
    let kept = shipped(limits).into_iter().filter(|rule| !is_replaced(rule));
    kept.chain(configured.iter().cloned()).filter(|rule| rule.when.trim() != "false").collect()
}
