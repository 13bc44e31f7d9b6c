//! A small copy of a build that behaves like it: every key leads somewhere, the same rows every day.
//!
//! In: a build and the rules of its dataset. Out: a database, or an artifact from which one is made.
//! The order is: [`catalog`] reads tables and references, [`rules`] are held against it, [`closure`]
//! chooses rows in the server and says why ([`plan`]), `export` copies them out, masked (`mask`),
//! into a database ([`recipient`]) or an [`artifact`], and [`place`] puts the database under its name.
//!
//! Under one snapshot throughout; the build is never written to. What is chosen is decided by hashes of
//! keys and by references alone, never by the order in which rows lie or statements run.

pub mod artifact;
pub mod catalog;
pub mod closure;
pub mod drop;
mod export;
pub mod head;
mod mask;
pub mod place;
pub mod plan;
pub mod recipient;
pub mod refuse;
pub mod rules;
mod statement;
