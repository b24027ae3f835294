//! Decompression with a cap on the output, and compression for the way out.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::{MultiGzDecoder, ZlibDecoder};

use crate::{Error, Result};

/// Decodes a snappy block. Its header says how long the result is: checked against `limit` before anything is allocated.
///
/// # Errors
/// When the block is damaged or its result would be longer than `limit`.
pub fn snappy_decode(block: &[u8], limit: usize) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    snappy_decode_into(block, limit, &mut out)?;
    Ok(out)
}

/// As [`snappy_decode`] into a buffer that is used again and again; what it held is replaced.
///
/// # Errors
/// As [`snappy_decode`].
pub fn snappy_decode_into(block: &[u8], limit: usize, out: &mut Vec<u8>) -> Result<()> {
    let damaged = |e: snap::Error| Error::Compression { codec: "snappy", message: e.to_string() };
    let len = snap::raw::decompress_len(block).map_err(damaged)?;
    if len > limit {
        return Err(too_big(limit, len as u64));
    }
    // The best case of the format is 64 bytes out of 3: a longer claim is a lie, and not worth the memory.
    if len / 32 > block.len() {
        return Err(Error::Compression {
            codec: "snappy",
            message: format!("{} bytes cannot hold {len}", block.len()),
        });
    }
    out.resize(len, 0);
    let written = snap::raw::Decoder::new().decompress(block, out).map_err(damaged)?;
    out.truncate(written);
    Ok(())
}

/// Encodes a snappy block.
pub fn snappy_encode(bytes: &[u8]) -> Vec<u8> {
    // Only inputs of 4 GiB and more fail; nobody can send such a body.
    snap::raw::Encoder::new().compress_vec(bytes).unwrap_or_default()
}

/// Decodes gzip, all members of it.
///
/// # Errors
/// When it is damaged or cut short, or the result is longer than `limit`.
pub fn gzip_decode(bytes: &[u8], limit: usize) -> Result<Vec<u8>> {
    read_limited(MultiGzDecoder::new(bytes), "gzip", limit)
}

/// Decodes HTTP's `deflate`: a zlib stream, or a bare deflate stream as some clients send it.
///
/// # Errors
/// As [`gzip_decode`].
pub fn deflate_decode(bytes: &[u8], limit: usize) -> Result<Vec<u8>> {
    let zlib = matches!(bytes, [cmf, flg, ..] if cmf & 0x0f == 8 && (u16::from(*cmf) << 8 | u16::from(*flg)) % 31 == 0);
    if zlib {
        read_limited(ZlibDecoder::new(bytes), "deflate", limit)
    } else {
        read_limited(flate2::read::DeflateDecoder::new(bytes), "deflate", limit)
    }
}

fn read_limited(decoder: impl Read, codec: &'static str, limit: usize) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    decoder.take(most).read_to_end(&mut out).map_err(|e| Error::Compression { codec, message: e.to_string() })?;
    if out.len() > limit {
        return Err(too_big(limit, most));
    }
    Ok(out)
}

fn too_big(limit: usize, found: u64) -> Error {
    Error::Limit { what: "decompressed size in bytes", limit: limit as u64, found }
}

/// Encodes gzip at the level HTTP answers are worth.
pub fn gzip_encode(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::with_capacity(bytes.len() / 4), Compression::fast());
    // Writing to memory cannot fail.
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_and_limits() {
        let text = b"foursight ".repeat(1000);
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), Compression::fast());
        zlib.write_all(&text).unwrap();
        let mut bare = flate2::write::DeflateEncoder::new(Vec::new(), Compression::fast());
        bare.write_all(&text).unwrap();
        type Decode = fn(&[u8], usize) -> Result<Vec<u8>>;
        let cases: [(Decode, Vec<u8>); 4] = [
            (snappy_decode, snappy_encode(&text)),
            (gzip_decode, gzip_encode(&text)),
            (deflate_decode, zlib.finish().unwrap()),
            (deflate_decode, bare.finish().unwrap()),
        ];
        for (decode, packed) in &cases {
            assert_eq!(decode(packed, text.len()).as_deref(), Ok(&text[..]));
            assert!(matches!(decode(packed, text.len() - 1), Err(Error::Limit { .. })));
            for cut in 0..packed.len() {
                assert!(decode(&packed[..cut], text.len()).map_or(true, |got| got != text), "cut at {cut}");
            }
        }
    }

    #[test]
    fn a_lie_about_the_length_costs_no_memory() {
        let claim = [0xff, 0xff, 0xff, 0xff, 0x0f, 0];
        assert!(matches!(snappy_decode(&claim, usize::MAX), Err(Error::Compression { .. })));
        assert!(matches!(snappy_decode(&claim, 1 << 20), Err(Error::Limit { .. })));
    }
}
