//! What can be wrong with a hook.

use std::path::PathBuf;

use thiserror::Error;

/// A hook that cannot be used.
#[derive(Debug, Error)]
pub enum Error {
    /// Names are what rules know hooks by.
    #[error("hook {position} has no name; give it one: name = \"ops\"")]
    NoName {
        /// Which of the hooks, from 1.
        position: usize,
    },
    /// Two hooks of one name.
    #[error("two hooks are called `{hook}`; rename one")]
    NameTaken {
        /// The name.
        hook: String,
    },
    /// None or several of the ways to tell.
    #[error("hook `{hook}`: {count} of webhook, command and log are given; write exactly one")]
    Ways {
        /// Name of the hook.
        hook: String,
        /// How many there are.
        count: usize,
    },
    /// An address that cannot be sent to.
    #[error("hook `{hook}`, key `webhook`: `{url}` is no address; write it like https://example.org/alerts")]
    Url {
        /// Name of the hook.
        hook: String,
        /// What was written.
        url: String,
    },
    /// A command without a program.
    #[error(
        "hook `{hook}`, key `command`: it has no program; write it like [\"/usr/bin/notify\", \"--now\"]"
    )]
    NoProgram {
        /// Name of the hook.
        hook: String,
    },
    /// A key of webhooks on another hook.
    #[error("hook `{hook}`, key `{key}`: it is for webhooks only; leave it out")]
    OnlyWebhook {
        /// Name of the hook.
        hook: String,
        /// The key.
        key: &'static str,
    },
    /// A timeout of nothing, or beyond an hour.
    #[error("hook `{hook}`, key `timeout`: write a time from 1ms to 1h")]
    Timeout {
        /// Name of the hook.
        hook: String,
    },
    /// A file that cannot be read, or not be used.
    #[error("hook `{hook}`, key `{key}`: {}: {reason}", path.display())]
    File {
        /// Name of the hook.
        hook: String,
        /// The key.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and what it must hold.
        reason: String,
    },
    /// No thread for it.
    #[error("hook `{hook}`: starting its thread: {source}")]
    Thread {
        /// Name of the hook.
        hook: String,
        /// What the kernel says.
        source: std::io::Error,
    },
}
