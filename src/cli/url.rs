//! `overnight url`: a connection URL for the alias, without a password.

use super::{Desk, output};
use crate::operation::routes;
use anyhow::Result;
use serde_json::json;

#[derive(Debug, clap::Args)]
pub struct Args {
    dataset: String,
    /// Connect as this role
    #[arg(long, value_name = "ROLE")]
    role: Option<String>,
}

pub async fn exec(args: &Args, desk: &Desk) -> Result<u8> {
    let dataset = desk.dataset(&args.dataset)?;
    let place = desk.workplace().await?;
    let url = routes::url(&place, &dataset.name, args.role.as_deref()).await?;
    if desk.json {
        output::json(&json!({"dataset": dataset.name, "url": url}))?;
    } else {
        output::line(&url)?;
    }
    Ok(0)
}
