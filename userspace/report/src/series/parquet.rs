//! Rows as Apache Parquet: plain values, gzip, a row group for every so many rows, so that memory is bounded.
//!
//! Ten flat columns need so little of the format that writing it takes less than a crate that knows it all. Source: the
//! format's `README.md`, `Encodings.md` and `parquet.thrift` (apache/parquet-format 2.10).

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::thrift::{Struct, varint};
use super::{COLUMNS, Row};
use crate::Error;

const MAGIC: &[u8; 4] = b"PAR1";
/// Rows of a group.
const GROUP: usize = 1 << 17;

/// `Type`: of what a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    I32 = 1,
    F64 = 5,
    Text = 6,
}

/// One per name in [`COLUMNS`], and whether it may be missing.
const KINDS: [(Kind, bool); 10] = [
    (Kind::Text, false),
    (Kind::I32, false),
    (Kind::F64, false),
    (Kind::I32, true),
    (Kind::I32, true),
    (Kind::I32, true),
    (Kind::I32, true),
    (Kind::Text, false),
    (Kind::F64, false),
    (Kind::I32, false),
];
/// `Encoding.PLAIN`, `Encoding.RLE`, `CompressionCodec.GZIP`, `PageType.DATA_PAGE`.
const PLAIN: i32 = 0;
const RLE: i32 = 3;
const GZIP: i32 = 2;
const DATA_PAGE: i32 = 0;

/// Writes rows one by one.
#[derive(Debug)]
pub struct Writer<W: Write> {
    out: W,
    /// Bytes written.
    at: u64,
    columns: Vec<Column>,
    /// In the columns.
    rows: usize,
    /// Rows and description of each group written.
    groups: Vec<(usize, Vec<u8>)>,
}

/// Values of a column that are not written yet.
#[derive(Debug, Default)]
struct Column {
    values: Vec<u8>,
    /// Runs of rows that have a value, or have none.
    present: Vec<(bool, u64)>,
}

impl Column {
    fn present(&mut self, is_there: bool) {
        match self.present.last_mut() {
            Some((last, rows)) if *last == is_there => *rows += 1,
            _ => self.present.push((is_there, 1)),
        }
    }

    fn number(&mut self, value: Option<u32>) {
        self.present(value.is_some());
        // Types are signed; numbers beyond are written as annotated, unsigned.
        self.values.extend(value.into_iter().flat_map(u32::to_le_bytes));
    }

    fn real(&mut self, value: f64) {
        self.values.extend(value.to_le_bytes());
    }

    fn text(&mut self, value: &str) {
        // Names longer than 4 GiB do not exist.
        self.values.extend((value.len() as u32).to_le_bytes());
        self.values.extend(value.as_bytes());
    }
}

impl<W: Write> Writer<W> {
    /// Begins the file.
    ///
    /// # Errors
    /// [`Error::Write`] when `out` fails.
    pub fn new(mut out: W) -> Result<Self, Error> {
        out.write_all(MAGIC).map_err(Error::writing("parquet"))?;
        Ok(Self { out, at: MAGIC.len() as u64, columns: fresh(), rows: 0, groups: Vec::new() })
    }

    /// Adds a row.
    ///
    /// # Errors
    /// [`Error::Write`] when the writer fails.
    pub fn row(&mut self, row: &Row) -> Result<(), Error> {
        if let [event, index, time, socket, core, cpu, node, unit, value, repetition] = &mut self.columns[..]
        {
            event.text(&row.event);
            index.number(Some(row.index));
            time.real(row.time_s);
            socket.number(row.socket);
            core.number(row.core);
            cpu.number(row.cpu);
            node.number(row.node);
            unit.text(&row.unit);
            value.real(row.value);
            repetition.number(Some(row.repetition));
        }
        self.rows += 1;
        if self.rows == GROUP { self.group().map_err(Error::writing("parquet")) } else { Ok(()) }
    }

    /// Ends the file, and gives the writer back.
    ///
    /// # Errors
    /// [`Error::Write`] when the writer fails.
    pub fn finish(mut self) -> Result<W, Error> {
        self.end().map_err(Error::writing("parquet"))?;
        Ok(self.out)
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.at += bytes.len() as u64;
        self.out.write_all(bytes)
    }

    fn group(&mut self) -> io::Result<()> {
        let rows = std::mem::take(&mut self.rows);
        let columns = std::mem::replace(&mut self.columns, fresh());
        let (mut chunks, mut bytes) = (Vec::new(), 0);
        for (place, column) in columns.into_iter().enumerate() {
            let (kind, may_be_missing) = KINDS.get(place).copied().unwrap_or((Kind::I32, false));
            let plain = page(&column, may_be_missing);
            let mut compressed = GzEncoder::new(Vec::new(), Compression::default());
            compressed.write_all(&plain)?;
            let compressed = compressed.finish()?;
            let header = page_header(plain.len(), compressed.len(), rows);
            let (offset, sizes) = (self.at, [plain.len(), compressed.len()].map(|size| size + header.len()));
            self.put(&header)?;
            self.put(&compressed)?;
            let mut meta = Struct::default();
            meta.i32(1, kind as i32)
                .i32s(2, &[PLAIN, RLE])
                .texts(3, &[COLUMNS.get(place).copied().unwrap_or_default()])
                .i32(4, GZIP)
                .i64(5, rows as i64)
                .i64(6, sizes[0] as i64)
                .i64(7, sizes[1] as i64)
                .i64(9, offset as i64);
            let mut chunk = Struct::default();
            chunk.i64(2, offset as i64).inner(3, &meta.finish());
            chunks.push(chunk.finish());
            bytes += sizes[0];
        }
        let mut group = Struct::default();
        group.structs(1, &chunks).i64(2, bytes as i64).i64(3, rows as i64);
        self.groups.push((rows, group.finish()));
        Ok(())
    }

