//! Processes of the real machine as tasks of the simulated one. What waytrace starts itself runs on the real machine, whose
//! CPUs are not the host's, so it says where on the host it runs by writing `PID CPUS ROUNDS` to the file `adopt`: the task takes
//! the CPU among them that has the fewest, and walks new lines in columns of so many rounds
//! ([`Program::Columns`]). It runs while the process is runnable, waits while that waits, and ends with it.

use std::fs;
use std::str::FromStr;

use crate::model::machine::Machine;
use crate::model::program::{Program, Workload};
use crate::model::task::TaskSpec;
use crate::resctrl::{Errno, parse_cpu_list};

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adoption {
    /// Process and its only thread.
    pub tid: u32,
    cpus: Vec<usize>,
    rounds: u64,
}

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It runs, or would if it had a CPU.
    Runs,
    /// It waits.
    Waits,
}

impl FromStr for Adoption {
    type Err = Errno;

    fn from_str(text: &str) -> Result<Self, Errno> {
        let parts: Vec<&str> = text.split_whitespace().collect();
        let [tid, cpus, rounds] = parts.as_slice() else { return Err(libc::EINVAL) };
        Ok(Self {
            tid: tid.parse().map_err(|_| libc::EINVAL)?,
            cpus: parse_cpu_list(cpus).ok_or(libc::EINVAL)?.into_iter().collect(),
            rounds: rounds.parse().map_err(|_| libc::EINVAL)?,
        })
    }
}

impl Adoption {
    /// The task it becomes.
    pub(crate) fn task(&self, machine: &Machine) -> Result<TaskSpec, Errno> {
        state(self.tid).ok_or(libc::ESRCH)?;
        let tasks = |cpu: usize| machine.tasks.values().filter(|task| task.spec.cpu == cpu).count();
        let usable = self.cpus.iter().copied().filter(|&cpu| machine.is_online(cpu));
        let cpu = usable.min_by_key(|&cpu| (tasks(cpu), std::cmp::Reverse(cpu))).ok_or(libc::ENODEV)?;
        let sets = machine.spec().l3.modelled_sets as u64;
        let workload = Workload::of(Program::Columns { rounds: self.rounds, sets });
        Ok(TaskSpec { tgid: self.tid, tid: self.tid, cpu, workload })
    }
}

/// What a process of the real machine does; none where there is none, or only what is left of one.
pub fn state(pid: u32) -> Option<State> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    match stat.rsplit_once(") ")?.1.chars().next()? {
        'R' => Some(State::Runs),
        'Z' | 'X' => None,
        _ => Some(State::Waits),
    }
}

#[cfg(test)]
mod tests {
    use crate::host::Host;
    use crate::hosts;

    #[test]
    fn a_process_becomes_a_task_that_ends_with_it() {
        let mut host = Host::new(&hosts::twelve(), 1);
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        host.adopt(&format!("{} 2-3 1", child.id())).unwrap();
        let task = &host.machine.tasks[&child.id()];
        assert_eq!(task.spec.cpu, 3);
        child.kill().unwrap();
        child.wait().unwrap();
        host.follow_adopted();
        assert!(host.machine.tasks.is_empty());
        assert_eq!(host.adopt(&format!("{} 2 1", child.id())), Err(libc::ESRCH));
        for text in ["", "1 0", "x 0 1", "1 x 1", "1 0 x"] {
            assert_eq!(host.adopt(text), Err(libc::EINVAL), "{text}");
        }
        assert_eq!(host.adopt(&format!("{} 99 1", std::process::id())), Err(libc::ENODEV));
    }

    #[test]
    fn it_runs_while_the_process_does() {
        let mut host = Host::new(&hosts::twelve(), 1);
        // This process: its first thread waits for the one that runs the test.
        let me = std::process::id();
        host.adopt(&format!("{me} 0 1")).unwrap();
        host.machine.tasks.get_mut(&me).unwrap().idle = true;
        host.step(1_000_000);
        assert_eq!(host.machine.tasks[&me].counters.cycles, 0);
        host.machine.tasks.get_mut(&me).unwrap().idle = false;
        host.step(1_000_000);
        assert!(host.machine.tasks[&me].counters.llc_misses > 0);
    }
}
