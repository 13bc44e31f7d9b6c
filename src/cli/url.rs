//! `overnight url`: a connection URL for the alias, without a password.

use super::{Desk, output};
use crate::operation::routes;
use crate::operation::subset::served;
use crate::problem::Problem;
use anyhow::{Result, bail};
use serde_json::json;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// A dataset: the name of its alias
    dataset: String,
    /// Connect as this role
    #[arg(long, value_name = "ROLE")]
    role: Option<String>,
}

pub async fn exec(args: &Args, desk: &Desk) -> Result<u8> {
    let dataset = &args.dataset;
    let known = desk.known(dataset)?;
    let place = desk.workplace().await?;
    let subset = !served(&place.server, Some(dataset)).await?.is_empty();
    if known.is_none() && !subset {
        // A project says which datasets it has; without one there is nothing but the subset.
        if !desk.config.project.as_os_str().is_empty() {
            desk.dataset(dataset)?;
        }
        bail!(
            Problem::refused(format!("the server has no subset of `{dataset}`"))
                .hint(format!("`overnight subset pull {dataset}` restores one; the address of a nightly build needs its project, `--project DIR`"))
        );
    }
    let role = args.role.as_deref();
    let url = match subset {
        true => routes::url(&place, dataset, role).await?,
        false => routes::checked_url(&place, dataset, role).await?,
    };
    if desk.json {
        output::json(&json!({"dataset": dataset, "url": url}))?;
    } else {
        output::line(&url)?;
    }
    Ok(0)
}
