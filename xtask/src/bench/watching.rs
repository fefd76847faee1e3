//! A `monitor` under way, for benchmarks of it.

use super::context::Context;
use super::process::Process;
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// It, and when it began.
pub struct Monitor {
    pub process: Process,
    began: Instant,
}

impl Monitor {
    /// Starts it with a configuration; it watches when this returns.
    pub fn start(context: &Context, config: &Path) -> Result<Self> {
        Self::start_on(context.cpus.tool, context, config)
    }

    /// The same on one CPU, or on whichever has nothing to do.
    pub fn start_on(cpu: Option<usize>, context: &Context, config: &Path) -> Result<Self> {
        let mut command = Command::new(&context.waytrace);
        command.args(["monitor", "--json", "--config"]).arg(config);
        let mut process = Process::start(&mut command, cpu)?;
        process.wait_for(|line| line.contains("watching"))?;
        Ok(Self { process, began: Instant::now() })
    }

    /// Ends it, and takes its windows.
    pub fn finish(self) -> Result<Vec<Value>> {
        ensure!(self.began.elapsed() > Duration::from_secs(1), "there was nothing to watch");
        self.process.interrupt();
        let finished = self.process.finish()?;
        ensure!(finished.success, "monitor failed: {}", finished.complaint());
        finished
            .stdout
            .lines()
            .map(|line| serde_json::from_str(line).context("a window that is no JSON"))
            .collect()
    }
}

/// The targets of a window.
pub fn targets(window: &Value) -> impl Iterator<Item = &Value> {
    window.get("targets").and_then(Value::as_array).into_iter().flatten()
}

/// A target's name.
pub fn name(target: &Value) -> &str {
    target.get("target").and_then(Value::as_str).unwrap_or_default()
}
