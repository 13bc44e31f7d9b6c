//! A subset as one file: `tar` in `zstd`, the same bytes for the same subset.
//!
//! Written: `subset.json` (`Head`), then for each table its rows as binary COPY, cut into members
//! `data/TABLE/BLOCK`, then `end.json` with the SHA-256 of everything before. Members carry no time and no
//! owner. Read: from front to back, in blocks; an artifact without its end, or with another digest, is
//! refused before anybody can see what was restored. No member's name is ever used as a path.

mod read;
mod write;

pub use read::Reader;
pub use write::Writer;

use crate::dataset::hex;
use bytes::Bytes;
use ring::digest::SHA256;
use serde::{Deserialize, Serialize};

/// Members that wait between threads.
const WAITING: usize = 4;

/// What ends an artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct End {
    /// SHA-256 of `subset.json`.
    head: String,
    /// SHA-256 of the rows of each table.
    tables: Vec<String>,
}

struct Member {
    name: String,
    bytes: Bytes,
}

fn sha256(bytes: &[u8]) -> String {
    hex(ring::digest::digest(&SHA256, bytes).as_ref())
}
