//! What devices said, small: compressed and bounded.

use std::io::{Read as _, Write as _};

use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;

/// The most that is compressed of one text: the transport's own cap.
const TEXT_MAX: usize = 1 << 20;

/// The most that one compressed text may take in the database. `show version` takes about 1 KiB.
const KEPT_MAX: usize = 64 << 10;

/// A text on its way into the database.
pub(super) struct Packed {
    /// The length of the text as it came, in bytes.
    pub(super) size: usize,
    /// How much of its beginning is kept, in bytes.
    pub(super) kept: usize,
    pub(super) zlib: Vec<u8>,
}

/// Compresses a text, cutting its end until the rest fits.
pub(super) fn pack(text: &str) -> std::io::Result<Packed> {
    let mut kept = text.floor_char_boundary(TEXT_MAX.min(text.len()));
    loop {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(&text.as_bytes()[..kept])?;
        let zlib = encoder.finish()?;
        if zlib.len() <= KEPT_MAX {
            return Ok(Packed { size: text.len(), kept, zlib });
        }
        kept = text.floor_char_boundary(kept / 2);
    }
}

/// The text again; bounded, because a database may have been tampered with.
pub(super) fn unpack(zlib: &[u8]) -> std::io::Result<String> {
    let mut text = Vec::new();
    ZlibDecoder::new(zlib).take(TEXT_MAX as u64).read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_come_back_and_noise_is_cut() {
        let text = "Cisco IOS XE Software, Version 17.09.04a\n".repeat(100);
        let packed = pack(&text).unwrap();
        assert_eq!((packed.size, packed.kept), (text.len(), text.len()));
        assert!(packed.zlib.len() < 300, "{}", packed.zlib.len());
        assert_eq!(unpack(&packed.zlib).unwrap(), text);

        let mut random = fastrand::Rng::with_seed(7);
        let noise: String = (0..300_000).map(|_| random.char('!'..='~')).collect();
        let packed = pack(&noise).unwrap();
        assert_eq!(packed.size, noise.len());
        assert!(packed.kept < noise.len() && packed.zlib.len() <= KEPT_MAX);
        assert_eq!(unpack(&packed.zlib).unwrap(), noise[..packed.kept]);
    }
}
