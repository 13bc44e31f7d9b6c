//! What the bytes of an object add up to: a SHA-256 to record, and the store's own checksum.
//!
//! In: the bytes of one pinned object, in order, from whoever decodes them (fetching only moves
//! bytes and computes nothing). Out: the SHA-256 in hex, or an error if the count of bytes or the
//! checksum that the store keeps for the whole object differs.
//!
//! A checksum of a multipart upload that is a checksum of checksums is no checksum of the content;
//! such a value never gets this far.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crc_fast::CrcAlgorithm;
use md5::{Digest as _, Md5};
use ring::digest::{Context, SHA256};

use super::{Checksum, ChecksumKind, FetchError, RawObject, Result};
use crate::switch;

/// Sums up one object while it is read.
pub struct Digest {
    key: String,
    size: u64,
    bytes: u64,
    sha256: Context,
    stored: Option<Checksum>,
    crc: Option<crc_fast::Digest>,
    md5: Option<Md5>,
}

impl Digest {
    /// Starts at the first byte of `object`.
    pub fn new(object: &RawObject) -> Digest {
        let algorithm = object.checksum.as_ref().and_then(|sum| match sum.kind {
            ChecksumKind::Crc64Nvme => Some(CrcAlgorithm::Crc64Nvme),
            // The catalogue of CRCs calls them so: the one of gzip, the one of iSCSI.
            ChecksumKind::Crc32 => Some(CrcAlgorithm::Crc32IsoHdlc),
            ChecksumKind::Crc32c => Some(CrcAlgorithm::Crc32Iscsi),
            ChecksumKind::Sha256 | ChecksumKind::Md5 => None,
        });
        let is_md5 = |sum: &Checksum| sum.kind == ChecksumKind::Md5;
        let md5 = object.checksum.as_ref().is_some_and(is_md5);
        Digest {
            key: object.key.clone(),
            size: object.size,
            bytes: 0,
            sha256: Context::new(&SHA256),
            stored: object.checksum.clone(),
            crc: algorithm.map(crc_fast::Digest::new),
            md5: md5.then(Md5::new),
        }
    }

    /// Adds the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        self.sha256.update(bytes);
        if let Some(crc) = &mut self.crc {
            crc.update(bytes);
        }
        if let Some(md5) = &mut self.md5 {
            md5.update(bytes);
        }
    }

    /// Bytes added so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Ends at the last byte and returns the SHA-256 of all bytes in lower case hex.
    ///
    /// # Errors
    /// [`FetchError::Truncated`] if not every byte was added, [`FetchError::Corrupt`] if the
    /// checksum that the store keeps differs.
    pub fn finish(self) -> Result<String> {
        if self.bytes != self.size && switch::on("fetch.size") {
            return Err(FetchError::Truncated {
                key: self.key,
                expected: self.size,
                received: self.bytes,
                detail: "not every byte was consumed".to_owned(),
            });
        }
        let sha256 = self.sha256.finish();
        if let Some(stored) = self.stored {
            let computed = match (stored.kind, self.crc) {
                (ChecksumKind::Md5, _) => {
                    let md5 = self.md5.map(Md5::finalize);
                    md5.map_or_else(String::new, |md5| STANDARD.encode(md5))
                }
                (ChecksumKind::Crc64Nvme, Some(crc)) => {
                    STANDARD.encode(crc.finalize().to_be_bytes())
                }
                // The 32-bit sums come in the low half.
                (_, Some(crc)) => STANDARD.encode((crc.finalize() as u32).to_be_bytes()),
                (_, None) => STANDARD.encode(sha256.as_ref()),
            };
            if computed != stored.base64 && switch::on("fetch.checksum") {
                return Err(FetchError::Corrupt {
                    key: self.key,
                    kind: stored.kind,
                    stored: stored.base64,
                    computed,
                });
            }
        }
        Ok(hex(sha256.as_ref()))
    }
}

