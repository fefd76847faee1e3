//! From the text of `--events` to event specifications.

use waytrace_model::counter::{EventInfo, Unit};
use waytrace_model::spelling::nearest;

use super::core_events;
use super::names::{self, Generic};
use super::{EventSpec, Modifiers, PerfAttr, Source};
use crate::pmu::{Encoded, Pmu};
use crate::{Error, Machine};

const TYPE_SOFTWARE: u32 = 1;
const TYPE_TRACEPOINT: u32 = 2;

/// Resolves a comma-separated list; commas between the slashes of a PMU event separate its terms.
///
/// # Errors
/// As [`resolve`], for the first event that is wrong; [`Error::BadEvent`] for an event named twice or none at all.
pub fn resolve_list(machine: &Machine, list: &str) -> Result<Vec<EventSpec>, Error> {
    let mut events: Vec<EventSpec> = Vec::new();
    for name in split(list) {
        let event = resolve(machine, name)?;
        if events.iter().any(|other| other.name == event.name) {
            return bad(&event.name, "named twice; name it once");
        }
        events.push(event);
    }
    if events.is_empty() {
        return bad(list, "no event named; write for instance `task-clock,page-faults`");
    }
    Ok(events)
}

fn split(list: &str) -> impl Iterator<Item = &str> {
    let mut in_terms = false;
    let pieces = list.split(move |c| {
        in_terms ^= c == '/';
        c == ',' && !in_terms
    });
    pieces.map(str::trim).filter(|piece| !piece.is_empty())
}

/// Resolves one event.
///
/// # Errors
/// [`Error::UnknownEvent`] or [`Error::UnknownTracepoint`] with the nearest name, [`Error::NoPmu`] where its PMU is
/// missing, [`Error::BadEvent`] for terms or modifiers it has not, tracefs's errors for a tracepoint.
pub fn resolve(machine: &Machine, text: &str) -> Result<EventSpec, Error> {
    let text = text.trim();
    if text.contains(['{', '}']) {
        return bad(text, "write it without braces: events are grouped by what the PMU can count together");
    }
    if let Some((pmu, rest)) = text.split_once('/') {
        return pmu_event(machine, text, pmu, rest);
    }
    let (name, tail) = text.split_once(':').unwrap_or((text, ""));
    if names::UNCOUNTED.contains(&name) {
        return bad(text, "it carries samples, not counts; leave it out");
    }
    if let Some(event) = names::find(&names::SOFTWARE, name) {
        return software(text, event, tail);
    }
    if let Some(event) = core_events::find(machine, text, name, tail)? {
        return Ok(event);
    }
    if !tail.is_empty() && !name.is_empty() {
        return tracepoint(machine, text, name, tail);
    }
    let known = known_names(machine);
    let suggestion = nearest(name, known.iter().map(String::as_str)).map(str::to_owned);
    Err(Error::UnknownEvent { name: text.to_owned(), suggestion })
}

/// Resolves one event to a perf event, also where the kernel keeps its number per task: only a perf event overflows.
///
/// # Errors
/// As [`resolve`]; [`Error::BadEvent`] for what does not count for threads, or is encoded differently from core to core.
pub fn resolve_perf(machine: &Machine, text: &str) -> Result<(EventInfo, PerfAttr), Error> {
    let event = resolve(machine, text)?;
    let info = event.info();
    let attr = match event.source {
        Source::Perf(attr) => attr,
        Source::Task(_) => {
            let generic = names::find(&names::SOFTWARE, &event.name);
            generic.map_or_else(
                || bad(text, "the kernel has no perf event for it; name another"),
                |generic| Ok(PerfAttr::new(generic.name, TYPE_SOFTWARE, generic.id)),
            )?
        }
    };
    if !attr.per_task || attr.encodings.len() != 1 {
        return bad(text, "it does not count alike for a thread on all CPUs; name another, as `task-clock`");
    }
    Ok((info, attr))
}

/// Every name of this machine that [`resolve`] takes without further terms, tracepoints apart.
pub fn known_names(machine: &Machine) -> Vec<String> {
    let mut all = names::all();
    for pmu in machine.pmu_names().iter().filter_map(|name| machine.pmu(name)) {
        all.extend(pmu.events.keys().map(|event| format!("{}/{event}/", pmu.name)));
    }
    all
}

pub(super) fn bad<T>(event: &str, reason: impl Into<String>) -> Result<T, Error> {
    Err(Error::BadEvent { event: event.to_owned(), reason: reason.into() })
}

