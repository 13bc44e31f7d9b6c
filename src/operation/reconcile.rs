//! Repairs an alias by hand, and takes what the server has as the truth if somebody says so.

use super::Workplace;
use super::routes::{draining, is_open};
use crate::dataset::Dataset;
use crate::ledger::Lock;
use crate::rotate::Seen;
use crate::rotate::accept::accept_catalog;
use crate::rotate::drain::Staying;
use anyhow::Result;
use serde::Serialize;

/// How an alias is after a repair.
#[derive(Debug, Serialize)]
pub struct Repaired {
    pub dataset: String,
    pub live: Option<String>,
    /// What was taken from the catalog.
    pub accepted: Option<String>,
    /// Where the alias leads, seen at each place that decides it.
    pub alias: Vec<Seen>,
    /// Sessions on the build before.
    pub draining: Vec<Staying>,
    /// The last move is not confirmed.
    pub open: bool,
}

/// Repairs what belongs to an alias. With `accept`, a reason, the catalog wins over the ledger first.
pub async fn reconcile(
    place: &Workplace,
    dataset: &Dataset,
    accept: Option<&str>,
) -> Result<Repaired> {
    let name = &dataset.name;
    let ledger = place.ledger(&format!("reconcile {name}")).await?;
    ledger.wait_for(name, Lock::Move).await?;
    let accepted = match accept {
        Some(reason) => accept_catalog(&ledger, &place.server, &place.router, name, reason).await?,
        None => None,
    };
    place.repair_alias(&ledger, dataset).await?;
    let live = ledger.dataset(name).await?.live_build;
    Ok(Repaired {
        live: match live {
            Some(id) => Some(ledger.build(id).await?.name),
            None => None,
        },
        accepted,
        alias: place.router.observe(&ledger, name).await?,
        draining: draining(&ledger, name).await?,
        open: is_open(&ledger, name).await?,
        dataset: name.clone(),
    })
}
