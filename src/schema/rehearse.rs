//! Rehearses the night's SQL on empty tables, so that a mistake shows before the load and not after it.
//!
//! In: a session on a build whose tables are declared and empty. Out: a [`Rehearsal`], or the first
//! error with file and line. Everything happens in one transaction that is rolled back: keys are taken
//! out and put back, the catalog is compared, derive files and check files run; then, if keys are to come
//! back [`Late`], the derive files once more without them. Sequences, which no rollback touches, are set
//! back by hand.
//!
//! A file with `-- no-transaction` cannot be rehearsed; if a later file then misses something, that may
//! be its doing, so it is listed instead of being an error.

use anyhow::{Result, anyhow, bail, ensure};
use tokio_postgres::Client;

use super::catalog::{Catalog, snapshot};
use super::header;
use super::late::Late;
use super::numbered::NumberedFile;
use super::run::{
    Offending, SqlFailure, StepTiming, command, offending_in_transaction, run_in_transaction,
};
use super::set_aside::{Kept, SetAside};
use crate::postgres::error::explain;

/// SQLSTATEs for a table, function, type or schema that does not exist.
const MISSING: [&str; 4] = ["42P01", "42883", "42704", "3F000"];

/// What a rehearsal found; there was no error.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rehearsal {
    /// What will stay in place during the load, because other objects depend on it.
    pub kept: Vec<Kept>,
    /// Statements of the derive files, in order.
    pub steps: Vec<StepTiming>,
    /// Checks that return rows although the tables are empty: right for a check of what is missing.
    pub offending: Vec<Offending>,
    /// Files, and why they were not rehearsed.
    pub not_rehearsed: Vec<(String, String)>,
    /// What the derive files leave behind.
    pub derived: Catalog,
}

/// Rehearses taking out, putting back, `derive` and `checks`; afterwards the database is as before.
///
/// # Errors
/// The catalog differs after putting back (the message lists how); a statement of a file fails
/// ([`SqlFailure`] in the chain, with file and line).
pub async fn rehearse(
    client: &Client,
    set_aside: &SetAside,
    derive: &[NumberedFile],
    checks: &[NumberedFile],
) -> Result<Rehearsal> {
    let sequences = sequence_values(client).await?;
    command(client, "BEGIN").await?;
    let rehearsed = rehearse_here(client, set_aside, derive, checks).await;
    let rolled_back = command(client, "ROLLBACK").await;
    let rehearsal = match (rehearsed, rolled_back) {
        (Err(error), _) | (Ok(_), Err(error)) => Err(error),
        (Ok(rehearsal), Ok(())) => Ok(rehearsal),
    };
    let restored = restore_sequences(client, &sequences).await;
    let rehearsal = rehearsal?;
    restored?;
    Ok(rehearsal)
}

/// Rehearses `derive` once more with the keys of `late` away until they come back. Gives the catalog
/// as it is before the derive files then; the database is as before afterwards.
///
/// # Errors
/// A file fails that did not fail before, or the files leave something else behind than `derived`: then
/// the keys must not be late.
pub async fn rehearse_late(
    client: &Client,
    set_aside: &SetAside,
    late: &Late,
    derive: &[NumberedFile],
    derived: &Catalog,
) -> Result<Catalog> {
    let sequences = sequence_values(client).await?;
    command(client, "BEGIN").await?;
    let rehearsed = rehearse_late_here(client, set_aside, late, derive, derived).await;
    let rolled_back = command(client, "ROLLBACK").await;
    let restored = restore_sequences(client, &sequences).await;
    let waiting = rehearsed?;
    rolled_back?;
    restored?;
    Ok(waiting)
}

async fn rehearse_late_here(
    client: &Client,
    set_aside: &SetAside,
    late: &Late,
    derive: &[NumberedFile],
    derived: &Catalog,
) -> Result<Catalog> {
    let mut trial = set_aside.clone();
    trial.take_out_here(client).await?;
    let (early, parts) = late.split(&trial);
    early.put_back_here(client).await?;
    let waiting = snapshot(client).await?;
    let settings = session_settings(client).await?;
    for (position, file) in derive.iter().enumerate() {
        derive_here(client, file).await?;
        fresh_session(client, &settings).await?;
        if let Some(part) = parts.get(&position) {
            part.put_back_here(client).await?;
        }
    }
    let difference = derived.diff(&snapshot(client).await?);
    ensure!(
        difference.is_empty(),
        "the derive files leave something else behind: {}",
        difference.join("; ")
    );
    Ok(waiting)
}

async fn rehearse_here(
    client: &Client,
    set_aside: &SetAside,
    derive: &[NumberedFile],
    checks: &[NumberedFile],
) -> Result<Rehearsal> {
    let mut rehearsal = Rehearsal::default();
    let declared = snapshot(client).await?;
    let mut trial = set_aside.clone();
    trial.take_out_here(client).await?;
    trial.put_back_here(client).await?;
    let difference = declared.diff(&snapshot(client).await?);
    ensure!(
        difference.is_empty(),
        "put indexes and keys back: the catalog is not what the files declare:\n  {}",
        difference.join("\n  ")
    );
    rehearsal.kept = trial.kept;

    let settings = session_settings(client).await?;
    for file in derive {
        if !file.transaction {
            let reason = "runs outside a transaction".to_owned();
            rehearsal.not_rehearsed.push((file.name.clone(), reason));
            continue;
        }
        command(client, "SAVEPOINT overnight_file").await?;
        match derive_here(client, file).await {
            Ok(steps) => rehearsal.steps.extend(steps),
            Err(error) => {
                let reason = excuse(&error, &rehearsal).ok_or(error)?;
                command(client, "ROLLBACK TO SAVEPOINT overnight_file").await?;
                rehearsal.not_rehearsed.push((file.name.clone(), reason));
            }
        }
        fresh_session(client, &settings).await?;
    }
    rehearsal.derived = snapshot(client).await?;
    for file in checks {
        command(client, "SAVEPOINT overnight_file").await?;
        command(client, "SET LOCAL transaction_read_only = on").await?;
        let tried = async {
            let found = offending_in_transaction(client, file, 1).await?;
            header::rehearse(client, file).await?;
            anyhow::Ok(found)
        };
        match tried.await {
            Ok(found) => rehearsal
                .offending
                .extend(found.into_iter().filter(|found| found.rows > 0)),
            Err(error) => {
                let reason = excuse(&error, &rehearsal).ok_or(error)?;
                rehearsal.not_rehearsed.push((file.name.clone(), reason));
            }
        }
        // Settings, and read-only with them, go back to what they were.
        command(client, "ROLLBACK TO SAVEPOINT overnight_file").await?;
    }
    Ok(rehearsal)
}

