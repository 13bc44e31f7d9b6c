//! What a server has left: disk, log, connections. For whoever must not take the last of it.
//!
//! In: a session without superuser. Out: numbers, and where they come from. What a role may not see
//! is `None`, never a guess: the callers say so to the operator.

pub mod clock;
pub mod disk;
pub mod log;
pub mod sessions;
