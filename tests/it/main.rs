//! Stories told with the real binary, against a real server and a real S3 endpoint.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod access;
mod architecture;
mod disk;
mod fetch;
mod folder;
mod generator;
mod kill;
mod locks;
mod nights;
mod operators;
mod postgres;
mod retire;
mod rollback;
mod s3;
mod schema;
mod signals;
mod support;
