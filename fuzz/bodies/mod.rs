//! What each fuzz target does with one input.
//!
//! In: any bytes. Out: nothing, or a panic where the program breaks a promise: it panics itself, hands
//! out more than its limits allow, takes more steps than the size of the input explains, or reads a
//! file differently when its bytes come in other pieces. The first bytes of an input choose options,
//! the others are the file.
//!
//! These functions know nothing of a fuzzer: `fuzz_targets/` runs them under one, and the tests of
//! the program run them over the corpus.

pub mod containers;
pub mod delimited;
pub mod encoders;
pub mod fixed_width;
mod input;
pub mod json_lines;
#[cfg(feature = "parquet")]
pub mod parquet;
mod parsed;
pub mod split;
pub mod sql;
mod text;
pub mod transcode;
pub mod values;
#[cfg(feature = "xlsx")]
pub mod xlsx;
pub mod xml;

/// A target: its name, which is that of its corpus, and its body.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: &[Target] = &[
    ("split", split::split),
    ("delimited", delimited::delimited),
    ("fixed_width", fixed_width::fixed_width),
    ("json_lines", json_lines::json_lines),
    ("xml", xml::xml),
    #[cfg(feature = "xlsx")]
    ("xlsx", xlsx::xlsx),
    #[cfg(feature = "parquet")]
    ("parquet", parquet::parquet),
    ("values", values::values),
    ("encoders", encoders::encoders),
    ("containers", containers::containers),
    ("transcode", transcode::transcode),
    ("sql", sql::sql),
];
