//! Builds a fresh, immutable, versioned Postgres database from raw files, and moves services onto
//! it only when it is proven good.
//!
//! The run, told once, is also the reading order of the source:
//!
//! 1. `manifest` lists and pins the raw objects; every later read asks for exactly these.
//! 2. `fetch` streams their bytes, resumed and counted, from S3 or a folder.
//! 3. `read` decompresses, cuts into chunks of whole records, parses them into typed values and
//! 4. `encode` writes these as COPY binary rows, on all cores at once.
//! 5. `load` sends them, on one connection for each table or on several; `route` knows the leaf of
//!    a row, and `sort` puts rows in the order of a key.
//!    `measure` counts and hashes them on the way.
//! 6. `schema` runs the numbered SQL, sets indexes and keys aside and puts them back.
//! 7. `build` creates the database, stamps it and, one day, drops it.
//! 8. `verify` asks every gate and seals what passed; only that can be published.
//! 9. `rotate` moves the alias, forward or back, in one transaction with its record in the
//! 10. `ledger`, where an intent stands before each act and a confirmation after.
//!
//! Start with [`nightly`].

pub mod cli;
pub mod nightly;
pub mod operation;

pub mod build;
pub mod capacity;
pub mod config;
pub mod dataset;
pub mod doctor;
pub mod encode;
pub mod fetch;
pub mod hooks;
pub mod infer;
pub mod ledger;
pub mod load;
pub mod manifest;
pub mod measure;
pub mod read;
pub mod retire;
pub mod rotate;
pub mod route;
pub mod schema;
pub mod sort;
pub mod subset;
pub mod verify;

pub mod cpu;
pub mod crashpoint;
pub mod deadline;
pub mod editor_files;
pub mod embedded;
pub mod gate;
pub mod nameless;
pub mod nearest;
pub mod outside;
pub mod postgres;
pub mod printable;
pub mod problem;
pub mod progress;
pub mod room;
pub mod secret;
pub mod switch;
pub mod units;
pub mod vitals;
