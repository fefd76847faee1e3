//! `sweep`: way sweeps of simulated hosts against what the simulator knows to be true: errors, bands, waits; and what a sweep's own
//! work takes. No figure of any machine.
//!
//! The errors are found by a test of `waytrace-sweep`, run at length, on hosts that stand still between looks. Its own work is that of
//! the binary on a mounted host.

use super::context::Context;
use super::figure::{Asked, Figure};
use crate::workspace;
use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

const RESULT: &str = "sweep-tests.json";
const DATABASE: &str = "sweep.db";
/// Hosts whose sweeps' own work is measured, by interface.
const OWN_WORK: [(&str, &str); 2] = [("twelve", "resctrl"), ("unmounted", "msr")];
const PROGRAM: &str = "random:32MiB@0";

/// The benchmark.
pub fn run(context: &Context) -> Result<Vec<Figure>> {
    let rows = accuracy(context)?;
    let mut figures: Vec<Figure> = hosts(&rows).iter().flat_map(|host| of_host(&rows, host)).collect();
    let simhost = simhost()?;
    for (host, interface) in OWN_WORK {
        let work = (0..context.pick(5, 1)).map(|_| own_work_ms(context, &simhost, host, interface));
        let work: Vec<f64> = work.collect::<Result<_>>()?;
        let what = format!("own CPU time of a 12-way sweep, {interface} (simulated)");
        figures.push(Figure::new(what, "ms", work).asked(Asked::AtMost(100.0)));
    }
    Ok(figures)
}

/// What the test finds, a row for each host, interface and program.
fn accuracy(context: &Context) -> Result<Vec<Value>> {
    let path = context.folder.join(RESULT);
    if path.exists() {
        fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
    }
    let mut test = workspace::cargo()?;
    test.args([
        "test",
        "--quiet",
        "--release",
        "--package",
        "waytrace-sweep",
        "--test",
        "simulated",
        "accuracy",
    ]);
    test.args(["--", "--ignored"]).env("WAYTRACE_SWEEP_JSON", &path);
    if let Some(hosts) = context.pick(None, Some("twelve")) {
        test.env("WAYTRACE_SWEEP_HOSTS", hosts);
    }
    ensure!(test.status().context("cannot run the test")?.success(), "the test failed");
    let Ok(text) = fs::read(&path) else { bail!("the test could not run here: it said SKIP and why") };
    serde_json::from_slice(&text).context("reading what the test wrote")
}

fn hosts(rows: &[Value]) -> Vec<String> {
    let mut hosts: Vec<String> = Vec::new();
    for host in rows.iter().filter_map(|row| row.get("host")?.as_str()) {
        if !hosts.iter().any(|known| known == host) {
            hosts.push(host.to_owned());
        }
    }
    hosts
}

fn of_host(rows: &[Value], host: &str) -> Vec<Figure> {
    let of: Vec<&Value> =
        rows.iter().filter(|row| row.get("host").is_some_and(|name| name == host)).collect();
    let number = |row: &&Value, name: &str| row.get(name).and_then(Value::as_f64);
    let each = |name: &'static str| of.iter().filter_map(move |row| number(row, name));
    let sum = |name| of.iter().filter_map(|row| number(row, name)).sum::<f64>();
    vec![
        Figure::new(
            format!("{host}: worst error of a curve's miss ratio (simulated)"),
            "",
            each("miss_ratio_error"),
        )
        .asked(Asked::Within(0.02)),
        Figure::new(
            format!("{host}: worst error of a curve's IPC (simulated)"),
            "%",
            each("ipc_error").map(|error| error * 100.0),
        )
        .asked(Asked::Within(3.0)),
        Figure::new(
            format!("{host}: bands that hold the truth (simulated)"),
            "%",
            [100.0 * sum("covered") / sum("bands")],
        )
        .asked(Asked::AtLeast(90.0)),
        Figure::new(
            format!("{host}: waited over what had to be (simulated)"),
            "×",
            of.iter().filter_map(|row| waited(row)),
        )
        .asked(Asked::AtMost(2.0)),
        Figure::new(
            format!("{host}: worst error of a single window's miss ratio (simulated)"),
            "",
            each("window_miss_ratio_error"),
        ),
        Figure::new(
            format!("{host}: worst error of a single window's IPC (simulated)"),
            "%",
            each("window_ipc_error").map(|error| error * 100.0),
        ),
        Figure::new(format!("{host}: points that did not settle (simulated)"), "", each("unsettled")),
    ]
}

