//! What is measured in a window, and what it may cost.
//!
//! ```text
//! Watch (all processes) ─┬─ events ──► Membership ─► whose process it is ─► Cache: a monitoring group for each target
//!                        └─ numbers, once a window ──┐                          │ Allotment: how many
//! Turns (one process) ── TurnResult ─────────────────┴─► Host ─► HostWindow ◄───┘
//!        ▲ Schedule: whose turn    ▲ Division: how much of the time
//! ```
//!
//! [`Engine`] is single-threaded and does nothing unless [`Engine::run`] is called, which returns with each window; probes of a turn are placed and removed by
//! threads of `trace`. A turn goes on while windows end.

mod allotment;
mod budget;
mod cache;
mod closer;
mod host;
mod members;
mod own;
mod schedule;
mod settings;
mod spent;

use std::time::{Duration, Instant};

use waytrace_hw::clock;
use waytrace_model::monitor::{CollectorShare, HostWindow, OwnCost, ShareState};
use waytrace_trace::Error;
use waytrace_trace::host::{ProcessEvent, Watch};
use waytrace_trace::turn::{TurnPlan, Turns};

use budget::{Division, Taken};
use cache::Cache;
use host::Host;
pub use host::{Limits, Membership};
pub use members::Members;
use schedule::Schedule;
pub use settings::{Others, Settings};
use spent::Spent;

/// How often processes that began are looked at, and records of a turn taken.
const DRAIN: Duration = Duration::from_millis(50);
/// The same where there is no turn.
const IDLE_DRAIN: Duration = Duration::from_millis(200);
/// Of what a target may be slowed, the half is for allocator probes; samples of accesses take less than the other.
const PROBES_SHARE: f64 = 0.5;
/// Samples of accesses a second of a target's CPU time.
const ACCESSES_HZ: f64 = 40.0;

/// However little the budget leaves, it is looked again after this.
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// Measures windows.
pub struct Engine<M> {
    settings: Settings,
    members: M,
    watch: Watch,
    turns: Option<Turns>,
    /// Why there are no turns.
    no_turns: Option<String>,
    host: Host,
    schedule: Schedule,
    division: Division,
    /// When the next turn may begin.
    next_turn: Instant,
    window_end_ns: u64,
    own_cpu_ns: u64,
    taken: Taken,
    /// What turns took of a CPU in the last window, percent.
    turns_cpu_pct: f64,
    others: Others,
    spent: Spent,
    cache: Cache,
}

/// Why [`Engine::run`] returned.
#[derive(Debug)]
pub enum Step {
    /// A window is over.
    Window(Box<HostWindow>),
    /// It was asked to.
    Interrupted,
}

impl<M: Membership> Engine<M> {
    /// Begins to watch; the first window begins now.
    ///
    /// # Errors
    /// When the kernel refuses the kernel part.
    pub fn start(settings: Settings, members: M) -> Result<Self, Error> {
        let watch = Watch::start(settings.events, settings.mappings)?;
        let (turns, no_turns) = if settings.allocations || settings.accesses {
            match Turns::start() {
                Ok(turns) => (Some(turns), None),
                Err(error) => (None, Some(error.to_string())),
            }
        } else {
            (None, Some("switched off by the configuration".to_owned()))
        };
        own::trim();
        let mut engine = Self {
            division: Division::new(settings.cpu_pct, cpus()),
            members,
            watch,
            turns,
            no_turns,
            host: Host::default(),
            schedule: Schedule::default(),
            next_turn: Instant::now(),
            window_end_ns: clock::monotonic_ns() + settings.window_ns,
            own_cpu_ns: clock::own_cpu_ns(),
            taken: Taken::default(),
            turns_cpu_pct: 0.0,
            others: Others::default(),
            spent: Spent::new(cpus()),
            cache: Cache::new(
                settings.cache_root.clone(),
                settings.cache,
                budget::ratio(settings.cpu_pct, cpus()),
            ),
            settings,
        };
        let (processes, events) = engine.watch.close()?;
        let first = engine.host.begin(&mut engine.watch, &mut engine.members, &processes);
        engine.cache.begin(|| engine.host.cached(&engine.members));
        look(&events, &mut engine.watch, &mut engine.host, &mut engine.members, &mut engine.cache);
        engine.watch.settle(&first)?;
        Ok(engine)
    }

    /// Whose processes are whose.
    pub fn members(&mut self) -> &mut M {
        &mut self.members
    }

    /// Takes other settings. What needs another kernel part stays as it is.
    pub fn reconfigure(&mut self, settings: Settings) {
        self.division.set_budget(settings.cpu_pct, cpus());
        self.cache.reconfigure(settings.cache, budget::ratio(settings.cpu_pct, cpus()));
        self.settings = settings;
    }

    /// Tells what others of waytrace's processes took.
    pub fn set_others(&mut self, others: Others) {
        self.others = others;
    }

