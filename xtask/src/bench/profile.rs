//! `waytrace profile` under measurement, and what it reports of itself.

use super::context::Context;
use super::cpus;
use super::process::Process;
use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use std::process::Command;
use std::time::Duration;

/// A run under way.
pub struct Profile {
    process: Process,
    /// From the start of the program to its line that everything is in place.
    pub attached_after: Duration,
    cpu_at_attach_ns: u64,
    attached_at_ns: u64,
}

/// A finished run.
pub struct Report {
    json: Value,
    /// CPU time from the attachment to the end of measuring, percent of one core, by the process's own clock.
    pub steady_cpu_pct: f64,
    /// CPU time from the start of the program to its exit, in nanoseconds, as the kernel says.
    pub cpu_ns: u64,
    /// Peak as the kernel says.
    pub peak_rss_bytes: u64,
}

impl Profile {
    /// `waytrace profile --pid PID ARGS` on the tools' CPU; returns when it is attached.
    pub fn attach(context: &Context, pid: u32, args: &[&str]) -> Result<Self> {
        Self::attach_on(context.cpus.tool, context, pid, args)
    }

    /// The same where the scheduler puts it, as for any user: a sampler of accesses may want to be on the target's CPU.
    pub fn attach_anywhere(context: &Context, pid: u32, args: &[&str]) -> Result<Self> {
        Self::attach_on(None, context, pid, args)
    }

    fn attach_on(cpu: Option<usize>, context: &Context, pid: u32, args: &[&str]) -> Result<Self> {
        let mut command = Command::new(&context.waytrace);
        command.args(["profile", "--json", "--pid", &pid.to_string(), "--db"]);
        command.arg(context.folder.join("runs.db")).args(args);
        let mut process = Process::start(&mut command, cpu)?;
        let attached = process.wait_for(|line| line.starts_with("waytrace: attached"));
        let Ok((_, attached_after)) = attached else {
            bail!("waytrace profile {}: {}", args.join(" "), process.finish()?.complaint());
        };
        let cpu_at_attach_ns = cpus::process_cpu_ns(process.pid())?;
        Ok(Self { process, attached_after, cpu_at_attach_ns, attached_at_ns: cpus::monotonic_ns()? })
    }

    /// Ends the run, unless it has by itself, and takes its report.
    pub fn finish(self) -> Result<Report> {
        let cpu_ns = cpus::process_cpu_ns(self.process.pid())?.saturating_sub(self.cpu_at_attach_ns);
        let wall_ns = cpus::monotonic_ns()?.saturating_sub(self.attached_at_ns);
        self.process.interrupt();
        let finished = self.process.finish()?;
        if !finished.success {
            bail!("waytrace profile failed: {}", finished.complaint());
        }
        Ok(Report {
            json: serde_json::from_str(&finished.stdout).context("waytrace printed no JSON")?,
            steady_cpu_pct: 100.0 * cpu_ns as f64 / wall_ns as f64,
            cpu_ns: finished.cpu_ns,
            peak_rss_bytes: finished.peak_rss_bytes,
        })
    }
}

impl Report {
    /// The number at a JSON pointer, `/allocations/alloc_count`; `None` where the report has null.
    pub fn number(&self, pointer: &str) -> Option<f64> {
        self.json.pointer(pointer).and_then(Value::as_f64)
    }

    /// The same of a number without which the report is not what was asked for.
    pub fn expect(&self, pointer: &str) -> Result<f64> {
        self.number(pointer).with_context(|| format!("waytrace reports no {pointer}: {}", self.reasons()))
    }

    /// Why something is missing, as the report says.
    pub fn reasons(&self) -> String {
        let null_reason = self.json.pointer("/allocations/null_reason").and_then(Value::as_str);
        let collectors = self.json["collectors"].as_array().into_iter().flatten();
        let reasons = collectors.filter_map(|one| one["reason"].as_str());
        null_reason.into_iter().chain(reasons).collect::<Vec<_>>().join("; ")
    }

    /// Losses of all kinds together.
    pub fn lost(&self) -> f64 {
        let kinds = self.json["loss"].as_object().into_iter().flatten();
        kinds.filter_map(|(_, count)| count.as_f64()).sum()
    }

    /// Functions probed, as `module:function+0xoffset`.
    pub fn probes(&self) -> Vec<String> {
        let probes = self.json.pointer("/allocations/probes").and_then(Value::as_array);
        probes.into_iter().flatten().filter_map(|probe| probe.as_str().map(str::to_owned)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_report_says_what_is_missing_and_why() {
        let json = json!({
            "allocations": {"alloc_count": 12.5, "alloc_bytes": null, "null_reason": "too short", "probes": ["a:b+0x1"]},
            "collectors": [{"name": "counters", "reason": null}, {"name": "mappings", "reason": "no tracefs"}],
            "loss": {"ring_full": 2, "map_full": 1},
        });
        let report = Report { json, steady_cpu_pct: 0.0, cpu_ns: 0, peak_rss_bytes: 0 };
        assert_eq!(report.number("/allocations/alloc_count"), Some(12.5));
        let error = report.expect("/allocations/alloc_bytes").unwrap_err().to_string();
        assert!(error.ends_with("too short; no tracefs"), "{error}");
        assert_eq!((report.lost(), report.probes()), (3.0, vec!["a:b+0x1".to_owned()]));
    }
}
