//! Profiles on demand, for `/debug/pprof`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use waytrace_monitor::record::{Error, Kind, Recorder, Refused};
use waytrace_monitor::web::{ProfileError, ProfileFuture, ProfileKind, ProfileRequest, Profiles, WebState};

/// Makes them by the recorder; whose process it is the last window says.
pub struct OnDemand {
    recorder: Arc<Recorder>,
    state: WebState,
}

impl OnDemand {
    /// By this recorder.
    pub fn new(recorder: Arc<Recorder>, state: WebState) -> Self {
        Self { recorder, state }
    }
}

impl Profiles for OnDemand {
    fn target_of(&self, pid: u32) -> Option<String> {
        let window = self.state.last()?;
        let has = |target: &&waytrace_model::monitor::TargetWindow| {
            target.processes.iter().any(|process| process.pid == pid)
        };
        window.targets.iter().find(has).map(|target| target.target.clone())
    }

    fn profile(&self, request: ProfileRequest) -> ProfileFuture<'_> {
        let recorder = Arc::clone(&self.recorder);
        let kind = match request.kind {
            ProfileKind::Heap => Kind::Heap,
            ProfileKind::Allocs => Kind::Allocs,
            ProfileKind::Accesses => Kind::Accesses,
        };
        // Dropped with the future: whoever asked has gone.
        let wanted = Wanted(Arc::new(AtomicBool::new(true)));
        let is_wanted = Arc::clone(&wanted.0);
        Box::pin(async move {
            let _wanted = wanted;
            let made = tokio::task::spawn_blocking(move || {
                let is_cancelled = || !is_wanted.load(Ordering::Acquire);
                recorder.profile_pprof_unless(request.pid, request.seconds, kind, &is_cancelled)
            });
            match made.await {
                Ok(Ok(profile)) => Ok(profile),
                Ok(Err(error)) => Err(refused(&error)),
                Err(error) => Err(ProfileError::Failed(error.to_string())),
            }
        })
    }
}

/// True until it is dropped.
struct Wanted(Arc<AtomicBool>);

impl Drop for Wanted {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

fn refused(error: &Error) -> ProfileError {
    match error {
        Error::Refused(Refused::Stopped) => ProfileError::Failed("waytrace is ending".to_owned()),
        other => ProfileError::Failed(other.to_string()),
    }
}
