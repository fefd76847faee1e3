//! CPU time of the whole host, from `/proc/stat` (proc(5)).

use waytrace_hw::Root;

/// What all CPUs did since the host started, in ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ticks {
    busy: u64,
    all: u64,
    cpus: u64,
}

/// CPU time between two looks.
pub struct HostCpu {
    root: Root,
    before: Option<Ticks>,
}

impl HostCpu {
    /// Looks for the first time.
    pub fn new(root: Root) -> Self {
        let before = read(&root);
        Self { root, before }
    }

    /// CPU time since the last look, percent of one CPU; `None` where the host does not tell.
    pub fn since_last(&mut self) -> Option<f64> {
        let now = read(&self.root);
        let before = std::mem::replace(&mut self.before, now)?;
        share(before, now?)
    }
}

fn share(before: Ticks, now: Ticks) -> Option<f64> {
    // What a CPU did is no longer told when it goes offline.
    let busy = now.busy.checked_sub(before.busy)?;
    let all = now.all.checked_sub(before.all).filter(|all| *all > 0)?;
    Some(busy as f64 / all as f64 * now.cpus as f64 * 100.0)
}

fn read(root: &Root) -> Option<Ticks> {
    parse(&root.read("proc/stat").ok()?)
}

/// Of `user nice system idle iowait irq softirq steal` all but the fourth and fifth are work; guests' time is in the first two.
fn parse(text: &str) -> Option<Ticks> {
    let first = text.lines().next()?.strip_prefix("cpu ")?;
    let ticks: Vec<u64> = first.split_whitespace().take(8).map(str::parse).collect::<Result<_, _>>().ok()?;
    let idle: u64 = ticks.iter().skip(3).take(2).sum();
    let all: u64 = ticks.iter().sum();
    let is_cpu = |line: &&str| line.starts_with("cpu") && !line.starts_with("cpu ");
    let cpus = text.lines().filter(is_cpu).count() as u64;
    Some(Ticks { busy: all - idle, all, cpus })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_all_but_idling() {
        let before = parse("cpu  10 0 10 100 5 0 0 0 0 0\ncpu0 5 0 5 50\ncpu1 5 0 5 50\nintr 1\n").unwrap();
        assert_eq!(before, Ticks { busy: 20, all: 125, cpus: 2 });
        let now = parse("cpu  40 5 20 130 15 1 2 2 7 0\ncpu0\ncpu1\n").unwrap();
        assert_eq!((now.busy, now.all), (70, 215));
        let half = Ticks { all: 225, ..now };
        assert_eq!(share(before, half), Some(100.0), "50 of 100 ticks of two CPUs");
        assert_eq!((share(before, before), share(now, before)), (None, None));
        assert_eq!((parse("cpu  1 x\n"), parse("")), (None, None));
    }
}
