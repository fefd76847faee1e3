//! Windows as tests want them, and noise of known properties.

use waytrace_model::monitor::{Alert, HostWindow, Metric, ProcessWindow, TargetWindow, Values};

use super::super::{Event, RuleConfig, Rules};

pub const S: u64 = 1_000_000_000;
pub const MB: f64 = 1024.0 * 1024.0;

/// Window `index` of a host, of so many seconds, without targets.
pub fn host(index: u64, seconds: u64) -> HostWindow {
    HostWindow {
        index,
        start_unix_ns: 1_700_000_000 * S + index * seconds * S,
        start_boot_ns: 1000 * S + index * seconds * S,
        length_ns: seconds * S,
        ..HostWindow::default()
    }
}

/// A target with these numbers and one process (id, start by the boot clock in seconds).
pub fn target(name: &str, process: (u32, u64), values: &[(Metric, f64)]) -> TargetWindow {
    let (pid, start_s) = process;
    TargetWindow {
        target: name.to_owned(),
        values: values.iter().copied().collect::<Values>(),
        processes: vec![ProcessWindow { pid, start_boot_ns: start_s * S, ..ProcessWindow::default() }],
        ..TargetWindow::default()
    }
}

/// Rules on windows of 10 s.
pub fn rules(configs: &[RuleConfig]) -> Rules {
    Rules::new(configs, 10 * S).unwrap_or_else(|error| panic!("{error}"))
}

/// One rule that fires at once and clears at once.
pub fn quick(when: &str) -> RuleConfig {
    RuleConfig { hold_for: 1, clear_after: 1, ..RuleConfig::new("r", when) }
}

pub fn began(events: &[Event]) -> Vec<&Alert> {
    events
        .iter()
        .filter_map(|event| if let Event::Began(alert) = event { Some(alert) } else { None })
        .collect()
}

pub fn ended(events: &[Event]) -> Vec<&Alert> {
    events
        .iter()
        .filter_map(|event| if let Event::Ended(alert) = event { Some(alert) } else { None })
        .collect()
}

/// SplitMix64 and, by Box and Muller, normal numbers.
pub struct Noise(u64);

impl Noise {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn even(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    pub fn normal(&mut self) -> f64 {
        let (radius, angle) = (1.0 - self.even(), self.even());
        (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
    }
}
