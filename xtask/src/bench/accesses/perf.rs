//! `perf record` as one would use it for the same end: user registers at every tick of a clock, and `perf script` to
//! get at them. Finding the accesses would come on top.

use super::super::context::Context;
use super::super::peers;
use super::super::process::Process;
use anyhow::{Context as _, Result, bail, ensure};
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

const REGISTERS: &str = "--user-regs=ax,bx,cx,dx,si,di,bp,sp,ip,flags,r8,r9,r10,r11,r12,r13,r14,r15";

/// A recording under way.
pub struct Recording {
    process: Process,
    file: PathBuf,
    started: Instant,
}

/// What it took.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// CPU time of `perf record`, percent of a core.
    pub record_pct: f64,
    /// CPU time of `perf script`, percent of a core over the time recorded.
    pub script_pct: f64,
    pub bytes_per_s: f64,
}

impl Recording {
    /// Records a process. perf does not say when it has attached, so it is given time to.
    pub fn start(context: &Context, pid: u32, rate_hz: &str) -> Result<Self> {
        if let Some(why) = peers::missing("perf") {
            bail!(why);
        }
        let file = context.folder.join("perf.data");
        let mut command = Command::new("perf");
        command.args(["record", "-q", "-e", "cpu-clock", "-F", rate_hz, REGISTERS]);
        command.args(["-p", &pid.to_string(), "-o"]).arg(&file);
        let started = Instant::now();
        let process = Process::start(&mut command, context.cpus.tool)?;
        thread::sleep(Duration::from_secs(1));
        Ok(Self { process, file, started })
    }

    /// Ends it and prints what it has recorded, to nobody.
    pub fn finish(self, context: &Context) -> Result<Cost> {
        self.process.interrupt();
        let wall_ns = self.started.elapsed().as_nanos() as f64;
        // Interrupted, perf ends by the signal: whether it recorded is seen in the file.
        let recorded = self.process.finish()?;
        let bytes =
            self.file.metadata().with_context(|| format!("perf record: {}", recorded.complaint()))?.len();
        let mut script = Command::new("sh");
        script
            .args(["-c", "exec perf script -i \"$1\" -F tid,time,ip,uregs > /dev/null", "sh"])
            .arg(&self.file);
        let printed = Process::start(&mut script, context.cpus.tool)?.finish()?;
        ensure!(printed.success, "perf script: {}", printed.complaint());
        Ok(Cost {
            record_pct: 100.0 * recorded.cpu_ns as f64 / wall_ns,
            script_pct: 100.0 * printed.cpu_ns as f64 / wall_ns,
            bytes_per_s: bytes as f64 * 1e9 / wall_ns,
        })
    }
}
