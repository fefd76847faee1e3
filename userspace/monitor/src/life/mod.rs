//! Service manager, capabilities.
//!
//! * [`Notifier`] tells a service manager when `monitor` is ready, reloads or ends (sd_notify(3)).
//! * [`Watchdog`] pings it for as long as windows come, and no longer.
//! * [`keep_only`] gives up every capability but those that watching needs, at start and for good.

mod capabilities;
#[cfg(test)]
mod capability_tests;
mod notify;
pub(crate) mod sys;
mod watchdog;

pub use capabilities::{Capability, Error, Held, keep_only, needed, no_new_privileges};
pub use notify::{Notifier, NotifyError};
pub use watchdog::Watchdog;
