//! A simulated host that stands still but for what a sweep waits, with co-runners that are tasks of it.

use std::fs::OpenOptions;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use waytrace_hw::Root;
use waytrace_hw::msr::MsrAllocation;
use waytrace_hw::rdt::CacheAllocation;
use waytrace_hw::resctrl::Resctrl;
use waytrace_model::cache_report::Interface;
use waytrace_model::sweep::{SweepEnd, SweepHeader, SweepPoint};
use waytrace_simhost::fs::mount::Mounted;
use waytrace_simhost::host::Host;
use waytrace_simhost::model::program::{Program, Workload};
use waytrace_simhost::model::task::TaskSpec;
use waytrace_simhost::spec::HostSpec;
use waytrace_sweep::corunner::{Corunner, Corunners, Order};
use waytrace_sweep::pace::Pace;
use waytrace_sweep::plan::Planned;
use waytrace_sweep::{Parts, Request, Sink, Sweep, SweepError};

/// Simulated time between two looks of a test at what goes on.
const LOOK_NS: u64 = 1_000_000;

/// The process that is swept.
pub const PID: u32 = 1000;

/// A host, and the directory it is mounted at.
pub struct Fixture {
    pub mounted: Arc<Mounted>,
    pub interface: Interface,
    _directory: tempfile::TempDir,
}

/// Mounts a host on which `program` runs as process 1000 on CPU 0. None where FUSE is missing.
pub fn mount(spec: &HostSpec, program: &Program, interface: Interface) -> Option<Fixture> {
    if let Err(error) = OpenOptions::new().read(true).write(true).open("/dev/fuse") {
        println!("SKIP: /dev/fuse: {error}");
        return None;
    }
    let spec = HostSpec { mounted: interface == Interface::Resctrl, ..spec.clone() };
    let mut host = Host::new(&spec, 1);
    host.follows_clock = false;
    host.start(TaskSpec { tgid: PID, tid: PID, cpu: 0, workload: Workload::of(program.clone()) });
    // It has been running for a while.
    host.step(300_000_000);
    let directory = tempfile::tempdir().unwrap();
    match Mounted::new(host, directory.path(), 1.0) {
        Ok(mounted) => Some(Fixture { mounted: Arc::new(mounted), interface, _directory: directory }),
        Err(error) => {
            println!("SKIP: {error}");
            None
        }
    }
}

/// What a test usually asks for.
pub fn request() -> Request {
    Request {
        name: "test".to_owned(),
        command: "test".to_owned(),
        pid: PID,
        ways: None,
        repeats: Some(1),
        window_ns: 200_000_000,
        settle_cap_ns: 2_000_000_000,
        every_ns: None,
        pressure_bytes: None,
        confine_others: false,
        max_slowdown: None,
        slo: None,
        seed: 7,
        cpus: None,
    }
}

/// What came of a sweep.
pub struct Swept {
    pub header: SweepHeader,
    pub points: Vec<SweepPoint>,
    pub end: SweepEnd,
}

impl Fixture {
    pub fn root(&self) -> Root {
        Root::new(self.mounted.path())
    }

    pub fn allocation(&self) -> Box<dyn CacheAllocation> {
        match self.interface {
            Interface::Resctrl => Box::new(Resctrl::open(&self.root()).unwrap()),
            Interface::Msr => Box::new(MsrAllocation::open(&self.root(), false).unwrap()),
        }
    }

    pub fn prepare(&self, request: &Request) -> Result<Sweep, SweepError> {
        let corunners = Box::new(Tasks(Arc::clone(&self.mounted)));
        Sweep::prepare(request, Parts { root: self.root(), allocation: self.allocation(), corunners })
    }

    pub fn sweep(&self, request: &Request) -> Swept {
        self.sweep_until(request, |_, _| true)
    }

    /// Sweeps; `goes_on` is asked every millisecond, with the time, whether nobody wants the end.
    pub fn sweep_until(&self, request: &Request, goes_on: impl FnMut(&Mounted, u64) -> bool) -> Swept {
        let sweep = self.prepare(request).unwrap_or_else(|error| panic!("{error}"));
        let header = sweep.header().clone();
        let mut sink = Points::default();
        let mut pace = Steps { mounted: Arc::clone(&self.mounted), goes_on, ended: false };
        let end = sweep.run(&mut pace, &mut sink, None);
        Swept { header, points: sink.0, end }
    }
}

#[derive(Default)]
struct Points(Vec<SweepPoint>);

impl Sink for Points {
    fn begins(&mut self, _: Planned, _: u64, _: Option<u64>) {}

    fn point(&mut self, point: &SweepPoint) -> Result<(), String> {
        self.0.push(point.clone());
        Ok(())
    }
}

struct Steps<F> {
    mounted: Arc<Mounted>,
    goes_on: F,
    ended: bool,
}

impl<F: FnMut(&Mounted, u64) -> bool> Pace for Steps<F> {
    fn now_ns(&self) -> u64 {
        self.mounted.host().machine.now_ns()
    }

    fn wait(&mut self, ns: u64) -> bool {
        let until = self.now_ns() + ns;
        loop {
            self.mounted.step(LOOK_NS.min(until - self.now_ns()));
            let now = self.now_ns();
            self.ended |= !(self.goes_on)(&self.mounted, now);
            if self.ended || now >= until {
                return !self.ended;
            }
        }
    }
}

/// Co-runners as tasks of the host.
struct Tasks(Arc<Mounted>);

static LAST: AtomicU32 = AtomicU32::new(50_000);

impl Corunners for Tasks {
    fn start(&self, order: &Order) -> Result<Box<dyn Corunner>, SweepError> {
        let tid = LAST.fetch_add(1, Ordering::Relaxed);
        let mut host = self.0.host();
        let sets = host.machine.spec().l3.modelled_sets as u64;
        let program = Program::Columns { rounds: u64::from(order.rounds), sets };
        let cpu = usize::try_from(*order.cpus.last().unwrap()).unwrap();
        host.start(TaskSpec { tgid: tid, tid, cpu, workload: Workload::of(program) });
        host.machine.tasks.get_mut(&tid).unwrap().idle = true;
        Ok(Box::new(Task { mounted: Arc::clone(&self.0), tid }))
    }
}

struct Task {
    mounted: Arc<Mounted>,
    tid: u32,
}

impl Task {
    fn set_idle(&self, idle: bool) {
        self.mounted.host().machine.tasks.get_mut(&self.tid).unwrap().idle = idle;
    }
}

impl Corunner for Task {
    fn pid(&self) -> u32 {
        self.tid
    }

    fn press(&mut self) -> Result<(), SweepError> {
        self.set_idle(false);
        Ok(())
    }

    fn hold(&mut self) -> Result<(), SweepError> {
        self.set_idle(false);
        Ok(())
    }

    fn rest(&mut self) -> Result<(), SweepError> {
        self.set_idle(true);
        Ok(())
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.mounted.host().machine.exit(self.tid);
    }
}
