//! The machine's own PMU on one CPU, with a load on that CPU between starting a counter and reading it.

use std::hint::black_box;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use waytrace_hw::Machine;
use waytrace_hw::affinity::Cpus;
use waytrace_hw::events::resolve_perf;
use waytrace_hw::group::{Opener as _, PerfEvents};
use waytrace_hw::search::{Bench, Candidate, Health};

/// Beyond the second-level caches.
const MEMORY: usize = 16 << 20;

/// A PMU under load.
pub struct Live {
    machine: Machine,
    pmu: String,
    cpu: u32,
    period: Duration,
    before: Health,
    load: Load,
}

impl Live {
    /// Stays on `cpu` from now on.
    ///
    /// # Errors
    /// The kernel does not let this thread run there, or the machine would not tell of harm.
    pub fn new(machine: Machine, pmu: &str, cpu: u32, period: Duration) -> anyhow::Result<Self> {
        let before = Health::read(machine.root());
        anyhow::ensure!(
            !before.is_blind(),
            "nothing here would tell of a machine check: neither /proc/sys/kernel/tainted nor /proc/interrupts nor EDAC"
        );
        let alone = Cpus::of([cpu]).map_err(|_| std::io::Error::from(std::io::ErrorKind::InvalidInput));
        alone.and_then(|cpus| cpus.apply()).with_context(|| format!("running on CPU {cpu}"))?;
        Ok(Self { machine, pmu: pmu.to_owned(), cpu, period, before, load: Load::new() })
    }

    fn try_count(&mut self, candidate: Candidate) -> anyhow::Result<u64> {
        let Candidate { code, umask } = candidate;
        let (_, attr) =
            resolve_perf(&self.machine, &format!("{}/event={code:#x},umask={umask:#x}/", self.pmu))?;
        let mut counter = PerfEvents.open(&attr, self.cpu, None)?;
        PerfEvents.start(&attr, self.cpu, &mut counter)?;
        self.load.run(self.period);
        Ok(counter.read_count_and_time()?.count)
    }
}

impl Bench for Live {
    fn count(&mut self, candidate: Candidate) -> Result<u64, String> {
        self.try_count(candidate).map_err(|error| format!("{error:#}"))
    }

    fn harm(&mut self) -> Option<String> {
        Health::read(self.machine.root()).harm_since(&self.before)
    }
}

/// Something of everything: loads, stores, branches nobody can predict, multiplications, divisions, system calls.
struct Load {
    memory: Vec<u64>,
    state: u64,
}

impl Load {
    fn new() -> Self {
        Self { memory: vec![1; MEMORY / size_of::<u64>()], state: 1 }
    }

    fn run(&mut self, period: Duration) {
        let from = Instant::now();
        let mut real = 1.0_f64;
        while from.elapsed() < period {
            for _ in 0..2000 {
                // Of the generator of Numerical Recipes, whose upper bits are the better ones.
                self.state = self.state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let at = (self.state >> 20) as usize % self.memory.len();
                if let Some(word) = self.memory.get_mut(at) {
                    *word = if self.state >> 40 & 1 == 0 {
                        word.wrapping_add(self.state)
                    } else {
                        word.rotate_left(3)
                    };
                    real = real / 1.000_1 + *word as f64;
                }
            }
            // SAFETY: getppid has no preconditions.
            black_box(unsafe { libc::getppid() });
        }
        black_box(real);
    }
}
