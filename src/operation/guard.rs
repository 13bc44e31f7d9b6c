//! `overnight guard`: may a service start on what the alias leads to?
//!
//! In: a service's name and the schema versions it supports. Out: the build it would read, or a
//! refusal; and, where the login may, its row in the ledger, so that the alias does not move to a
//! build it cannot read. It works with a reader's rights and without a project, because that is what
//! the host of a service has. Only a service that may start is registered: the one that runs there
//! now may be an earlier release under the same name.

use super::Workplace;
use crate::dataset::check_name;
use crate::ledger::{consumers, host, supports::Supports};
use crate::postgres::{Reason, Refusal, Session, explain, explain_chain, quote_literal};
use crate::problem::Problem;
use crate::switch;
use anyhow::{Context, Result, bail};
use serde::Serialize;
use std::time::Duration;
use tokio_postgres::SimpleQueryMessage;

/// While the alias moves, a connection may meet no database, or a closed one.
const ATTEMPTS: u32 = 10;
const BETWEEN: Duration = Duration::from_millis(500);

/// What a service would read.
#[derive(Debug, Serialize)]
pub struct Guarded {
    pub dataset: String,
    pub build: String,
    pub schema_version: i32,
    pub consumer: String,
    pub min_version: i32,
    pub max_version: Option<i32>,
    /// Whether moves of the alias ask for this service from now on.
    pub registered: bool,
    /// Why not.
    pub not_registered: Option<String>,
}

/// Looks through the alias, compares, and registers.
///
/// # Errors
/// Status 1 when the service does not support the live build or nothing is live; status 2 for a
/// name that cannot be one; status 3 when the server does not let us in.
pub async fn guard(
    place: &Workplace,
    dataset: &str,
    consumer: &str,
    supports: Supports,
) -> Result<Guarded> {
    check_name(dataset)?;
    check_consumer(consumer)?;
    let (build, version) = look(place, dataset).await?;
    if !supports.contains(version) && switch::on("guard.supports") {
        let hint = match version < supports.min {
            true => format!(
                "the database is older than this release of `{consumer}`: start an earlier release, or wait for a build with schema version {}",
                supports.min
            ),
            false => format!(
                "the database is newer than this release of `{consumer}`: start a release that supports schema version {version}"
            ),
        };
        bail!(
            Problem::refused(format!(
                "`{consumer}` must not start: `{dataset}` (build `{build}`) has schema version {version}, `{consumer}` supports {supports}"
            ))
            .hint(hint)
        );
    }
    let not_registered = register(place, dataset, consumer, supports).await.err();
    Ok(Guarded {
        dataset: dataset.to_owned(),
        build,
        schema_version: version,
        consumer: consumer.to_owned(),
        min_version: supports.min,
        max_version: supports.max,
        registered: not_registered.is_none(),
        not_registered,
    })
}

/// The build behind the alias and its schema version, as a service would find them.
async fn look(place: &Workplace, dataset: &str) -> Result<(String, i32)> {
    let mut tried = 0;
    loop {
        tried += 1;
        let error = match look_once(place, dataset).await {
            Ok(found) => return Ok(found),
            Err(error) => error,
        };
        let reason = error
            .chain()
            .find_map(|cause| cause.downcast_ref::<Refusal>())
            .map(|refusal| refusal.reason);
        let final_answer = matches!(
            reason,
            Some(Reason::Password | Reason::NotAllowed | Reason::Tls | Reason::Unsuitable)
        );
        // With another router than `rename` no database has the alias's name.
        if reason == Some(Reason::DatabaseMissing)
            && let Some(found) = follow_pointer(place, dataset).await
        {
            return Ok(found);
        }
        if tried == ATTEMPTS || final_answer {
            return match reason {
                Some(Reason::DatabaseMissing) => Err(error).context(
                    Problem::refused(format!("nothing is live under the name `{dataset}`"))
                        .hint("`overnight run` publishes the first build; is the name right, and the server?"),
                ),
                _ => Err(error),
            };
        }
        tracing::debug!(tried, "{}", explain_chain(&error));
        tokio::time::sleep(BETWEEN).await;
    }
}

async fn look_once(place: &Workplace, dataset: &str) -> Result<(String, i32)> {
    let query = "select build, schema_version from overnight.build";
    read(place, dataset, query)
        .await
        .with_context(|| format!("read the schema version of `{dataset}`"))
}

/// Where the ledger says that the alias leads; `None` when it says nothing, or not to us.
async fn follow_pointer(place: &Workplace, dataset: &str) -> Option<(String, i32)> {
    let query = format!(
        "select build, schema_version from overnight.alias where dataset = {}",
        quote_literal(dataset)
    );
    match read(place, &place.config.control_database, &query).await {
        Ok(found) => Some(found),
        Err(error) => {
            tracing::debug!("{}", explain_chain(&error));
            None
        }
    }
}

/// One row of a build's name and its schema version.
async fn read(place: &Workplace, database: &str, query: &str) -> Result<(String, i32)> {
    // A service's address may be that of a pooler.
    let session = place
        .server
        .connect_bare(database, None, None, "guard")
        .await?;
    let answer = session.simple_query(query).await?;
    session.close().await;
    let row = answer.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    row.and_then(|row| Some((row.get(0)?.to_owned(), row.get(1)?.parse().ok()?)))
        .context("there is no build")
}

/// Registers with whatever rights the login has; the error is a text for whoever reads the log of
/// the service, whose start it does not stop.
async fn register(
    place: &Workplace,
    dataset: &str,
    consumer: &str,
    supports: Supports,
) -> Result<(), String> {
    let control = &place.config.control_database;
    let session: Session = place
        .server
        .connect_bare(control, None, None, "guard")
        .await
        .map_err(|error| explain_chain(&error))?;
    let written = consumers::register(&session, dataset, consumer, supports, &host()).await;
    session.close().await;
    written.map_err(|error| explain(&error))
}

/// A name that fits into messages and the ledger.
fn check_consumer(name: &str) -> Result<()> {
    let fits = name.len() <= 63
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_.:@/-".contains(c));
    if !fits {
        bail!(
            Problem::usage("--consumer is no name for a service")
                .hint("write at most 63 letters, digits and `_.:@/-`, a letter or digit first")
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::check_consumer;

    #[test]
    fn a_service_is_called_as_services_are_called() {
        for name in ["api", "plan-search", "api@2", "team/api:5", "A.b_c", "9"] {
            assert!(check_consumer(name).is_ok(), "{name}");
        }
        for name in [
            "",
            "-api",
            "a b",
            "a\nb",
            "é",
            &"x".repeat(64),
            "\u{1b}[31m",
        ] {
            assert!(check_consumer(name).is_err(), "{name:?}");
        }
    }
}
