//! Numbers of threads since they began, made into what came up in a window, by process.

use std::collections::{HashMap, HashSet};

use waytrace_abi::counter::TaskNumbers;

/// Threads told one by one, of most CPU time.
const MAX_THREADS: usize = 16;

/// What came up of a process in a window.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProcessNumbers {
    /// Process id.
    pub tgid: u32,
    /// When it began, nanoseconds of `CLOCK_BOOTTIME`.
    pub start_boot_ns: u64,
    /// Command name, of its first thread where that is known.
    pub comm: String,
    /// Threads at the window's end.
    pub threads_count: u32,
    /// CPU time.
    pub cpu_ns: u64,
    /// Time threads were ready and waited for a CPU; `None` where the kernel does not keep it.
    pub run_queue_ns: Option<u64>,
    /// Time threads neither ran nor waited for a CPU.
    pub off_cpu_ns: u64,
    /// Faults without I/O.
    pub minor_faults_count: u64,
    /// Faults with I/O.
    pub major_faults_count: u64,
    /// Switches because a thread waited.
    pub voluntary_switches_count: u64,
    /// Switches because a thread's time was up.
    pub involuntary_switches_count: u64,
    /// Moves to another CPU.
    pub migrations_count: u64,
    /// Bytes added to the address space; `None` where its mappings are not watched.
    pub mmap_bytes: Option<u64>,
    /// Bytes taken from it, likewise.
    pub munmap_bytes: Option<u64>,
    /// CPU cycles, where a PMU counted them all the time.
    pub cycles_count: Option<u64>,
    /// Instructions, likewise.
    pub instructions_count: Option<u64>,
    /// Misses of the last cache level, likewise.
    pub cache_misses_count: Option<u64>,
    /// Threads of most CPU time: id, name, CPU time in nanoseconds.
    pub threads: Vec<(u32, String, u64)>,
    /// It has ended: no thread of it is left.
    pub has_ended: bool,
}

/// A thread as it was when its window began.
#[derive(Clone, Copy, Default)]
struct Known {
    numbers: TaskNumbers,
    /// Time told as off the CPU that the kernel booked as waiting or running afterwards: it books a wait when it is over.
    overdrawn_ns: u64,
}

/// What was known of each thread when its window began.
#[derive(Default)]
pub struct Book {
    known: HashMap<u32, Known>,
    /// What exited threads leave to the window under way.
    exited: Vec<TaskNumbers>,
    window_ns: u64,
    window_boot_ns: u64,
    knows_run_queue: bool,
}

impl Book {
    /// An empty one. `knows_run_queue` where the kernel keeps how long threads wait for a CPU.
    pub fn new(knows_run_queue: bool) -> Self {
        Self { knows_run_queue, ..Self::default() }
    }

    /// Takes note of all threads, before the first window.
    pub fn begin(&mut self, tasks: Vec<TaskNumbers>, now_ns: u64, now_boot_ns: u64) {
        self.known =
            tasks.into_iter().map(|numbers| (numbers.tid, Known { numbers, overdrawn_ns: 0 })).collect();
        self.exited.clear();
        (self.window_ns, self.window_boot_ns) = (now_ns, now_boot_ns);
    }

    /// A thread has ended, with these numbers.
    pub fn exited(&mut self, task: &TaskNumbers) {
        self.exited.push(*task);
    }

