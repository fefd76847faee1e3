//! `/debug/pprof/…`: profiles on demand.

use std::time::{Duration, Instant};

use hyper::StatusCode;
use hyper::header::{self, HeaderValue};
use tokio::time::timeout;

use super::Shared;
use super::answer::{self, Answer};
use super::query;
use crate::web::pprof::{ProfileError, ProfileKind, ProfileRequest};

/// Length where none is given.
const SECONDS: u32 = 10;
/// What a profile takes beyond its length, at most: attaching, and reading symbols.
const SETTLING: Duration = Duration::from_secs(60);

/// What can be asked for.
pub(super) fn index(shared: &Shared) -> Answer {
    let longest = shared.config.pprof.max_seconds;
    let lines = ProfileKind::ALL.map(|kind| format!("/debug/pprof/{kind}?pid=PID&seconds=1..{longest}"));
    answer::text(StatusCode::OK, &lines.join("\n"))
}

/// Makes a profile.
pub(super) async fn profile(shared: &Shared, kind: ProfileKind, query: Option<&str>) -> Answer {
    let wanted = match read(shared, kind, query) {
        Ok(wanted) => wanted,
        Err(mistake) => return answer::bad(&mistake),
    };
    let Some(profiles) = &shared.profiles else {
        return answer::text(StatusCode::NOT_FOUND, "no profiles are made here");
    };
    if !shared.config.pprof.any_pid && profiles.target_of(wanted.pid).is_none() {
        let line = "no target has such a process (http.pprof.any_pid = true allows others)";
        return answer::text(StatusCode::NOT_FOUND, line);
    }
    let count = |result| shared.state.http().count_profile(kind.as_str(), result);
    let pass = shared.gate.enter(wanted.seconds, Some(shared.config.pprof.per_hour), Instant::now());
    let _pass = match pass {
        Ok(pass) => pass,
        Err(closed) => {
            count("refused");
            return answer::later(StatusCode::TOO_MANY_REQUESTS, &closed.why, closed.retry_after);
        }
    };
    let longest = Duration::from_secs(u64::from(wanted.seconds)) + SETTLING;
    let made = timeout(longest, profiles.profile(wanted)).await;
    count(if matches!(made, Ok(Ok(_))) { "made" } else { "failed" });
    match made {
        Ok(Ok(pprof)) => file(kind, wanted.pid, pprof),
        Ok(Err(error)) => failed(&error),
        Err(_) => answer::text(StatusCode::GATEWAY_TIMEOUT, "the profile took too long"),
    }
}

fn read(shared: &Shared, kind: ProfileKind, query: Option<&str>) -> Result<ProfileRequest, String> {
    let [pid, seconds] = query::read(query, ["pid", "seconds"])?;
    // The kernel gives out no higher one (PID_MAX_LIMIT, include/linux/threads.h).
    let pid = query::number("pid", pid.as_deref(), 1, 4 << 20)?.ok_or("pid: which process? add ?pid=PID")?;
    let longest = shared.config.pprof.max_seconds;
    let seconds = query::number("seconds", seconds.as_deref(), 1, longest)?.unwrap_or(SECONDS.min(longest));
    Ok(ProfileRequest { kind, pid, seconds })
}

fn file(kind: ProfileKind, pid: u32, pprof: Vec<u8>) -> Answer {
    let answer = answer::whole(StatusCode::OK, "application/octet-stream", pprof);
    match HeaderValue::from_str(&format!("attachment; filename=\"{kind}-{pid}.pb.gz\"")) {
        Ok(name) => answer::with(answer, header::CONTENT_DISPOSITION, name),
        Err(_) => answer,
    }
}

fn failed(error: &ProfileError) -> Answer {
    let line = error.to_string();
    match error {
        ProfileError::Gone(_) => answer::text(StatusCode::NOT_FOUND, &line),
        ProfileError::Busy { retry_after, .. } => {
            answer::later(StatusCode::TOO_MANY_REQUESTS, &line, *retry_after)
        }
        ProfileError::Unavailable(_) => answer::text(StatusCode::NOT_IMPLEMENTED, &line),
        ProfileError::Failed(_) => answer::text(StatusCode::INTERNAL_SERVER_ERROR, &line),
    }
}
