//! A series of repetitions, summed up per workload and mode.

use serde::{Deserialize, Serialize};
use waytrace_model::bench::{Mode, Repetition, SeriesHeader};

use super::{Ratio, Spread};

/// One quantity of the repetitions of a workload in a mode.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Quantity {
    /// How it spread.
    #[serde(flatten)]
    pub spread: Spread,
    /// Its median against the baseline's; `null` without a baseline, or where that median is 0.
    pub against_baseline: Option<Ratio>,
}

/// A workload in a mode. The quantities are of the repetitions that succeeded; `null` if none did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// Name of the workload.
    pub workload: String,
    /// Name of the mode.
    pub mode: String,
    /// Whether waytrace was attached.
    pub profile: bool,
    /// Repetitions that succeeded.
    pub n: u64,
    /// Repetitions that did not: another exit code than 0, a signal, a timeout.
    pub failed: u64,
    /// The dry mode it is compared with; `null` for the dry mode that the others are compared with.
    pub baseline: Option<String>,
    /// Time by the clock, nanoseconds.
    pub wall_ns: Option<Quantity>,
    /// CPU time in user mode, nanoseconds.
    pub user_ns: Option<Quantity>,
    /// CPU time in the kernel, nanoseconds.
    pub system_ns: Option<Quantity>,
    /// Most memory resident at once, bytes, of the repetitions of which it is known.
    pub max_rss_bytes: Option<Quantity>,
}

/// One cell per workload and mode that was not skipped, in the order of the matrix. Intervals are drawn from the series'
/// seed.
pub fn cells(header: &SeriesHeader, repetitions: &[Repetition]) -> Vec<Cell> {
    let modes: Vec<&Mode> =
        header.matrix.modes.iter().filter(|mode| !header.skipped.contains_key(&mode.name)).collect();
    let mut cells = Vec::new();
    for workload in &header.matrix.workloads {
        let of = |mode: &str| -> Vec<&Repetition> {
            let is_it = |one: &&Repetition| one.workload == workload.name && one.mode == mode;
            repetitions.iter().filter(is_it).collect()
        };
        for mode in &modes {
            let baseline = baseline(mode, &modes);
            let compared = baseline.map(of).unwrap_or_default();
            cells.push(cell(header.seed, &workload.name, mode, &of(&mode.name), baseline, &compared));
        }
    }
    cells
}

/// The dry mode of the same placement; without one, the first dry mode. Nothing is compared with itself.
fn baseline<'m>(mode: &Mode, modes: &[&'m Mode]) -> Option<&'m str> {
    let mut dry = modes.iter().filter(|other| !other.profile);
    let first = dry.clone().next();
    let same = dry.find(|other| mode.profile && other.placement == mode.placement);
    same.or(first).map(|other| other.name.as_str()).filter(|name| *name != mode.name)
}