    /// Closes a window whose end saw these threads. Times are now, by `CLOCK_MONOTONIC` and `CLOCK_BOOTTIME`.
    pub fn close(&mut self, tasks: &[TaskNumbers], now_ns: u64, now_boot_ns: u64) -> Vec<ProcessNumbers> {
        let mut processes: HashMap<(u32, u64), ProcessNumbers> = HashMap::new();
        let window_ns = now_ns.saturating_sub(self.window_ns);
        let exited = std::mem::take(&mut self.exited);
        let over: HashSet<(u32, u64)> = exited.iter().map(|task| (task.tid, task.start_boot_ns)).collect();
        // The iterator may have come by between a thread's last word and its end.
        let alive = tasks.iter().filter(|task| !over.contains(&(task.tid, task.start_boot_ns)));
        let leaders = Leaders::of(exited.iter().chain(tasks));
        let mut known = HashMap::with_capacity(tasks.len());
        for (task, is_alive) in exited.iter().map(|task| (task, false)).chain(alive.map(|task| (task, true)))
        {
            let start = leaders.start_boot_ns(task);
            let process = processes.entry((task.tgid, start)).or_insert_with(|| ProcessNumbers {
                tgid: task.tgid,
                start_boot_ns: start,
                has_ended: true,
                run_queue_ns: self.knows_run_queue.then_some(0),
                ..ProcessNumbers::default()
            });
            if process.comm.is_empty() || task.tid == task.tgid {
                process.comm = name(&task.comm);
            }
            process.has_ended &= !is_alive;
            process.threads_count += u32::from(is_alive);
            // A thread that ended was looked up by the id it had; another may have it by now.
            let before = self.known.get(&task.tid).filter(|before| is_same(&before.numbers, task)).copied();
            let lived_ns = match before {
                Some(_) => window_ns,
                None => {
                    now_boot_ns.saturating_sub(task.start_boot_ns.max(self.window_boot_ns)).min(window_ns)
                }
            };
            let overdrawn_ns =
                process.add(task, &before.unwrap_or_default(), if is_alive { lived_ns } else { 0 });
            if is_alive {
                known.insert(task.tid, Known { numbers: *task, overdrawn_ns });
            }
        }
        self.known = known;
        (self.window_ns, self.window_boot_ns) = (now_ns, now_boot_ns);
        let mut processes: Vec<ProcessNumbers> = processes.into_values().collect();
        for process in &mut processes {
            process.threads.sort_unstable_by(|a, b| b.2.cmp(&a.2).then(a.0.cmp(&b.0)));
            process.threads.truncate(MAX_THREADS);
        }
        processes.sort_unstable_by_key(|process| (process.tgid, process.start_boot_ns));
        processes
    }
}

/// When the processes of each id began.
struct Leaders(HashMap<u32, Vec<u64>>);

impl Leaders {
    fn of<'a>(tasks: impl Iterator<Item = &'a TaskNumbers>) -> Self {
        let mut starts: HashMap<u32, Vec<u64>> = HashMap::new();
        for task in tasks.filter(|task| task.tid == task.tgid) {
            starts.entry(task.tgid).or_default().push(task.start_boot_ns);
        }
        Self(starts)
    }

    /// When the process of a thread began: the last of its id that began before it.
    fn start_boot_ns(&self, task: &TaskNumbers) -> u64 {
        let starts = self.0.get(&task.tgid).into_iter().flatten().copied();
        starts.filter(|start| *start <= task.start_boot_ns).max().unwrap_or(task.start_boot_ns)
    }
}

fn is_same(before: &TaskNumbers, task: &TaskNumbers) -> bool {
    before.start_boot_ns == task.start_boot_ns && before.tgid == task.tgid
}

impl ProcessNumbers {
    /// Adds a thread; returns what of its time off the CPU was told too much until now.
    fn add(&mut self, task: &TaskNumbers, before: &Known, lived_ns: u64) -> u64 {
        let from = &before.numbers;
        let cpu_ns = task.cpu_ns.saturating_sub(from.cpu_ns);
        let waited_ns = task.run_queue_ns.saturating_sub(from.run_queue_ns);
        self.cpu_ns += cpu_ns;
        if let Some(run_queue_ns) = &mut self.run_queue_ns {
            *run_queue_ns += waited_ns;
        }
        let booked_ns = cpu_ns + waited_ns + before.overdrawn_ns;
        self.off_cpu_ns += lived_ns.saturating_sub(booked_ns);
        self.minor_faults_count += task.minor_faults_count.saturating_sub(from.minor_faults_count);
        self.major_faults_count += task.major_faults_count.saturating_sub(from.major_faults_count);
        self.voluntary_switches_count +=
            task.voluntary_switches_count.saturating_sub(from.voluntary_switches_count);
        self.involuntary_switches_count +=
            task.involuntary_switches_count.saturating_sub(from.involuntary_switches_count);
        self.migrations_count += task.migrations_count.saturating_sub(from.migrations_count);
        if cpu_ns > 0 {
            self.threads.push((task.tid, name(&task.comm), cpu_ns));
        }
        booked_ns.saturating_sub(lived_ns)
    }
}

