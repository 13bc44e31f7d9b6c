//! Where an alias leads now, and who has not followed it yet.

use super::Workplace;
use super::status::missing_ledger;
use crate::ledger::Ledger;
use crate::problem::Problem;
use crate::rotate::Way;
use crate::rotate::drain::{Staying, staying};
use crate::rotate::health;
use anyhow::{Context, Result, bail};

/// Whether the last move of an alias has not been confirmed.
pub async fn is_open(ledger: &Ledger, dataset: &str) -> Result<bool> {
    Ok(!ledger.open_flips(dataset).await?.is_empty())
}

/// Sessions that are still on the build before a move that has happened.
pub async fn draining(ledger: &Ledger, dataset: &str) -> Result<Vec<Staying>> {
    let mut all = Vec::new();
    for flip in ledger.open_flips(dataset).await? {
        let Some(from) = flip.from_build.filter(|_| flip.state == "switched") else {
            continue;
        };
        if let Some(oid) = ledger.build(from).await?.database_oid {
            all.extend(staying(ledger, oid).await?);
        }
    }
    Ok(all)
}

/// A URL for services, without a password: the alias, through the first pooler where there are any.
/// With `pointer` it is the live database of this moment, which changes with the next move.
///
/// # Errors
/// Status 1 when nothing is live, or the address would not lead to the live build.
pub async fn checked_url(place: &Workplace, dataset: &str, role: Option<&str>) -> Result<String> {
    let control = &place.config.control_database;
    let ledger = Ledger::open_existing(&place.server, control, "url").await?;
    let Some(ledger) = ledger else {
        let problem = Problem::refused(format!("nothing is live of `{dataset}`"));
        bail!(match missing_ledger(place).await? {
            Some(missing) => problem.hint(format!("{}; {}", missing.what, missing.todo)),
            None => problem.hint(format!("`overnight run {dataset}` builds and publishes it")),
        });
    };
    let member = place.config.groups.of(dataset).is_some();
    let (server, router) = (&place.server, &place.router);
    let (faults, seen) = health::faults(&ledger, server, router, dataset, member).await?;
    // Another pooler than the one of the address is no concern of this client.
    let first = match &router.way {
        Way::Rename => "server",
        Way::PgBouncer(_) => seen.first().map_or("server", |seen| seen.place.as_str()),
        Way::Pointer => "pointer",
    };
    let in_the_way = |fault: &&health::Fault| fault.place == "server" || fault.place == first;
    if let Some(fault) = faults.iter().find(in_the_way) {
        bail!(
            Problem::refused(format!("no address of `{dataset}`: {}", fault.what))
                .hint(&fault.todo)
        );
    }
    // The pointer has a row while something is live.
    if ledger.pointer(dataset).await?.is_none() {
        bail!(
            Problem::refused(format!("nothing is live of `{dataset}`"))
                .hint("`overnight status` shows what there is")
        );
    }
    url(place, dataset, role).await
}

/// The same without a look at what is there.
///
/// # Errors
/// Status 1 when the pointer leads nowhere yet.
pub async fn url(place: &Workplace, dataset: &str, role: Option<&str>) -> Result<String> {
    let target = place.server.target();
    Ok(match &place.router.way {
        Way::Rename => target.url_for(dataset, role),
        Way::PgBouncer(poolers) => match poolers.all().first() {
            Some(pooler) => pooler.url_for(dataset, role),
            None => target.url_for(dataset, role),
        },
        Way::Pointer => {
            let ledger = place.ledger("url").await?;
            let pointer = ledger.pointer(dataset).await?.with_context(|| {
                Problem::refused(format!("nothing is live of `{dataset}`"))
                    .hint("`overnight status` shows what there is")
            })?;
            target.url_for(&pointer.database, role)
        }
    })
}
