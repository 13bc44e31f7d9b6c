//! Measures tables from the rows of binary COPY: on their way in, and again on their way out.
//!
//! In: rows as `COPY … (FORMAT binary)` has them, and a [`RowShape`] that says what each field is. Out: a
//! [`TableProfile`]: exact counts and digests of all rows, figures of a sample of them, never a value.
//! Pure functions without a clock or a connection, and the same ones for both directions, so that what the
//! load has measured can be compared with what the server returns.
//!
//! **The digest.** The hash of a field is XXH3-64 with seed 0 over the bytes that the server's send function
//! gives, with two exceptions that make the two directions equal: `char(n)` without the trailing
//! spaces, which the server adds, and `numeric` without groups of zeros at its ends, which the server takes off, and,
//! as `numeric(p,s)`, without its scale, which the server sets. The digest of a column is
//! the sum of the hashes of its values; the hash of a row mixes those of its fields, each multiplied by a number of its
//! position; the digest of a table is the sum of those of its rows. Sums do not depend on the order
//! of rows, and none of it on the version of the server.

mod collector;
mod digest;
mod field;
mod figures;
mod profile;
mod sample;

pub use collector::{Collector, FEW_ROWS, RowShape};
pub use field::{FieldKind, FieldShape};
pub use profile::{
    ColumnProfile, KEYS, METHOD, Moved, NumberFigures, Sketch, TableProfile, TextFigures,
};
