//! Which class each measurement is of: a CSV file with a column `run` (or `measurement`, `series`, `name`) of what the command line
//! takes as a measurement, and a column `class` (or `label`).

use std::io::Read;

use anyhow::{Context, bail};

const RUNS: [&str; 4] = ["run", "measurement", "series", "name"];
const CLASSES: [&str; 2] = ["class", "label"];
/// Most measurements of a file.
const MOST: usize = 10_000;

/// A measurement with its class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labelled {
    /// A name, an id, `last~1`, or the path of a file.
    pub run: String,
    /// Its class.
    pub class: String,
}

/// Reads labels, in their order.
///
/// # Errors
/// It is no table, lacks a column or a cell, names a measurement twice, or too many.
pub fn read(source: impl Read) -> anyhow::Result<Vec<Labelled>> {
    let mut table = csv::ReaderBuilder::new().flexible(true).from_reader(source);
    let header = table.headers().context("it is no CSV table")?.clone();
    let place = |names: &[&str]| {
        names.iter().find_map(|name| header.iter().position(|own| own.trim().eq_ignore_ascii_case(name)))
    };
    let (Some(run), Some(class)) = (place(&RUNS), place(&CLASSES)) else {
        bail!("its first line does not name the columns `run` and `class`; write `run,class` there");
    };
    let mut labels: Vec<Labelled> = Vec::new();
    for record in table.records() {
        let record = record.context("it is no CSV table")?;
        let cell = |place: usize| record.get(place).map(str::trim).unwrap_or_default().to_owned();
        let labelled = Labelled { run: cell(run), class: cell(class) };
        let line = record.position().map_or(0, csv::Position::line);
        if labelled.run.is_empty() || labelled.class.is_empty() {
            bail!("line {line} lacks a run or its class");
        }
        if labels.iter().any(|other| other.run == labelled.run) {
            bail!("line {line} has `{}` once more; a run has one class and counts once", labelled.run);
        }
        labels.push(labelled);
        if labels.len() > MOST {
            bail!("it has more than {MOST} runs; label fewer");
        }
    }
    Ok(labels)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn columns_are_found_by_their_names() {
        let read = |text: &str| read(text.as_bytes()).unwrap();
        let expected: Vec<Labelled> = [("a", "calm"), ("last~1", "busy")]
            .map(|(run, class)| Labelled { run: run.to_owned(), class: class.to_owned() })
            .to_vec();
        assert_eq!(read("run,class\na,calm\nlast~1,busy\n"), expected);
        assert_eq!(read("Label,note,Series\ncalm,x,a\n busy ,,last~1\n"), expected);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, needle) in [
            ("a,calm\nb,busy\n", "`run,class`"),
            ("run,class\na,\n", "line 2 lacks"),
            ("run,class\na\n", "line 2 lacks"),
            ("run,class\na,x\nb,y\na,y\n", "line 4 has `a` once more"),
            ("", "`run,class`"),
        ] {
            assert!(read(text.as_bytes()).unwrap_err().to_string().contains(needle), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes[..]);
            let _ = read(&[b"run,class\n", &bytes[..]].concat()[..]);
        }
    }
}
