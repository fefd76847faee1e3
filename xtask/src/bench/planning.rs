//! `planning`: how long `events plan` takes to pack all events of a CPU, for every CPU built in, and with `--catalogue DIR` for
//! those of a directory of event files.
//!
//! The time is the plan's own: from events to runs, without reading files and without the check afterwards.

use super::context::Context;
use super::figure::{Asked, Figure};
use super::process::Process;
use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// What a plan may take at most, of any CPU.
const MOST_MS: f64 = 2000.0;

/// The benchmark.
pub fn run(context: &Context) -> Result<Vec<Figure>> {
    let mut figures = of_source(context, None, |source| source.starts_with("built in"))?;
    if let Some(directory) = &context.catalogue {
        let name = directory.display().to_string();
        figures.extend(of_source(context, Some(directory), |source| source == name)?);
    }
    if figures.is_empty() {
        bail!("no CPU's events are built in here; give a directory of event files with --catalogue");
    }
    Ok(figures)
}

/// Of all CPUs of the sources that `is_wanted` says yes to.
fn of_source(
    context: &Context,
    directory: Option<&Path>,
    is_wanted: impl Fn(&str) -> bool,
) -> Result<Vec<Figure>> {
    let stats = ask(context, directory, &["stats"])?;
    let listed = stats["cpus"].as_array().context("`events stats --json` lists no CPUs")?;
    let mut figures = Vec::new();
    for one in listed.iter().filter(|one| one["source"].as_str().is_some_and(&is_wanted)) {
        let Some(cpu) = one["cpu"].as_str().map(example) else { continue };
        figures.push(match of_cpu(context, directory, &cpu) {
            Ok(figure) => figure,
            Err(why) => Figure::unavailable(cpu, "ms", format!("{why:#}")),
        });
    }
    Ok(figures)
}

fn of_cpu(context: &Context, directory: Option<&Path>, cpu: &str) -> Result<Figure> {
    let (mut times_ms, mut name) = (Vec::new(), cpu.to_owned());
    for _ in 0..context.pick(5, 1) {
        let plan = ask(context, directory, &["plan", "--cpu", cpu])?;
        times_ms.push(plan["planning_time_ms"].as_f64().context("the plan does not say what it took")?);
        let runs = plan["runs"].as_array().map_or(0, Vec::len);
        name = format!("{cpu}: {} events, {runs} runs, bound {}", plan["events"], plan["lower_bound"]);
    }
    Ok(Figure::new(name, "ms", times_ms).asked(Asked::AtMost(MOST_MS)))
}

/// What a verb prints with `--json`. What was imported on this machine is left out.
fn ask(context: &Context, directory: Option<&Path>, verb: &[&str]) -> Result<Value> {
    let mut command = Command::new(&context.waytrace);
    command.arg("events").args(verb).arg("--json");
    command.arg("--cache").arg(context.folder.join("planning-cache"));
    if let Some(directory) = directory {
        command.arg("--catalogue").arg(directory);
    }
    let finished = Process::start(&mut command, context.cpus.target)?.finish()?;
    if !finished.success {
        bail!("events {}: {}", verb.join(" "), finished.complaint());
    }
    serde_json::from_str(&finished.stdout).context("what it printed is no JSON")
}

/// A CPU that the first of some patterns means: `GenuineIntel-6-55-[01234]` → `GenuineIntel-6-55-0`, of a group the first.
fn example(patterns: &str) -> String {
    let pattern = patterns.split_whitespace().next().unwrap_or_default();
    let mut cpu = String::new();
    let mut rest = pattern;
    while let Some(first) = rest.chars().next() {
        match first {
            '(' => rest = rest.get(1..).unwrap_or_default(),
            // The other alternatives, to the end of the group.
            '|' => rest = rest.split_once(')').map_or("", |(_, after)| after),
            ')' => rest = rest.get(1..).unwrap_or_default(),
            '[' => {
                let is_class = rest.starts_with("[[:");
                let (inner, after) =
                    rest.split_once(if is_class { ":]]" } else { "]" }).unwrap_or((rest, ""));
                cpu.push(if is_class { '0' } else { inner.chars().nth(1).unwrap_or('0') });
                rest = after;
            }
            other => {
                cpu.push(other);
                rest = rest.get(other.len_utf8()..).unwrap_or_default();
            }
        }
    }
    cpu
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_has_an_example() {
        for (patterns, cpu) in [
            ("GenuineIntel-6-55", "GenuineIntel-6-55"),
            ("GenuineIntel-6-55-[01234] GenuineIntel-6-6A", "GenuineIntel-6-55-0"),
            ("GenuineIntel-6-(4E|5E|8E)", "GenuineIntel-6-4E"),
            ("AuthenticAMD-25-([12][[:xdigit:]]|[[:xdigit:]])", "AuthenticAMD-25-10"),
            ("0x00000000410fd0c0", "0x00000000410fd0c0"),
            ("", ""),
        ] {
            assert_eq!(example(patterns), cpu, "{patterns}");
        }
    }
}
