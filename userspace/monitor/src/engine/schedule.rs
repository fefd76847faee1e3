//! Whose turn it is: of all processes the one whose turn is the longest due for what it does, and for how long.

use std::collections::HashMap;

/// No turn is shorter: probing windows come several times a second, and an estimate needs some.
const LEAST_TURN_NS: u64 = 1_000_000_000;
/// A process that uses less CPU time in a window has nothing to tell that is worth a turn.
const LEAST_CPU_NS: u64 = 1_000_000;

/// A process that may have a turn.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Candidate {
    /// Process id.
    pub tgid: u32,
    /// When it began, nanoseconds of `CLOCK_BOOTTIME`.
    pub start_boot_ns: u64,
    /// Its target.
    pub target: String,
    /// CPU time in the last window.
    pub cpu_ns: u64,
}

/// Remembers who had turns.
#[derive(Debug, Default)]
pub struct Schedule {
    candidates: Vec<Candidate>,
    /// Windows since a process's last turn.
    waited: HashMap<(u32, u64), u64>,
}

impl Schedule {
    /// A window is over: these processes live, and used so much.
    pub fn window(&mut self, candidates: Vec<Candidate>) {
        let mut waited = HashMap::with_capacity(candidates.len());
        for candidate in &candidates {
            let key = (candidate.tgid, candidate.start_boot_ns);
            waited.insert(key, self.waited.get(&key).map_or(1, |windows| windows + 1));
        }
        self.waited = waited;
        self.candidates = candidates;
        self.candidates.retain(|candidate| candidate.cpu_ns >= LEAST_CPU_NS);
    }

    /// How long a turn lasts in windows of that length: all that are active within one window, where that leaves each long enough.
    pub fn length_ns(&self, window_ns: u64) -> u64 {
        let share_ns = window_ns / self.candidates.len().max(1) as u64;
        share_ns.max(LEAST_TURN_NS).min(window_ns.max(LEAST_TURN_NS))
    }

    /// The next process: the one for which windows waited, times the root of the CPU time used, is most. It has waited for none then.
    /// By the CPU time itself, who uses a hundredth would wait a hundred times as long.
    /// Those that `permits` refuses are passed over.
    pub fn next(&mut self, permits: impl Fn(&Candidate) -> bool) -> Option<Candidate> {
        let due = |candidate: &&Candidate| {
            let waited = self.waited.get(&(candidate.tgid, candidate.start_boot_ns)).copied().unwrap_or(0);
            candidate.cpu_ns.isqrt().saturating_mul(waited)
        };
        let next = self.candidates.iter().filter(|candidate| permits(candidate)).max_by_key(due).cloned()?;
        // In a window in which all have had their turn, the one that does most has another.
        self.waited.insert((next.tgid, next.start_boot_ns), 0);
        Some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(tgid: u32, cpu_ns: u64) -> Candidate {
        Candidate { tgid, start_boot_ns: 1, target: "t".to_owned(), cpu_ns }
    }

    #[test]
    fn everybody_has_turns_and_who_does_more_has_more() {
        let mut schedule = Schedule::default();
        let mut turns: HashMap<u32, u32> = HashMap::new();
        for _ in 0..300 {
            schedule.window(vec![
                candidate(1, 8_000_000_000),
                candidate(2, 800_000_000),
                candidate(3, 80_000_000),
            ]);
            *turns.entry(schedule.next(|_| true).unwrap().tgid).or_default() += 1;
        }
        assert!(turns[&1] > turns[&2] && turns[&2] > turns[&3] && turns[&3] >= 5, "{turns:?}");
    }

    #[test]
    fn within_a_window_turns_go_round() {
        let mut schedule = Schedule::default();
        schedule.window(vec![candidate(1, 8_000_000), candidate(2, 9_000_000)]);
        let first = [schedule.next(|_| true), schedule.next(|_| true)].map(|next| next.unwrap().tgid);
        assert_eq!(first, [2, 1]);
    }

    #[test]
    fn idle_processes_have_none() {
        let mut schedule = Schedule::default();
        schedule.window(vec![candidate(1, 1_000)]);
        assert_eq!(schedule.next(|_| true), None);
        assert_eq!(schedule.length_ns(10_000_000_000), 10_000_000_000);
    }

    #[test]
    fn turns_share_a_window_but_are_never_too_short() {
        let mut schedule = Schedule::default();
        schedule.window((1..=4).map(|n| candidate(n, 5_000_000)).collect());
        assert_eq!(schedule.length_ns(10_000_000_000), 2_500_000_000);
        schedule.window((1..=40).map(|n| candidate(n, 5_000_000)).collect());
        assert_eq!(schedule.length_ns(10_000_000_000), 1_000_000_000);
        assert_eq!(schedule.length_ns(500_000_000), 1_000_000_000);
    }
}
