//! One entry of an event file → an event.

use super::super::event::{Counters, Event, Fields, Filter, Msr, Precise, fixed_counter};
use super::super::limits::{self, clean};
use super::super::units;
use super::fields::{Entry, Listed, Reason, counters, number};

/// What a file does not say about its entries.
#[derive(Debug, Clone, Default)]
pub struct Context {
    /// PMU of entries without a unit.
    pub pmu: String,
    /// Its events are not validated.
    pub experimental: bool,
}

/// Fixed counters in files that number them with the general ones.
const FIXED_FROM: u32 = 32;

/// Reads an entry. `None` is an entry of another kind, as a metric.
pub fn event(entry: &Entry<'_>, context: &Context) -> Result<Option<Event>, (String, Reason)> {
    let Some(name) = entry.text("EventName") else { return Ok(None) };
    let name = name.to_ascii_lowercase();
    if name.len() > limits::NAME_BYTES || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err((
            clean(&name, 60),
            "its name is no event name: too long, or not of plain characters".to_owned(),
        ));
    }
    build(entry, context, &name).map(Some).map_err(|reason| (name, reason))
}

fn build(entry: &Entry<'_>, context: &Context, name: &str) -> Result<Event, Reason> {
    let unit = entry.text("Unit").map(|unit| clean(&unit, limits::NAME_BYTES));
    let is_free_running = entry.text("CounterType").is_some_and(|kind| kind.eq_ignore_ascii_case("FREERUN"));
    let mut pmu = unit.as_deref().map_or_else(|| context.pmu.clone(), units::pmu);
    if is_free_running && !pmu.ends_with("free_running") {
        pmu.push_str("_free_running");
    }
    let text = |key| entry.text(key).and_then(|text| limits::described(&text));
    let description = text("BriefDescription");
    let details = text("PublicDescription").filter(|text| Some(text) != description.as_ref());
    let mut event = Event {
        name: name.to_owned(),
        pmu,
        unit,
        fields: fields(entry)?,
        counters: Counters::default(),
        taken_alone: entry.flag("TakenAlone")?,
        precise: precise(entry)?,
        errata: entry.words("Errata"),
        filters: Vec::new(),
        deprecated: entry.flag("Deprecated")?,
        experimental: context.experimental || entry.flag("Experimental")?,
        sample_period: Some(entry.number("SampleAfterValue")?).filter(|period| *period > 0),
        scale: entry.text("ScaleUnit"),
        description: description.or_else(|| details.clone()).unwrap_or_default(),
        details,
    };
    event.counters = placement(entry, &event, is_free_running)?;
    filters(entry, &mut event)?;
    Ok(event)
}

fn fields(entry: &Entry<'_>) -> Result<Fields, Reason> {
    let mut fields = Fields {
        codes: entry.numbers("EventCode")?,
        // Two masks belong to two codes, and are the same.
        umask: entry.number("UMask")?,
        cmask: entry.number("CounterMask")?,
        invert: entry.flag("Invert")?,
        edge: entry.flag("EdgeDetect")?,
        any_thread: entry.flag("AnyThread")?,
        msr: None,
        port_mask: entry.number("PortMask")?,
        fc_mask: entry.number("FCMask")?,
        extsel: entry.flag("ExtSel")?,
        terms: Vec::new(),
    };
    let extension = entry.number("UMaskExt")?;
    if extension > u64::MAX >> 8 {
        return Err("`UMaskExt` is too large".to_owned());
    }
    fields.umask |= extension << 8;
    // Register 0 stands for none.
    let indices: Vec<u64> = entry.numbers("MSRIndex")?.into_iter().filter(|index| *index != 0).collect();
    if !indices.is_empty() {
        fields.msr = Some(Msr { indices, value: entry.number("MSRValue")? });
    }
    for (key, term) in [("ConfigCode", "config"), ("EventidCode", "eventid"), ("NodeType", "type")] {
        if entry.text(key).is_some() {
            fields.terms.push((term.to_owned(), entry.number(key)?));
        }
    }
    if fields.codes.len() > 2 {
        return Err(format!("{} event codes", fields.codes.len()));
    }
    Ok(fields)
}

/// `Precise` of the newer files says whether; `PEBS` of the older ones also says where nothing else is possible.
fn precise(entry: &Entry<'_>) -> Result<Precise, Reason> {
    let level = entry.number("Precise")?.max(entry.number("PEBS")?);
    Ok(match level {
        0 => Precise::No,
        1 => Precise::Possible,
        _ => Precise::Only,
    })
}

fn placement(entry: &Entry<'_>, event: &Event, is_free_running: bool) -> Result<Counters, Reason> {
    if is_free_running {
        return Ok(Counters { unlimited: true, ..Counters::default() });
    }
    let Some(text) = entry.text("Counter") else { return Ok(Counters::default()) };
    let listed = renumbered(counters(&text)?, event);
    let smt_off =
        entry.text("CounterHTOff").map_or(Ok(0), |text| counters(&text).map(|listed| listed.general))?;
    Ok(Counters {
        general: listed.general,
        // A mask that leaves nothing would be one that says nothing.
        general_smt_off: if smt_off == 0 { listed.general } else { smt_off },
        fixed: listed.fixed,
        unlimited: false,
    })
}

/// Fixed counters by the kernel's numbers.
fn renumbered(mut listed: Listed, event: &Event) -> Listed {
    if !event.is_core() {
        return listed;
    }
    listed.fixed |= listed.general >> FIXED_FROM;
    listed.general &= (1 << FIXED_FROM) - 1;
    if let Some(known) = fixed_counter(&event.name).filter(|_| listed.fixed != 0) {
        listed.fixed = 1 << known;
    }
    listed
}

/// Intel names the register (`CBoFilter1[28:20]`) and its value apart, the kernel writes terms (`filter_opc=0x192`).
fn filters(entry: &Entry<'_>, event: &mut Event) -> Result<(), Reason> {
    let value = Some(entry.number("FILTER_VALUE")?).filter(|value| *value != 0);
    for word in entry.words("Filter") {
        let Some((name, text)) = word.split_once('=') else {
            event.filters.push(Filter { name: clean(&word, limits::NAME_BYTES), value });
            continue;
        };
        let number = number(text).ok_or_else(|| format!("filter `{}` has no number", clean(&word, 60)))?;
        let name = clean(name, limits::NAME_BYTES);
        event.fields.terms.push((name.clone(), number));
        event.filters.push(Filter { name, value: Some(number) });
    }
    Ok(())
}

#[cfg(test)]
#[path = "entry_tests.rs"]
mod tests;
