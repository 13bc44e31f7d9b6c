//! Files of every spelling that a source can declare, and what is said about those that do not fit.

mod before_the_load;
mod broken_files;
mod broken_records;
mod configuration;
mod containers;
mod headers;
mod spellings;
mod types;

use std::io::Write;

/// One gzip member.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

/// One zstd frame.
pub fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}
