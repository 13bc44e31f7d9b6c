//! What hooks are told at the end of a command, when nothing of its outcome can change any more.
//!
//! Every failure here is a warning: the alias is where it is, and the exit status says that.

use super::Workplace;
use crate::config::Config;
use crate::hooks::{self, Event, Kind};
use crate::ledger::Ledger;
use crate::nightly::Outcome;
use crate::postgres::error::explain_chain;
use crate::problem::{Status, status_of};
use anyhow::{Context, Result};
use std::time::Duration;

/// Opening the ledger after a failure must not hang where the failure was that it hangs.
const LEDGER_LIMIT: Duration = Duration::from_secs(15);
/// A process that was asked to stop has little time left.
const STOPPED_LIMIT: Duration = Duration::from_millis(500);

/// Tells hooks how a run ended, and what waits from earlier.
///
/// Returns whether a warning was printed, behind which the outcome is no longer the last line.
pub async fn after_run(
    place: &Workplace,
    dataset: &str,
    ended: Result<&Outcome, &anyhow::Error>,
) -> bool {
    if place.config.hooks.is_empty() && ended.is_err() {
        return false;
    }
    let mut detail = None;
    let (kind, build, status) = match ended {
        // The move itself is what is told.
        Ok(Outcome::Published(_)) => (None, None, 0),
        Ok(Outcome::Unchanged { live }) => (Some(Kind::Unchanged), Some(live.as_str()), 0),
        Ok(Outcome::Verified(report)) => {
            detail.clone_from(&report.approve_until);
            (Some(Kind::Verified), Some(report.build.as_str()), 0)
        }
        Err(error) => {
            detail = Some(explain_chain(error));
            let status = status_of(error);
            (Some(failure(status)), None, status as u8)
        }
    };
    let event = kind.map(|kind| Event {
        kind,
        dataset,
        build,
        status,
        detail: detail.as_deref(),
    });
    let opened = tokio::time::timeout(LEDGER_LIMIT, place.ledger("hooks")).await;
    let opened = opened.context("the server does not answer").flatten();
    let told = match opened {
        Ok(ledger) => tell(&ledger, &place.config, dataset, event.as_ref()).await,
        Err(error) => {
            if let Some(event) = &event {
                hooks::deliver_unrecorded(&place.config.hooks, event).await;
            }
            Err(error)
        }
    };
    warn(&place.config, told)
}

/// Tells hooks where the alias has moved, and what waits from earlier.
pub async fn after_move(place: &Workplace, dataset: &str) {
    let told = async {
        let ledger = place.ledger("hooks").await?;
        tell(&ledger, &place.config, dataset, None).await
    };
    warn(&place.config, told.await);
}

/// Tells hooks that no run could begin, because something that it needs is not there.
pub async fn before_run(config: &Config, dataset: &str, error: &anyhow::Error) {
    let status = status_of(error);
    let event = Event {
        kind: failure(status),
        dataset,
        build: None,
        status: status as u8,
        detail: Some(&explain_chain(error)),
    };
    hooks::deliver_unrecorded(&config.hooks, &event).await;
}

/// Writes down that a run was stopped by a signal; the next command tells it.
pub async fn stopped(place: &Workplace, dataset: &str, status: u8) {
    if place.config.hooks.is_empty() {
        return;
    }
    let event = Event {
        kind: Kind::Failed,
        dataset,
        build: None,
        status,
        detail: Some("stopped by a signal"),
    };
    let written = async {
        let ledger = place.ledger("hooks").await?;
        hooks::tell_moves(&ledger, &place.config.hooks, dataset).await?;
        hooks::tell(&ledger, &place.config.hooks, &event).await
    };
    let written = tokio::time::timeout(STOPPED_LIMIT, written).await;
    let written = written
        .context("write down that the run was stopped")
        .flatten();
    warn(&place.config, written.map(|()| true));
}

async fn tell(
    ledger: &Ledger,
    config: &Config,
    dataset: &str,
    event: Option<&Event<'_>>,
) -> Result<bool> {
    let moves = hooks::tell_moves(ledger, &config.hooks, dataset).await?;
    // One event tells how a run ended: if the alias has moved, that is it.
    if let Some(event) = event.filter(|_| moves == 0) {
        hooks::tell(ledger, &config.hooks, event).await?;
    }
    hooks::deliver(ledger, &config.hooks).await
}

fn failure(status: Status) -> Kind {
    match status {
        Status::Busy => Kind::Busy,
        Status::Refused | Status::Usage | Status::Dependency => Kind::Failed,
    }
}

/// Returns whether anything was printed: an error, or, before, that something was not delivered.
fn warn(config: &Config, told: Result<bool>) -> bool {
    match told {
        Ok(delivered) => !delivered,
        Err(error) if config.hooks.is_empty() => {
            tracing::debug!("tell the hooks: {}", explain_chain(&error));
            false
        }
        Err(error) => {
            tracing::warn!("tell the hooks: {}", explain_chain(&error));
            true
        }
    }
}
