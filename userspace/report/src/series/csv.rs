//! Rows as CSV and back. Files of gz/autoperf, which have no repetitions, are read as the first.

use std::io::{Read, Write};

use thiserror::Error;

use super::{COLUMNS, Row};
use crate::Error as WriteError;

/// Writes the header, then rows one by one.
#[derive(Debug)]
pub struct Writer<W: Write> {
    out: csv::Writer<W>,
    has_header: bool,
}

impl<W: Write> Writer<W> {
    /// Begins the file; nothing is written before the first row.
    pub fn new(out: W) -> Self {
        Self { out: csv::Writer::from_writer(out), has_header: false }
    }

    fn header(&mut self) -> Result<(), WriteError> {
        if !std::mem::replace(&mut self.has_header, true) {
            self.out.write_record(COLUMNS).map_err(WriteError::writing("csv"))?;
        }
        Ok(())
    }

    /// Adds a row.
    ///
    /// # Errors
    /// [`WriteError::Write`] when the writer fails.
    pub fn row(&mut self, row: &Row) -> Result<(), WriteError> {
        self.header()?;
        let number = |number: Option<u32>| number.map_or_else(String::new, |number| number.to_string());
        let cells = [
            row.event.clone(),
            row.index.to_string(),
            row.time_s.to_string(),
            number(row.socket),
            number(row.core),
            number(row.cpu),
            number(row.node),
            row.unit.clone(),
            row.value.to_string(),
            row.repetition.to_string(),
        ];
        self.out.write_record(&cells).map_err(WriteError::writing("csv"))
    }

    /// Ends the file, and gives the writer back.
    ///
    /// # Errors
    /// [`WriteError::Write`] when the writer fails.
    pub fn finish(mut self) -> Result<W, WriteError> {
        self.header()?;
        self.out.into_inner().map_err(|error| WriteError::writing("csv")(error.into_error()))
    }
}

/// Why a file of rows cannot be read.
#[derive(Debug, Error)]
pub enum ReadError {
    /// It is no table of text.
    #[error("it is no CSV table: {0}")]
    Csv(#[from] csv::Error),
    /// A column is missing.
    #[error(
        "it has no column {0}; results of `events aggregate` and of gz/autoperf have EVENT_NAME, INDEX, TIME and SAMPLE_VALUE \
         in their first line"
    )]
    Column(&'static str),
    /// A cell is not what its column holds.
    #[error("line {line}: `{cell}` is no {column}; {mend}")]
    Cell {
        /// Line of the file, from 1.
        line: u64,
        /// What is there, cut short.
        cell: String,
        /// Its column.
        column: &'static str,
        /// What it should be.
        mend: &'static str,
    },
}

/// Reads rows one by one; the columns may be in any order, and those besides the four that are needed may be missing.
///
/// # Errors
/// [`ReadError`] of the first line that is wrong.
pub fn read(source: impl Read) -> Result<Rows<impl Read>, ReadError> {
    let mut table = csv::Reader::from_reader(source);
    let header = table.headers()?.clone();
    let place = |name: &str| header.iter().position(|own| own.trim().eq_ignore_ascii_case(name));
    let needed = |name: &'static str| place(name).ok_or(ReadError::Column(name));
    let places = Places {
        event: needed("EVENT_NAME")?,
        index: needed("INDEX")?,
        time: needed("TIME")?,
        value: needed("SAMPLE_VALUE")?,
        socket: place("SOCKET"),
        core: place("CORE"),
        cpu: place("CPU"),
        node: place("NODE"),
        unit: place("UNIT"),
        repetition: place("REPETITION"),
    };
    Ok(Rows { table: table.into_records(), places })
}

struct Places {
    event: usize,
    index: usize,
    time: usize,
    value: usize,
    socket: Option<usize>,
    core: Option<usize>,
    cpu: Option<usize>,
    node: Option<usize>,
    unit: Option<usize>,
    repetition: Option<usize>,
}

/// Rows of a file.
pub struct Rows<R: Read> {
    table: csv::StringRecordsIntoIter<R>,
    places: Places,
}

impl<R: Read> Iterator for Rows<R> {
    type Item = Result<Row, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let record = match self.table.next()? {
            Ok(record) => record,
            Err(error) => return Some(Err(error.into())),
        };
        Some(self.places.row(&record))
    }
}

