//! HTTP: metrics, health, windows and alerts as JSON, profiles on demand, the live page; and what goes out by itself, profiles to a
//! collector and windows as lines.
//!
//! Knows nothing of how windows come about: [`WebState::publish`] is given each of them once, and everything else is read from there.
//! Whoever asks, however many, however slowly, and whoever does not answer costs waytrace bounded memory and never a window.

mod clocks;
mod config;
mod error;
mod lines;
mod metrics;
mod page;
mod pprof;
mod push;
mod server;
mod state;
mod totals;
mod trails;
mod view;

pub use config::{PprofConfig, PushConfig, PushProtocol, WebConfig};
pub use error::Error;
pub use lines::{JsonLines, LinesState};
pub use pprof::{ProfileError, ProfileFuture, ProfileKind, ProfileRequest, Profiles};
pub use push::{PushProfile, Pusher};
pub use server::{Server, ServerHandle};
pub use state::{About, HistoryState, HookState, WebState};
