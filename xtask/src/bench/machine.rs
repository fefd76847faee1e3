//! Where figures come from: the machine, the versions, and who else was using it meanwhile.
//!
//! What others use is all busy time (`/proc/stat`, steal included, see proc(5)) less that of this program and of the
//! children it has waited for. Kernel threads count as others.

use super::cpus::{self, Cpus};
use crate::workspace;
use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Above this share of one core in use by others, percent, figures are called noisy.
const NOISY_PCT: f64 = 10.0;

/// The machine and the versions, for the record. Of a `given` program there is no commit, only its path.
pub fn provenance(cpus: Cpus, given: Option<&Path>) -> Value {
    let commit = || said(workspace::root().ok()?, "git", &["describe", "--always", "--dirty"]);
    let line = |path: &str| fs::read_to_string(path).map(|text| text.trim().to_owned()).ok();
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let value = cpuinfo.lines().find(|line| line.starts_with(name))?.split_once(':')?.1;
        Some(value.trim().to_owned())
    };
    json!({
        "kernel": line("/proc/sys/kernel/osrelease"),
        "cpu_model": field("model name"),
        "microcode": field("microcode"),
        "cpus_online": line("/sys/devices/system/cpu/online"),
        "hypervisor": cpuinfo.contains(" hypervisor"),
        "commit": if given.is_none() { commit() } else { None },
        "given": given,
        "target_cpu": cpus.target,
        "tool_cpu": cpus.tool,
    })
}

/// What a command prints in a folder, if it can.
fn said(folder: &Path, program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).current_dir(folder).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    output.status.success().then_some(text)
}

/// Watches who else uses the machine.
#[derive(Debug)]
pub struct Watch {
    load_average: f64,
    at_ns: u64,
    busy: Busy,
    ours_ns: u64,
}

/// What others used while a benchmark ran.
#[derive(Debug, Clone, Copy)]
pub struct Noise {
    /// Over one minute, before the start.
    pub load_average: f64,
    /// CPU time of others, percent of one core.
    pub others_pct: f64,
    /// Of that, taken by the hypervisor.
    pub steal_pct: f64,
}

impl Watch {
    pub fn start() -> Result<Self> {
        let path = "/proc/loadavg";
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
        let first = text.split_whitespace().next().and_then(|word| word.parse().ok());
        let load_average = first.with_context(|| format!("{path} does not begin with a number"))?;
        Ok(Self { load_average, at_ns: cpus::monotonic_ns()?, busy: Busy::read()?, ours_ns: ours_ns() })
    }

    /// To be asked when all children have been waited for.
    pub fn finish(self) -> Result<Noise> {
        let wall_ns = (cpus::monotonic_ns()? - self.at_ns).max(1) as f64;
        let busy = Busy::read()?;
        let ours_ns = ours_ns().saturating_sub(self.ours_ns);
        let others_ns = busy.all_ns.saturating_sub(self.busy.all_ns).saturating_sub(ours_ns);
        let steal_ns = busy.steal_ns.saturating_sub(self.busy.steal_ns);
        Ok(Noise {
            load_average: self.load_average,
            others_pct: 100.0 * others_ns as f64 / wall_ns,
            steal_pct: 100.0 * steal_ns as f64 / wall_ns,
        })
    }
}

impl Noise {
    pub fn is_noisy(self) -> bool {
        self.others_pct > NOISY_PCT
    }

    pub fn json(self) -> Value {
        json!({
            "load_average": self.load_average, "others_pct": self.others_pct, "steal_pct": self.steal_pct,
            "noisy": self.is_noisy(),
        })
    }
}

/// Time CPUs were busy since boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Busy {
    all_ns: u64,
    steal_ns: u64,
}

impl Busy {
    fn read() -> Result<Self> {
        let path = "/proc/stat";
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
        // SAFETY: passes a number only.
        let ticks_per_s = unsafe { libc::sysconf(libc::_SC_CLK_TCK) }.max(1) as u64;
        Self::parse(&text, 1_000_000_000 / ticks_per_s)
            .with_context(|| format!("{path} has no line of all CPUs"))
    }

    /// `cpu user nice system idle iowait irq softirq steal guest guest_nice`; guests count as user already.
    fn parse(text: &str, tick_ns: u64) -> Option<Self> {
        let fields = text.lines().find_map(|line| line.strip_prefix("cpu "))?;
        let ticks: Vec<u64> = fields.split_whitespace().map_while(|field| field.parse().ok()).collect();
        let [user, nice, system, _idle, _iowait, irq, softirq, steal, ..] = ticks[..] else { return None };
        let all = user + nice + system + irq + softirq + steal;
        Some(Self { all_ns: all * tick_ns, steal_ns: steal * tick_ns })
    }
}

/// CPU time of this program and of the children it has waited for.
fn ours_ns() -> u64 {
    [libc::RUSAGE_SELF, libc::RUSAGE_CHILDREN].into_iter().map(usage_ns).sum()
}

fn usage_ns(whose: libc::c_int) -> u64 {
    // SAFETY: a usage is plain numbers, for which all zeroes is a value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: `usage` is a valid place for the result. It fails for no other reason than a wrong `whose`.
    unsafe { libc::getrusage(whose, &raw mut usage) };
    let time_ns = |time: libc::timeval| time.tv_sec as u64 * 1_000_000_000 + time.tv_usec as u64 * 1000;
    time_ns(usage.ru_utime) + time_ns(usage.ru_stime)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn busy_is_everything_but_idle_and_waiting_for_disks() {
        let text = "cpu  1 2 4 1000 1000 8 16 32 0 0\ncpu0 9 9 9 9 9 9 9 9 0 0\n";
        assert_eq!(Busy::parse(text, 10), Some(Busy { all_ns: 630, steal_ns: 320 }));
        assert_eq!(Busy::parse("cpu  1 2 3\n", 10), None);
        assert_eq!(Busy::parse("intr 1\n", 10), None);
    }

    #[test]
    fn work_of_a_child_is_not_of_others() {
        let before = ours_ns();
        let spin = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done";
        assert!(Command::new("sh").args(["-c", spin]).status().unwrap().success());
        assert!(ours_ns() - before > 10_000_000);
    }

    #[test]
    fn a_busy_neighbour_makes_figures_noisy() {
        let noise = |others_pct| Noise { load_average: 0.0, others_pct, steal_pct: 0.0 };
        assert!(noise(50.0).is_noisy() && !noise(2.0).is_noisy());
    }
}