impl Places {
    fn row(&self, record: &csv::StringRecord) -> Result<Row, ReadError> {
        let line = record.position().map_or(0, csv::Position::line);
        let text = |place: usize| record.get(place).unwrap_or_default().trim();
        let wrong = |place: usize, column, mend| ReadError::Cell {
            line,
            cell: text(place).chars().take(40).collect(),
            column,
            mend,
        };
        let whole = |place: usize, column| {
            text(place).parse::<u32>().map_err(|_| wrong(place, column, "write a number from 0 on"))
        };
        // Empty, as others leave what does not apply: -1, or pandas' floats.
        let maybe = |place: Option<usize>| {
            let text = place.map(text)?;
            text.strip_suffix(".0").unwrap_or(text).parse::<u32>().ok()
        };
        let real = |place: usize, column| {
            let value = text(place).parse::<f64>().ok().filter(|value| value.is_finite());
            value.ok_or_else(|| wrong(place, column, "write a number with a decimal point (LC_NUMERIC=C)"))
        };
        if text(self.event).is_empty() {
            return Err(wrong(self.event, "EVENT_NAME", "name the event"));
        }
        Ok(Row {
            event: text(self.event).to_owned(),
            index: whole(self.index, "INDEX")?,
            time_s: real(self.time, "TIME")?,
            socket: maybe(self.socket),
            core: maybe(self.core),
            cpu: maybe(self.cpu),
            node: maybe(self.node),
            unit: self.unit.map_or("cpu", text).to_owned(),
            value: real(self.value, "SAMPLE_VALUE")?,
            repetition: maybe(self.repetition).unwrap_or(1),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(text: &[u8]) -> Result<Vec<Row>, ReadError> {
        read(text)?.collect()
    }

    fn row() -> impl Strategy<Value = Row> {
        let small = || proptest::option::of(0u32..512);
        let names = ("[a-z_.:,\"/ ]{0,12}x", any::<u32>(), 0.0..1e9, any::<u32>());
        (names, (small(), small(), small(), small()), ("[a-z0-9_]{1,9}", 0.0..1e18)).prop_map(
            |((event, index, time_s, repetition), (socket, core, cpu, node), (unit, value))| Row {
                event: event.trim().to_owned(),
                index,
                time_s,
                socket,
                core,
                cpu,
                node,
                unit,
                value,
                repetition,
            },
        )
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(rows in proptest::collection::vec(row(), 0..20)) {
            let mut out = Vec::new();
            let mut writer = Writer::new(&mut out);
            rows.iter().for_each(|row| writer.row(row).unwrap());
            writer.finish().unwrap();
            prop_assert_eq!(all(&out).unwrap(), rows);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = all(&bytes);
            let text = [b"EVENT_NAME,INDEX,TIME,SAMPLE_VALUE\n", &bytes[..]].concat();
            let _ = all(&text);
        }
    }

    #[test]
    fn files_of_others_have_other_columns() {
        let text = b"INDEX,EVENT_NAME,TIME,SOCKET,CORE,CPU,NODE,UNIT,SAMPLE_VALUE\n3,A.B,0.75,0,1.0,-1,,uncore_cha_0,12\n";
        let rows = all(text).unwrap();
        assert_eq!((rows[0].core, rows[0].cpu, rows[0].repetition), (Some(1), None, 1));
        assert_eq!((rows[0].event.as_str(), rows[0].index, rows[0].value), ("A.B", 3, 12.0));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let head = "EVENT_NAME,INDEX,TIME,SAMPLE_VALUE\n";
        for (text, needle) in [
            ("A,B\n1,2\n".to_owned(), "no column EVENT_NAME"),
            (format!("{head}a,0,0.5,1\na,x,0.5,1\n"), "line 3: `x` is no INDEX"),
            (format!("{head}a,0,\"0,5\",1\n"), "LC_NUMERIC=C"),
            (format!("{head}a,0,0.5,inf\n"), "is no SAMPLE_VALUE"),
            (format!("{head},0,0.5,1\n"), "name the event"),
            (format!("{head}a,0,0.5\n"), "no CSV table"),
        ] {
            let error = all(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(needle), "{text}: {error}");
        }
    }
}
