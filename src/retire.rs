//! Drops builds beyond retention, in two steps: closed first, dropped after a grace time.
//!
//! In: the ledger, under the dataset's lock. Counted are published builds by their sequence, not
//! by any clock. Never touched: the live build, the previous one, what the ledger does not own,
//! what somebody is connected to. A tombstone can be taken back by hand
//! (`alter database … allow_connections true`) until it is dropped.

use crate::build::{Fate, allow_connections, drop_database, find_database_by_oid};
use crate::crashpoint;
use crate::ledger::{Build, DatasetRow, Ledger, Lock, State};
use crate::postgres::{Server, find_error, quote_ident, sqlstate};
use crate::rotate::replicas;
use anyhow::{Context, Result};
use serde::Serialize;
use std::time::Duration;

/// What a retirement did.
#[derive(Debug, Default, Serialize)]
pub struct Retired {
    pub closed: Vec<String>,
    pub dropped: Vec<String>,
    /// With the reason.
    pub left: Vec<String>,
}

/// Closes what is beyond retention and drops what was closed long enough ago.
pub async fn retire(
    ledger: &Ledger,
    server: &Server,
    dataset: &str,
    keep: usize,
    grace: Duration,
) -> Result<Retired> {
    let row = ledger.dataset(dataset).await?;
    let mut retired = Retired::default();
    for build in beyond_retention(&ledger.builds(dataset).await?, &row, keep) {
        tombstone(ledger, &build, &mut retired).await?;
    }
    for build in ledger.builds(dataset).await? {
        if build.state != State::Tombstone {
            continue;
        }
        if taken_back(ledger, &build).await? {
            retired
                .left
                .push(format!("{}: was opened again and is kept", build.name));
            continue;
        }
        let old_enough = build
            .tombstone_age
            .is_some_and(|age| age >= grace.as_secs_f64())
            || half_dropped(ledger, &build).await?;
        if !old_enough || protects(&row, &build) {
            continue;
        }
        // A drop would end sessions on standbys, which the primary does not see.
        if let Some(why) = replicas::in_use(server, build.database_oid.unwrap_or_default()).await {
            retired.left.push(format!("{}: {why}", build.name));
            continue;
        }
        match drop_database(ledger, server, &build, false).await? {
            Fate::Dropped | Fate::Absent => {
                ledger.set_state(&build, State::Dropped).await?;
                ledger
                    .event(dataset, Some(build.id), "dropped", &build.name)
                    .await?;
                retired.dropped.push(build.name);
            }
            Fate::InUse => retired
                .left
                .push(format!("{}: somebody is connected", build.name)),
            Fate::NotOurs(why) => retired.left.push(format!("{}: {why}", build.name)),
        }
    }
    Ok(retired)
}

fn protects(row: &DatasetRow, build: &Build) -> bool {
    row.live_build == Some(build.id) || row.previous_build == Some(build.id)
}

/// The builds that may go. `builds` is newest first.
///
/// A verified build that was never published waits for `overnight rotate` as long as it is the
/// newest and newer than the live one: a dataset that is held for weeks must not fill the disk.
fn beyond_retention(builds: &[Build], row: &DatasetRow, keep: usize) -> Vec<Build> {
    let mut published = 0;
    let mut waiting = 0;
    let mut beyond = Vec::new();
    for build in builds {
        let goes = match build.state {
            // A build that was gone back from is kept by nobody's count, only as the previous one.
            State::Published if build.rolled_back_at.is_some() => true,
            State::Published => {
                published += 1;
                published > keep
            }
            State::Verified => {
                waiting += 1;
                waiting > 1 || row.live_build.is_some_and(|live| build.id < live)
            }
            State::Creating
            | State::Loading
            | State::Tombstone
            | State::Dropped
            | State::Failed => false,
        };
        if goes && !protects(row, build) {
            beyond.push(build.clone());
        }
    }
    beyond
}

/// Whether somebody has opened a closed build again, to keep it; it is published again then.
async fn taken_back(ledger: &Ledger, build: &Build) -> Result<bool> {
    let Some(oid) = build.database_oid else {
        return Ok(false);
    };
    let open = find_database_by_oid(ledger, oid)
        .await?
        .is_some_and(|database| database.allow_connections && database.connection_limit != -2);
    if open {
        ledger.set_state(build, State::Published).await?;
        ledger
            .event(&build.dataset, Some(build.id), "reopened", &build.name)
            .await?;
    }
    Ok(open)
}

