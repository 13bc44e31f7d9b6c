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
mod postgres;
mod s3;
mod schema;
mod operators;
mod retire;
mod rollback;
mod rotation;
mod s3;
mod signals;
mod support;