/// A command name without the bytes behind it.
pub fn name(comm: &[u8]) -> String {
    let end = comm.iter().position(|&byte| byte == 0).unwrap_or(comm.len());
    String::from_utf8_lossy(&comm[..end]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(tgid: u32, tid: u32, start_boot_ns: u64, cpu_ns: u64) -> TaskNumbers {
        let mut comm = [0; 16];
        comm[..4].copy_from_slice(if tgid == tid { b"main" } else { b"work" });
        TaskNumbers { tgid, tid, start_boot_ns, cpu_ns, comm, ..TaskNumbers::default() }
    }

    fn only(processes: &[ProcessNumbers]) -> &ProcessNumbers {
        assert_eq!(processes.len(), 1, "{processes:?}");
        &processes[0]
    }

    #[test]
    fn windows_hold_what_came_up_in_them() {
        let mut book = Book::new(true);
        book.begin(vec![task(7, 7, 1, 100), task(7, 8, 2, 50)], 1_000, 1_000);
        let mut waited = task(7, 8, 2, 60);
        waited.run_queue_ns = 40;
        let processes = book.close(&[task(7, 7, 1, 400), waited], 2_000, 2_000);
        let process = only(&processes);
        assert_eq!((process.cpu_ns, process.run_queue_ns, process.threads_count), (310, Some(40), 2));
        assert_eq!(process.off_cpu_ns, (1_000 - 300) + (1_000 - 50));
        assert_eq!(process.threads, [(7, "main".to_owned(), 300), (8, "work".to_owned(), 10)]);
        let processes = book.close(&[task(7, 7, 1, 400), waited], 3_000, 3_000);
        assert_eq!((only(&processes).cpu_ns, only(&processes).off_cpu_ns), (0, 2_000));
    }

    #[test]
    fn a_wait_that_is_booked_late_is_told_once() {
        let mut book = Book::new(true);
        book.begin(vec![task(7, 7, 1, 0)], 1_000, 1_000);
        // It waits all the time, and the kernel books that when the wait is over, 500 into the second window.
        let waits = book.close(&[task(7, 7, 1, 0)], 2_000, 2_000);
        assert_eq!(only(&waits).off_cpu_ns, 1_000);
        let mut ran = task(7, 7, 1, 500);
        ran.run_queue_ns = 1_500;
        assert_eq!(only(&book.close(&[ran], 3_000, 3_000)).off_cpu_ns, 0);
        assert_eq!(
            only(&book.close(&[ran], 5_000, 5_000)).off_cpu_ns,
            1_000,
            "the first thousand were told before"
        );
    }

    #[test]
    fn a_thread_that_ended_leaves_its_last_numbers() {
        let mut book = Book::new(true);
        book.begin(vec![task(7, 7, 1, 100), task(7, 8, 2, 50)], 1_000, 1_000);
        book.exited(&task(7, 8, 2, 80));
        let processes = book.close(&[task(7, 7, 1, 100)], 2_000, 2_000);
        assert_eq!((only(&processes).cpu_ns, only(&processes).threads_count), (30, 1));
        assert!(!only(&processes).has_ended);
    }

    #[test]
    fn a_process_within_a_window_is_seen_whole() {
        let mut book = Book::new(true);
        book.begin(Vec::new(), 1_000, 1_000);
        book.exited(&task(9, 9, 1_200, 77));
        let processes = book.close(&[], 2_000, 2_000);
        assert_eq!((only(&processes).cpu_ns, only(&processes).has_ended), (77, true));
    }

    #[test]
    fn a_reused_id_is_another_process() {
        let mut book = Book::new(true);
        book.begin(vec![task(7, 7, 1, 100)], 1_000, 1_000);
        book.exited(&task(7, 7, 1, 130));
        let processes = book.close(&[task(7, 7, 1_500, 5)], 2_000, 2_000);
        let told: Vec<_> = processes.iter().map(|p| (p.start_boot_ns, p.cpu_ns, p.has_ended)).collect();
        assert_eq!(told, [(1, 30, true), (1_500, 5, false)]);
    }

    #[test]
    fn a_thread_seen_at_its_end_counts_once() {
        let mut book = Book::new(true);
        book.begin(vec![task(7, 7, 1, 100)], 1_000, 1_000);
        book.exited(&task(7, 7, 1, 130));
        let processes = book.close(&[task(7, 7, 1, 130)], 2_000, 2_000);
        assert_eq!((only(&processes).cpu_ns, only(&processes).has_ended), (30, true));
    }

    #[test]
    fn a_new_thread_has_lived_since_it_began() {
        let mut book = Book::new(true);
        book.begin(Vec::new(), 1_000, 5_000);
        let processes = book.close(&[task(7, 7, 5_700, 100)], 2_000, 6_000);
        assert_eq!(only(&processes).off_cpu_ns, 200);
    }
}
