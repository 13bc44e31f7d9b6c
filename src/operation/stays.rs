//! Which build services stay on after a run that failed for want of a dependency.

use super::Workplace;
use crate::ledger::Ledger;
use crate::problem::{Status, status_of};
use anyhow::Result;
use std::time::Duration;

/// The message of a failure does not wait longer for a server that may be the failure.
const LIMIT: Duration = Duration::from_secs(5);

/// `services stay on X, verified …` for each dataset, for an error of status 3; `None` for others.
/// The alias was not touched by a run that failed; a rollback beside it may have moved it, so the ledger
/// is asked.
pub async fn sentence(
    place: &Workplace,
    datasets: &[&str],
    error: &anyhow::Error,
) -> Option<String> {
    if status_of(error) != Status::Dependency {
        return None;
    }
    let asked = tokio::time::timeout(LIMIT, ask(place, datasets)).await;
    Some(match asked {
        Ok(Ok(words)) => words,
        _ => "the alias was not touched: services stay on the build that they had".to_owned(),
    })
}

async fn ask(place: &Workplace, datasets: &[&str]) -> Result<String> {
    let control = &place.config.control_database;
    let Some(ledger) = Ledger::open_existing(&place.server, control, "run").await? else {
        return Ok("nothing is live".to_owned());
    };
    let mut words = Vec::new();
    for dataset in datasets {
        let live = match ledger.dataset(dataset).await?.live_build {
            Some(id) => Some(ledger.build(id).await?),
            None => None,
        };
        words.push(match live {
            Some(build) => {
                let verified = build
                    .verified_at
                    .map_or_else(String::new, |at| format!(", verified {at}"));
                format!("services stay on `{}`{verified}", build.name)
            }
            None => format!("nothing is live for `{dataset}`"),
        });
    }
    ledger.close().await;
    Ok(words.join("; "))
}
