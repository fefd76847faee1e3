//! The thread that walks: woken by each sample, for memory ages.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use aya::maps::{HashMap as BpfHashMap, MapData, RingBuf};
use waytrace_abi::access::{Capture, Hot, RSP, USER_CS, cause};
use waytrace_abi::pod;
use waytrace_image::symbols::Modules;
use waytrace_model::access::{self, AccessKind, Region};
use waytrace_walk::{Kind, Reason, State, Walker};

use super::check::{Checks, Passed, Tally};
use super::code::{Files, TargetCode, is_code};
use super::hot::HotLines;
use super::memory::{LineCache, Sight, TargetMemory};
use super::now_ns;
use super::reach::Reach;
use super::regions::Regions;
use super::space::Space;
use crate::Error;
use crate::kernel::{Kernel, Plain, sys};

/// Instructions walked at most.
const MOST_INSTRUCTIONS: u32 = 40_000;
/// Rate up to which the thread runs before others: it then takes a few percent of a CPU at most.
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
    /// Mappings accessed.
    pub regions: Vec<Region>,
    /// Numbers of instructions, by process and address.
    pub code: HashMap<(u32, u64), u32>,
    /// Names for them, by process.
    pub modules: HashMap<u32, Modules>,
    /// How checks went.
    pub checks: Tally,
}

