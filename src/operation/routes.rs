//! Where an alias leads now, and who has not followed it yet.

use super::Workplace;
use crate::ledger::Ledger;
use crate::problem::Problem;
use crate::rotate::Way;
use crate::rotate::drain::{Staying, staying};
use anyhow::{Context, Result};

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
