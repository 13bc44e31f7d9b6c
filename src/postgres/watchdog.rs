//! A limit for every answer of the server that is none for the statement.
//!
//! A statement may take hours, and a server that is busy with it is silent meanwhile; so is one that is gone behind a
//! proxy or a firewall that keeps the connection. While a statement has no answer, the server is asked through another
//! connection whether it still works on it. If it does not answer either, or has ended the
//! session, or waits for us, the connection is given up, and the statement fails as on any lost connection. A
//! dead network path without a proxy is found by the kernel (`tcp_user_timeout`).

use super::{Reason, Refusal, Server, Session};
use std::future::Future;
use std::pin::pin;
use std::time::{Duration, Instant};
use tokio::time::{sleep, timeout};
use tokio_postgres::types::ToSql;
use tokio_postgres::{CopyInSink, Error, Row, SimpleQueryMessage, Statement, ToStatement};

/// After so long without an answer the server is asked for the first time.
const FIRST: Duration = Duration::from_secs(40);
/// Between two questions about one statement that the server works on.
const AGAIN: Duration = Duration::from_secs(60);
/// Before a bad answer is believed, the server is asked once more.
const CONFIRM: Duration = Duration::from_secs(5);
/// How long the question may take.
const QUESTION: Duration = Duration::from_secs(12);

/// What is found out about a session from outside.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    /// The server works on the statement, or nothing can be said against it.
    Works,
    /// Nothing comes any more, and why.
    Silent(&'static str),
}

/// Silences of a server before it is given up, with `BETWEEN` from one to the next.
const SILENCES: u32 = 3;
/// Between two looks whether the server answers at all.
const BETWEEN: Duration = Duration::from_secs(15);

/// A server that takes connections and says nothing.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the server at {place} has not answered for {} s", .silent.as_secs())]
pub struct NoAnswer {
    place: String,
    silent: Duration,
}

impl Server {
    /// Returns when the server has stopped to answer new connections: for work in which single statements are not
    /// watched. A server that refuses a connection answers.
    pub async fn watch_answers(&self) -> NoAnswer {
        let mut silences = 0;
        let mut since = Instant::now();
        loop {
            sleep(BETWEEN).await;
            let database = self.target().database().unwrap_or("postgres");
            let asked = timeout(QUESTION, self.connect_once(database, "watchdog")).await;
            let silent = match asked {
                Err(_) => true,
                Ok(Err(error)) => {
                    let refusal = error.downcast_ref::<Refusal>();
                    refusal.is_some_and(|refusal| refusal.reason == Reason::Timeout)
                }
                Ok(Ok(session)) => {
                    session.close().await;
                    false
                }
            };
            if !silent {
                (silences, since) = (0, Instant::now());
                continue;
            }
            silences += 1;
            if silences >= SILENCES {
                let (place, silent) = (self.target().place(), since.elapsed());
                return NoAnswer { place, silent };
            }
        }
    }
}

impl Session {
    /// Waits for the answer to a statement, and gives the connection up when none will come.
    async fn answered<T>(
        &self,
        statement: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let mut statement = pin!(statement);
        let Some(server) = self.server() else {
            return statement.await;
        };
        let mut patience = FIRST;
        let mut doubted = false;
        loop {
            tokio::select! {
                biased;
                done = &mut statement => return done,
                () = sleep(patience) => {}
            }
            let found = tokio::select! {
                biased;
                done = &mut statement => return done,
                found = look(server, self.backend_pid()) => found,
            };
            match found {
                Found::Works => (patience, doubted) = (AGAIN, false),
                Found::Silent(_) if !doubted => (patience, doubted) = (CONFIRM, true),
                Found::Silent(why) => {
                    tracing::error!(
                        "the connection to `{}` at {} is given up: {why}",
                        self.database(),
                        server.target().place()
                    );
                    self.cut(why);
                    return statement.await;
                }
            }
        }
    }

