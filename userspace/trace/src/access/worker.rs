//! The thread that walks: woken by each sample, for memory ages.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use aya::maps::{HashMap as BpfHashMap, MapData, RingBuf};
use waytrace_abi::access::{Capture, Hot, RSP, USER_CS, cause};
use waytrace_abi::pod;
use waytrace_model::access::{self, AccessKind};
use waytrace_walk::{End, Kind, Limit};

use super::beside::Beside;
use super::check::{Checks, Passed, Tally};
use super::code::is_code;
use super::draw::{Draw, SAMPLES_PER_WALK};
use super::emulator::{Emulator, Stopped};
use super::hot::HotLines;
use super::memory::Sight;
use super::now_ns;
use super::places::Places;
use super::reach::Reach;
use crate::Error;
use crate::kernel::{Kernel, Plain, sys};
use crate::random::Random;

/// Instructions walked at most.
const LIMIT: Limit = Limit { instructions: 40_000 };
/// While the target waits for it: a few tenths of a millisecond.
const LIMIT_BESIDE: Limit = Limit { instructions: 10_000 };
/// Walks a second up to which the thread runs before others: it then takes a few percent of a CPU at most.
const FIRST_HZ: f64 = 1_000.0;
/// How long the thread sleeps when nothing wakes it: it looks after checks that never end.
const SLEEP_MS: libc::c_int = 50;
/// Accesses that wait to be taken; further ones are dropped and counted.
const MOST_WAITING: usize = 1 << 18;

/// What both sides share.
#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    weight: AtomicU32,
    held_up_ns: AtomicU64,
    accesses: Mutex<Vec<Sampled>>,
    changed: Mutex<BTreeSet<u32>>,
}

/// An access and the process that makes it.
pub struct Sampled {
    /// Process.
    pub tgid: u32,
    /// The access.
    pub access: access::Access,
}

/// The running thread.
pub struct Worker {
    shared: Arc<Shared>,
    wake: OwnedFd,
    thread: JoinHandle<Walked>,
}

/// What it knows at the end.
#[derive(Default)]
pub struct Walked {
    /// Samples it was handed.
    pub samples: u64,
    /// Those whose access was found.
    pub resolved: u64,
    /// The others, by reason.
    pub unresolved: BTreeMap<&'static str, u64>,
    /// Accesses that were not taken in time.
    pub dropped: u64,
    /// What was accessed, and by what.
    pub places: Places,
    /// How checks went.
    pub checks: Tally,
    /// How long targets waited for those, in nanoseconds.
    pub checks_held_up_ns: u64,
}

impl Worker {
    /// Starts it, for so many walks a second, of which each may take `walk_ns` on the average. Times are counted from `start_ns`; captures from before it are dropped.
    ///
    /// # Errors
    /// When the kernel part lacks something, or no thread can be started.
    pub fn start(
        kernel: &mut Kernel,
        tgids: &[u32],
        walks_hz: f64,
        walk_ns: f64,
        start_ns: u64,
    ) -> Result<Self, Error> {
        let ring = kernel.access_ring()?;
        let wake = sys::event_fd().map_err(Error::syscall("making an event descriptor"))?;
        let theirs = wake.try_clone().map_err(Error::syscall("duplicating an event descriptor"))?;
        let shared = Arc::new(Shared { weight: AtomicU32::new(1), ..Shared::default() });
        let walks = Walks {
            shared: Arc::clone(&shared),
            walks_hz,
            wake: theirs,
            start_ns,
            emulator: Emulator::default(),
            places: Places::of(tgids),
            hot: HashMap::new(),
            hot_lines: kernel.access_hot()?,
            random: Random::default(),
            reach: Reach::new(walk_ns),
            checks: Checks::new(kernel)?,
            beside: Beside::default(),
            path: Vec::new(),
            draw: Draw::default(),
            walked: Walked::default(),
        };
        let thread = std::thread::Builder::new()
            .name("walker".to_owned())
            .spawn(move || walks.run(ring))
            .map_err(Error::syscall("starting the walker"))?;
        Ok(Self { shared, wake, thread })
    }

