//! The kernel's generic event names and their numbers, which are ABI.
//!
//! Source: `include/uapi/linux/perf_event.h` (`perf_hw_id`, `perf_sw_ids`, `perf_hw_cache_id`), names as perf spells them.

use waytrace_model::counter::Unit;

use super::TaskCounter;

/// A generic event: its name, other spellings, its number.
pub struct Generic {
    pub name: &'static str,
    aliases: &'static [&'static str],
    pub id: u64,
    pub unit: Unit,
}

impl Generic {
    /// Whether the kernel knows the mode a software event happened in: those that a fault's registers come with.
    pub fn has_mode(&self) -> bool {
        self.name.ends_with("-faults")
    }
}

const fn generic(name: &'static str, aliases: &'static [&'static str], id: u64, unit: Unit) -> Generic {
    Generic { name, aliases, id, unit }
}

/// `PERF_TYPE_HARDWARE`.
pub const HARDWARE: [Generic; 10] = [
    generic("cycles", &["cpu-cycles"], 0, Unit::Cycles),
    generic("instructions", &[], 1, Unit::Count),
    generic("cache-references", &[], 2, Unit::Count),
    generic("cache-misses", &[], 3, Unit::Count),
    generic("branches", &["branch-instructions"], 4, Unit::Count),
    generic("branch-misses", &[], 5, Unit::Count),
    generic("bus-cycles", &[], 6, Unit::Cycles),
    generic("stalled-cycles-frontend", &["idle-cycles-frontend"], 7, Unit::Cycles),
    generic("stalled-cycles-backend", &["idle-cycles-backend"], 8, Unit::Cycles),
    generic("ref-cycles", &[], 9, Unit::Cycles),
];

/// `PERF_TYPE_SOFTWARE`. Those the kernel also keeps per task are here for use with a modifier.
pub const SOFTWARE: [Generic; 10] = [
    generic("cpu-clock", &[], 0, Unit::Ns),
    generic("task-clock", &[], 1, Unit::Ns),
    generic("page-faults", &["faults"], 2, Unit::Count),
    generic("context-switches", &["cs"], 3, Unit::Count),
    generic("cpu-migrations", &["migrations"], 4, Unit::Count),
    generic("minor-faults", &[], 5, Unit::Count),
    generic("major-faults", &[], 6, Unit::Count),
    generic("alignment-faults", &[], 7, Unit::Count),
    generic("emulation-faults", &[], 8, Unit::Count),
    generic("cgroup-switches", &[], 11, Unit::Count),
];

/// Software events that carry no count.
pub const UNCOUNTED: [&str; 2] = ["bpf-output", "dummy"];

/// The event called `name`, upper or lower case.
pub fn find<'a>(table: &'a [Generic], name: &str) -> Option<&'a Generic> {
    let same = |spelling: &str| spelling.eq_ignore_ascii_case(name);
    table.iter().find(|event| same(event.name) || event.aliases.iter().any(|alias| same(alias)))
}

/// The number the kernel keeps per task for a software event.
pub fn task_counter(event: &Generic) -> Option<TaskCounter> {
    TaskCounter::ALL.into_iter().find(|counter| counter.name() == event.name)
}

/// Caches of `PERF_TYPE_HW_CACHE` by number, each with the operations it has events for.
const CACHES: [(&str, &[CacheOp]); 7] = [
    ("L1-dcache", &[LOAD, STORE, PREFETCH]),
    ("L1-icache", &[LOAD, PREFETCH]),
    ("LLC", &[LOAD, STORE, PREFETCH]),
    ("dTLB", &[LOAD, STORE, PREFETCH]),
    ("iTLB", &[LOAD]),
    ("branch", &[LOAD]),
    ("node", &[LOAD, STORE, PREFETCH]),
];

/// Operation: number, plural for accesses, singular before `-misses`.
type CacheOp = (u64, &'static str, &'static str);
const LOAD: CacheOp = (0, "loads", "load");
const STORE: CacheOp = (1, "stores", "store");
const PREFETCH: CacheOp = (2, "prefetches", "prefetch");

/// Names and `config` of all hardware cache events.
pub fn cache_events() -> Vec<(String, u64)> {
    let mut events = Vec::new();
    for (cache, (name, ops)) in (0u64..).zip(CACHES) {
        for (op, plural, singular) in ops {
            let config = cache | op << 8;
            events.push((format!("{name}-{plural}"), config));
            events.push((format!("{name}-{singular}-misses"), config | 1 << 16));
        }
    }
    events
}

/// All generic names, as `perf list` spells them.
pub fn all() -> Vec<String> {
    let generic = HARDWARE.iter().chain(&SOFTWARE);
    let spellings =
        generic.flat_map(|event| std::iter::once(event.name).chain(event.aliases.iter().copied()));
    spellings.map(str::to_owned).chain(cache_events().into_iter().map(|(name, _)| name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cache_names_and_numbers_are_perfs() {
        let events = cache_events();
        for (name, config) in [
            ("L1-dcache-loads", 0),
            ("L1-dcache-load-misses", 0x1_0000),
            ("LLC-store-misses", 0x1_0102),
            ("dTLB-prefetches", 0x203),
            ("iTLB-load-misses", 0x1_0004),
            ("branch-loads", 5),
            ("node-prefetch-misses", 0x1_0206),
        ] {
            assert!(events.contains(&(name.to_owned(), config)), "{name}");
        }
        assert!(!events.iter().any(|(name, _)| name == "iTLB-stores"));
    }

    #[test]
    fn aliases_find_the_same_event() {
        for (alias, name) in [("cpu-cycles", "cycles"), ("Branch-Instructions", "branches")] {
            assert_eq!(find(&HARDWARE, alias).unwrap().name, name);
        }
        assert_eq!(task_counter(find(&SOFTWARE, "cs").unwrap()), Some(TaskCounter::ContextSwitches));
        assert_eq!(task_counter(find(&SOFTWARE, "cpu-clock").unwrap()), None);
    }

    #[test]
    fn every_task_counter_is_a_software_event() {
        for counter in TaskCounter::ALL {
            assert_eq!(task_counter(find(&SOFTWARE, counter.name()).unwrap()), Some(counter));
        }
    }
}
