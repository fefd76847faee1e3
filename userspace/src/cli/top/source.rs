//! Where windows come from, as `top` sees it.

use std::sync::Arc;
use std::time::Duration;

use waytrace_model::monitor::{Alert, HostWindow};

/// Windows, one after the other. It has a thread to itself.
pub trait Source: Send {
    /// The next window; `None` when there is none within `timeout`.
    ///
    /// # Errors
    /// What ends the windows: a file with something else in it, a collector that cannot go on.
    fn next(&mut self, timeout: Duration) -> anyhow::Result<Option<HostWindow>>;

    /// Whether there will be no more.
    fn has_ended(&self) -> bool {
        false
    }

    /// Whether it has something in place that is put away when it is dropped.
    fn has_to_end(&self) -> bool {
        false
    }

    /// What is known of the host beside the window returned last; asked once for each.
    fn facts(&mut self) -> Facts {
        Facts::default()
    }

    /// Alerts that began or ended since this was asked last.
    fn alerts(&mut self) -> Vec<Alert> {
        Vec::new()
    }

    /// Length of windows from now on; of a replay, the time between them.
    fn set_interval(&mut self, interval: Duration);
}

/// What a window does not tell. What is not known is not shown.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Facts {
    /// CPUs online.
    pub cpus: Option<u32>,
    /// CPU time of all that ran on the host in the window, percent of one CPU.
    pub host_cpu_pct: Option<f64>,
    /// What waytrace may take of CPU time, percent of one CPU.
    pub budget_cpu_pct: Option<f64>,
    /// What waytrace may hold in memory.
    pub budget_rss_bytes: Option<u64>,
}

/// Makes a detailed profile of a process and returns the run's name. It is called in a thread of its own and may take its time.
pub type Record = Arc<dyn Fn(u32) -> anyhow::Result<String> + Send + Sync>;