    /// What was resolved since the last time.
    pub fn take(&mut self) -> Vec<Sampled> {
        std::mem::take(&mut *lock(&self.shared.accesses))
    }

    /// How many samples of the first pace one stands for.
    pub fn weight(&self) -> u32 {
        self.shared.weight.load(Ordering::Relaxed)
    }

    /// Changes that, for samples from now on.
    pub fn set_weight(&self, weight: u32) {
        self.shared.weight.store(weight, Ordering::Relaxed);
    }

    /// How long targets have waited for walks from samples so far, in nanoseconds.
    pub fn held_up_ns(&self) -> u64 {
        self.shared.held_up_ns.load(Ordering::Relaxed)
    }

    /// Tells it that a process has mapped code anew, or runs another program.
    pub fn changed(&self, tgid: u32) {
        lock(&self.shared.changed).insert(tgid);
    }

    /// Waits for the samples in the ring, and returns the accesses not taken yet and the rest.
    pub fn finish(self) -> (Vec<Sampled>, Walked) {
        self.shared.stop.store(true, Ordering::Release);
        sys::signal_event_fd(self.wake.as_fd());
        let walked = self.thread.join().unwrap_or_default();
        (std::mem::take(&mut *lock(&self.shared.accesses)), walked)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The thread's own.
struct Walks {
    shared: Arc<Shared>,
    walks_hz: f64,
    wake: OwnedFd,
    start_ns: u64,
    emulator: Emulator,
    places: Places,
    hot: HashMap<u32, HotLines>,
    hot_lines: BpfHashMap<MapData, u32, Plain<Hot>>,
    random: Random,
    reach: Reach,
    checks: Checks,
    beside: Beside,
    /// Instructions of the walk under way, where it may be checked.
    path: Vec<Passed>,
    /// The samples of that walk.
    draw: Draw,
    walked: Walked,
}

impl Walks {
    fn run(mut self, mut ring: RingBuf<MapData>) -> Walked {
        // It sleeps nearly always, and what it reads of the target is right only as long as it is fresh. At a rate that
        // would keep it busy it must not go before others.
        let goes_first = self.walks_hz <= FIRST_HZ
            && sys::run_first()
                .inspect_err(
                    |error| tracing::debug!(%error, "the walker waits for its turn like any other thread"),
                )
                .is_ok();
        match Beside::new(goes_first) {
            Ok(beside) => self.beside = beside,
            Err(error) => tracing::debug!(%error, "the walker runs where it is put"),
        }
        loop {
            // The flag is read first: what was in the ring when it was set is still walked.
            let stop = self.shared.stop.load(Ordering::Acquire);
            for tgid in std::mem::take(&mut *lock(&self.shared.changed)) {
                self.places.changed(tgid);
            }
            while let Some(item) = ring.next() {
                // It is looked at where it lies: of its 12 KB few lines are needed, and all are in another CPU's cache.
                if let Some(capture) = pod::view::<Capture>(&item) {
                    self.take(capture);
                }
            }
            if stop {
                break;
            }
            self.checks.expire(now_ns());
            sys::wait_readable([ring.as_raw_fd(), self.wake.as_raw_fd()], SLEEP_MS);
        }
        tracing::debug!(reach = self.reach.accesses(), "walks went");
        self.walked.places = self.places;
        self.walked.checks = self.checks.finish();
        self.walked
    }

    fn take(&mut self, capture: &Capture) {
        if capture.at_ns < self.start_ns {
            return;
        }
        let mut begun = self.beside.begin(capture.cpu);
        match capture.cause {
            cause::TICK => {
                self.sample(capture, begun.holds_up());
                self.shared.held_up_ns.fetch_add(self.beside.held_up_ns(begun), Ordering::Relaxed);
                self.beside.sampled(capture.cpu, begun);
                if self.path.is_empty() {
                    return;
                }
                begun = self.beside.begin(capture.cpu);
                self.checks.begin(capture, &self.path);
            }
            cause::CHECK_FIRST => {
                let space = self.places.space(capture.tgid);
                self.checks.first(capture, &mut self.emulator, space);
            }
            cause::CHECK_SECOND => {
                let space = self.places.space(capture.tgid);
                if let Some(agrees) = self.checks.second(capture, &mut self.emulator, space) {
                    self.reach.checked(agrees);
                    self.beside.checked(agrees);
                }
            }
            _ => {}
        }
        self.walked.checks_held_up_ns += self.beside.held_up_ns(begun);
    }

    fn sample(&mut self, capture: &Capture, holds_up: bool) {
        self.walked.samples += u64::from(SAMPLES_PER_WALK);
        let began_ns = now_ns();
        let ended = self.walk(capture, holds_up);
        self.reach.walked(self.draw.passed(), self.draw.missing_share(), now_ns() - began_ns);
        if let Err(reason) = ended {
            self.unresolved(reason, self.draw.missing());
        }
        for found in self.draw.found() {
            match self.access(capture, &found) {
                Ok(access) => self.found(Sampled { tgid: capture.tgid, access }),
                Err(reason) => self.unresolved(reason, 1),
            }
        }
    }

    fn found(&mut self, sampled: Sampled) {
        self.walked.resolved += 1;
        let mut accesses = lock(&self.shared.accesses);
        if accesses.len() < MOST_WAITING {
            accesses.push(sampled);
        } else {
            self.walked.dropped += 1;
        }
    }

    fn unresolved(&mut self, reason: &'static str, samples: u32) {
        *self.walked.unresolved.entry(reason).or_default() += u64::from(samples);
    }

    /// Walks from a capture by the accesses drawn, or to where it ends before them, and why.
    fn walk(&mut self, capture: &Capture, holds_up: bool) -> Result<(), &'static str> {
        self.path.clear();
        self.draw = Draw::new(self.reach.accesses(), &mut self.random);
        if capture.cs != USER_CS {
            return Err("compat_code");
        }
        let tgid = capture.tgid;
        // A check is of a walk to one of its samples.
        let checked = self.checks.is_due(capture.at_ns).then(|| self.draw.one_of(&mut self.random));
        self.places.runs_on(tgid, capture.tid, capture.general[RSP]);
        let limit = if holds_up { LIMIT_BESIDE } else { LIMIT };
        let space = self.places.space(tgid);
        if !is_code(space, tgid, capture.ip) {
            return Err("unreadable_code");
        }
        let (path, draw) = (&mut self.path, &mut self.draw);
        let walked = self.emulator.walk(capture, space, &Sight::ALL, |mut walk| {
            path.clear();
            draw.begin();
            let (memory, code) = (&mut walk.memory, &mut walk.code);
            let end =
                walk.walker.walk_by(walk.start, memory, code, draw.furthest(), limit, |ip, accesses| {
                    if checked.is_some_and(|access| draw.passed() < access) {
                        path.push(Passed { ip, accesses: !accesses.is_empty() });
                    }
                    draw.pass(accesses);
                });
            match end {
                End::Reached => Ok(()),
                End::Unresolved(reason) => Err(reason),
            }
        });
        if let Some(hot) = self.hot.entry(tgid).or_default().learn(self.emulator.wanted(capture))
            && let Err(error) = self.hot_lines.insert(tgid, Plain(hot), 0)
        {
            tracing::debug!(tgid, %error, "its hot lines are not captured");
        }
        walked.map_err(|stopped| match stopped {
            Stopped::TargetGone => "target_gone",
            Stopped::At(reason) => reason.name(),
        })
    }

    fn access(
        &mut self,
        capture: &Capture,
        found: &waytrace_walk::Access,
    ) -> Result<access::Access, &'static str> {
        let tgid = capture.tgid;
        // An address the process has not mapped is no access it will make.
        let region = self.places.region(tgid, found.address).ok_or("unmapped_address")?;
        let code = self.places.code(tgid, found.ip);
        Ok(access::Access {
            at_ns: capture.at_ns - self.start_ns,
            tid: capture.tid,
            cpu: Some(capture.cpu),
            address: found.address,
            width_bytes: Some(found.width_bytes),
            kind: match found.kind {
                Kind::Load => AccessKind::Load,
                Kind::Store => AccessKind::Store,
            },
            code: Some(code),
            region: Some(region),
            block: None,
            weight: self.shared.weight.load(Ordering::Relaxed).into(),
            precise: None,
        })
    }
}
