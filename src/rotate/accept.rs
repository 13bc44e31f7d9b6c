//! Takes what the server has as the truth, where it is unlike the ledger: after a failover to a
//! standby that lagged, a restore, or a rename by hand.
//!
//! In: an operator's word for it, with a reason. Out: the ledger says what the catalog says. Only a
//! build of this ledger can be taken, known by the nonce in its stamp; nothing is dropped, and no
//! database gets another name but the live one's own alias.

use super::router::{Router, Way};
use crate::build::{Database, find_database};
use crate::ledger::{Build, Ledger, State};
use crate::postgres::{Server, quote_ident};
use crate::problem::Problem;
use anyhow::{Context, Result, bail};
use std::time::Duration;

/// New connections to the alias wait no longer than this.
const LIMIT: Duration = Duration::from_secs(2);

/// Makes the ledger say what is on the server. Returns what was changed; `None` when they agree.
///
/// # Errors
/// Status 1 when what is there is no build of this ledger.
pub async fn accept_catalog(
    ledger: &Ledger,
    server: &Server,
    router: &Router,
    dataset: &str,
    reason: &str,
) -> Result<Option<String>> {
    let row = ledger.dataset(dataset).await?;
    let live = match row.live_build {
        Some(id) => Some(ledger.build(id).await?),
        None => None,
    };
    let agreed = match &live {
        Some(live) => router.database_of(ledger, dataset, live).await?,
        None => None,
    };
    if live.as_ref().is_none_or(|live| {
        live.database_oid.is_some() && agreed.as_ref().map(|d| d.oid) == live.database_oid
    }) {
        return Ok(None);
    }
    let found = match agreed {
        Some(database) => Some(database),
        // The router was another one: the live database has its own name, or the alias's.
        None => match &live {
            Some(live) => match find_database(ledger, &live.name).await? {
                Some(database) => Some(database),
                None => find_database(ledger, dataset).await?,
            },
            None => None,
        },
    };
    let done = match found {
        None => {
            ledger.take_live(dataset, None).await?;
            ledger.point(dataset).await?;
            "nothing is live, because no database of it is there".to_owned()
        }
        Some(database) => {
            let build = whose(ledger, server, dataset, &database).await?;
            take(ledger, router, dataset, &build, &database).await?;
            format!("`{}` is live, as the database says", build.name)
        }
    };
    let detail = format!("{done} ({reason})");
    ledger.event(dataset, None, "catalog", &detail).await?;
    Ok(Some(done))
}

/// The build that a database is, by the nonce of its stamp.
async fn whose(
    ledger: &Ledger,
    server: &Server,
    dataset: &str,
    database: &Database,
) -> Result<Build> {
    let session = server
        .connect(&database.name, "read the stamp")
        .await
        .with_context(|| format!("look into `{}`", database.name))?;
    let stranger = || {
        Problem::refused(format!(
            "the database `{}` is not a build of `{dataset}` that this ledger knows",
            database.name
        ))
        .hint(
            "if it carries the stamp of overnight, `overnight reconcile --adopt --reason TEXT` records it; \
             give any other database another name, then try again; nothing was changed",
        )
    };
    let nonce: String = session
        .query_one("select nonce from overnight.build", &[])
        .await
        .with_context(stranger)?
        .get(0);
    let builds = ledger.builds(dataset).await?;
    let build = builds.into_iter().find(|build| {
        let verified = !matches!(
            build.state,
            State::Creating | State::Loading | State::Refused | State::Failed
        );
        build.nonce == nonce && verified
    });
    match build {
        Some(build) if database.owned => Ok(build),
        Some(_) => bail!(Problem::refused(format!(
            "the database `{}` belongs to another role",
            database.name
        ))),
        None => bail!(stranger()),
    }
}

/// Records the build as live, under its OID of today; with `rename` its database has the alias's
/// name afterwards.
async fn take(
    ledger: &Ledger,
    router: &Router,
    dataset: &str,
    build: &Build,
    database: &Database,
) -> Result<()> {
    let taken = async {
        ledger.begin_limited(LIMIT).await?;
        ledger
            .take_live(dataset, Some((build, database.oid)))
            .await?;
        let mut statements = Vec::new();
        if matches!(router.way, Way::Rename) && database.name != dataset {
            statements.push(format!(
                "alter database {} rename to {}",
                quote_ident(&database.name),
                quote_ident(dataset)
            ));
        }
        statements.push(Ledger::point_statement(dataset));
        ledger.finish(&statements, LIMIT).await.with_context(|| {
            Problem::dependency(format!("take `{}` as `{dataset}`", database.name))
                .hint("while it is renamed no session may be connected to it; nothing was changed")
        })
    };
    if let Err(error) = taken.await {
        ledger.rollback().await;
        return Err(error);
    }
    Ok(())
}
