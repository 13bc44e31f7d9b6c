//! A move whose truth is the ledger's row: builds keep their names.
//!
//! In: an intent. Out: one transaction that changes the live build, opens its database to the
//! readers and writes the pointer; or nothing has changed. What shows it to services (a pooler, or
//! services that follow the pointer) comes after, and can be repeated.
//!
//! A sealed build is opened to its readers before the transaction, because one of them must be
//! able to look at it before any service is led there. The intent covers that: a build that is
//! found open under an intent is closed again.

use crate::build::allow_connections;
use crate::crashpoint;
use crate::ledger::flips::Flip;
use crate::ledger::{Build, Ledger, Lock, State};
use crate::postgres::quote_ident;
use crate::problem::Problem;
use anyhow::{Context, Result, bail};

/// One move by record.
pub struct Record<'m> {
    pub ledger: &'m Ledger,
    pub alias: &'m str,
    pub readers: &'m [String],
}

impl Record<'_> {
    /// Opens a build to its readers. Returns the name of its database.
    pub async fn open(&self, build: &Build) -> Result<String> {
        let database = database_name(self.ledger, build).await?;
        allow_connections(self.ledger, &database, true).await?;
        self.connect_right("grant", "to", &database).await?;
        crashpoint::reached("flip.after_open");
        Ok(database)
    }

    /// Closes a build that was opened and is not published after all.
    pub async fn close(&self, build: &Build) -> Result<()> {
        if build.state != State::Verified {
            return Ok(());
        }
        let database = database_name(self.ledger, build).await?;
        allow_connections(self.ledger, &database, false).await?;
        self.connect_right("revoke", "from", &database).await
    }

    /// Makes `flip.to_build` the live one.
    pub async fn switch(&self, flip: &Flip, reason: Option<&str>) -> Result<()> {
        self.in_transaction(async || {
            self.ledger.record_switch(self.alias, flip, reason).await?;
            crashpoint::reached("flip.before_commit");
            Ok(())
        })
        .await
    }

    /// Takes a move back. A build that had not been published before is sealed again, and waits.
    pub async fn revert(&self, flip: &Flip, moved: &Build) -> Result<()> {
        let was_sealed = moved.state == State::Verified;
        self.in_transaction(async || {
            self.close(moved).await?;
            self.ledger
                .record_revert(self.alias, flip, was_sealed)
                .await
        })
        .await
    }

    async fn in_transaction(&self, act: impl AsyncFn() -> Result<()>) -> Result<()> {
        self.ledger.begin().await?;
        let acted = async {
            self.ledger.check_lock(self.alias, Lock::Move).await?;
            crashpoint::reached("flip.after_begin");
            act().await
        };
        match acted.await {
            Ok(()) => self.ledger.commit().await.context(
                Problem::dependency(
                    "commit the move: the answer is lost, so its outcome is not known",
                )
                .hint("the next command finds out; `overnight status` shows it"),
            ),
            Err(error) => {
                self.ledger.rollback().await;
                Err(error)
            }
        }
    }

    async fn connect_right(&self, verb: &str, word: &str, database: &str) -> Result<()> {
        for reader in self.readers {
            self.ledger
                .session
                .batch_execute(&format!(
                    "{verb} connect on database {} {word} {}",
                    quote_ident(database),
                    quote_ident(reader)
                ))
                .await
                .with_context(|| format!("{verb} `{reader}` CONNECT on `{database}`"))?;
        }
        Ok(())
    }
}

/// What the database of a build is called: its own name, or, where another router was at work
/// before, the alias.
pub async fn database_name(ledger: &Ledger, build: &Build) -> Result<String> {
    let found = match build.database_oid {
        Some(oid) => crate::build::find_database_by_oid(ledger, oid).await?,
        None => None,
    };
    match found {
        Some(database) if database.name == build.name || database.name == build.dataset => {
            Ok(database.name)
        }
        Some(database) => bail!(Problem::refused(format!(
            "the database of `{}` is called `{}` now; somebody renamed it",
            build.name, database.name
        ))),
        None => bail!(Problem::refused(format!(
            "the database of `{}` is gone",
            build.name
        ))),
    }
}
