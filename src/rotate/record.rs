//! A move whose truth is the ledger's row: builds keep their names.
//!
//! In: an intent for each alias. Out: one transaction that changes the live builds and writes the
//! pointers; or nothing has changed. What shows it to services (a pooler, or
//! services that follow the pointer) comes after, and can be repeated.
//!
//! A sealed build is opened to its readers before the transaction, because one of them must be
//! able to look at it before any service is led there. The intent covers that: a build that is
//! found open under an intent is closed again.

use super::{Step, outcome};
use crate::build::{allow_connections, find_database_by_oid};
use crate::crashpoint;
use crate::ledger::{Build, Ledger, Lock, State};
use crate::postgres::quote_ident;
use crate::problem::Problem;
use anyhow::{Context, Result, bail};
use std::time::Duration;

/// One alias of a move by record.
pub struct Record<'m> {
    pub ledger: &'m Ledger,
    pub readers: &'m [String],
}

impl Record<'_> {
    /// Opens a build to its readers. Returns the name of its database.
    pub async fn open(&self, build: &Build) -> Result<String> {
        let database = database_name(self.ledger, build).await?;
        allow_connections(self.ledger, &database, true).await?;
        for reader in self.readers {
            let (database, reader) = (quote_ident(&database), quote_ident(reader));
            self.ledger
                .session
                .batch_execute(&format!("grant connect on database {database} to {reader}"))
                .await
                .with_context(|| format!("let {reader} connect"))?;
        }
        crashpoint::reached("flip.after_open");
        Ok(database)
    }
}

/// Closes a build that was opened for a look and is not published after all: it waits sealed again,
/// and nobody but its owner has a right to connect.
pub async fn close(ledger: &Ledger, build: &Build) -> Result<()> {
    let Some(oid) = build
        .database_oid
        .filter(|_| build.state == State::Verified)
    else {
        return Ok(());
    };
    let Some(database) = find_database_by_oid(ledger, oid).await? else {
        return Ok(());
    };
    allow_connections(ledger, &database.name, false).await?;
    let readers = ledger
        .session
        .query(
            "select distinct r.rolname::text from pg_database d, aclexplode(d.datacl) a
             join pg_roles r on r.oid = a.grantee where d.oid = $1 and r.oid <> d.datdba",
            &[&oid],
        )
        .await
        .context("ask who may connect")?;
    for row in readers {
        let reader: String = row.get(0);
        ledger
            .session
            .batch_execute(&format!(
                "revoke all on database {} from {}",
                quote_ident(&database.name),
                quote_ident(&reader)
            ))
            .await
            .with_context(|| format!("keep `{reader}` out of `{}`", database.name))?;
    }
    Ok(())
}

/// Makes what each step moves to the live one, all in one transaction.
pub async fn switch(
    ledger: &Ledger,
    steps: &[Step<'_>],
    reason: Option<&str>,
    limit: Duration,
) -> Result<()> {
    in_transaction(ledger, steps, limit, async || {
        let mut last = Vec::new();
        for step in steps {
            let dataset = &step.dataset.name;
            last.extend(ledger.record_switch(dataset, &step.flip, reason).await?);
        }
        crashpoint::reached("flip.before_commit");
        Ok(last)
    })
    .await
}

/// Takes a move back. A build that had not been published before is sealed again, and waits.
pub async fn revert(ledger: &Ledger, steps: &[Step<'_>], limit: Duration) -> Result<()> {
    in_transaction(ledger, steps, limit, async || {
        let mut last = Vec::new();
        for step in steps {
            let was_sealed = step.to.state == State::Verified;
            close(ledger, &step.to).await?;
            let dataset = &step.dataset.name;
            last.extend(
                ledger
                    .record_revert(dataset, &step.flip, was_sealed)
                    .await?,
            );
        }
        Ok(last)
    })
    .await
}

/// Other commands wait for the rows that this changes, so the server ends it within `limit`.
async fn in_transaction(
    ledger: &Ledger,
    steps: &[Step<'_>],
    limit: Duration,
    act: impl AsyncFn() -> Result<Vec<String>>,
) -> Result<()> {
    let acted = async {
        ledger.begin_limited(limit).await?;
        for step in steps {
            ledger.check_lock(&step.dataset.name, Lock::Move).await?;
        }
        crashpoint::reached("flip.after_begin");
        let last = act().await?;
        ledger.finish(&last, limit).await
    };
    outcome::bounded(ledger, limit, acted).await
}

/// What the database of a build is called: its own name, or, where another router was at work
/// before, the alias.
pub async fn database_name(ledger: &Ledger, build: &Build) -> Result<String> {
    let found = match build.database_oid {
        Some(oid) => find_database_by_oid(ledger, oid).await?,
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
