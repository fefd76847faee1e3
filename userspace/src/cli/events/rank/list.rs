//! Events by preference, from a CSV file as programs that select features leave them.
//!
//! The events are in the column called event, event_name, feature or name, else, as gz/autoperf's `mkgroup` has it, in the
//! third, or where there are fewer in the first. A column called score or importance sorts them, the greatest first; else they
//! are in order. `AVG.`, `STD.`, `MAX.`, `MIN.` and `SUM.` before a name say how the values of CPUs were put together, which is
//! the same event.

use std::io::Read;

use anyhow::{Context, bail};

const NAMES: [&str; 4] = ["event", "event_name", "feature", "name"];
const SCORES: [&str; 2] = ["score", "importance"];
const PREFIXES: [&str; 5] = ["avg.", "std.", "max.", "min.", "sum."];

/// An event of the list.
#[derive(Debug, Clone, PartialEq)]
pub struct Preferred {
    /// Lower case, without what was put before it.
    pub name: String,
    /// `None` where the list has none.
    pub score: Option<f64>,
}

/// Reads a list, each event once.
///
/// # Errors
/// It is no table, names no event, or a score is no number.
pub fn read(source: impl Read) -> anyhow::Result<Vec<Preferred>> {
    let mut table = csv::ReaderBuilder::new().flexible(true).from_reader(source);
    let header = table.headers().context("it is no CSV table")?.clone();
    let place = |names: &[&str]| {
        header.iter().position(|own| names.iter().any(|name| own.trim().eq_ignore_ascii_case(name)))
    };
    let event = place(&NAMES).unwrap_or(if header.len() >= 3 { 2 } else { 0 });
    let score = place(&SCORES);
    let mut list: Vec<Preferred> = Vec::new();
    for record in table.records() {
        let record = record.context("it is no CSV table")?;
        let name = name(record.get(event).unwrap_or_default());
        if name.is_empty() {
            continue;
        }
        let text = score.map(|score| record.get(score).unwrap_or_default().trim());
        let score = text.map(|text| number(text).with_context(|| wrong(&record, text))).transpose()?;
        list.push(Preferred { name, score });
    }
    // Stable, so that a list without scores stays as it is.
    let key = |one: &Preferred| one.score.unwrap_or(0.0);
    list.sort_by(|one, other| key(other).total_cmp(&key(one)));
    let mut seen = std::collections::BTreeSet::new();
    list.retain(|one| seen.insert(one.name.clone()));
    if list.is_empty() {
        bail!("it names no event; its first line is a header, and each further one an event");
    }
    Ok(list)
}

fn wrong(record: &csv::StringRecord, cell: &str) -> String {
    let line = record.position().map_or(0, csv::Position::line);
    let cell: String = cell.chars().take(40).collect();
    format!("line {line}: the score `{cell}` is no number; write it with a decimal point")
}

fn number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

fn name(cell: &str) -> String {
    let name = cell.trim().to_lowercase();
    let bare = PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix));
    bare.map_or(name.clone(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names(text: &str) -> Vec<String> {
        read(text.as_bytes()).unwrap().into_iter().map(|one| one.name).collect()
    }

    #[test]
    fn the_events_are_where_mkgroup_has_them_or_where_the_header_says() {
        assert_eq!(names(",rank,x\n0,1,AVG.A.ONE\n1,2,STD.A.ONE\n2,3,MAX.B\n"), ["a.one", "b"]);
        assert_eq!(names("score,Event\n1,low\n9.5,high\n1,next\n"), ["high", "low", "next"]);
        assert_eq!(names("whatever\nz\n\na\n"), ["z", "a"]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, needle) in [
            ("event,score\na,1\nb,1;5\n", "line 3: the score `1;5`"),
            ("event\n", "names no event"),
            ("", "names no event"),
        ] {
            assert!(read(text.as_bytes()).unwrap_err().to_string().contains(needle), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes[..]);
            let _ = read(&[b"score,event\n", &bytes[..]].concat()[..]);
        }
    }
}
