//! Programs as streams of accesses to the last-level cache.

use super::random::Random;

/// What a task does, endlessly. Sizes are bytes of the host that is shown.
#[derive(Debug, Clone, PartialEq)]
pub enum Program {
    /// Touches every line once and never again: misses at every mask.
    Stream,
    /// Goes round `bytes` in order. Under LRU it hits always where they fit and never where they do not: a cliff.
    Loop {
        /// Length.
        bytes: u64,
    },
    /// Any line of `bytes`, all alike: the miss ratio falls linearly with the ways.
    Random {
        /// Length.
        bytes: u64,
    },
    /// Line *n* of `bytes` in proportion to 1 / *n*^`exponent`.
    Zipf {
        /// Length.
        bytes: u64,
        /// At least 0, which is [`Program::Random`].
        exponent: f64,
    },
    /// Each access from one of the parts, drawn by weight.
    Mixed(Vec<(u32, Program)>),
    /// So many modelled accesses of the first, then as many of the second, and again.
    Phases {
        /// Before.
        first: Box<Program>,
        /// After.
        second: Box<Program>,
        /// Modelled accesses of a phase, at least 1. Each stands for as many of the host's as sets stand for one (`sampling`).
        accesses: u64,
    },
    /// `percent` of the accesses fetch code from a loop of `bytes`, the others are those of `data`.
    WithCode {
        /// Length of the code.
        bytes: u64,
        /// Share of its accesses, 0–100.
        percent: u32,
        /// The rest.
        data: Box<Program>,
    },
    /// New lines always, as [`Program::Stream`], but those of a few sets together, each set `rounds` times before the next
    /// ones: what walking the pages of a buffer at one offset after the other does.
    Columns {
        /// Lines of a set one after the other, at least 1.
        rounds: u64,
        /// Sets of the cache, as modelled.
        sets: u64,
    },
}

/// A program, and how many instructions it takes from one access to the next.
#[derive(Debug, Clone, PartialEq)]
pub struct Workload {
    /// The accesses.
    pub program: Program,
    /// Instructions per access, at least 1.
    pub instructions_per_access: u32,
}

impl Workload {
    /// One with 20 instructions per access: a share of memory accesses that makes the cache matter.
    pub fn of(program: Program) -> Self {
        Self { program, instructions_per_access: 20 }
    }
}

/// One access.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    /// Number of the line.
    pub line: u64,
    /// An instruction fetch, to which CDP's other masks apply.
    pub is_code: bool,
}

/// A program under way.
#[derive(Debug, Clone)]
pub struct Stream {
    node: Node,
    random: Random,
}

#[derive(Debug, Clone)]
enum Node {
    Stream { base: u64, at: u64 },
    Loop { base: u64, lines: u64, at: u64 },
    Random { base: u64, lines: u64 },
    Zipf { base: u64, cumulative: Vec<f64> },
    Mixed { parts: Vec<(u64, Node)>, total: u64 },
    Phases { nodes: Box<[Node; 2]>, length: u64, at: u64 },
    WithCode { code: Box<Node>, percent: u64, data: Box<Node> },
    Columns { base: u64, rounds: u64, sets: u64, at: u64 },
}

/// Sets that lines at the same offset of pages share: a 64th of the modelled ones.
const COLUMN_SETS: u64 = 4;
/// Lines of one region's address space; no program's part is as long.
const REGION_LINES: u64 = 1 << 40;

impl Stream {
    /// A stream of `program` whose random choices `seed` decides, where one modelled line stands for `line_bytes`.
    /// Different `space`s (below 2¹⁶) share no line.
    pub fn new(program: &Program, line_bytes: u64, space: u64, seed: u64) -> Self {
        let mut region = (space & 0xffff) << 8;
        Self { node: Node::of(program, line_bytes.max(1), &mut region), random: Random::new(seed) }
    }

    /// The next access.
    pub fn next_access(&mut self) -> Access {
        self.node.next(&mut self.random)
    }
}

impl Node {
    fn of(program: &Program, line_bytes: u64, region: &mut u64) -> Self {
        let mut base = || {
            *region += 1;
            (*region - 1) * REGION_LINES
        };
        let lines = |bytes: u64| bytes.div_ceil(line_bytes).max(1);
        match program {
            Program::Stream => Self::Stream { base: base(), at: 0 },
            Program::Loop { bytes } => Self::Loop { base: base(), lines: lines(*bytes), at: 0 },
            Program::Random { bytes } => Self::Random { base: base(), lines: lines(*bytes) },
            Program::Zipf { bytes, exponent } => {
                let mut sum = 0.0;
                let weights = (1..=lines(*bytes)).map(|rank| (rank as f64).powf(-exponent));
                let cumulative = weights.map(|weight| {
                    sum += weight;
                    sum
                });
                Self::Zipf { cumulative: cumulative.collect(), base: base() }
            }
            Program::Mixed(parts) => {
                let mut total = 0;
                let mut node = |(weight, part): &(u32, Program)| {
                    total += u64::from(*weight);
                    (total, Self::of(part, line_bytes, region))
                };
                Self::Mixed { parts: parts.iter().map(&mut node).collect(), total }
            }
            Program::Phases { first, second, accesses } => {
                let nodes = [Self::of(first, line_bytes, region), Self::of(second, line_bytes, region)];
                Self::Phases { nodes: Box::new(nodes), length: (*accesses).max(1), at: 0 }
            }
            Program::WithCode { bytes, percent, data } => Self::WithCode {
                code: Box::new(Self::Loop { base: base(), lines: lines(*bytes), at: 0 }),
                percent: u64::from(*percent),
                data: Box::new(Self::of(data, line_bytes, region)),
            },
            Program::Columns { rounds, sets } => {
                Self::Columns { base: base(), rounds: (*rounds).max(1), sets: (*sets).max(1), at: 0 }
            }
        }
    }

