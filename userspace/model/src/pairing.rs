//! Programs run in pairs: what was asked for, and what each run took.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::bench::RepetitionEnd;

/// A program as its manifest says it. Arguments, directory and environment may hold `$NUM_THREADS` and `$MANIFEST_DIR`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairProgram {
    /// Name, unique among the programs.
    pub name: String,
    /// What is started: a path, or a name that is looked up in `PATH`.
    pub binary: String,
    /// Its arguments where it is measured.
    pub arguments: Vec<String>,
    /// Its arguments beside a measured one.
    pub antagonist_arguments: Vec<String>,
    /// Directory it runs in.
    pub working_dir: String,
    /// Variables added to the environment.
    pub env: BTreeMap<String, String>,
    /// Whether it is also measured alone.
    pub alone: bool,
    /// Whether it is told its CPUs in OpenMP's variables.
    pub openmp: bool,
    /// Whether it is told its CPUs in PARSEC's variables.
    pub parsec: bool,
}

/// What decides which steps there are: a series goes on only with the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairPlan {
    /// Names of the configurations asked for.
    pub configurations: Vec<String>,
    /// All programs.
    pub programs: Vec<PairProgram>,
    /// Names of those that are measured.
    pub measured: Vec<String>,
    /// Names of those that run beside them.
    pub antagonists: Vec<String>,
    /// Whether each is also measured alone, which slowdowns are relative to.
    pub alone: bool,
    /// Repetitions of each pair in each configuration, and of each program alone; at least 1.
    pub repeat: u32,
    /// How long an antagonist has run when the measured program starts, nanoseconds.
    pub warmup_ns: u64,
    /// When a measured program is ended, as people write durations (`30s`); `None`: never.
    pub timeout: Option<String>,
    /// The first pair this machine runs, from 0.
    pub base: u64,
    /// It runs every how many-th from there; at least 1.
    pub step: u64,
}

/// An experiment as it was begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairHeader {
    /// Unique among the experiments of a database.
    pub name: String,
    /// Wall-clock start, nanoseconds since the Unix epoch.
    pub started_at_unix_ns: u64,
    /// waytrace's own command line.
    pub command: String,
    /// What the order was drawn from.
    pub seed: u64,
    /// What was asked for.
    pub plan: PairPlan,
    /// Configurations this machine cannot do, with the reason.
    pub skipped: BTreeMap<String, String>,
}

/// What one run of a measured program took, by the clock and by the kernel's account of the ended process (wait4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairRun {
    /// Position in the order of the experiment, from 0.
    pub position: u64,
    /// Name of the configuration.
    pub configuration: String,
    /// Name of the measured program.
    pub program: String,
    /// Name of the one beside it; `None`: it ran alone.
    pub antagonist: Option<String>,
    /// Which of the repetitions, from 1.
    pub repetition: u32,
    /// CPUs of the measured program, as the kernel lists them.
    pub cpus: String,
    /// CPUs of the antagonist; `None`: there was none.
    pub antagonist_cpus: Option<String>,
    /// Wall-clock start, nanoseconds since the Unix epoch.
    pub started_at_unix_ns: u64,
    /// From its start to its end; this and the next four are `None` if the antagonist failed before.
    pub wall_ns: Option<u64>,
    /// CPU time in user mode, of the process and the children it waited for.
    pub user_ns: Option<u64>,
    /// CPU time in the kernel, likewise.
    pub system_ns: Option<u64>,
    /// How it ended.
    pub ended_by: Option<RepetitionEnd>,
    /// Its exit code; 128 and the signal's number if a signal ended it.
    pub exit_code: Option<i32>,
    /// How often the antagonist ended and was started again while the measured program ran.
    pub restarts: u64,
    /// What makes the run worthless, if anything does: an antagonist that failed.
    pub problem: Option<String>,
}

impl PairRun {
    /// Whether its times can be compared.
    pub fn succeeded(&self) -> bool {
        self.ended_by == Some(RepetitionEnd::Exit) && self.exit_code == Some(0) && self.problem.is_none()
    }
}
