//! A look into a build that gates have refused: open to its owner for that time, and closed again.

use super::Workplace;
use super::moves::named;
use crate::build::refused;
use crate::dataset::Dataset;
use crate::ledger::{Build, Ledger, State};
use crate::problem::Problem;
use anyhow::{Context, Result, bail};

/// A refused build that is open.
pub struct Opened {
    ledger: Ledger,
    pub build: Build,
}

/// Opens a refused build, by default the newest, to the role that owns it. Its sessions are read only.
///
/// # Errors
/// Status 1 when there is none, or its database is gone; status 2 for a name that is no build.
pub async fn open(place: &Workplace, dataset: &Dataset, name: Option<&str>) -> Result<Opened> {
    let ledger = place.ledger(&format!("inspect {}", dataset.name)).await?;
    let builds = ledger.builds(&dataset.name).await?;
    let build = match name {
        Some(name) => named(&builds, name, dataset)?,
        None => builds
            .iter()
            .find(|build| build.state == State::Refused)
            .with_context(|| {
                Problem::refused(format!(
                    "`{}` has no build that gates have refused",
                    dataset.name
                ))
                .hint(format!(
                    "`overnight builds {}` lists what is kept",
                    dataset.name
                ))
            })?,
    };
    if build.state != State::Refused {
        let problem = Problem::refused(format!("`{}` {}", build.name, build.state.phrase()));
        bail!(problem.hint("inspect opens builds that gates have refused"));
    }
    refused::refuse_gone(&ledger, build).await?;
    refused::open(&ledger, build).await?;
    let build = build.clone();
    Ok(Opened { ledger, build })
}

impl Opened {
    /// Closes the build again, unless a run has resumed it or dropped it meanwhile.
    pub async fn close(self) -> Result<()> {
        let now = self.ledger.build(self.build.id).await?;
        if now.state == State::Refused {
            refused::close(&self.ledger, &now).await?;
        }
        self.ledger.close().await;
        Ok(())
    }
}