pub(super) fn modifiers(text: &str, letters: &str) -> Result<Modifiers, Error> {
    Modifiers::parse(letters).or_else(|reason| bad(text, reason))
}

/// The name a run records: the usual spelling, with its modifiers.
pub(super) fn with_modifiers(name: &str, letters: &str) -> String {
    if letters.is_empty() { name.to_owned() } else { format!("{name}:{letters}") }
}

/// A software event: the number the kernel keeps per task where both modes are counted, else a perf event.
fn software(text: &str, event: &Generic, letters: &str) -> Result<EventSpec, Error> {
    let modifiers = modifiers(text, letters)?;
    let name = with_modifiers(event.name, letters);
    let source = match names::task_counter(event) {
        Some(counter) if modifiers.counts_everywhere() => Source::Task(counter),
        // The kernel counts these the same whatever is excluded, or not at all: both would mislead.
        _ if !modifiers.counts_everywhere() && !event.has_mode() => {
            return bad(text, format!("it belongs to no mode; write `{}`", event.name));
        }
        _ => Source::Perf(PerfAttr { modifiers, ..PerfAttr::new(&name, TYPE_SOFTWARE, event.id) }),
    };
    Ok(EventSpec { name, unit: event.unit, source })
}

/// `category:name[:modifiers]`.
fn tracepoint(machine: &Machine, text: &str, category: &str, tail: &str) -> Result<EventSpec, Error> {
    let (name, letters) = tail.split_once(':').unwrap_or((tail, ""));
    let modifiers = modifiers(text, letters)?;
    let id = machine.tracefs()?.tracepoint_id(category, name)?;
    let source = Source::Perf(PerfAttr { modifiers, ..PerfAttr::new(text, TYPE_TRACEPOINT, id) });
    Ok(EventSpec { name: text.to_owned(), unit: Unit::Count, source })
}

/// `pmu/terms/modifiers`.
fn pmu_event(machine: &Machine, text: &str, name: &str, rest: &str) -> Result<EventSpec, Error> {
    let Some((terms, letters)) = rest.split_once('/') else {
        return bad(text, format!("the closing slash is missing; write `{text}/`"));
    };
    let Some(pmu) = machine.pmu(name) else { return missing_pmu(machine, text, name) };
    if terms.trim().is_empty() {
        let events: Vec<&str> = pmu.events.keys().map(String::as_str).collect();
        return bad(text, format!("name an event of the PMU; it has: {}", events.join(", ")));
    }
    let modifiers = modifiers(text, letters.trim_start_matches(':'))?;
    let Encoded { config, scale, name } = pmu.encode(text, terms)?;
    let mut attr = PerfAttr::new(text, machine.event_type(&pmu), 0);
    attr.encodings[0].0 = pmu.cpus.clone().or_else(|| pmu.cpumask.clone());
    attr.encodings[0].1.config = config;
    attr.per_task = pmu.cpumask.is_none();
    attr.modifiers = modifiers;
    attr.scale = scale;
    let name = name.unwrap_or_else(|| text.to_owned());
    Ok(EventSpec { unit: pmu_unit(&pmu, terms), source: Source::Perf(attr), name })
}

/// Ticks for the clocks of the `msr` PMU and for events called like a generic one in cycles.
fn pmu_unit(pmu: &Pmu, terms: &str) -> Unit {
    let ticks = pmu.name == "msr" && ["tsc", "aperf", "mperf"].contains(&terms);
    match names::find(&names::HARDWARE, terms) {
        _ if ticks => Unit::Cycles,
        Some(generic) => generic.unit,
        None => Unit::Count,
    }
}

fn missing_pmu<T>(machine: &Machine, text: &str, name: &str) -> Result<T, Error> {
    let numbered = |pmu: &&String| {
        let rest = pmu.strip_prefix(name).and_then(|rest| rest.strip_prefix('_'));
        rest.is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let alike: Vec<&str> = machine.pmu_names().iter().filter(numbered).map(String::as_str).collect();
    if !alike.is_empty() && !name.is_empty() {
        return bad(text, format!("there are several of this PMU, name one of them: {}", alike.join(", ")));
    }
    Err(Error::NoPmu { event: text.to_owned(), pmu: name.to_owned(), present: machine.pmu_names().to_vec() })
}

#[cfg(test)]
#[path = "resolve_tests.rs"]
mod tests;