fn cell(
    seed: u64,
    workload: &str,
    mode: &Mode,
    repetitions: &[&Repetition],
    baseline: Option<&str>,
    compared: &[&Repetition],
) -> Cell {
    let quantity = |of: fn(&Repetition) -> Option<u64>| {
        let values = |repetitions: &[&Repetition]| -> Vec<f64> {
            repetitions
                .iter()
                .filter(|one| one.succeeded())
                .filter_map(|one| of(one))
                .map(|value| value as f64)
                .collect()
        };
        let values_here = values(repetitions);
        Spread::of(&values_here).map(|spread| Quantity {
            spread,
            against_baseline: Ratio::of(&values_here, &values(compared), seed),
        })
    };
    let n = repetitions.iter().filter(|one| one.succeeded()).count();
    Cell {
        workload: workload.to_owned(),
        mode: mode.name.clone(),
        profile: mode.profile,
        n: n as u64,
        failed: (repetitions.len() - n) as u64,
        baseline: baseline.map(str::to_owned),
        wall_ns: quantity(|one| Some(one.wall_ns)),
        user_ns: quantity(|one| Some(one.user_ns)),
        system_ns: quantity(|one| Some(one.system_ns)),
        max_rss_bytes: quantity(|one| one.max_rss_bytes),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use waytrace_model::bench::{Collect, Matrix, Placement, RepetitionEnd, Workload};

    use super::*;

    fn mode(name: &str, profile: bool, cpus: Option<&str>) -> Mode {
        let placement = Placement { cpus: cpus.map(str::to_owned), ..Placement::default() };
        Mode { name: name.to_owned(), profile, collect: Collect::default(), placement, optional: true }
    }

    fn header() -> SeriesHeader {
        let workload = |name: &str| Workload {
            name: name.to_owned(),
            command: vec!["true".to_owned()],
            cwd: None,
            env: BTreeMap::new(),
            timeout: None,
        };
        let modes = vec![
            mode("dry", false, None),
            mode("attached", true, None),
            mode("dry0", false, Some("0")),
            mode("attached0", true, Some("0")),
            mode("attached1", true, Some("1")),
            mode("far", true, Some("9")),
        ];
        SeriesHeader {
            name: "s".to_owned(),
            started_at_unix_ns: 0,
            command: String::new(),
            seed: 1,
            matrix: Matrix {
                repeat: 2,
                warmup: 0,
                interleave: false,
                seed: None,
                workloads: vec![workload("a"), workload("b")],
                modes,
            },
            skipped: [("far".to_owned(), "no such CPU".to_owned())].into(),
        }
    }

    fn took(workload: &str, mode: &str, wall_ns: u64, exit_code: i32) -> Repetition {
        Repetition {
            workload: workload.to_owned(),
            mode: mode.to_owned(),
            repetition: 1,
            position: 0,
            run_id: None,
            started_at_unix_ns: 0,
            wall_ns,
            user_ns: 0,
            system_ns: 5,
            max_rss_bytes: (wall_ns > 100).then_some(4096),
            ended_by: RepetitionEnd::Exit,
            exit_code,
            problem: None,
        }
    }

    #[test]
    fn each_mode_has_its_baseline() {
        let cells = cells(&header(), &[]);
        let baselines: Vec<_> =
            cells[..5].iter().map(|cell| (cell.mode.as_str(), cell.baseline.as_deref())).collect();
        assert_eq!(
            baselines,
            [
                ("dry", None),
                ("attached", Some("dry")),
                ("dry0", Some("dry")),
                ("attached0", Some("dry0")),
                ("attached1", Some("dry")),
            ]
        );
        assert_eq!((cells.len(), cells[5].workload.as_str()), (10, "b"), "a skipped mode has no cells");
        assert_eq!((cells[0].n, cells[0].wall_ns), (0, None));
    }

    #[test]
    fn what_failed_is_counted_and_not_compared() {
        let repetitions = [
            took("a", "dry", 100, 0),
            took("a", "dry", 1, 3),
            took("a", "dry", 100, 0),
            took("a", "attached", 120, 0),
            took("b", "attached", 9, 0),
        ];
        let cells = cells(&header(), &repetitions);
        assert_eq!((cells[0].n, cells[0].failed), (2, 1));
        assert_eq!(cells[0].wall_ns.unwrap().spread.min, 100.0);
        let attached = cells[1].wall_ns.unwrap();
        assert_eq!(attached.spread.std, None);
        let expected = Ratio { ratio: 1.2, ci95_low: None, ci95_high: None };
        assert_eq!(attached.against_baseline, Some(expected));
        assert_eq!(cells[1].user_ns.unwrap().against_baseline, None, "the baseline's median is 0");
        assert_eq!(cells[1].max_rss_bytes.unwrap().spread.median, 4096.0);
        assert_eq!(cells[0].max_rss_bytes, None, "of no repetition is it known");
        assert_eq!(cells[6].wall_ns.unwrap().against_baseline, None, "b was never run dry");
    }
}
