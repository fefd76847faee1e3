//! A simulated host with cache allocation, so that what needs CAT, CMT, MBM and MBA can be tested on machines that have
//! none. A FUSE mount behaves as `dev/cpu/N/{msr,cpuid}`, `sys/fs/resctrl`, `proc` and sysfs of such a host do, with the
//! kernel's texts and error numbers; behind it a model (`model`) runs programs on a way-partitioned cache, so that masks
//! change misses, occupancy, traffic and instructions per cycle. Nothing of the product depends on this crate.
//!
//! - [`hosts`] lists the hosts; [`HostSpec`](spec::HostSpec) says what can differ.
//! - [`Host`](host::Host) is one without files: model, registers and resctrl. Tests that need no mount step it by hand.
//! - [`Mounted`](fs::mount::Mounted) serves it. It follows the real clock, or stands still and is stepped.
//! - [`faults`] makes the n-th operation on a path fail, be slow, or happen beside somebody else's change.
//! - [`adopt`] lets processes of the real machine take part, as those a measurement starts itself.
//! - [`truth`](model::truth) computes what a curve measured on it must come to.
//!
//! What it costs and how fast it is: one modelled access stands for `sampling` (128) of the host's, so a task that runs
//! at 2 GHz and misses always takes 75,000 modelled accesses a second, one that always hits 310,000: 1 to 2 % of a real
//! CPU. A task that only misses fills 24 MiB within 41 ms of simulated time. A stale line leaves the cache only if
//! somebody fills its place: after a mask was narrowed, hits in the ways outside it go on as they do on hardware, until
//! another task that may fill those ways presses them out. Lines used more often than that task comes round stay for good:
//! under LRU a loop of 5 ways narrowed from 8 to 4 goes on hitting, and only its occupancy, above 4 ways, tells.
//!
//! Not simulated: L2 contents, memory contention, dirty evictions, prefetchers, remote traffic, CPUs that come back,
//! AMD's bandwidth limits having an effect, and resctrl's setting up of pseudo-locked regions (there can be one).

pub mod adopt;
pub mod cpuid;
pub mod faults;
pub mod fs;
pub mod host;
pub mod hosts;
pub mod model;
pub mod registers;
pub mod resctrl;
pub mod spec;
