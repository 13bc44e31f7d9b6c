//! Stories told with the real binary, against a real server and a real S3 endpoint.

mod access;
mod fetch;
mod folder;
mod generator;
mod nights;
mod s3;
mod support;