    fn end(&mut self) -> io::Result<()> {
        if self.rows > 0 {
            self.group()?;
        }
        let all: usize = self.groups.iter().map(|(rows, _)| rows).sum();
        let groups: Vec<Vec<u8>> = self.groups.drain(..).map(|(_, group)| group).collect();
        let mut footer = Struct::default();
        footer
            .i32(1, 1)
            .structs(2, &schema())
            .i64(3, all as i64)
            .structs(4, &groups)
            .text(6, concat!("waytrace version ", env!("CARGO_PKG_VERSION")));
        let footer = footer.finish();
        self.put(&footer)?;
        self.put(&(footer.len() as u32).to_le_bytes())?;
        self.put(MAGIC)?;
        self.out.flush()
    }
}

fn fresh() -> Vec<Column> {
    COLUMNS.iter().map(|_| Column::default()).collect()
}

/// `SchemaElement`s: the root, then each column.
fn schema() -> Vec<Vec<u8>> {
    let mut root = Struct::default();
    root.text(4, "rows").i32(5, COLUMNS.len() as i32);
    let column = |(name, (kind, may_be_missing)): (&&str, &(Kind, bool))| {
        let mut element = Struct::default();
        element.i32(1, *kind as i32).i32(3, i32::from(*may_be_missing)).text(4, name);
        match kind {
            // ConvertedType.UTF8 and UINT_32.
            Kind::Text => element.i32(6, 0),
            Kind::I32 => element.i32(6, 13),
            Kind::F64 => &mut element,
        };
        element.finish()
    };
    std::iter::once(root.finish()).chain(COLUMNS.iter().zip(&KINDS).map(column)).collect()
}

/// Which rows have a value, as runs of the level 1 or 0 behind their length, then the values.
fn page(column: &Column, may_be_missing: bool) -> Vec<u8> {
    let mut page = Vec::new();
    if may_be_missing {
        let mut levels = Vec::new();
        for (is_there, rows) in &column.present {
            varint(&mut levels, rows << 1);
            levels.push(u8::from(*is_there));
        }
        page.extend((levels.len() as u32).to_le_bytes());
        page.extend(levels);
    }
    page.extend(&column.values);
    page
}

fn page_header(plain: usize, compressed: usize, rows: usize) -> Vec<u8> {
    let mut data = Struct::default();
    data.i32(1, rows as i32).i32(2, PLAIN).i32(3, RLE).i32(4, RLE);
    let mut header = Struct::default();
    header.i32(1, DATA_PAGE).i32(2, plain as i32).i32(3, compressed as i32).inner(5, &data.finish());
    header.finish()
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn row(at: u32) -> Row {
        Row {
            event: format!("event_{}", at % 3),
            index: at,
            time_s: f64::from(at) * 0.25,
            socket: Some(0),
            core: None,
            cpu: at.is_multiple_of(2).then_some(at),
            node: None,
            unit: "cpu".to_owned(),
            value: 1.5,
            repetition: 1,
        }
    }

    fn file(rows: u32) -> Vec<u8> {
        let mut out = Vec::new();
        let mut writer = Writer::new(&mut out).unwrap();
        (0..rows).for_each(|at| writer.row(&row(at)).unwrap());
        writer.finish().unwrap();
        out
    }

    #[test]
    fn a_file_is_framed_as_the_format_says() {
        for rows in [0, 1, 100] {
            let file = file(rows);
            let end = file.len();
            assert_eq!((&file[..4], &file[end - 4..]), (&MAGIC[..], &MAGIC[..]));
            let footer = u32::from_le_bytes(file[end - 8..end - 4].try_into().unwrap()) as usize;
            let start = end - 8 - footer;
            // Field 1 is version 1, field 2 a list of 11 structures; the last byte ends the last structure.
            assert_eq!(&file[start..start + 4], [0x15, 2, 0x19, 0xbc]);
            assert_eq!(file[end - 9], 0);
        }
    }

    /// The first column's page: its header's ten bytes or so, then gzip of length and text.
    #[test]
    fn values_are_plain_within_gzip() {
        let file = file(2);
        let at = file.windows(3).position(|three| three == [0x1f, 0x8b, 8]).unwrap();
        let mut values = Vec::new();
        flate2::read::GzDecoder::new(&file[at..]).read_to_end(&mut values).unwrap();
        assert_eq!(values, b"\x07\0\0\0event_0\x07\0\0\0event_1");
    }

    #[test]
    fn missing_values_are_runs_of_levels() {
        let mut column = Column::default();
        [Some(7), Some(8), None].into_iter().for_each(|value| column.number(value));
        assert_eq!(page(&column, true), [4, 0, 0, 0, 4, 1, 2, 0, 7, 0, 0, 0, 8, 0, 0, 0]);
    }
}
