//! The HTTP side over real sockets, fed with windows that are made up here: whoever asks, and however, the answers are known beforehand.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests, too")]

mod access;
mod browser;
mod chromium;
mod client;
mod data;
mod limits;
mod metrics;
mod outward;
mod profiles;
mod push;
mod server;
