//! Pixels of up to 256 colours as PNG (RFC 2083), to put a picture into another.

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_ends_as_every_png_does() {
        let png = encode(2, &[[0, 0, 0], [255, 255, 255]], &[0, 1, 1, 0]).unwrap();
        assert_eq!(&png[..8], b"\x89PNG\r\n\x1a\n");
        assert_eq!(&png[12..25], b"IHDR\0\0\0\x02\0\0\0\x02\x08");
        // The checksum of an empty IEND is in every file.
        assert_eq!(&png[png.len() - 8..], b"IEND\xae\x42\x60\x82");
    }
}
