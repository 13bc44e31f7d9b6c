//! Bytes of a raw object to encoded rows: unpack, make text, cut into chunks, cut into fields, parse.
//!
//! Everything here is synchronous and pure: no network, no clock, no environment. Decompression
//! and splitting run on one blocking thread for each open object; [`parse`] runs on many threads
//! at once and gives the same rows and rejects as one thread would, in the same order.

#[cfg(any(feature = "parquet", feature = "xlsx"))]
mod calendar;
pub mod container;
pub mod decode;
pub mod delimited;
pub mod dialect;
pub mod encoding;
pub mod faults;
pub mod fixed_width;
mod footer;
pub mod json_lines;
mod json_path;
mod json_scan;
pub mod line_glob;
mod lines;
mod marks;
pub mod money;
pub mod nulls;
#[cfg(feature = "parquet")]
pub mod parquet;
pub mod parse;
pub mod plain;
mod record_end;
pub mod records;
mod row;
mod row_buffer;
pub mod rows;
#[cfg(test)]
mod shape_tests;
pub mod split;
#[cfg(any(feature = "parquet", feature = "xlsx"))]
mod spool;
#[cfg(test)]
mod tests;
pub mod text;
mod transcode;
pub mod value;
#[cfg(feature = "xlsx")]
pub mod xlsx;
pub mod xml;

pub use decode::Compression;
pub use delimited::{CutFault, Cutter, Fields, Place};
pub use dialect::{Dialect, Escape, Footer, Newline, Shape, Skip};
pub use encoding::Encoding;
pub use split::{Chunk, Position, SplitError, Splitter};
