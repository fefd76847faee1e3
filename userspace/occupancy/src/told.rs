//! What is told of a target: numbers over all its groups and caches, or why there is none.

use waytrace_model::cache_watch::Missing;

use super::meter::{LOCAL, OCCUPANCY, TOTAL};
use super::target::Sources;

/// A target's numbers of an interval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Bytes of all last-level caches it held at the end.
    pub occupancy_bytes: Result<u64, String>,
    /// Bytes moved between them and memory.
    pub total_bytes: Result<u64, String>,
    /// Of these, from and to the node's own memory.
    pub local_bytes: Result<u64, String>,
}

impl Told {
    /// Nothing, and why.
    pub fn nothing(why: &str) -> Self {
        let none = || Err(why.to_owned());
        Self { occupancy_bytes: none(), total_bytes: none(), local_bytes: none() }
    }

    /// The sum over all groups, of which none may be missing. Part of an interval is no interval.
    pub(super) fn of(sources: &Sources) -> Self {
        if sources.iter().next().is_none() {
            return Self::nothing("it has no thread");
        }
        if sources.iter().any(|source| source.meter.is_removed()) {
            return Self::nothing(reason(Missing::Removed));
        }
        if !sources.iter().all(|source| source.meter.is_whole()) {
            return Self::nothing("it is monitored since within this window");
        }
        let caches = sources.caches();
        let sum = |event| {
            let values: Result<Vec<u64>, Missing> =
                caches.iter().map(|cache| sources.value(event, *cache)).collect();
            let sum = values.map(|values| values.into_iter().fold(0u64, u64::saturating_add));
            sum.map_err(|missing| reason(missing).to_owned())
        };
        Self { occupancy_bytes: sum(OCCUPANCY), total_bytes: sum(TOTAL), local_bytes: sum(LOCAL) }
    }

    /// Why numbers are missing, each reason once, with the events it is about where it is not about all of them.
    pub fn why(&self) -> Option<String> {
        let events =
            [(OCCUPANCY, &self.occupancy_bytes), (TOTAL, &self.total_bytes), (LOCAL, &self.local_bytes)];
        let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
        for (event, number) in events {
            let Err(reason) = number else { continue };
            match reasons.iter_mut().find(|(known, _)| known == reason) {
                Some((_, of)) => of.push(event),
                None => reasons.push((reason, vec![event])),
            }
        }
        let said = reasons.iter().map(|(reason, of)| match of.len() == events.len() {
            true => (*reason).to_owned(),
            false => format!("{}: {reason}", of.join(", ")),
        });
        (!reasons.is_empty()).then(|| said.collect::<Vec<_>>().join("; "))
    }
}

fn reason(missing: Missing) -> &'static str {
    match missing {
        Missing::Unavailable => "the hardware had no value",
        Missing::Unassigned => "no counter is assigned to its monitoring group",
        Missing::Error => "the hardware answered with an error",
        Missing::Restarted => "there is no reading from the beginning of this window",
        Missing::Removed => "somebody else removed its monitoring group",
        Missing::NotMonitored => "this machine does not monitor it",
    }
}

#[cfg(test)]
mod tests {
    use waytrace_hw::rdt::{EventReading, Monitored, Reading};
    use waytrace_model::cache::CacheId;

    use super::*;

    fn observed(readings: &[(&str, u32, Reading)]) -> Sources {
        let mut sources = Sources::default();
        sources.add(Monitored::Class("web".to_owned()), true, 0);
        observe(&mut sources, readings);
        sources
    }

    fn observe(sources: &mut Sources, readings: &[(&str, u32, Reading)]) {
        let reading = |(event, cache, reading): &(&str, u32, Reading)| EventReading {
            event: (*event).to_owned(),
            cache_id: CacheId(*cache),
            reading: *reading,
        };
        let readings: Vec<EventReading> = readings.iter().map(reading).collect();
        sources.iter_mut().for_each(|source| source.meter.observe(&readings, None));
    }

    #[test]
    fn caches_add_up_and_what_is_missing_says_why() {
        use Reading::{Unavailable, Value};
        let mut sources = observed(&[(OCCUPANCY, 0, Value(7)), (TOTAL, 0, Value(100)), (TOTAL, 1, Value(5))]);
        let early = Told::of(&sources);
        assert_eq!(early.why().as_deref(), Some("it is monitored since within this window"));
        sources.iter_mut().for_each(|source| source.meter.begin());
        observe(
            &mut sources,
            &[(OCCUPANCY, 0, Value(9)), (OCCUPANCY, 1, Unavailable), (TOTAL, 0, Value(160))],
        );
        let told = Told::of(&sources);
        assert_eq!(told.total_bytes, Ok(60));
        assert_eq!(
            told.why().as_deref(),
            Some(
                "llc_occupancy: the hardware had no value; mbm_local_bytes: this machine does not monitor it"
            )
        );
        sources.iter_mut().for_each(|source| source.meter.remove());
        assert_eq!(Told::of(&sources).why().as_deref(), Some("somebody else removed its monitoring group"));
        assert_eq!(Told::of(&Sources::default()).why().as_deref(), Some("it has no thread"));
    }
}
