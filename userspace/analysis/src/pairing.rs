//! Programs run in pairs, summed up: how many times longer each takes beside each other than alone in the same place.

use serde::{Deserialize, Serialize};
use waytrace_model::pairing::{PairHeader, PairRun};

use crate::spread::{Ratio, Spread};

/// A program beside an antagonist, or alone, in a configuration. Times are of the runs that succeeded; `null` if none did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PairCell {
    /// Name of the configuration.
    pub configuration: String,
    /// Name of the measured program.
    pub program: String,
    /// Name of the one beside it; `null`: alone.
    pub antagonist: Option<String>,
    /// Runs that succeeded.
    pub n: u64,
    /// Runs that did not: another exit code than 0, a signal, a timeout, an antagonist that failed.
    pub failed: u64,
    /// Time by the clock, nanoseconds.
    pub wall_ns: Option<Spread>,
    /// Median against that of the program alone in the same configuration: 1 of itself. `null` without a run alone.
    pub slowdown: Option<Ratio>,
    /// How often the antagonist was started again, in all runs together.
    pub restarts: u64,
}

/// One cell per configuration, program and antagonist of which there is a run, alone first, in the order of the plan.
/// Intervals are drawn from the seed of the series.
pub fn cells(header: &PairHeader, runs: &[PairRun]) -> Vec<PairCell> {
    let plan = &header.plan;
    let mut cells = Vec::new();
    for configuration in &plan.configurations {
        for program in &plan.measured {
            let of = |antagonist: Option<&str>| -> Vec<&PairRun> {
                let is_it = |run: &&PairRun| {
                    run.configuration == *configuration
                        && run.program == *program
                        && run.antagonist.as_deref() == antagonist
                };
                runs.iter().filter(is_it).collect()
            };
            let alone = of(None);
            let beside = plan.antagonists.iter().map(|name| Some(name.as_str()));
            for antagonist in std::iter::once(None).chain(beside) {
                let runs = of(antagonist);
                if let Some(first) = runs.first() {
                    cells.push(cell(header.seed, first, &runs, &alone));
                }
            }
        }
    }
    cells
}

fn cell(seed: u64, first: &PairRun, runs: &[&PairRun], alone: &[&PairRun]) -> PairCell {
    let (times, base) = (times(runs), times(alone));
    PairCell {
        configuration: first.configuration.clone(),
        program: first.program.clone(),
        antagonist: first.antagonist.clone(),
        n: times.len() as u64,
        failed: (runs.len() - times.len()) as u64,
        wall_ns: Spread::of(&times),
        slowdown: Ratio::of(&times, &base, seed),
        restarts: runs.iter().map(|run| run.restarts).sum(),
    }
}

fn times(runs: &[&PairRun]) -> Vec<f64> {
    runs.iter().filter(|run| run.succeeded()).filter_map(|run| run.wall_ns).map(|wall| wall as f64).collect()
}

#[cfg(test)]
mod tests {
    use waytrace_model::bench::RepetitionEnd;
    use waytrace_model::pairing::PairPlan;

    use super::*;

    fn header() -> PairHeader {
        let names = |names: [&str; 2]| names.map(str::to_owned).to_vec();
        let plan = PairPlan {
            configurations: names(["L3-cores", "Full-cores"]),
            programs: Vec::new(),
            measured: names(["a", "b"]),
            antagonists: names(["a", "b"]),
            alone: true,
            repeat: 3,
            warmup_ns: 0,
            timeout: None,
            base: 0,
            step: 1,
        };
        let skipped = std::collections::BTreeMap::new();
        PairHeader {
            name: String::new(),
            started_at_unix_ns: 0,
            command: String::new(),
            seed: 3,
            plan,
            skipped,
        }
    }

    fn run(program: &str, antagonist: Option<&str>, wall_ns: u64, exit_code: i32) -> PairRun {
        PairRun {
            position: 0,
            configuration: "L3-cores".to_owned(),
            program: program.to_owned(),
            antagonist: antagonist.map(str::to_owned),
            repetition: 1,
            cpus: "0".to_owned(),
            antagonist_cpus: None,
            started_at_unix_ns: 0,
            wall_ns: Some(wall_ns),
            user_ns: None,
            system_ns: None,
            ended_by: Some(RepetitionEnd::Exit),
            exit_code: Some(exit_code),
            restarts: 2,
            problem: None,
        }
    }

    #[test]
    fn alone_is_one_and_beside_another_is_what_it_takes_longer() {
        let mut runs = Vec::new();
        for wall in [100, 102, 98] {
            runs.push(run("a", None, wall, 0));
            runs.push(run("a", Some("b"), wall * 2, 0));
            runs.push(run("b", Some("a"), wall, 0));
        }
        runs.push(run("a", Some("b"), 1, 1));
        let spoilt = PairRun { problem: Some("it failed".to_owned()), ..run("a", Some("b"), 1, 0) };
        runs.push(spoilt);
        let cells = cells(&header(), &runs);
        let found: Vec<_> =
            cells.iter().map(|cell| (cell.program.as_str(), cell.antagonist.as_deref())).collect();
        assert_eq!(found, [("a", None), ("a", Some("b")), ("b", Some("a"))]);
        let alone = cells[0].slowdown.unwrap();
        assert_eq!(alone.ratio, 1.0);
        assert!(alone.ci95_low.unwrap() <= 1.0 && alone.ci95_high.unwrap() >= 1.0, "{alone:?}");
        let beside = cells[1].slowdown.unwrap();
        assert_eq!((beside.ratio, cells[1].n, cells[1].failed, cells[1].restarts), (2.0, 3, 2, 10));
        // The extremes of either side: 196 / 102 to 204 / 98.
        assert!(beside.ci95_low.unwrap() >= 1.92 && beside.ci95_high.unwrap() <= 2.09, "{beside:?}");
        assert_eq!(cells[2].slowdown, None, "b was never alone");
        assert_eq!(cells[2].wall_ns.unwrap().median, 100.0);
    }

    #[test]
    fn a_configuration_is_compared_with_itself_only() {
        let elsewhere = PairRun { configuration: "Full-cores".to_owned(), ..run("a", Some("b"), 300, 0) };
        let cells = cells(&header(), &[run("a", None, 100, 0), elsewhere]);
        assert_eq!((cells.len(), cells[1].slowdown), (2, None));
    }
}
