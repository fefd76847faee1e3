//! Goes round the targets and has profiles of them sent.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio::time::MissedTickBehavior;
use waytrace_model::monitor::{HostWindow, Metric};

use super::{PushProfile, Pusher};
use crate::web::config::PushConfig;
use crate::web::pprof::{Gate, ProfileKind, ProfileRequest, Profiles};
use crate::web::state::WebState;

/// Makes a profile at every interval, of one target after the other and there of the process with most CPU time, until it is dropped. Where another
/// is being made at that moment, the turn is passed on.
pub(in crate::web) async fn go_round(
    config: PushConfig,
    state: WebState,
    profiles: Arc<dyn Profiles>,
    pusher: Arc<Pusher>,
    gate: Gate,
) {
    if config.kinds.is_empty() {
        return;
    }
    let mut every = tokio::time::interval(Duration::from_secs(u64::from(config.every_s)));
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    every.tick().await;
    let (mut after, mut turn) = (String::new(), 0_usize);
    loop {
        every.tick().await;
        let Some(window) = state.last() else { continue };
        let Some((target, pid)) = next(&window, &after) else { continue };
        // All targets have had a kind before the next kind is up.
        if target <= after {
            turn = turn.wrapping_add(1);
        }
        let kind = config.kinds[turn % config.kinds.len()];
        after.clone_from(&target);
        let Ok(_pass) = gate.enter(config.seconds, None, Instant::now()) else { continue };
        make(kind, target, pid, config.seconds, profiles.as_ref(), &pusher, &state).await;
    }
}

async fn make(
    kind: ProfileKind,
    target: String,
    pid: u32,
    seconds: u32,
    profiles: &dyn Profiles,
    pusher: &Pusher,
    state: &WebState,
) {
    let from = SystemTime::now();
    match profiles.profile(ProfileRequest { kind, pid, seconds }).await {
        Ok(pprof) => {
            state.http().count_profile(kind.as_str(), "made");
            pusher.push(PushProfile { target, kind, from, until: SystemTime::now(), pprof });
        }
        Err(error) => {
            state.http().count_profile(kind.as_str(), "failed");
            tracing::debug!(%error, target, pid, "no profile to send");
        }
    }
}

/// The target that comes after one by name, in a circle, and its process of most CPU time.
fn next(window: &HostWindow, after: &str) -> Option<(String, u32)> {
    let candidates = window.targets.iter().filter_map(|target| {
        let cpu = |at: usize| target.processes.get(at)?.values.get(Metric::Cpu);
        let busiest = (0..target.processes.len())
            .max_by(|&a, &b| cpu(a).unwrap_or(0.0).total_cmp(&cpu(b).unwrap_or(0.0)))?;
        Some((target.target.as_str(), target.processes.get(busiest)?.pid))
    });
    let mut sorted: Vec<_> = candidates.collect();
    sorted.sort_unstable();
    let found = sorted.iter().find(|(target, _)| *target > after).or(sorted.first())?;
    Some((found.0.to_owned(), found.1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use waytrace_model::monitor::{ProcessWindow, TargetWindow, Values};

    #[test]
    fn every_target_has_its_turn() {
        let process = |pid, cpu| ProcessWindow {
            pid,
            values: Values::from_iter([(Metric::Cpu, cpu)]),
            ..ProcessWindow::default()
        };
        let target = |name: &str, processes| TargetWindow {
            target: name.to_owned(),
            processes,
            ..TargetWindow::default()
        };
        let targets = vec![
            target("b", vec![process(1, 5.0), process(2, 9.0), process(3, 1.0)]),
            target("a", vec![process(4, 1.0)]),
            target("none", Vec::new()),
        ];
        let window = HostWindow { targets, ..HostWindow::default() };
        assert_eq!(next(&window, ""), Some(("a".into(), 4)));
        assert_eq!(next(&window, "a"), Some(("b".into(), 2)));
        assert_eq!(next(&window, "b"), Some(("a".into(), 4)));
        assert_eq!(next(&HostWindow::default(), ""), None);
    }
}