    fn next(&mut self, random: &mut Random) -> Access {
        let data = |line| Access { line, is_code: false };
        match self {
            Self::Stream { base, at } => {
                *at = (*at + 1) % REGION_LINES;
                data(*base + *at)
            }
            Self::Loop { base, lines, at } => {
                *at = (*at + 1) % *lines;
                data(*base + *at)
            }
            Self::Random { base, lines } => data(*base + random.below(*lines)),
            Self::Zipf { base, cumulative } => {
                let point = random.unit() * cumulative.last().copied().unwrap_or(0.0);
                data(*base + cumulative.partition_point(|&sum| sum <= point) as u64)
            }
            Self::Mixed { parts, total } => {
                let point = random.below(*total);
                match parts.iter_mut().find(|(sum, _)| point < *sum) {
                    Some((_, part)) => part.next(random),
                    None => data(0),
                }
            }
            Self::Phases { nodes, length, at } => {
                let [first, second] = nodes.as_mut();
                *at = (*at + 1) % (2 * *length);
                if *at < *length { first.next(random) } else { second.next(random) }
            }
            Self::WithCode { code, percent, data } => {
                if random.below(100) < *percent {
                    Access { is_code: true, ..code.next(random) }
                } else {
                    data.next(random)
                }
            }
            Self::Columns { base, rounds, sets, at } => {
                let (lap, within) = (*at / (*rounds * *sets), *at % (*rounds * *sets));
                let together = COLUMN_SETS.min(*sets);
                let (column, within) = (within / (together * *rounds), within % (together * *rounds));
                let set = (column * together + within % together) % *sets;
                let line = (lap * *rounds + within / together) * *sets + set;
                *at = (*at + 1) % REGION_LINES;
                data(*base + line % REGION_LINES)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    fn lines(program: &Program, count: usize) -> Vec<u64> {
        let mut stream = Stream::new(program, 64, 3, 1);
        (0..count).map(|_| stream.next_access().line).collect()
    }

    #[test]
    fn programs_touch_what_they_say() {
        let distinct =
            |program: &Program, count| lines(program, count).into_iter().collect::<BTreeSet<_>>().len();
        assert_eq!(distinct(&Program::Stream, 500), 500);
        assert_eq!(distinct(&Program::Loop { bytes: 640 }, 500), 10);
        assert_eq!(distinct(&Program::Random { bytes: 640 }, 500), 10);
        assert_eq!(distinct(&Program::Zipf { bytes: 640, exponent: 0.5 }, 5_000), 10);
    }

    #[test]
    fn zipf_follows_its_exponent() {
        let mut counts = BTreeMap::new();
        for line in lines(&Program::Zipf { bytes: 100 * 64, exponent: 1.0 }, 100_000) {
            *counts.entry(line).or_insert(0_u32) += 1;
        }
        let counts: Vec<f64> = counts.into_values().map(f64::from).collect();
        // 1 / (1 + 1/2 + … + 1/100) of all for the first, half of it for the second.
        assert!((counts[0] / 100_000.0 - 0.1928).abs() < 0.01, "{}", counts[0]);
        assert!((counts[0] / counts[1] - 2.0).abs() < 0.15, "{}", counts[0] / counts[1]);
    }

    #[test]
    fn phases_take_turns_and_parts_share_no_line() {
        let parts = (Program::Loop { bytes: 64 }, Program::Loop { bytes: 64 });
        let program = Program::Phases { first: Box::new(parts.0), second: Box::new(parts.1), accesses: 3 };
        let lines = lines(&program, 12);
        let changes = lines.windows(2).filter(|pair| pair[0] != pair[1]).count();
        assert_eq!((lines.iter().collect::<BTreeSet<_>>().len(), changes), (2, 4));
    }

    #[test]
    fn columns_fill_each_set_so_many_times_together() {
        let lines = lines(&Program::Columns { rounds: 2, sets: 16 }, 64);
        assert_eq!(lines.iter().collect::<BTreeSet<_>>().len(), 64, "no line twice");
        let sets: Vec<u64> = lines.iter().map(|line| line % 16).collect();
        assert_eq!(sets[..12], [0, 1, 2, 3, 0, 1, 2, 3, 4, 5, 6, 7]);
        let counts = sets.iter().fold([0; 16], |mut counts, set| {
            counts[usize::try_from(*set).unwrap()] += 1;
            counts
        });
        assert_eq!(counts, [4; 16]);
    }

    #[test]
    fn code_has_its_share() {
        let program = Program::WithCode { bytes: 640, percent: 30, data: Box::new(Program::Stream) };
        let mut stream = Stream::new(&program, 64, 0, 5);
        let code = (0..10_000).filter(|_| stream.next_access().is_code).count();
        assert!((2_800..3_200).contains(&code), "{code}");
    }
}
