//! Pixels of up to 256 colours as PNG (RFC 2083), and bytes as base64 (RFC 4648), to put a picture into another.

use std::io::{self, Write};

use flate2::write::ZlibEncoder;
use flate2::{Compression, Crc};

/// A picture of indices into `palette`, row by row.
///
/// # Errors
/// The compressor's, which writes to memory.
pub fn encode(width: u32, palette: &[[u8; 3]], pixels: &[u8]) -> io::Result<Vec<u8>> {
    let rows = pixels.chunks_exact(width.max(1) as usize);
    let height = rows.len() as u32;
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    // Eight bits per pixel, colours by palette, no interlacing.
    let sizes = [width.max(1), height].map(u32::to_be_bytes).concat();
    chunk(&mut png, *b"IHDR", &[&sizes[..], &[8, 3, 0, 0, 0]].concat());
    chunk(&mut png, *b"PLTE", palette.as_flattened());
    let mut compressed = ZlibEncoder::new(Vec::new(), Compression::default());
    for row in rows {
        // Each row begins with its filter: none.
        compressed.write_all(&[0])?;
        compressed.write_all(row)?;
    }
    chunk(&mut png, *b"IDAT", &compressed.finish()?);
    chunk(&mut png, *b"IEND", &[]);
    Ok(png)
}

fn chunk(png: &mut Vec<u8>, kind: [u8; 4], data: &[u8]) {
    let mut sum = Crc::new();
    sum.update(&kind);
    sum.update(data);
    png.extend((data.len() as u32).to_be_bytes());
    png.extend(kind);
    png.extend(data);
    png.extend(sum.sum().to_be_bytes());
}

/// The bytes as text.
pub fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let all = (0..3).fold(0u32, |all, at| all << 8 | u32::from(three.get(at).copied().unwrap_or(0)));
        for digit in 0..4 {
            let place = (all >> (18 - 6 * digit) & 63) as usize;
            let is_there = digit <= three.len();
            let c = DIGITS.get(place).filter(|_| is_there).copied().unwrap_or(b'=');
            text.push(char::from(c));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4648, section 10.
    #[test]
    fn known_texts() {
        for (bytes, text) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn a_picture_ends_as_every_png_does() {
        let png = encode(2, &[[0, 0, 0], [255, 255, 255]], &[0, 1, 1, 0]).unwrap();
        assert_eq!(&png[..8], b"\x89PNG\r\n\x1a\n");
        assert_eq!(&png[12..25], b"IHDR\0\0\0\x02\0\0\0\x02\x08");
        // The checksum of an empty IEND is in every file.
        assert_eq!(&png[png.len() - 8..], b"IEND\xae\x42\x60\x82");
    }
}
