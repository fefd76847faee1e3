//! Tasks as the command line writes them.

use anyhow::{Context, Result, ensure};
use waytrace_simhost::model::program::Workload;
use waytrace_simhost::model::task::TaskSpec;

/// The first process where none is named.
const FIRST_PID: u32 = 1_000;

/// The tasks of `texts` on a host of `cpus` CPUs. The first one of a process is its leader.
///
/// # Errors
/// For a text that is no task, naming it.
pub fn tasks(texts: &[String], cpus: usize) -> Result<Vec<TaskSpec>> {
    let mut tasks: Vec<TaskSpec> = Vec::new();
    for text in texts {
        let task = one(text, &tasks, cpus).with_context(|| format!("--task {text}"))?;
        tasks.push(task);
    }
    Ok(tasks)
}

fn one(text: &str, before: &[TaskSpec], cpus: usize) -> Result<TaskSpec> {
    let (program, place) = text.rsplit_once('@').context("say on which CPU, as in loop:1MiB@0")?;
    let (cpu, pid) = match place.split_once('=') {
        Some((cpu, pid)) => {
            (cpu, Some(pid.parse::<u32>().with_context(|| format!("{pid:?} is no process"))?))
        }
        None => (place, None),
    };
    let cpu: usize = cpu.parse().with_context(|| format!("{cpu:?} is no CPU"))?;
    ensure!(cpu < cpus, "there is no CPU {cpu}: the host has {cpus}, from 0");
    let used = |number: u32| before.iter().any(|task| task.tid == number || task.tgid == number);
    let free = |from: u32| (from..).find(|&number| !used(number)).context("no number is left");
    let tgid = match pid {
        Some(0) => anyhow::bail!("process 0 is none: use 1 and up"),
        Some(pid) => pid,
        None => free(FIRST_PID)?,
    };
    let tid = free(tgid)?;
    let program = program.parse()?;
    Ok(TaskSpec { tgid, tid, cpu, workload: Workload::of(program) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(texts: &[&str]) -> Result<Vec<(u32, u32, usize)>> {
        let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        Ok(tasks(&texts, 8)?.iter().map(|task| (task.tgid, task.tid, task.cpu)).collect())
    }

    #[test]
    fn tasks_get_numbers_of_their_own() {
        let numbers = read(&["loop:1MiB@0", "stream@1", "stream@2=1000", "stream@3=7"]).unwrap();
        assert_eq!(numbers, [(1000, 1000, 0), (1001, 1001, 1), (1000, 1002, 2), (7, 7, 3)]);
    }

    #[test]
    fn mistakes_are_named() {
        for (text, says) in [
            ("loop:1MiB", "on which CPU"),
            ("loop:1MiB@9", "no CPU 9"),
            ("x@0", "no program"),
            ("stream@0=x", "no process"),
            ("stream@0=0", "process 0"),
        ] {
            let error = format!("{:#}", read(&[text]).unwrap_err());
            assert!(error.contains(says) && error.contains(text), "{error}");
        }
    }
}
