//! The page's bytes. A part is deflated while it is written and kept so: 50,000 devices are some 60 MB as text and a
//! tenth of that deflated. Each part ends on a byte boundary, so a gzip body is parts laid end to end.

use std::io::{self, Read as _, Write as _};

use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use flate2::{Compression, Crc};

/// The header of a gzip member (RFC 1952, 2.3): magic, deflate, no flags, no time, fastest, Unix.
const GZIP_HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 3];
/// An empty last block (RFC 1951, 3.2.3): final bit, fixed codes, end of block.
const LAST_BLOCK: [u8; 2] = [3, 0];

/// How the body is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Encoding {
    /// As text.
    #[default]
    Identity,
    /// As one gzip member.
    Gzip,
}

impl Encoding {
    /// Chooses by an `Accept-Encoding` header (RFC 9110, 12.5.3): gzip where it is named, or meant by `*`, with a
    /// weight above 0.
    #[must_use]
    pub fn accepted(header: &str) -> Self {
        let weight = |name: &str| {
            header.split(',').find_map(|item| {
                let (coding, parameters) = item.split_once(';').unwrap_or((item, "q=1"));
                let q = parameters.trim().strip_prefix("q=").and_then(|q| q.trim().parse::<f32>().ok());
                coding.trim().eq_ignore_ascii_case(name).then(|| q.unwrap_or(0.0))
            })
        };
        match weight("gzip").or_else(|| weight("*")) {
            Some(q) if q > 0.0 => Self::Gzip,
            _ => Self::Identity,
        }
    }
}

/// A part of the page, deflated up to a byte boundary, without a last block.
#[derive(Debug, Default)]
pub(super) struct Part {
    deflated: Vec<u8>,
    crc: Crc,
}

impl Part {
    /// Lays another part behind this one.
    pub(super) fn append(&mut self, next: &Self) {
        self.deflated.extend_from_slice(&next.deflated);
        self.crc.combine(&next.crc);
    }
}

/// Writes a part. It gathers nothing: what is handed over should be larger than a line.
pub(super) struct PartWriter {
    encoder: DeflateEncoder<Vec<u8>>,
    crc: Crc,
}

impl PartWriter {
    pub(super) fn new() -> Self {
        Self { encoder: DeflateEncoder::new(Vec::new(), Compression::fast()), crc: Crc::new() }
    }

    pub(super) fn write(&mut self, text: &[u8]) -> io::Result<()> {
        self.crc.update(text);
        self.encoder.write_all(text)
    }

    pub(super) fn finish(mut self) -> io::Result<Part> {
        self.encoder.flush()?;
        // Taken out, so that the encoder's own end goes nowhere.
        let deflated = std::mem::take(self.encoder.get_mut());
        Ok(Part { deflated, crc: self.crc })
    }
}

/// The parts one after another, as one body.
pub(super) fn join(parts: &[&Part], encoding: Encoding) -> io::Result<Vec<u8>> {
    match encoding {
        Encoding::Identity => {
            let mut text = Vec::new();
            for part in parts {
                DeflateDecoder::new(part.deflated.chain(&LAST_BLOCK[..])).read_to_end(&mut text)?;
            }
            Ok(text)
        }
        Encoding::Gzip => Ok(gzip(parts)),
    }
}

fn gzip(parts: &[&Part]) -> Vec<u8> {
    let mut whole = Part { deflated: GZIP_HEADER.to_vec(), crc: Crc::new() };
    for part in parts {
        whole.append(part);
    }
    let Part { deflated: mut body, crc } = whole;
    body.extend_from_slice(&LAST_BLOCK);
    body.extend_from_slice(&crc.sum().to_le_bytes());
    body.extend_from_slice(&crc.amount().to_le_bytes());
    body
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::read::GzDecoder;

    fn part(text: &str) -> Part {
        let mut out = PartWriter::new();
        out.write(text.as_bytes()).unwrap();
        out.finish().unwrap()
    }

    #[test]
    fn parts_join_to_one_gzip_member() {
        let (a, b, c) = (part("one\n"), part(&"many lines\n".repeat(50_000)), part(""));
        let text = join(&[&a, &b, &c], Encoding::Identity).unwrap();
        assert_eq!(text, format!("one\n{}", "many lines\n".repeat(50_000)).into_bytes());
        let body = join(&[&a, &b, &c], Encoding::Gzip).unwrap();
        let mut unpacked = Vec::new();
        // GzDecoder reads a single member and checks its length and sum.
        let mut decoder = GzDecoder::new(body.as_slice());
        decoder.read_to_end(&mut unpacked).unwrap();
        assert_eq!(unpacked, text);
        assert!(decoder.into_inner().is_empty());
    }

    #[test]
    fn gzip_is_taken_where_it_is_offered() {
        for offered in ["gzip", "deflate, gzip;q=0.5", "*", "GZIP ; q=1.0", "br;q=1.0, gzip"] {
            assert_eq!(Encoding::accepted(offered), Encoding::Gzip, "{offered}");
        }
        for refused in ["", "identity", "gzip;q=0", "br", "*;q=0", "gzip;q=0, *", "gzip;q=nonsense"] {
            assert_eq!(Encoding::accepted(refused), Encoding::Identity, "{refused}");
        }
    }
}
