//! What is asked for, and what comes of it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use waytrace_model::monitor::RecordingLink;

/// Where recordings go and how much of them there may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordConfig {
    /// The program that makes them: waytrace itself.
    pub exe: PathBuf,
    /// The database they are kept in.
    pub db: PathBuf,
    /// How long they are where the request does not say, in seconds.
    pub seconds: u32,
    /// How many are begun within any hour.
    pub max_per_hour: u32,
    /// See every allocator call, whatever it costs the target: without it live bytes of sites are not known.
    pub exact: bool,
}

/// What is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Everything that can run here.
    All,
    /// Allocations with live bytes: every call is seen.
    Heap,
    /// Allocations, within a budget unless the configuration says otherwise.
    Allocs,
    /// Sampled memory accesses.
    Accesses,
}

/// A recording that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Name of the target.
    pub target: String,
    /// Its process.
    pub pid: u32,
    /// What its run's name begins with: who asks for it.
    pub prefix: &'static str,
    /// What for: a rule's name, or what was looked at.
    pub why: String,
    /// What is looked at.
    pub kind: Kind,
    /// How long, in seconds; `None` as the configuration says.
    pub seconds: Option<u32>,
}

/// A request that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// Which.
    pub ticket: Ticket,
    /// What was asked for.
    pub request: Request,
    /// [`RecordingLink::Run`] or [`RecordingLink::Failed`].
    pub link: RecordingLink,
    /// CPU time it took, nanoseconds.
    pub cpu_ns: u64,
}

/// Longest recording.
pub const MOST_SECONDS: u32 = 3600;

/// Arguments of `waytrace profile` for a recording into a database.
pub fn arguments(pid: u32, seconds: u32, kind: Kind, exact: bool, db: &Path, name: &str) -> Vec<OsString> {
    let mut words: Vec<OsString> =
        ["profile", "--pid", &pid.to_string(), "--duration", &format!("{seconds}s"), "--name", name]
            .map(OsString::from)
            .to_vec();
    words.push("--db".into());
    words.push(db.into());
    match kind {
        Kind::All => {}
        Kind::Heap | Kind::Allocs => words.extend(["--collect", "allocations"].map(OsString::from)),
        Kind::Accesses => words.extend(["--collect", "accesses"].map(OsString::from)),
    }
    if kind == Kind::Heap || exact && kind != Kind::Accesses {
        words.push("--exact".into());
    }
    words
}

/// A run's name that says what for and of whom; the time makes it one of its own.
pub fn name(request: &Request, ticket: Ticket, now_unix_s: u64) -> String {
    let part = |text: &str| -> String {
        let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' };
        text.chars().take(40).map(plain).collect()
    };
    let Request { prefix, why, target, .. } = request;
    format!("{prefix}-{}-{}-{now_unix_s}-{}", part(why), part(target), ticket.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_those_of_profile() {
        let words = |kind, exact| {
            let words = arguments(7, 30, kind, exact, Path::new("/x/a.db"), "n");
            words.iter().map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
        };
        let base = "profile --pid 7 --duration 30s --name n --db /x/a.db";
        assert_eq!(words(Kind::All, false), base);
        assert_eq!(words(Kind::All, true), format!("{base} --exact"));
        assert_eq!(words(Kind::Allocs, false), format!("{base} --collect allocations"));
        assert_eq!(words(Kind::Heap, false), format!("{base} --collect allocations --exact"));
        assert_eq!(words(Kind::Accesses, true), format!("{base} --collect accesses"));
    }

    #[test]
    fn names_are_plain_and_of_bounded_length() {
        let request = Request {
            target: "redis/ä b".to_owned(),
            pid: 1,
            prefix: "alert",
            why: "x".repeat(100),
            kind: Kind::All,
            seconds: None,
        };
        let name = name(&request, Ticket(3), 1_700_000_000);
        assert_eq!(name, format!("alert-{}-redis---b-1700000000-3", "x".repeat(40)));
    }
}
