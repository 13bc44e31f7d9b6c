//! Warnings at the start of a run: what will stop the move, or endanger the server, hours later.

use super::Options;
use crate::config::Env;
use crate::dataset::Dataset;
use crate::ledger::Ledger;
use crate::operation::Workplace;
use crate::postgres::explain_chain;
use crate::rotate::preconditions::Preconditions;
use crate::schema::files::SqlFiles;
use crate::vitals::{clock, disk};
use anyhow::Result;

/// Seconds between the clocks from which names and times of builds mislead.
const CLOCKS_APART: f64 = 60.0;

/// Warns; only a secret that is not there ends the run.
pub(super) async fn warn(
    place: &Workplace,
    ledger: &Ledger,
    dataset: &Dataset,
    files: &SqlFiles,
    options: &Options,
    env: Env<'_>,
) -> Result<()> {
    if !options.no_rotate {
        let preconditions = Preconditions {
            session: &ledger.session,
            ledger: Some(ledger),
            server: &place.server,
            router: &place.router,
            groups: &place.config.groups,
        };
        let prober = place.prober(dataset, env)?;
        let golden = !files.golden.is_empty();
        preconditions.warn(dataset, &prober, golden).await;
    }
    let (name, folders) = (&dataset.name, &place.config.watching.folders);
    let local = place.server.target().is_local() && place.config.watching.server_disk.is_none();
    match disk::unwatched(&ledger.session, local, place.data(), folders).await {
        Ok(None) => {}
        Ok(Some((finding, todo))) => tracing::warn!("{name}: {finding} (hint: {todo})"),
        Err(error) => tracing::warn!("{name}: {}", explain_chain(&error)),
    }
    match clock::apart(&ledger.session).await {
        Ok(apart) if apart > CLOCKS_APART => tracing::warn!(
            "{name}: the clocks of this machine and of the server are {apart:.0} s apart (hint: set them, NTP)"
        ),
        Ok(_) => {}
        Err(error) => tracing::warn!("{name}: {}", explain_chain(&error)),
    }
    Ok(())
}
