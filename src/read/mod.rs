//! Bytes of a raw object to encoded rows: unpack, cut into chunks, cut into fields, parse.
//!
//! Everything here is synchronous and pure: no network, no clock, no environment. Decompression
//! and splitting run on one blocking thread for each open object; [`parse`] runs on many threads
//! at once and gives the same rows and rejects as one thread would, in the same order.

pub mod container;
pub mod decode;
pub mod delimited;
pub mod dialect;
pub mod encoding;
mod marks;
mod money;
pub mod nulls;
pub mod parse;
mod plain;
mod record_end;
mod row;
mod row_buffer;
pub mod split;
#[cfg(test)]
mod tests;

pub use decode::Compression;
pub use delimited::{CutFault, Cutter, Fields, Place};
pub use dialect::{Dialect, Escape, Newline};
pub use encoding::{Encoding, whole_chunk_is_utf8};
pub use split::{Chunk, Position, SplitError, Splitter};
