//! The alias as a row: services follow it themselves.
//!
//! In: nothing but the ledger; the row is written with every move, whatever the router. Here it is
//! looked at as a service would, and put right where somebody has changed it by hand.

use super::probe::Prober;
use crate::ledger::{DatasetRow, Ledger};
use crate::postgres::Server;
use anyhow::{Context, Result, bail};

/// Makes the row say what the ledger says. Returns what was done.
pub async fn put_right(ledger: &Ledger, row: &DatasetRow) -> Result<Option<String>> {
    let written = ledger.pointer(&row.dataset).await?;
    let live = match row.live_build {
        Some(id) => Some(ledger.build(id).await?),
        None => None,
    };
    let databases = ledger.live_aliases().await?;
    let right = match (&written, &live) {
        (None, None) => true,
        (Some(written), Some(live)) => {
            written.build == live.name
                && written.epoch == row.epoch
                && databases.get(&row.dataset) == Some(&written.database)
        }
        _ => false,
    };
    if right {
        return Ok(None);
    }
    ledger.point(&row.dataset).await?;
    Ok(Some(format!(
        "the pointer of `{}` was not what the ledger says and was written again",
        row.dataset
    )))
}

/// Reads the row as a service does, and looks at the database that it names.
///
/// # Errors
/// When a reader may not read the row, or it leads elsewhere.
pub async fn look(
    prober: &Prober,
    ledger: &Ledger,
    server: &Server,
    alias: &str,
    build: &str,
) -> Result<()> {
    let pointer = ledger
        .pointer(alias)
        .await?
        .with_context(|| format!("the pointer has no row for `{alias}`"))?;
    if pointer.build != build {
        bail!("the pointer leads to `{}`, not to `{build}`", pointer.build);
    }
    if let Some((user, password)) = &prober.login {
        let control = ledger.session.database();
        let session = server
            .connect_as(control, user, password.as_ref(), "look at the pointer")
            .await
            .with_context(|| format!("connect to `{control}` as `{user}`"))?;
        session
            .query_one(
                "select database from overnight.alias where dataset = $1",
                &[&alias],
            )
            .await
            .with_context(|| format!("read the pointer as `{user}`"))?;
    }
    prober.look(server, &pointer.database, build).await
}