/// What was waited for all points of a program, over what had to be.
fn waited(row: &Value) -> Option<f64> {
    let waits = row.get("waits_ms")?.as_array()?;
    let sum = |place: usize| waits.iter().filter_map(|pair| pair.get(place)?.as_f64()).sum::<f64>();
    (sum(1) > 0.0).then(|| sum(0) / sum(1))
}

fn simhost() -> Result<std::path::PathBuf> {
    let mut build = workspace::cargo()?;
    build.args(["build", "--quiet", "--release", "--package", "waytrace-simhost"]);
    ensure!(
        build.status().context("cannot build the simulated host")?.success(),
        "the simulated host does not build"
    );
    Ok(workspace::target_dir()?.join("release/simhost"))
}

/// A mounted host; it leaves when its input ends.
struct Mounted(Child);

impl Drop for Mounted {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

fn mount(simhost: &Path, host: &str, place: &Path) -> Result<Mounted> {
    let mut command = Command::new(simhost);
    command.args(["--host", host, "--task", PROGRAM, "--mount"]).arg(place);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("cannot run simhost")?;
    let stdout = child.stdout.take();
    let mounted = Mounted(child);
    let lines = stdout.into_iter().flat_map(|stdout| BufReader::new(stdout).lines()).map_while(Result::ok);
    for line in lines {
        if line == "ready" {
            return Ok(mounted);
        }
    }
    bail!("simhost does not mount {host} at {}", place.display())
}

fn own_work_ms(context: &Context, simhost: &Path, host: &str, interface: &str) -> Result<f64> {
    let place = context.folder.join("sweep-host");
    fs::create_dir_all(&place).with_context(|| format!("cannot create {}", place.display()))?;
    let _mounted = mount(simhost, host, &place)?;
    let mut sweep = Command::new(&context.waytrace);
    sweep.args(["cache", "sweep", "--pid", "1000", "--repeats", "1", "--json", "--interface", interface]);
    sweep.arg("--host-root").arg(&place).arg("--db").arg(context.folder.join(DATABASE));
    let output = sweep.output().context("cannot run waytrace")?;
    let document: Value = serde_json::from_slice(&output.stdout)
        .with_context(|| format!("no result: {}", String::from_utf8_lossy(&output.stderr)))?;
    let ns = document.pointer("/end/own_cpu_ns").and_then(Value::as_f64);
    ns.map(|ns| ns / 1e6).context("the sweep has no end")
}

#[cfg(test)]
mod tests {
    use super::super::figure::Verdict;
    use super::*;
    use serde_json::json;

    #[test]
    fn one_bad_program_is_a_missed_figure_of_its_host() {
        let row = |host: &str, error: f64, waited: f64| {
            json!({"host": host, "miss_ratio_error": error, "ipc_error": 0.01, "covered": 19, "bands": 20,
                   "waits_ms": [[waited, 10.0], [10.0, 10.0]], "unsettled": 0})
        };
        let rows = [row("a", 0.01, 20.0), row("b", 0.001, 20.0), row("b", 0.05, 90.0)];
        assert_eq!(hosts(&rows), ["a", "b"]);
        let verdicts = |host| of_host(&rows, host).iter().map(Figure::verdict).collect::<Vec<_>>();
        assert_eq!(verdicts("a")[..4], [Verdict::Met; 4]);
        assert_eq!(verdicts("b")[..3], [Verdict::Missed, Verdict::Met, Verdict::Met]);
        assert_eq!(waited(&rows[2]), Some(5.0));
    }
}
