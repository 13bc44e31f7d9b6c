//! `overnight reconcile`: repair now what the next run would repair first.

use super::{Desk, output};
use crate::operation::reconcile::{Repaired, reconcile};
use crate::problem::Problem;
use anyhow::{Result, bail};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// A dataset of the project: a folder below sources/
    dataset: String,
    /// Take the database that is there as the live one, although the ledger says another
    #[arg(long, requires = "reason")]
    accept_catalog: bool,
    /// Why the server is right and the ledger is not; kept in the ledger
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

pub async fn exec(args: &Args, desk: &Desk) -> Result<u8> {
    let dataset = desk.dataset(&args.dataset)?;
    let reason = args.reason.as_deref().map(str::trim);
    if args.accept_catalog && reason.is_none_or(str::is_empty) {
        bail!(Problem::usage("--accept-catalog needs --reason TEXT"));
    }
    let place = desk.workplace().await?;
    let accept = reason.filter(|_| args.accept_catalog);
    let repaired = reconcile(&place, &dataset, accept).await?;
    if desk.json {
        output::json(&repaired)?;
    } else {
        output::line(&describe(&repaired))?;
    }
    Ok(0)
}

fn describe(repaired: &Repaired) -> String {
    let mut out = match &repaired.live {
        Some(live) => format!("{}: `{live}` is live", repaired.dataset),
        None => format!("{}: nothing is live", repaired.dataset),
    };
    if let Some(accepted) = &repaired.accepted {
        out += &format!("\n  accepted   {accepted}");
    }
    for seen in &repaired.alias {
        out += &format!("\n  {}", super::status::seen(seen));
    }
    for staying in &repaired.draining {
        out += &format!("\n  on the build before: {staying}");
    }
    if repaired.open {
        out += "\n  the last move is not confirmed yet";
    }
    out
}
