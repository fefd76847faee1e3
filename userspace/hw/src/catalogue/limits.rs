//! Bounds on what is read from files others wrote, so that none can take all memory.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::CatalogueError;

/// Largest event file; the vendors' largest has 6 MB.
pub const FILE_BYTES: u64 = 64 << 20;
/// Most events of one CPU; the largest known has 5,000.
pub const EVENTS: usize = 200_000;
/// Longest name of an event or a PMU.
pub const NAME_BYTES: usize = 256;
/// Longest description; what is longer is cut.
pub const TEXT_BYTES: usize = 16 << 10;
/// Most entries reported as unusable; the rest is only counted.
pub const REJECTED: usize = 1000;

/// Reads a whole file of at most `limit` bytes, without a byte order mark.
pub fn read(path: &Path, limit: u64) -> Result<Vec<u8>, CatalogueError> {
    let failed = |source| CatalogueError::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    bounded(file, limit).map_err(failed)
}

/// Reads to the end, or to an error past `limit` bytes.
pub fn bounded(reader: impl Read, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        let reason = format!("larger than {} MiB, which no event file is", limit >> 20);
        return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
    }
    if bytes.starts_with(b"\xef\xbb\xbf") {
        bytes.drain(..3);
    }
    Ok(bytes)
}

/// `text` without surrounding white space or control characters, cut at a character's end.
pub fn clean(text: &str, limit: usize) -> String {
    let text: String = text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    match text.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|end| *end <= limit).last() {
        Some(end) => text.get(..end).unwrap_or_default().to_owned(),
        None => String::new(),
    }
}

/// A description; none where the vendor has yet to write it (`TBD`).
pub fn described(text: &str) -> Option<String> {
    let text = clean(text, TEXT_BYTES);
    let is_word = |word: &str| !word.eq_ignore_ascii_case("tbd") && !word.eq_ignore_ascii_case("null");
    text.split_whitespace().any(is_word).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_order_mark_is_no_content_and_too_much_is_an_error() {
        assert_eq!(bounded(b"\xef\xbb\xbf{}".as_slice(), 10).unwrap(), b"{}");
        assert_eq!(bounded(b"12345".as_slice(), 5).unwrap().len(), 5);
        let error = bounded(io::repeat(b' '), 3 << 20).unwrap_err();
        assert!(error.to_string().contains("larger than 3 MiB"), "{error}");
    }

    #[test]
    fn text_is_cut_between_characters() {
        assert_eq!(clean(" aäb\n", 10), "aäb");
        assert_eq!(clean("aäb", 2), "a");
        assert_eq!(clean("a\u{1b}[2Jb", 9), "a [2Jb");
        assert_eq!(
            (described("TBD TBD"), described(" x "), described("")),
            (None, Some("x".to_owned()), None)
        );
    }
}