/// The MD5 that an entity tag is, as a checksum; `None` for a tag that is none.
pub(super) fn md5_of_tag(tag: &str) -> Option<Checksum> {
    let digits = tag.as_bytes();
    if digits.len() != 32 {
        return None;
    }
    let mut sum = Vec::with_capacity(16);
    for pair in digits.chunks(2) {
        let pair = std::str::from_utf8(pair).ok()?;
        // `from_str_radix` takes a sign.
        if !pair.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        sum.push(u8::from_str_radix(pair, 16).ok()?);
    }
    Some(Checksum {
        kind: ChecksumKind::Md5,
        base64: STANDARD.encode(sum),
    })
}

/// CRC-64/NVME of bytes that come one after the other.
pub(super) struct Sum(crc_fast::Digest);

impl Default for Sum {
    fn default() -> Sum {
        Sum(crc_fast::Digest::new(CrcAlgorithm::Crc64Nvme))
    }
}

impl std::fmt::Debug for Sum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.base64())
    }
}

impl Sum {
    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// As S3 writes it in a header.
    pub(super) fn base64(&self) -> String {
        STANDARD.encode(self.0.clone().finalize().to_be_bytes())
    }
}

/// CRC-64/NVME of `bytes` as S3 writes it in a header.
pub(super) fn crc64nvme(bytes: &[u8]) -> String {
    STANDARD.encode(crc_fast::checksum(CrcAlgorithm::Crc64Nvme, bytes).to_be_bytes())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fetch::Version;

    fn object(kind: ChecksumKind, base64: &str) -> RawObject {
        RawObject {
            key: "check".to_owned(),
            version: Version::Object {
                id: None,
                etag: None,
            },
            size: 9,
            modified: jiff::Timestamp::UNIX_EPOCH,
            checksum: Some(Checksum {
                kind,
                base64: base64.to_owned(),
            }),
        }
    }

    #[test]
    fn only_an_entity_tag_of_an_md5_is_taken_for_one() {
        // The MD5 of nothing: RFC 1321, appendix A.5.
        let sum = md5_of_tag("d41d8cd98f00b204e9800998ecf8427e").unwrap();
        assert_eq!(sum.base64, STANDARD.encode(Md5::digest(b"")));
        for tag in [
            "",
            "0x8D4BCC2E4835CD0",
            "d41d8cd98f00b204e9800998ecf8427e-2",
            "d41d8cd98f00b204e9800998ecf842+e",
        ] {
            assert_eq!(md5_of_tag(tag), None, "{tag}");
        }
    }

    /// The check values of the catalogue of CRCs, for the nine bytes `123456789`.
    #[test]
    fn every_kind_accepts_its_check_value_and_refuses_another() {
        let sha256 = "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225";
        for (kind, value) in [
            (
                ChecksumKind::Crc64Nvme,
                0xae8b_1486_0a79_9888_u64.to_be_bytes().to_vec(),
            ),
            (ChecksumKind::Crc32, 0xcbf4_3926_u32.to_be_bytes().to_vec()),
            (ChecksumKind::Crc32c, 0xe306_9283_u32.to_be_bytes().to_vec()),
            (
                ChecksumKind::Sha256,
                ring::digest::digest(&SHA256, b"123456789")
                    .as_ref()
                    .to_vec(),
            ),
            (ChecksumKind::Md5, Md5::digest(b"123456789").to_vec()),
        ] {
            let stored = STANDARD.encode(value);
            let mut good = Digest::new(&object(kind, &stored));
            good.update(b"1234");
            good.update(b"56789");
            assert_eq!(good.finish().unwrap(), sha256, "{kind}");

            let mut bad = Digest::new(&object(kind, &stored));
            bad.update(b"123456780");
            let error = bad.finish().unwrap_err();
            assert!(matches!(error, FetchError::Corrupt { .. }), "{kind}");
            assert!(error.to_string().contains(&kind.to_string()), "{error}");

            let mut short = Digest::new(&object(kind, &stored));
            short.update(b"12345678");
            let error = short.finish().unwrap_err();
            assert!(matches!(
                error,
                FetchError::Truncated {
                    expected: 9,
                    received: 8,
                    ..
                }
            ));
        }
    }
}
