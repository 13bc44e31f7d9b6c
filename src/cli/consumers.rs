//! `overnight consumers`: the services that read a dataset.

use super::{Desk, output};
use crate::problem::Problem;
use anyhow::{Result, bail};
use serde_json::json;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// A dataset of the project: a folder below sources/
    dataset: String,
    /// Take out a service that is gone, or all that match a pattern with `*`; one comes back when it
    /// is started again
    #[arg(long, value_name = "NAME")]
    forget: Option<String>,
}

pub async fn exec(args: &Args, desk: &Desk) -> Result<u8> {
    let dataset = desk.dataset(&args.dataset)?;
    let place = desk.workplace().await?;
    let name = &dataset.name;
    let ledger = place.ledger(&format!("consumers {name}")).await?;
    if let Some(consumer) = &args.forget {
        let forgotten = ledger.forget_consumers(name, consumer).await?;
        if forgotten.is_empty() {
            bail!(
                Problem::usage(format!("`{name}` has no registered consumer `{consumer}`"))
                    .hint(format!("`overnight consumers {name}` lists them"))
            );
        }
        if desk.json {
            output::json(&json!({"dataset": name, "forgotten": consumer, "consumers": forgotten}))?;
        } else {
            for consumer in forgotten {
                output::line(&format!("{name}: `{consumer}` is forgotten"))?;
            }
        }
        return Ok(0);
    }
    let consumers = ledger
        .consumers(name, dataset.settings.consumers_expire.0)
        .await?;
    if desk.json {
        output::json(&json!({"dataset": name, "consumers": consumers}))?;
    } else if consumers.is_empty() {
        output::line(&format!(
            "{name}: no service is registered; `overnight guard` in a start script does it"
        ))?;
    } else {
        let rows: Vec<Vec<String>> = consumers
            .iter()
            .map(|consumer| {
                vec![
                    consumer.consumer.clone(),
                    consumer.supports().to_string(),
                    format!("{} ago", output::age(consumer.age_seconds)),
                    consumer.place(),
                    consumer.role.clone(),
                    match consumer.expired {
                        true => "expired, does not count".to_owned(),
                        false => String::new(),
                    },
                ]
            })
            .collect();
        let heads = ["consumer", "supports", "last seen", "host", "role", ""];
        output::line(&output::table(&heads, &rows))?;
    }
    Ok(0)
}
