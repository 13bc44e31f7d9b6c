//! A run that lost its server says so, before whatever it was doing at that moment.

use crate::ledger::Ledger;
use crate::operation::Workplace;
use crate::postgres::NoAnswer;
use crate::postgres::error::{Answer, CONNECTION_FAILURE, code_of, is_lost_code};
use crate::problem::{Problem, Status, status_of};
use crate::progress::Progress;
use crate::schema::run::SqlFailure;
use anyhow::Error;
use tokio_postgres::error::SqlState;

/// Names the server where a lost connection ended the work.
pub(super) fn name_the_server(
    place: &Workplace,
    ledger: &Ledger,
    progress: &Progress,
    error: Error,
) -> Error {
    if status_of(&error) != Status::Dependency || error.is::<Problem>() {
        return error;
    }
    let Some(code) = lost_code(&error) else {
        return error;
    };
    let stage = progress.snapshot().map_or("plan", |now| now.stage);
    let server = place.server.target().place();
    let is_alone = code == SqlState::ADMIN_SHUTDOWN.code() && !ledger.session.is_closed();
    let text = match is_alone {
        true => format!("a session was ended at {server} during the stage `{stage}`"),
        false => format!("the server at {server} went away during the stage `{stage}`"),
    };
    let hint = "the alias was not touched; look at the log of the server and at its disks, then start the same \
                command again: it resumes where tables are loaded";
    error.context(Problem::dependency(text).hint(hint))
}

/// With which code a connection was lost, if that is what happened.
pub(super) fn lost_code(error: &Error) -> Option<String> {
    let code = |cause: &(dyn std::error::Error + 'static)| {
        if let Some(failure) = cause.downcast_ref::<SqlFailure>() {
            return failure.code.clone();
        }
        if let Some(answer) = cause.downcast_ref::<Answer>() {
            return answer.code.clone();
        }
        if cause.is::<NoAnswer>() {
            return Some(CONNECTION_FAILURE.to_owned());
        }
        code_of(cause.downcast_ref()?).map(str::to_owned)
    };
    let mut codes = error.chain().filter_map(code);
    codes.find(|code| is_lost_code(code))
}