    /// Measures until a window is over, or `is_interrupted` says so, which is asked some times a second.
    ///
    /// # Errors
    /// When the kernel part cannot be read.
    pub fn run(&mut self, is_interrupted: &mut dyn FnMut() -> bool) -> Result<Step, Error> {
        loop {
            if is_interrupted() {
                return Ok(Step::Interrupted);
            }
            if clock::monotonic_ns() >= self.window_end_ns {
                return self.close().map(|window| Step::Window(Box::new(window)));
            }
            self.look()?;
            match self.next_turn() {
                Some((target, plan)) => self.turn(&target, plan, is_interrupted)?,
                None => std::thread::sleep(self.until_window().min(IDLE_DRAIN)),
            }
        }
    }

    /// Ends the window under way, however long it has lasted.
    ///
    /// # Errors
    /// When the kernel part cannot be read.
    pub fn cut(&mut self) -> Result<HostWindow, Error> {
        self.close()
    }

    fn until_window(&self) -> Duration {
        Duration::from_nanos(self.window_end_ns.saturating_sub(clock::monotonic_ns()))
    }

    /// Takes note of processes that began or ended; says who ended.
    fn look(&mut self) -> Result<Vec<u32>, Error> {
        let events = self.watch.drain();
        Ok(look(&events, &mut self.watch, &mut self.host, &mut self.members, &mut self.cache))
    }

    fn next_turn(&mut self) -> Option<(String, TurnPlan)> {
        if self.turns.is_none() || Instant::now() < self.next_turn || self.division.duty() <= 0.0 {
            return None;
        }
        let (settings, members, spent) = (&self.settings, &self.members, &self.spent);
        let is_permitted = |target: &str| spent.permits(target, members.limits(target));
        let next = self.schedule.next(|candidate| is_permitted(&candidate.target))?;
        let limits = members.limits(&next.target);
        let slowdown_pct = limits.slowdown_pct.unwrap_or(settings.target_slowdown_pct);
        let plan = TurnPlan {
            tgid: next.tgid,
            start_boot_ns: next.start_boot_ns,
            allocations_pct: (settings.allocations && limits.allocations)
                .then_some(slowdown_pct * PROBES_SHARE),
            accesses_hz: (settings.accesses && limits.accesses).then_some(ACCESSES_HZ),
        };
        Some((next.target, plan))
    }

    /// A turn, up to its end or that of the window.
    fn turn(
        &mut self,
        target: &str,
        plan: TurnPlan,
        is_interrupted: &mut dyn FnMut() -> bool,
    ) -> Result<(), Error> {
        let Some(turns) = &mut self.turns else { return Ok(()) };
        let began = Instant::now();
        let length = Duration::from_nanos(self.schedule.length_ns(self.settings.window_ns));
        let before_ns = clock::own_cpu_ns();
        let mut turn = match turns.begin(plan) {
            Ok(turn) => turn,
            // It has gone meanwhile: no more than that is known to be wrong.
            Err(error) => {
                tracing::debug!(tgid = plan.tgid, %error, "no turn");
                // Finding that out took its time, too.
                self.taken.turns_ns += clock::own_cpu_ns().saturating_sub(before_ns);
                self.taken.turned_ns += began.elapsed().as_nanos() as u64;
                return Ok(());
            }
        };
        let mut has_ended = false;
        while !has_ended
            && began.elapsed() < length
            && clock::monotonic_ns() < self.window_end_ns
            && !is_interrupted()
        {
            std::thread::sleep(DRAIN.min(length.saturating_sub(began.elapsed())));
            turn.drain();
            let events = self.watch.drain();
            let (host, members, cache) = (&mut self.host, &mut self.members, &mut self.cache);
            has_ended = look(&events, &mut self.watch, host, members, cache).contains(&plan.tgid);
        }
        let span = began.elapsed();
        let result = turn.finish();
        let own_ns = clock::own_cpu_ns().saturating_sub(before_ns);
        self.taken.turns_ns += own_ns;
        self.spent.add(target, own_ns);
        self.taken.turned_ns += span.as_nanos() as u64;
        match result {
            Ok(result) => self.host.turned(plan.tgid, result),
            Err(error) => tracing::warn!(tgid = plan.tgid, %error, "a closer look was lost"),
        }
        // Pauses make turns as rare as the budget has it.
        let duty = self.division.duty();
        if duty > 0.0 && duty < 1.0 {
            self.next_turn = Instant::now() + span.mul_f64((1.0 - duty) / duty).min(LONGEST_PAUSE);
        }
        Ok(())
    }