/// Whether a drop was cut short: nobody can use the database any more.
async fn half_dropped(ledger: &Ledger, build: &Build) -> Result<bool> {
    let Some(oid) = build.database_oid else {
        return Ok(false);
    };
    let database = find_database_by_oid(ledger, oid).await?;
    Ok(database.is_some_and(|database| database.connection_limit == -2))
}

async fn tombstone(ledger: &Ledger, build: &Build, retired: &mut Retired) -> Result<()> {
    let Some(oid) = build.database_oid else {
        return Ok(());
    };
    let Some(database) = find_database_by_oid(ledger, oid).await? else {
        return Ok(());
    };
    // A build that went live while the router was `rename` still has the alias's name under another.
    let has_alias = database.name == build.dataset;
    if (database.name != build.name && !has_alias) || !database.owned {
        retired.left.push(format!(
            "{}: its database has another name or owner",
            build.name
        ));
        return Ok(());
    }
    ledger.check_lock(&build.dataset, Lock::Move).await?;
    crashpoint::reached("retire.before_tombstone");
    ledger.begin().await?;
    let closed = async {
        if has_alias {
            let (old, new) = (quote_ident(&database.name), quote_ident(&build.name));
            ledger
                .session
                .batch_execute(&format!(
                    "set local statement_timeout = '2s'; alter database {old} rename to {new};
                     set local statement_timeout = 0"
                ))
                .await?;
        }
        allow_connections(ledger, &build.name, false).await?;
        ledger.set_state(build, State::Tombstone).await?;
        ledger
            .event(&build.dataset, Some(build.id), "closed", &build.name)
            .await?;
        ledger.commit().await
    };
    if let Err(error) = closed.await {
        ledger.rollback().await;
        if has_alias && find_error(&error).and_then(sqlstate) == Some("55006") {
            let left = format!("{}: somebody is connected", build.name);
            retired.left.push(left);
            return Ok(());
        }
        return Err(error).with_context(|| format!("close `{}`", build.name));
    }
    crashpoint::reached("retire.after_tombstone");
    retired.closed.push(build.name.clone());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build(id: i64, state: State) -> Build {
        Build {
            id,
            dataset: "d".into(),
            name: format!("d_{id}"),
            nonce: String::new(),
            database_oid: Some(id as u32),
            state,
            schema_version: 1,
            input_digest: String::new(),
            created_at: String::new(),
            verified_at: None,
            published_at: None,
            rolled_back_at: None,
            tombstoned_at: None,
            tombstone_age: None,
            failure: None,
            rows_loaded: None,
            bytes_read: None,
            seconds: None,
        }
    }

    fn row(live: i64, previous: i64) -> DatasetRow {
        DatasetRow {
            dataset: "d".into(),
            live_build: Some(live),
            previous_build: Some(previous),
            epoch: 1,
            held: false,
            hold_reason: None,
            held_by: None,
        }
    }

    fn ids(builds: &[Build]) -> Vec<i64> {
        builds.iter().map(|build| build.id).collect()
    }

    #[test]
    fn the_live_and_the_previous_build_never_go() {
        let builds: Vec<Build> = (1..=6)
            .rev()
            .map(|id| build(id, State::Published))
            .collect();
        assert_eq!(ids(&beyond_retention(&builds, &row(6, 5), 3)), [3, 2, 1]);
        // Rolled back to the oldest: it and what it came from stay, whatever `keep` says.
        assert_eq!(ids(&beyond_retention(&builds, &row(1, 6), 2)), [4, 3, 2]);
    }

    #[test]
    fn failed_builds_do_not_count_and_a_waiting_build_stays() {
        let mut builds: Vec<Build> = (10..30).rev().map(|id| build(id, State::Failed)).collect();
        builds.push(build(9, State::Verified));
        builds.extend([8, 7, 6].map(|id| build(id, State::Published)));
        builds.push(build(5, State::Verified));
        assert_eq!(ids(&beyond_retention(&builds, &row(8, 7), 2)), [6, 5]);
        // Only the newest of those that wait is of use.
        builds.insert(0, build(30, State::Verified));
        assert_eq!(ids(&beyond_retention(&builds, &row(8, 7), 2)), [9, 6, 5]);
    }
}
