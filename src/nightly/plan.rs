//! Decides between nothing, the move of a build that waits, and a new build.

use super::resume::{self, Resume};
use super::{Options, Run, early, inputs, wait};
use crate::dataset::Dataset;
use crate::fetch::Location;
use crate::ledger::{Build, Ledger, State};
use crate::manifest::Manifest;
use crate::operation::Workplace;
use crate::problem::Problem;
use crate::rotate::probe::Prober;
use crate::rotate::refuse_stranger;
use crate::verify::VerifiedBuild;
use anyhow::{Result, bail};
use jiff::Timestamp;

/// The decision.
pub(super) enum Planned<'r> {
    /// The live build, of this name, was made from exactly these inputs.
    Unchanged(String),
    /// A build of the same inputs waits for its move.
    Waiting(Run<'r>, Box<VerifiedBuild>),
    /// A build has to be made; with who looks at the live database of which name meanwhile.
    Build(Run<'r>, Option<(Prober, String)>),
}

/// The build behind the alias.
pub async fn live_build(ledger: &Ledger, dataset: &Dataset) -> Result<Option<Build>> {
    match ledger.dataset(&dataset.name).await?.live_build {
        Some(id) => Ok(Some(ledger.build(id).await?)),
        None => Ok(None),
    }
}

/// Opens the location and lists the inputs.
pub(super) async fn pin(place: &Workplace, dataset: &Dataset) -> Result<(Location, Manifest)> {
    wait::for_inputs(place.config.wait_for, async || {
        let location = place.location().await?;
        let manifest = Manifest::pin(dataset, &location, Timestamp::now()).await?;
        Ok((location, manifest))
    })
    .await
}

impl<'r> Run<'r> {
    /// Decides what the run does.
    pub(super) async fn plan(
        mut self,
        digest: &str,
        live: Option<&Build>,
        options: &Options,
    ) -> Result<Planned<'r>> {
        let (place, ledger, dataset) = (self.place, self.ledger, self.dataset);
        let same = match live {
            Some(live) if !options.force => {
                inputs::made_from(ledger, live, self.location, self.manifest, digest).await?
            }
            _ => false,
        };
        if let Some(live) = live.filter(|_| same) {
            if options.resume == Resume::Only {
                bail!(Problem::refused(format!(
                    "nothing can be resumed: the inputs are those of `{}`, which is live",
                    live.name
                )));
            }
            let why = "the live build was made from the inputs of the night";
            self.drop_expired().await;
            resume::sweep_unfinished(ledger, &place.server, &dataset.name, why).await?;
            ledger
                .event(&dataset.name, Some(live.id), "unchanged", "")
                .await?;
            return Ok(Planned::Unchanged(live.name.clone()));
        }
        if !options.no_rotate {
            refuse_stranger(ledger, &place.server, &place.router, &dataset.name).await?;
        }
        early::warn(place, ledger, dataset, self.files, options, self.env).await?;
        tracing::info!("{}: the server has {}", dataset.name, self.capacity);
        if let Some(verified) = self.waiting_build(digest, live, options).await? {
            self.progress.build(&verified.build().name);
            let why = "a build of the same inputs is verified";
            self.drop_expired().await;
            resume::sweep_unfinished(ledger, &place.server, &dataset.name, why).await?;
            return Ok(Planned::Waiting(self, Box::new(verified)));
        }
        let left = self.sessions_left().await?;
        self.capacity
            .leave_others(left, place.config.load.connections);
        let prober = match (live, place.prober(dataset, self.env)) {
            (Some(live), Ok(prober)) => {
                let name = place.router.name_of_live(&dataset.name, live);
                Some((prober, name.to_owned()))
            }
            (_, Err(error)) if !options.no_rotate => return Err(error),
            _ => None,
        };
        Ok(Planned::Build(self, prober))
    }
}

impl Run<'_> {
    /// A build of the same inputs that an earlier run verified and did not publish.
    async fn waiting_build(
        &self,
        digest: &str,
        live: Option<&Build>,
        options: &Options,
    ) -> Result<Option<VerifiedBuild>> {
        if options.force || options.resume == Resume::Never {
            return Ok(None);
        }
        let mut waiting = None;
        let builds = self
            .ledger
            .builds(&self.dataset.name)
            .await?
            .into_iter()
            .filter(|build| {
                build.state == State::Verified && live.is_none_or(|live| build.id > live.id)
            });
        for build in builds {
            if self.is_made_from_these(&build, digest).await? && !self.is_too_old(&build).await? {
                waiting = Some(build);
                break;
            }
        }
        if let Some(build) = &waiting {
            self.ask_approval(build, options).await?;
        }
        waiting.map(VerifiedBuild::recorded).transpose()
    }

    async fn is_made_from_these(&self, build: &Build, digest: &str) -> Result<bool> {
        inputs::made_from(self.ledger, build, self.location, self.manifest, digest).await
    }
}