    /// Closes the window that ends now.
    fn close(&mut self) -> Result<HostWindow, Error> {
        let (processes, events) = self.watch.close()?;
        look(&events, &mut self.watch, &mut self.host, &mut self.members, &mut self.cache);
        let mut window = self.host.close(&mut self.watch, &mut self.members, processes, &events);
        let is_left_out = |target: &str| !self.members.limits(target).cache;
        self.cache.close(&mut window, || self.host.cached(&self.members), is_left_out);
        self.watch.settle(&self.host.active())?;
        let now_ns = clock::monotonic_ns();
        // A machine that slept, or an engine held up, has no windows to make up for.
        self.window_end_ns =
            (self.window_end_ns + self.settings.window_ns).max(now_ns + self.settings.window_ns / 2);
        // One whose processes come and go may have none at this moment.
        let is_there = |name: &String| window.targets.iter().any(|target| target.target == *name);
        window.missing = self.members.missing().into_iter().filter(|name| !is_there(name)).collect();
        window.loss = self.watch.losses()?;
        self.schedule.window(self.host.candidates());
        self.spent.window(window.length_ns);
        self.account(&mut window);
        window.collectors = self.collectors(&window);
        Ok(window)
    }

    /// What the window cost, and what that means for the next.
    fn account(&mut self, window: &mut HostWindow) {
        let own_cpu_ns = clock::own_cpu_ns();
        let own_ns = own_cpu_ns.saturating_sub(self.own_cpu_ns);
        self.own_cpu_ns = own_cpu_ns;
        let mut taken = std::mem::take(&mut self.taken);
        taken.length_ns = window.length_ns;
        taken.all_ns = own_ns + self.others.recording_cpu_ns;
        self.division.learn(taken);
        let mut rss_bytes = own::rss_bytes();
        if rss_bytes > self.settings.rss_bytes {
            if let Some(turns) = &mut self.turns {
                turns.forget();
            }
            own::trim();
            rss_bytes = own::rss_bytes();
        }
        self.division.over_memory(rss_bytes > self.settings.rss_bytes);
        let percent = |ns: u64| 100.0 * ns as f64 / window.length_ns.max(1) as f64;
        window.own = OwnCost {
            cpu_pct: percent(taken.all_ns),
            recording_cpu_pct: percent(self.others.recording_cpu_ns),
            rss_bytes,
            open_files: own::open_files(),
            probes: self.watch.probes_count(),
            store_bytes: self.others.store_bytes,
            store_waiting: self.others.store_waiting,
        };
        self.others.recording_cpu_ns = 0;
        self.turns_cpu_pct = percent(taken.turns_ns);
    }

    fn collectors(&self, window: &HostWindow) -> Vec<CollectorShare> {
        let share = |name: &str, state, reason, tool_cpu_pct| CollectorShare {
            name: name.to_owned(),
            state,
            reason,
            tool_cpu_pct,
        };
        let turns = |wanted: bool, part: f64| match (&self.no_turns, wanted) {
            (_, false) => {
                (ShareState::Unavailable, Some("switched off by the configuration".to_owned()), 0.0)
            }
            (Some(reason), _) => (ShareState::Unavailable, Some(reason.clone()), 0.0),
            (None, true) => {
                let (state, reason) = self.division.state();
                (state, reason, self.turns_cpu_pct * part)
            }
        };
        let part =
            1.0 / f64::from(u8::from(self.settings.allocations) + u8::from(self.settings.accesses)).max(1.0);
        let own = &window.own;
        let apart_pct = own.recording_cpu_pct + self.turns_cpu_pct + self.cache.cpu_pct();
        let base_pct = (own.cpu_pct - apart_pct).max(0.0);
        let (allocations, accesses) =
            (turns(self.settings.allocations, part), turns(self.settings.accesses, part));
        let mut shares = vec![
            share("counters", ShareState::Full, None, base_pct),
            share("allocations", allocations.0, allocations.1, allocations.2),
            share("accesses", accesses.0, accesses.1, accesses.2),
        ];
        shares.extend(self.watch.collectors());
        shares.push(self.cache.share());
        shares
    }
}

/// Takes note of what happened to processes; says who ended.
fn look<M: Membership>(
    events: &[ProcessEvent],
    watch: &mut Watch,
    host: &mut Host,
    members: &mut M,
    cache: &mut Cache,
) -> Vec<u32> {
    let mut ended = Vec::new();
    for event in events {
        match event {
            ProcessEvent::Forked { parent, child } => {
                members.forked(*parent, child);
                host.follow(watch, members, child);
            }
            ProcessEvent::Executed(process) => {
                members.executed(process);
                // Its child is born where it is monitored itself; who becomes another program may become another's.
                if host.follow(watch, members, process) {
                    cache.note_changed();
                }
            }
            ProcessEvent::Ended(process) => {
                host.ended(watch, members, process);
                members.ended(process);
                ended.push(process.tgid);
            }
        }
    }
    if cache.is_due() {
        cache.keep_up(|| host.cached(members));
    }
    ended
}

/// CPUs of the machine, which a budget is a share of, also where waytrace itself may run on some of them only.
pub fn cpus() -> usize {
    waytrace_hw::topology::cpus_online(waytrace_hw::Machine::live().root())
        .map_or(1, |cpus| cpus.len().max(1))
}
