//! A whole file: entries are read one after another, so that memory is bounded by the largest, and a bad one spoils no other.

use std::collections::HashMap;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer as _, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Deserializer, Map, Value};

use super::super::event::Event;
use super::super::limits::{self, clean};
use super::super::metric::Metric;
use super::entry::{Context, event};
use super::fields::Entry;
use super::metric::metric;

/// Arm's standard events by lower-case name, which files of single CPUs refer to with `ArmStdEvent`.
pub type StandardEvents = HashMap<String, Map<String, Value>>;

/// What a file holds.
#[derive(Debug, Default)]
pub struct Parsed {
    /// Its events, in order.
    pub events: Vec<Event>,
    /// Its metrics, in order.
    pub metrics: Vec<Metric>,
    /// Entries that cannot be used, by name, and why.
    pub rejected: Vec<(String, String)>,
}

/// Parses a file of events.
///
/// # Errors
/// Where and why it is no JSON, or no list of events.
pub fn parse(bytes: &[u8], context: &Context, standard: &StandardEvents) -> Result<Parsed, String> {
    let mut parsed = Parsed::default();
    each(bytes, &mut |number, entry| {
        let Value::Object(entry) = entry else {
            return parsed.reject((format!("entry {number}"), "is no object".to_owned()));
        };
        let entry = match completed(entry, standard) {
            Ok(entry) => entry,
            Err(rejected) => return parsed.reject(rejected),
        };
        match event(&Entry(&entry), context) {
            Ok(Some(event)) => parsed.events.push(event),
            Ok(None) => match metric(&Entry(&entry), context) {
                Ok(found) => parsed.metrics.extend(found),
                Err(rejected) => parsed.reject(rejected),
            },
            Err(rejected) => parsed.reject(rejected),
        }
    })?;
    Ok(parsed)
}

/// Reads a file of standard events into `all`.
///
/// # Errors
/// As [`parse`].
pub fn standard(bytes: &[u8], all: &mut StandardEvents) -> Result<(), String> {
    each(bytes, &mut |_, entry| {
        if let Value::Object(entry) = entry
            && let Some(name) = Entry(&entry).text("EventName")
        {
            all.insert(name.to_ascii_lowercase(), entry);
        }
    })
}

impl Parsed {
    fn reject(&mut self, rejected: (String, String)) {
        if self.rejected.len() < limits::REJECTED {
            self.rejected.push(rejected);
        }
    }
}

/// An entry with what it takes over from a standard event; its own fields hold.
fn completed(
    entry: Map<String, Value>,
    standard: &StandardEvents,
) -> Result<Map<String, Value>, (String, String)> {
    let Some(name) = Entry(&entry).text("ArmStdEvent") else { return Ok(entry) };
    let Some(base) = standard.get(&name.to_ascii_lowercase()) else {
        return Err((
            clean(&name, 60),
            "refers to a standard event that no file beside it defines".to_owned(),
        ));
    };
    let mut whole = base.clone();
    whole.extend(entry);
    Ok(whole)
}

/// Calls `take` for each entry of the list of events, with its number from 1.
fn each(bytes: &[u8], take: Take<'_>) -> Result<(), String> {
    let mut reader = Deserializer::from_slice(bytes);
    let mut count = 0;
    let found = reader.deserialize_any(Top { take, count: &mut count });
    match found.and_then(|()| reader.end()) {
        Ok(()) => Ok(()),
        Err(error) => Err(format!("not a file of events: {error}")),
    }
}

type Take<'a> = &'a mut dyn FnMut(usize, Value);

/// The top of a file: the list, or an object with the list in `Events`, or `Metrics`.
struct Top<'a> {
    take: Take<'a>,
    count: &'a mut usize,
}

impl<'de> Visitor<'de> for Top<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of events, or an object with the list `Events`")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        while let Some(entry) = entries.next_element::<Value>()? {
            *self.count += 1;
            if *self.count > limits::EVENTS {
                return Err(A::Error::custom(format!("more than {} entries", limits::EVENTS)));
            }
            (self.take)(*self.count, entry);
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        let Top { take, count } = self;
        let mut found = false;
        while let Some(key) = fields.next_key::<String>()? {
            if key == "Events" || key == "Metrics" {
                fields.next_value_seed(Seed(Top { take: &mut *take, count: &mut *count }))?;
                found = true;
            } else {
                fields.next_value::<IgnoredAny>()?;
            }
        }
        if found { Ok(()) } else { Err(A::Error::custom("no list `Events` or `Metrics` in it")) }
    }
}

struct Seed<'a>(Top<'a>);

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_seq(self.0)
    }
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
