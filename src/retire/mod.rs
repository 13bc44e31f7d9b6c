//! Drops builds beyond retention, in two steps: closed first, dropped after a grace time.
//!
//! In: the ledger, under the dataset's lock. Counted are published builds by their sequence, not
//! by any clock. Never touched: the live build, the previous one, what the ledger does not own,
//! what somebody is connected to. A tombstone can be taken back by hand
//! (`alter database … allow_connections true`) until it is dropped.
//!
//! What goes is decided in [`decide`], from what was read; here it is read and done.

pub mod decide;

use crate::build::{
    Database, Fate, close_after_look, drop_database, fail_and_sweep, find_database_by_oid,
};
use crate::config::Retention;
use crate::crashpoint;
use crate::ledger::{Build, Ledger, Lock, State};
use crate::postgres::{Server, find_error, quote_ident, sqlstate};
use crate::rotate::replicas;
use anyhow::{Context, Result};
use decide::{Close, End};
use serde::Serialize;
use std::time::Duration;

/// What a build that still has the alias's name may wait to lose it, its sessions included.
const LIMIT: Duration = Duration::from_secs(2);

/// What a retirement did.
#[derive(Debug, Default, Serialize)]
pub struct Retired {
    pub closed: Vec<String>,
    pub dropped: Vec<String>,
    /// With the reason.
    pub left: Vec<String>,
}

/// Closes what is beyond retention and drops what was closed long enough ago, and refused builds after
/// their time.
pub async fn retire(
    ledger: &Ledger,
    server: &Server,
    dataset: &str,
    retention: Retention,
) -> Result<Retired> {
    let Retention {
        keep,
        grace,
        refused,
    } = retention;
    let row = ledger.dataset(dataset).await?;
    let mut retired = Retired::default();
    let builds = ledger.builds(dataset).await?;
    for build in decide::refused_beyond(&builds, refused) {
        drop_build(ledger, server, build, &mut retired).await?;
    }
    for build in decide::beyond_retention(&builds, &row, keep) {
        let database = database_of(ledger, &build).await?;
        match decide::close(&build, database.as_ref()) {
            Close::Yes => tombstone(ledger, &build, false, &mut retired).await?,
            Close::HasAlias => tombstone(ledger, &build, true, &mut retired).await?,
            Close::Absent => {}
            Close::No(why) => retired.left.push(format!("{}: {why}", build.name)),
        }
    }
    for build in ledger.builds(dataset).await? {
        let mut database = database_of(ledger, &build).await?;
        if build.state == State::Tombstone
            && let Some(open) = database.as_mut().filter(|database| database.is_open())
            && close_after_look(ledger, &build, open).await?
        {
            open.allow_connections = false;
        }
        match decide::end(&build, &row, database.as_ref(), grace) {
            End::Stays => {}
            End::TakenBack => {
                ledger.set_state(&build, State::Published).await?;
                ledger
                    .event(dataset, Some(build.id), "reopened", &build.name)
                    .await?;
                let why = "was opened again and is kept";
                retired.left.push(format!("{}: {why}", build.name));
            }
            End::Goes => drop_build(ledger, server, build, &mut retired).await?,
        }
    }
    ledger.prune(dataset).await?;
    Ok(retired)
}

/// Closes every build of a dataset, the live one too, and drops what was closed long enough ago: for a
/// dataset that its project does not have any more. The caller holds both locks.
pub async fn retire_all(
    ledger: &Ledger,
    server: &Server,
    dataset: &str,
    grace: Duration,
    reason: &str,
) -> Result<Retired> {
    let mut closed = Retired::default();
    ledger.event(dataset, None, "retired", reason).await?;
    for build in ledger.builds(dataset).await? {
        match (build.state, database_of(ledger, &build).await?) {
            (State::Creating | State::Loading | State::Refused, _) => {
                let why = "the dataset was retired";
                if fail_and_sweep(ledger, server, &build, why).await? == Fate::Dropped {
                    closed.dropped.push(build.name);
                }
            }
            (State::Verified | State::Published, Some(database)) => {
                match decide::close(&build, Some(&database)) {
                    Close::No(why) => closed.left.push(format!("{}: {why}", build.name)),
                    close => {
                        let has_alias = close == Close::HasAlias;
                        tombstone(ledger, &build, has_alias, &mut closed).await?;
                    }
                }
            }
            _ => {}
        }
    }
    // Nothing is protected any more, unless it could not be closed.
    let row = ledger.dataset(dataset).await?;
    if let Some(live) = row.live_build
        && ledger.build(live).await?.state == State::Tombstone
    {
        ledger.take_live(dataset, None).await?;
        ledger.point(dataset).await?;
    }
    ledger.forget_closed_previous(dataset).await?;
    let nothing = Retention {
        keep: 0,
        grace,
        refused: Duration::ZERO,
    };
    let then = retire(ledger, server, dataset, nothing).await?;
    closed.closed.extend(then.closed);
    closed.dropped.extend(then.dropped);
    closed.left.extend(then.left);
    Ok(closed)
}

async fn database_of(ledger: &Ledger, build: &Build) -> Result<Option<Database>> {
    match build.database_oid {
        // Only builds that still have one are of interest here.
        Some(oid) if !matches!(build.state, State::Dropped | State::Failed) => {
            find_database_by_oid(ledger, oid).await
        }
        _ => Ok(None),
    }
}

async fn drop_build(
    ledger: &Ledger,
    server: &Server,
    build: Build,
    retired: &mut Retired,
) -> Result<()> {
    // A drop would end sessions on standbys, which the primary does not see.
    if let Some(why) = replicas::in_use(server, build.database_oid.unwrap_or_default()).await {
        retired.left.push(format!("{}: {why}", build.name));
        return Ok(());
    }
    match drop_database(ledger, server, &build, false).await? {
        Fate::Dropped | Fate::Absent => {
            ledger.set_state(&build, State::Dropped).await?;
            ledger
                .event(&build.dataset, Some(build.id), "dropped", &build.name)
                .await?;
            retired.dropped.push(build.name);
        }
        Fate::InUse => retired
            .left
            .push(format!("{}: somebody is connected", build.name)),
        Fate::NotOurs(why) => retired.left.push(format!("{}: {why}", build.name)),
    }
    Ok(())
}

async fn tombstone(
    ledger: &Ledger,
    build: &Build,
    has_alias: bool,
    retired: &mut Retired,
) -> Result<()> {
    ledger.check_lock(&build.dataset, Lock::Move).await?;
    crashpoint::reached("retire.before_tombstone");
    let closed = async {
        ledger.begin_limited(LIMIT).await?;
        ledger.set_state(build, State::Tombstone).await?;
        let name = quote_ident(&build.name);
        let mut statements = Vec::new();
        if has_alias {
            let alias = quote_ident(&build.dataset);
            statements.push(format!("alter database {alias} rename to {name}"));
        }
        statements.push(format!("alter database {name} allow_connections false"));
        statements.push(ledger.event_statement(
            &build.dataset,
            Some(build.id),
            "closed",
            &build.name,
        ));
        ledger.finish(&statements, LIMIT).await
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
