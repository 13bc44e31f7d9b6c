//! What the stories need: one private server for all tests, a project of their own for each, and
//! the real binary.

pub mod cluster;
pub mod database;
pub mod invariants;
pub mod listener;
pub mod pooler;
pub mod project;
pub mod proxy;
pub mod stall;
pub mod standby;

pub use cluster::cluster;
pub use invariants::check_invariants;
pub use project::{Ended, Project};
