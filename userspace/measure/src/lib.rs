//! Measuring many events without multiplexing, epoch by epoch.
//!
//! A plan says which events are counted together; [`order`] says in which order its runs come. For each epoch [`groups`] opens
//! one run's events on every [`Place`] and reads them as groups, and a [`Recorder`] makes differences of the readings. An event
//! the kernel refuses is left out alone, with its reason. [`drift`] compares epochs by the events all of them count.
//! [`closing`] gets rid of thousands of tracepoints without waiting for it.
//! [`circumstances`], [`preconditions`] and [`pmu_users`] look at the machine beforehand.
//!
//! Does not choose events, start commands, wait or store: whoever drives it does, so that all of this can be tested with a PMU
//! of the test's own. Values are raw and never scaled. Groups of hardware events are not verified on hardware.
//!
//! Sources: `perf_event_open(2)`; `perf_event_validate_size` and `perf_read_group` in `kernel/events/core.c`.

pub mod circumstances;
pub mod closing;
pub mod drift;
pub mod groups;
pub mod limits;
pub mod order;
pub mod places;
pub mod pmu_users;
pub mod preconditions;
mod record;

pub use places::Place;
pub use record::Recorder;
