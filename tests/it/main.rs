//! Stories told with the real binary, against a real server and a real S3 endpoint.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_macros,
    reason = "a test fails by panicking, and prints for its reader"
)]

mod access;
mod adopt;
mod approval;
mod architecture;
mod audit;
mod bench;
mod brake;
mod canary;
mod change;
mod check;
mod check_files;
mod checks;
mod compat;
mod conformance;
mod copy_format;
mod deadline;
mod demo;
mod disk;
mod doctor;
mod encoders;
mod external;
mod fetch;
mod folder;
mod formats;
mod fuzz;
mod gates;
mod generator;
mod golden;
mod groups;
mod guards;
mod health;
mod hints;
mod hooks;
mod infer;
mod init;
mod inputs;
mod kill;
mod live_moves;
mod locks;
mod measure;
mod messages;
mod mistakes;
mod moves;
mod nights;
mod operators;
mod output;
mod overlap;
mod own_gates;
mod pointer;
mod pooler;
mod postgres;
mod preconditions;
mod reference;
mod refused;
mod rejects;
mod replicas;
mod resume;
mod retire;
mod rollback;
mod rotation;
mod route;
mod runs;
mod s3;
mod s3_nights;
mod schedule;
mod schema;
mod serial;
mod services;
mod signals;
mod stalls;
mod streams;
mod subset;
mod support;
mod texts;
mod timings;
mod torture;
mod unchanged;
mod values;
mod waiting;