/// Runs one derive file as if its transaction ended with it: deferred constraints are checked.
async fn derive_here(client: &Client, file: &NumberedFile) -> Result<Vec<StepTiming>> {
    let steps = run_in_transaction(client, file).await?;
    client
        .batch_execute("SET CONSTRAINTS ALL IMMEDIATE")
        .await
        .map_err(|error| {
            let place = format!("`{}` at the end of the transaction", file.path.display());
            anyhow!("{place}: {}", explain(&error))
        })?;
    Ok(steps)
}

/// Why a failure may come from a file that was not rehearsed.
fn excuse(error: &anyhow::Error, rehearsal: &Rehearsal) -> Option<String> {
    let (skipped, _) = rehearsal.not_rehearsed.first()?;
    let failure = error.downcast_ref::<SqlFailure>()?;
    let code = failure.code.as_deref()?;
    MISSING
        .contains(&code)
        .then(|| format!("after `{skipped}`, which was not rehearsed: {failure}"))
}

/// Gives the next file the session it will find in the night: fresh.
async fn fresh_session(client: &Client, settings: &[(String, String)]) -> Result<()> {
    let refused = |error| anyhow!("reset the session: {}", explain(&error));
    command(client, "DISCARD TEMP").await?;
    let now = session_settings(client).await?;
    for (name, _) in now
        .iter()
        .filter(|(name, _)| !settings.iter().any(|(n, _)| n == name))
    {
        // Names come from pg_settings; those with a dot are the user's own.
        let sql = "SELECT set_config(name, coalesce(reset_val, ''), false) FROM pg_settings WHERE name = $1";
        client.execute(sql, &[name]).await.map_err(refused)?;
    }
    for (name, value) in settings.iter().filter(|setting| !now.contains(setting)) {
        let sql = "SELECT set_config($1, $2, false)";
        client.execute(sql, &[name, value]).await.map_err(refused)?;
    }
    // Constraints go back from immediate to how they were declared.
    let deferred: Option<String> = client
        .query_one(
            "SELECT string_agg(DISTINCT format('%I.%I', n.nspname, c.conname), ', ') \
             FROM pg_constraint c JOIN pg_namespace n ON n.oid = c.connamespace WHERE c.condeferred",
            &[],
        )
        .await
        .and_then(|row| row.try_get(0))
        .map_err(refused)?;
    if let Some(names) = deferred {
        command(client, &format!("SET CONSTRAINTS {names} DEFERRED")).await?;
    }
    Ok(())
}

/// Settings that were changed in this session, and the role.
async fn session_settings(client: &Client) -> Result<Vec<(String, String)>> {
    let rows = client
        .query(
            "SELECT name, setting FROM pg_settings \
             WHERE source = 'session' AND context IN ('user', 'superuser') \
               AND name NOT IN ('transaction_isolation', 'transaction_read_only', 'transaction_deferrable') \
             UNION ALL SELECT 'role', current_setting('role')",
            &[],
        )
        .await
        .map_err(|error| anyhow!("read the session's settings: {}", explain(&error)))?;
    let mut settings = Vec::new();
    for row in rows {
        settings.push((row.try_get(0)?, row.try_get(1)?));
    }
    Ok(settings)
}

/// A sequence as SQL, its last value, and whether that was given out.
type SequenceValue = (String, i64, bool);

async fn sequence_values(client: &Client) -> Result<Vec<SequenceValue>> {
    let refused = |error| anyhow!("read the sequences: {}", explain(&error));
    let names = client
        .query(
            "SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c \
             JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE c.relkind = 'S' AND n.nspname !~ '^pg_' AND c.relpersistence <> 't' \
               AND n.nspname <> 'overnight' \
               AND CASE c.relkind WHEN 'S' THEN has_sequence_privilege(c.oid, 'SELECT') \
                     AND has_sequence_privilege(c.oid, 'UPDATE') ELSE false END",
            &[],
        )
        .await
        .map_err(refused)?;
    let mut values = Vec::new();
    for row in names {
        let name: String = row.try_get(0)?;
        let sql = format!("SELECT last_value, is_called FROM {name}");
        let row = client.query_one(&sql, &[]).await.map_err(refused)?;
        values.push((name, row.try_get(0)?, row.try_get(1)?));
    }
    Ok(values)
}

async fn restore_sequences(client: &Client, before: &[SequenceValue]) -> Result<()> {
    let now = sequence_values(client).await?;
    for value in before.iter().filter(|value| !now.contains(value)) {
        let (name, last, called) = value;
        let sql = "SELECT setval($1::text::regclass, $2, $3)";
        if let Err(error) = client.execute(sql, &[name, last, called]).await {
            bail!("set sequence {name} back: {}", explain(&error));
        }
    }
    Ok(())
}