    /// [`tokio_postgres::Client::query`], watched.
    pub async fn query<S: ?Sized + ToStatement + Sync>(
        &self,
        statement: &S,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, Error> {
        self.answered(self.client.query(statement, values)).await
    }

    /// [`tokio_postgres::Client::query_one`], watched.
    pub async fn query_one<S: ?Sized + ToStatement + Sync>(
        &self,
        statement: &S,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<Row, Error> {
        self.answered(self.client.query_one(statement, values))
            .await
    }

    /// [`tokio_postgres::Client::query_opt`], watched.
    pub async fn query_opt<S: ?Sized + ToStatement + Sync>(
        &self,
        statement: &S,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<Option<Row>, Error> {
        self.answered(self.client.query_opt(statement, values))
            .await
    }

    /// [`tokio_postgres::Client::execute`], watched.
    pub async fn execute<S: ?Sized + ToStatement + Sync>(
        &self,
        statement: &S,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<u64, Error> {
        self.answered(self.client.execute(statement, values)).await
    }

    /// [`tokio_postgres::Client::batch_execute`], watched.
    pub async fn batch_execute(&self, sql: &str) -> Result<(), Error> {
        self.answered(self.client.batch_execute(sql)).await
    }

    /// [`tokio_postgres::Client::simple_query`], watched.
    pub async fn simple_query(&self, sql: &str) -> Result<Vec<SimpleQueryMessage>, Error> {
        self.answered(self.client.simple_query(sql)).await
    }

    /// [`tokio_postgres::Client::prepare`], watched.
    pub async fn prepare(&self, sql: &str) -> Result<Statement, Error> {
        self.answered(self.client.prepare(sql)).await
    }

    /// [`tokio_postgres::Client::copy_in`], watched until the server is ready to take rows.
    pub async fn copy_in<S, U>(&self, statement: &S) -> Result<CopyInSink<U>, Error>
    where
        S: ?Sized + ToStatement + Sync,
        U: bytes::Buf + 'static + Send,
    {
        self.answered(self.client.copy_in(statement)).await
    }
}

/// Asks through another connection what a session is doing.
async fn look(server: &Server, pid: i32) -> Found {
    // On the heap: opening a session uses sessions.
    let asked = Box::pin(ask(server, pid));
    match timeout(QUESTION, asked).await {
        Ok(found) => found,
        Err(_) => Found::Silent("the server answers no new connection either"),
    }
}

async fn ask(server: &Server, pid: i32) -> Found {
    let database = server.target().database().unwrap_or("postgres");
    let session = match server.connect_once(database, "watchdog").await {
        Ok(session) => session,
        Err(error) => {
            let reason = error
                .downcast_ref::<Refusal>()
                .map(|refusal| refusal.reason);
            return match reason {
                Some(Reason::NoServer | Reason::Timeout) => {
                    Found::Silent("the server answers no new connection either")
                }
                // It answers, and has its reasons.
                _ => Found::Works,
            };
        }
    };
    let sql = format!("select state from pg_catalog.pg_stat_activity where pid = {pid}");
    let answer = session.client.simple_query(&sql).await;
    session.close().await;
    let Ok(answer) = answer else {
        return Found::Works;
    };
    let row = answer.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row.get(0)),
        _ => None,
    });
    judge(row)
}

/// `state`: of the session, when there is one; nothing where we may not see it.
fn judge(state: Option<Option<&str>>) -> Found {
    match state {
        None => Found::Silent("the server has no such session any more"),
        Some(Some(state)) if state.starts_with("idle") => {
            Found::Silent("the server has answered, and the answer did not arrive")
        }
        Some(_) => Found::Works,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_that_is_gone_or_waits_for_us_has_no_answer_to_come() {
        assert_eq!(judge(Some(Some("active"))), Found::Works);
        // Of another role.
        assert_eq!(judge(Some(None)), Found::Works);
        for gone in [None, Some(Some("idle")), Some(Some("idle in transaction"))] {
            assert!(matches!(judge(gone), Found::Silent(_)), "{gone:?}");
        }
    }
}
