//! An error that says: a disk, or the memory or the connections of the server, are used up.
//!
//! What such a failure leaves behind is dropped at once, where another failure keeps it for the next
//! run: it is the room that is missing. It says what the problem above it says, and a chain shows what is
//! said twice only once.

use crate::postgres::error::Answer;
use crate::schema::run::SqlFailure;
use std::fmt;
use std::io;

/// Beneath the problem that tells the reader about it.
#[derive(Debug)]
pub struct OutOfRoom(pub String);

impl fmt::Display for OutOfRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for OutOfRoom {}

/// Whether an error is one of these: class 53 of the server's codes, or a full disk of this machine.
pub fn is_out_of_room(error: &anyhow::Error) -> bool {
    let is_53 = |code: Option<&str>| code.is_some_and(|code| code.starts_with("53"));
    let no_room = |cause: &(dyn std::error::Error + 'static)| {
        if let Some(failure) = cause.downcast_ref::<SqlFailure>() {
            return is_53(failure.code.as_deref());
        }
        if let Some(answer) = cause.downcast_ref::<Answer>() {
            return is_53(answer.code.as_deref());
        }
        if let Some(error) = cause.downcast_ref::<io::Error>() {
            return error.kind() == io::ErrorKind::StorageFull;
        }
        let answer = cause.downcast_ref::<tokio_postgres::Error>();
        is_53(
            answer
                .and_then(|answer| answer.code())
                .map(|code| code.code()),
        )
    };
    error.downcast_ref::<OutOfRoom>().is_some() || error.chain().any(no_room)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::{Problem, Status, status_of};
    use anyhow::{Context, anyhow};

    #[test]
    fn a_full_disk_is_found_below_its_problem_and_other_failures_are_not_taken_for_one() {
        let full = || anyhow::Error::new(OutOfRoom("disk full".into()));
        let error = full()
            .context(Problem::dependency("disk full"))
            .context("load `a`");
        assert!(is_out_of_room(&error));
        assert_eq!(status_of(&error), Status::Dependency);
        let answer = Answer {
            code: Some("53100".into()),
            message: String::new(),
        };
        assert!(is_out_of_room(
            &anyhow::Error::new(answer).context("put back")
        ));
        let local = Err::<(), _>(io::Error::from(io::ErrorKind::StorageFull));
        assert!(is_out_of_room(&local.context("sort").unwrap_err()));
        assert!(!is_out_of_room(&anyhow!(Problem::dependency("S3 is gone"))));
    }
}
