//! The live build, for the gates that compare the candidate with it.
//!
//! A rotation or a rollback may run at any moment. It ends the sessions in the live build and
//! renames its database. So a session here follows a build by its OID in the ledger, and a question
//! whose session was ended is asked again. If another build becomes the live one, the answer does not count:
//! [`Moved`] makes [`verify`](super::verify) compare with the new one. A failure of the other build says nothing
//! about the candidate: it has status 3, so that the candidate is kept for the next run.

use crate::build::{Database, find_database_by_oid};
use crate::ledger::{Build, Ledger};
use crate::postgres::{
    Reason, Refusal, Session, explain_chain, find_error, is_connection_lost, sqlstate,
};
use crate::problem::{Problem, Status, hint_of, status_of};
use anyhow::{Error, Result, anyhow};
use std::borrow::Borrow;
use std::time::Duration;

/// How often a question is asked whose session was ended.
const ATTEMPTS: u32 = 12;
/// Before the second attempt; doubles up to `LONGEST_PAUSE`. Together about 20 s, ten times what a
/// move may keep a connection waiting.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(3);
/// How long a session that has reported its end may need to be closed.
const CLOSING: Duration = Duration::from_millis(500);

/// Another build became the live one while it was compared with.
#[derive(Debug, thiserror::Error)]
#[error("another build became the live one")]
pub struct Moved;

/// The build behind the alias at one moment.
pub struct Live<'c> {
    ledger: &'c Ledger,
    dataset: &'c str,
    id: Option<i64>,
    /// The live build, unless it is the candidate itself.
    pub build: Option<Build>,
}

/// Why a question has no answer.
enum Failed {
    /// The session ended, or could not be opened yet.
    Passing(Error),
    /// The other build cannot be asked.
    Other(Error),
    /// The question itself failed, with its session alive.
    Question(Error),
}

impl<'c> Live<'c> {
    /// Reads which build is live.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub async fn read(ledger: &'c Ledger, candidate: &'c Build) -> Result<Live<'c>> {
        let dataset = candidate.dataset.as_str();
        let id = ledger.dataset(dataset).await?.live_build;
        let build = match id.filter(|id| *id != candidate.id) {
            Some(id) => Some(ledger.build(id).await?),
            None => None,
        };
        Ok(Live {
            ledger,
            dataset,
            id,
            build,
        })
    }

    /// Whether another build is live now.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub async fn has_moved(&self) -> Result<bool> {
        Ok(self.ledger.dataset(self.dataset).await?.live_build != self.id)
    }

    /// Opens a session in `build` under the name that its database has now, and asks `ask` there; opens
    /// another one and asks again when the session was ended.
    ///
    /// # Errors
    /// [`Moved`] when another build is live now; status 3 when `build` cannot be asked; what `ask` fails with in
    /// a session that is alive.
    pub async fn ask<S: Borrow<Session>, T>(
        &self,
        build: &Build,
        open: impl AsyncFn(&Database) -> Result<S>,
        ask: impl AsyncFn(&S) -> Result<T>,
    ) -> Result<T> {
        let mut pause = FIRST_PAUSE;
        let mut attempt = 1;
        loop {
            let (error, again) = match self.ask_once(build, &open, &ask).await {
                Ok(answer) => return Ok(answer),
                Err(Failed::Question(error)) => return Err(error),
                Err(Failed::Passing(error)) => (error, attempt < ATTEMPTS),
                Err(Failed::Other(error)) => (error, false),
            };
            // Not asked over a session that may be lost as well: then the error in hand is the cause.
            if self.has_moved().await.unwrap_or(false) {
                return Err(Error::new(Moved));
            }
            let why = explain_chain(&error);
            if !again {
                return Err(unanswered(build, &error));
            }
            tracing::info!("`{}` is asked again: {why}", build.name);
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            attempt += 1;
        }
    }

    async fn ask_once<S: Borrow<Session>, T>(
        &self,
        build: &Build,
        open: &impl AsyncFn(&Database) -> Result<S>,
        ask: &impl AsyncFn(&S) -> Result<T>,
    ) -> Result<T, Failed> {
        let oid = build.database_oid.unwrap_or_default();
        let found = find_database_by_oid(self.ledger, oid).await;
        let database = found
            .map_err(Failed::Question)?
            .ok_or_else(|| Failed::Other(anyhow!("its database is gone")))?;
        let session = open(&database)
            .await
            .map_err(|error| match passes(&error) {
                true => Failed::Passing(error),
                false => Failed::Other(error),
            })?;
        // The name may have become that of another database meanwhile.
        let here = session
            .borrow()
            .query_one(
                "select oid from pg_database where datname = current_database()",
                &[],
            )
            .await
            .map_err(|error| Failed::Passing(error.into()))?;
        if here.get::<_, u32>(0) != oid {
            return Err(Failed::Passing(anyhow!(
                "its database has another name now"
            )));
        }
        // A session that was opened after the move is in a build that is not live any more.
        if self.has_moved().await.map_err(Failed::Question)? {
            return Err(Failed::Passing(Error::new(Moved)));
        }
        match ask(&session).await {
            Ok(answer) => Ok(answer),
            Err(error) if is_gone(session.borrow(), &error).await => Err(Failed::Passing(error)),
            Err(error) => Err(Failed::Question(error)),
        }
    }
}

/// The other build has no answer. The causes become text: a full disk or a missing right there must not
/// be taken for one of the candidate.
fn unanswered(build: &Build, error: &Error) -> Error {
    // What only the configuration can cure keeps its status and its hint.
    if status_of(error) == Status::Usage && find_error(error).is_none() {
        let usage = Problem::usage(explain_chain(error));
        return match hint_of(error) {
            Some(hint) => usage.hint(hint).into(),
            None => usage.into(),
        };
    }
    let text = format!("ask `{}`: {}", build.name, explain_chain(error));
    Problem::dependency(text)
        .hint("the new build is kept; when that build can be asked again, the next run compares with it")
        .into()
}

/// Whether opening a session may succeed a moment later: the alias is being moved.
fn passes(error: &Error) -> bool {
    match error.downcast_ref::<Refusal>() {
        Some(refusal) => !matches!(
            refusal.reason,
            Reason::Password | Reason::NotAllowed | Reason::Tls | Reason::Unsuitable
        ),
        None => status_of(error) == Status::Dependency,
    }
}

/// Whether a question failed because its session was ended.
async fn is_gone(session: &Session, error: &Error) -> bool {
    // The server's last message comes a moment before the end of the connection.
    let reported = find_error(error).is_some_and(|error| {
        is_connection_lost(error) || matches!(sqlstate(error), Some("3D000" | "55000"))
    });
    let end = tokio::time::Instant::now() + CLOSING;
    while reported && !session.is_closed() && tokio::time::Instant::now() < end {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    session.is_closed()
}
