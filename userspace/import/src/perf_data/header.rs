//! The file's header: where attributes, records and features are, or that it is a stream.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use waytrace_hw::sampling::bytes::Bytes;

use super::attr::{Attr, LEAST_BYTES};
use super::features::Features;
use crate::Error;

const MAGIC: &[u8; 8] = b"PERFILE2";
const MAGIC_SWAPPED: &[u8; 8] = b"2ELIFREP";
const PIPE_HEADER_BYTES: u64 = 16;
const FILE_HEADER_BYTES: u64 = 104;
/// A feature or table larger than this is damage.
const LARGEST_SECTION: u64 = 1 << 28;

/// An event with the ids its samples carry.
#[derive(Debug, Clone, Default)]
pub struct Event {
    pub attr: Attr,
    pub ids: Vec<u64>,
}

/// What stands before the records, and behind them.
#[derive(Debug, Default)]
pub struct FileHeader {
    pub events: Vec<Event>,
    pub features: Features,
    /// Where the records are; their end is `None` where they go on to the end of the file.
    pub data_start: u64,
    pub data_end: Option<u64>,
    /// The recording was cut off before the header was written for good.
    pub is_unfinished: bool,
}

#[derive(Clone, Copy)]
struct Section {
    offset: u64,
    size: u64,
}

impl FileHeader {
    /// Reads the header of a file, and everything it points to but the records.
    pub fn read(file: &mut File, path: &Path) -> Result<Self, Error> {
        let start = section(file, path, Section { offset: 0, size: PIPE_HEADER_BYTES })?;
        let mut bytes = Bytes::new(&start);
        let magic = bytes.array::<8>().unwrap_or_default();
        if &magic == MAGIC_SWAPPED {
            let what = "written by a machine of the other byte order".to_owned();
            return Err(Error::Form { path: path.to_owned(), what });
        }
        let damaged = |at, what| Error::Damaged { path: path.to_owned(), at, what };
        let size = bytes
            .u64()
            .filter(|_| &magic == MAGIC)
            .ok_or_else(|| damaged(0, "it does not begin as perf.data does"))?;
        if size == PIPE_HEADER_BYTES {
            return Ok(Self { data_start: PIPE_HEADER_BYTES, ..Self::default() });
        }
        let rest = section(file, path, Section { offset: 16, size: FILE_HEADER_BYTES - 16 })?;
        let mut bytes = Bytes::new(&rest);
        let attr_size = bytes.u64().unwrap_or(0);
        let mut next = || Some(Section { offset: bytes.u64()?, size: bytes.u64()? });
        let (Some(attrs), Some(data), Some(_types)) = (next(), next(), next()) else {
            return Err(damaged(16, "its header is cut short"));
        };
        let words: Vec<u64> = std::iter::from_fn(|| bytes.u64()).take(4).collect();
        let mut header = Self { data_start: data.offset, is_unfinished: data.size == 0, ..Self::default() };
        header.events = events(file, path, attrs, attr_size)?;
        if !header.is_unfinished {
            let end =
                data.offset.checked_add(data.size).ok_or_else(|| damaged(24, "its records have no end"))?;
            header.data_end = Some(end);
            header.read_features(file, path, end, &words);
        }
        Ok(header)
    }

    /// The features lie behind the records, in the order of their numbers. What cannot be read is not there.
    fn read_features(&mut self, file: &mut File, path: &Path, end: u64, words: &[u64]) {
        let present = (0..256_u32).filter(|number| {
            words.get((number / 64) as usize).is_some_and(|word| word >> (number % 64) & 1 != 0)
        });
        let present: Vec<u32> = present.collect();
        let table = Section { offset: end, size: 16 * present.len() as u64 };
        let Ok(table) = section(file, path, table) else { return };
        let mut bytes = Bytes::new(&table);
        for number in present {
            let (Some(offset), Some(size)) = (bytes.u64(), bytes.u64()) else { return };
            if let Ok(body) = section(file, path, Section { offset, size }) {
                self.features.take(number, &body);
            }
        }
    }
}

/// The attributes and the ids of each.
fn events(file: &mut File, path: &Path, attrs: Section, attr_size: u64) -> Result<Vec<Event>, Error> {
    let damaged = |what| Error::Damaged { path: path.to_owned(), at: attrs.offset, what };
    let each = usize::try_from(attr_size).ok().filter(|size| *size >= LEAST_BYTES + 16);
    let each = each.ok_or_else(|| damaged("its attributes have no size"))?;
    let table = section(file, path, attrs)?;
    let mut events = Vec::new();
    for entry in table.chunks_exact(each) {
        let (attr, place) = entry.split_at(each - 16);
        let attr = Attr::parse(attr).ok_or_else(|| damaged("an attribute is cut short"))?;
        let mut place = Bytes::new(place);
        let place = Section { offset: place.u64().unwrap_or(0), size: place.u64().unwrap_or(0) };
        let ids = section(file, path, place)?;
        let ids = ids.as_chunks::<8>().0.iter().map(|id| u64::from_le_bytes(*id)).collect();
        events.push(Event { attr, ids });
    }
    if events.is_empty() { Err(damaged("it has no event")) } else { Ok(events) }
}

fn section(file: &mut File, path: &Path, section: Section) -> Result<Vec<u8>, Error> {
    let damaged = |what| Error::Damaged { path: path.to_owned(), at: section.offset, what };
    if section.size > LARGEST_SECTION {
        return Err(damaged("a part of the header is larger than can be"));
    }
    file.seek(SeekFrom::Start(section.offset)).map_err(Error::read(path))?;
    let mut bytes = Vec::new();
    file.by_ref().take(section.size).read_to_end(&mut bytes).map_err(Error::read(path))?;
    if (bytes.len() as u64) < section.size {
        return Err(damaged("the file ends within a part of its header"));
    }
    Ok(bytes)
}
