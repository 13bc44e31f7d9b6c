//! What went wrong, for the exit status and for the reader.
//!
//! A [`Problem`] is an error with a [`Status`] and, where there is something to do, a hint.
//! It stands anywhere in an `anyhow` chain; [`status_of`] finds the outermost one. An error
//! without a `Problem` is a failed dependency (S3, Postgres, disk), which is what most plain
//! errors are.

use crate::postgres::error::Answer;
use crate::schema::run::SqlFailure;
use std::fmt;

/// Exit statuses of the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// A gate said no, or rejects went over the budget; the alias was not touched.
    Refused = 1,
    /// The command line or a configuration file is wrong.
    Usage = 2,
    /// S3, Postgres or the disk failed.
    Dependency = 3,
    /// Another run holds the lock (`EX_TEMPFAIL` of sysexits.h).
    Busy = 75,
}

/// An error that knows its exit status and what the reader can do.
#[derive(Debug, Clone)]
pub struct Problem {
    status: Status,
    text: String,
    hint: Option<String>,
}

impl Problem {
    /// The data or a gate said no: exit status 1.
    pub fn refused(text: impl Into<String>) -> Self {
        Self::new(Status::Refused, text)
    }

    /// Wrong usage or configuration: exit status 2.
    pub fn usage(text: impl Into<String>) -> Self {
        Self::new(Status::Usage, text)
    }

    /// A dependency failed: exit status 3.
    pub fn dependency(text: impl Into<String>) -> Self {
        Self::new(Status::Dependency, text)
    }

    /// Another run is at work: exit status 75.
    pub fn busy(text: impl Into<String>) -> Self {
        Self::new(Status::Busy, text)
    }

    fn new(status: Status, text: impl Into<String>) -> Self {
        Problem {
            status,
            text: text.into(),
            hint: None,
        }
    }

    /// Adds what the reader can do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Problem {}

/// Every `Problem` of an error chain, outermost first.
///
/// `anyhow` hides a context type behind its own wrapper, so the chain alone does not show it.
fn problem_of(error: &anyhow::Error) -> Option<&Problem> {
    error
        .downcast_ref::<Problem>()
        .or_else(|| error.chain().find_map(|cause| cause.downcast_ref()))
}

/// The exit status that an error asks for.
pub fn status_of(error: &anyhow::Error) -> Status {
    if let Some(problem) = problem_of(error) {
        return problem.status;
    }
    error
        .chain()
        .find_map(sqlstate_of)
        .map_or(Status::Dependency, |code| match code.get(..2) {
            Some("22" | "23" | "P0") => Status::Refused,
            Some("42" | "0A" | "2B") => Status::Usage,
            _ => Status::Dependency,
        })
}

/// The SQLSTATE of an error of the server, or of a numbered file.
fn sqlstate_of<'e>(cause: &'e (dyn std::error::Error + 'static)) -> Option<&'e str> {
    if let Some(failure) = cause.downcast_ref::<SqlFailure>() {
        return failure.code.as_deref();
    }
    if let Some(answer) = cause.downcast_ref::<Answer>() {
        return answer.code.as_deref();
    }
    let answer = cause.downcast_ref::<tokio_postgres::Error>()?;
    answer.code().map(tokio_postgres::error::SqlState::code)
}

/// What the reader can do, where the error knows it.
pub fn hint_of(error: &anyhow::Error) -> Option<&str> {
    problem_of(error).and_then(|problem| problem.hint.as_deref())
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::{Context, anyhow};

    #[test]
    fn a_problem_is_found_below_a_context_and_as_a_context() {
        let below = anyhow!(Problem::refused("3 rejects").hint("look")).context("load `price`");
        assert_eq!(status_of(&below), Status::Refused);
        assert_eq!(hint_of(&below), Some("look"));
        let above: anyhow::Error = Err::<(), _>(anyhow!("no such file"))
            .context(Problem::usage("read `overnight.toml`"))
            .unwrap_err();
        assert_eq!(status_of(&above), Status::Usage);
        assert_eq!(
            status_of(&anyhow!("refused connection")),
            Status::Dependency
        );
    }
}
