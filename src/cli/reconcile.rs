//! `overnight reconcile`: repair now what the next run would repair first.

use super::{Desk, output};
use crate::operation::adopt::{Adoption, adopt};
use crate::operation::reconcile::{Repaired, reconcile};
use crate::problem::Problem;
use anyhow::{Result, bail};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// A dataset of the project; only --adopt can do without it, and then adopts all of the project
    #[arg(required_unless_present = "adopt")]
    dataset: Option<String>,
    /// Rebuild the ledger from the stamps inside the builds, after it was lost or restored from an older
    /// backup; touches no alias
    #[arg(long, requires = "reason", conflicts_with = "accept_catalog")]
    adopt: bool,
    /// Take the database that is there as the live one, although the ledger says another
    #[arg(long, requires = "reason")]
    accept_catalog: bool,
    /// Why the server is right and the ledger is not; kept in the ledger
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

pub async fn exec(args: &Args, desk: &Desk) -> Result<u8> {
    let reason = args.reason.as_deref().map(str::trim);
    if (args.accept_catalog || args.adopt) && reason.is_none_or(str::is_empty) {
        bail!(Problem::usage(
            "--accept-catalog and --adopt need --reason TEXT"
        ));
    }
    if let Some(reason) = reason.filter(|_| args.adopt) {
        let place = desk.workplace().await?;
        let adoption = adopt(&place, args.dataset.as_deref(), reason).await?;
        return tell(&adoption, desk.json);
    }
    let Some(dataset) = &args.dataset else {
        bail!(Problem::usage("name the dataset"));
    };
    let dataset = desk.dataset(dataset)?;
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

/// Prints what was adopted. Status 1 where it is not known which build is live.
fn tell(adoption: &Adoption, as_json: bool) -> Result<u8> {
    let unclear = adoption.datasets.iter().any(|one| one.unclear.is_some());
    if as_json {
        output::json(adoption)?;
        return Ok(u8::from(unclear));
    }
    for one in &adoption.datasets {
        let name = &one.dataset;
        let live = match (&one.live, &one.unclear) {
            (Some(live), _) => format!("`{live}` is live"),
            (None, Some(why)) => format!(
                "it is not known which build is live: {why}; `overnight rotate {name} BUILD` says which"
            ),
            (None, None) => "nothing is live".into(),
        };
        output::line(&format!("{name}: {live}"))?;
        for build in &one.adopted {
            output::line(&format!(
                "  adopted    `{}` as {}",
                build.build,
                build.state.word()
            ))?;
        }
        if one.adopted.is_empty() {
            output::line("  the ledger had every build already")?;
        }
        if one.held {
            output::line(&format!(
                "  HELD       `overnight release {name}` lets runs publish again"
            ))?;
        }
    }
    for left in &adoption.left {
        output::line(&format!("left alone: {left}"))?;
    }
    Ok(u8::from(unclear))
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