impl Worker {
    /// Starts it. Times are counted from `start_ns`; captures from before it are dropped.
    ///
    /// # Errors
    /// When the kernel part lacks something, or no thread can be started.
    pub fn start(kernel: &mut Kernel, tgids: &[u32], rate_hz: f64, start_ns: u64) -> Result<Self, Error> {
        let ring = kernel.take_access_ring()?;
        let wake = sys::event_fd().map_err(Error::syscall("making an event descriptor"))?;
        let theirs = wake.try_clone().map_err(Error::syscall("duplicating an event descriptor"))?;
        let shared = Arc::new(Shared { weight: AtomicU32::new(1), ..Shared::default() });
        let walks = Walks {
            shared: Arc::clone(&shared),
            ring,
            rate_hz,
            wake: theirs,
            start_ns,
            walker: Walker::default(),
            cache: LineCache::default(),
            // Opening a target's files takes its time; samples do not wait for that.
            spaces: tgids.iter().map(|&tgid| (tgid, Space::of(tgid))).collect(),
            hot: HashMap::new(),
            hot_lines: kernel.take_access_hot()?,
            files: Files::default(),
            regions: Regions::default(),
            random: start_ns | 1,
            reach: Reach::new(rate_hz),
            checks: Checks::new(kernel)?,
            path: Vec::new(),
            walked: Walked::default(),
        };
        let thread = std::thread::Builder::new()
            .name("walker".to_owned())
            .spawn(move || walks.run())
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

    /// Tells it that a process has mapped code anew, or runs another program.
    pub fn changed(&self, tgid: u32) {
        lock(&self.shared.changed).insert(tgid);
    }

    /// Waits for the samples in the ring, and returns the accesses not taken yet and the rest.
    pub fn finish(mut self) -> (Vec<Sampled>, Walked) {
        self.shared.stop.store(true, Ordering::Release);
        sys::signal_event_fd(self.wake.as_fd());
        let rest = self.take();
        let walked = self.thread.join().unwrap_or_default();
        let mut all = rest;
        all.append(&mut lock(&self.shared.accesses));
        (all, walked)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The thread's own.
struct Walks {
    shared: Arc<Shared>,
    ring: RingBuf<MapData>,
    rate_hz: f64,
    wake: OwnedFd,
    start_ns: u64,
    walker: Walker,
    cache: LineCache,
    spaces: HashMap<u32, Space>,
    hot: HashMap<u32, HotLines>,
    hot_lines: BpfHashMap<MapData, u32, Plain<Hot>>,
    files: Files,
    regions: Regions,
    random: u64,
    reach: Reach,
    checks: Checks,
    /// Instructions of the walk under way, where it may be checked.
    path: Vec<Passed>,
    walked: Walked,
}

impl Walks {
    fn run(mut self) -> Walked {
        // It sleeps nearly always, and what it reads of the target is right only as long as it is fresh. At a rate that
        // would keep it busy it must not go before others.
        if self.rate_hz <= FIRST_HZ
            && let Err(error) = sys::run_first()
        {
            tracing::debug!(%error, "the walker waits for its turn like any other thread");
        }
        loop {
            // The flag is read first: what was in the ring when it was set is still walked.
            let stop = self.shared.stop.load(Ordering::Acquire);
            for tgid in std::mem::take(&mut *lock(&self.shared.changed)) {
                if let Some(space) = self.spaces.get_mut(&tgid) {
                    space.refresh(tgid);
                }
            }
            while let Some(capture) = self.ring.next().map(|item| pod::read::<Capture>(&item)) {
                if let Some(capture) = capture {
                    self.take(&capture);
                }
            }
            if stop {
                break;
            }
            self.checks.expire(now_ns());
            sys::wait_readable(&[self.ring.as_raw_fd(), self.wake.as_raw_fd()], SLEEP_MS);
        }
        tracing::debug!(reach = self.reach.accesses(), "walks went");
        self.walked.regions = self.regions.into_regions();
        self.walked.checks = self.checks.finish();
        self.walked.modules = self.spaces.into_iter().map(|(tgid, space)| (tgid, space.modules)).collect();
        self.walked
    }

    fn take(&mut self, capture: &Capture) {
        if capture.at_ns < self.start_ns {
            return;
        }
        match capture.cause {
            cause::TICK => self.sample(capture),
            cause::CHECK_FIRST => {
                let space = self.spaces.entry(capture.tgid).or_insert_with(|| Space::of(capture.tgid));
                self.checks.first(capture, &mut self.walker, &mut self.cache, space, &mut self.files);
            }
            cause::CHECK_SECOND => {
                let space = self.spaces.entry(capture.tgid).or_insert_with(|| Space::of(capture.tgid));
                let (walker, cache, files) = (&mut self.walker, &mut self.cache, &mut self.files);
                if let Some(agrees) = self.checks.second(capture, walker, cache, space, files) {
                    self.reach.checked(agrees);
                }
            }
            _ => {}
        }
    }

    fn sample(&mut self, capture: &Capture) {
        self.walked.samples += 1;
        let began_ns = now_ns();
        let walked = self.walk(capture);
        self.reach.walked(walked.is_ok(), now_ns() - began_ns);
        match walked {
            Ok(access) => {
                self.walked.resolved += 1;
                let mut accesses = lock(&self.shared.accesses);
                if accesses.len() < MOST_WAITING {
                    accesses.push(Sampled { tgid: capture.tgid, access });
                }
            }
            Err(reason) => *self.walked.unresolved.entry(reason).or_default() += 1,
        }
    }

    /// The access `k` ahead of a capture, or why there is none.
    fn walk(&mut self, capture: &Capture) -> Result<access::Access, &'static str> {
        if capture.cs != USER_CS {
            return Err("compat_code");
        }
        let tgid = capture.tgid;
        let k = 1 + self.draw(self.reach.accesses());
        let checking = self.checks.is_due(capture.at_ns);
        let space = self.spaces.entry(tgid).or_insert_with(|| Space::of(tgid));
        if let Some(stack) = space.find(tgid, capture.general[RSP]) {
            self.regions.is_stack_of(tgid, capture.tid, stack);
        }
        if !is_code(space, tgid, capture.ip) {
            return Err("unreadable_code");
        }
        let space = &*space;
        self.cache.begin(capture);
        let mut code = TargetCode { tgid, modules: &space.modules, files: &mut self.files };
        let (mut ended, mut gone) = (Err(Reason::BudgetExceeded), false);
        for sight in Sight::ALL {
            let mut memory = TargetMemory { tgid, cache: &mut self.cache, space, sight, gone: false };
            self.path.clear();
            self.walker.begin(&state(capture));
            let path = checking.then_some(&mut self.path);
            ended = follow(&mut self.walker, &mut memory, &mut code, k, path);
            gone = memory.gone;
            if !ended.is_err_and(|reason| sight.is_too_little(reason)) {
                break;
            }
        }
        if let Some(hot) = self.hot.entry(tgid).or_default().learn(self.cache.wanted())
            && let Err(error) = self.hot_lines.insert(tgid, Plain(hot), 0)
        {
            tracing::debug!(tgid, %error, "its hot lines are not captured");
        }
        if checking {
            self.checks.begin(capture, &self.path);
        }
        match ended {
            Ok(found) => self.access(capture, &found),
            Err(_) if gone => Err("target_gone"),
            Err(reason) => Err(reason.name()),
        }
    }

    fn access(
        &mut self,
        capture: &Capture,
        found: &waytrace_walk::Access,
    ) -> Result<access::Access, &'static str> {
        let tgid = capture.tgid;
        let space = self.spaces.entry(tgid).or_default();
        // An address the process has not mapped is no access it will make.
        let mapping = space.find(tgid, found.address).ok_or("unmapped_address")?;
        let region = self.regions.number(tgid, mapping);
        let next = self.walked.code.len() as u32;
        let code = *self.walked.code.entry((tgid, found.ip)).or_insert(next);
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

    /// Uniform in 0..below.
    fn draw(&mut self, below: u32) -> u32 {
        self.random =
            self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (((self.random >> 32) * u64::from(below)) >> 32) as u32
    }
}

/// Walks to the `k`-th access, and keeps what it comes by.
fn follow(
    walker: &mut Walker,
    memory: &mut TargetMemory<'_>,
    code: &mut TargetCode<'_>,
    k: u32,
    mut path: Option<&mut Vec<Passed>>,
) -> Result<waytrace_walk::Access, Reason> {
    let mut left = k as usize;
    for _ in 0..MOST_INSTRUCTIONS {
        let ip = walker.state().rip;
        let step = walker.step(memory, code);
        let accesses = walker.accesses();
        if let Some(path) = &mut path {
            path.push(Passed { ip, accesses: !accesses.is_empty() });
        }
        // An instruction's accesses count even if it cannot be finished: their addresses are known.
        if let Some(found) = accesses.get(left - 1) {
            return Ok(*found);
        }
        left -= accesses.len();
        step?;
    }
    Err(Reason::BudgetExceeded)
}

/// What a capture says of the registers.
pub fn state(capture: &Capture) -> State {
    let mut state = State::captured(capture.general, capture.ip, capture.flags);
    state.fs_base = (capture.fs_base != 0).then_some(capture.fs_base);
    state
}
