//! What must be true before services may see a build.
//!
//! In: a finished build and what its dataset declares. Out: every gate with its finding, and,
//! if all passed, a [`Passed`], whose seal is the only way to a [`VerifiedBuild`]. Moving the
//! alias takes a `VerifiedBuild`, so an unverified build cannot be published by mistake. All
//! gates are asked, so that one night's report names everything that is wrong. A gate that
//! cannot be asked is an error, never a pass.

mod catalog;
pub mod change;
pub mod checks;
pub mod compat;
mod counts;
pub mod external;
mod golden;
mod live;
pub mod names;
pub mod reader;
mod readers;
mod warm;

use crate::gate::{Gate, Overrides, failures};

use crate::build::{allow_connections, finish_stamp};
use crate::config::Env;
use crate::crashpoint;
use crate::dataset::Dataset;
use crate::ledger::{Build, Ledger, Lock, State};
use crate::postgres::{Server, Session};
use crate::problem::Problem;
use crate::progress::Progress;
use crate::rotate::probe::Prober;
use crate::schema::files::SqlFiles;
use crate::switch;
use anyhow::{Context, Result, bail};
use live::{Live, Moved};
use serde::Serialize;
use std::time::Duration;

/// What verification found.
#[derive(Debug, Serialize)]
pub struct Findings {
    pub build: String,
    pub gates: Vec<Gate>,
    /// Rows that checks have found, where somebody has asked by hand to see them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub samples: Vec<checks::Sample>,
}

impl Findings {
    /// Whether no gate stops the build.
    pub fn passed(&self) -> bool {
        !self.gates.iter().any(Gate::stops)
    }

    /// The proof that no gate stops the build.
    ///
    /// # Errors
    /// Status 1 that lists the gates that do.
    pub fn proof(&self, build: &Build) -> Result<Passed> {
        if let Some(failed) = failures(&self.gates)
            && switch::on("verify.refuses")
        {
            let mut hint =
                "the alias was not touched; services stay on the build they have".to_owned();
            if self
                .gates
                .iter()
                .any(|gate| gate.gate == compat::GATE && gate.stops())
            {
                hint += &format!("; {}", compat::HINT);
            }
            bail!(Problem::refused(format!("verify `{}`: {failed}", build.name)).hint(hint));
        }
        Ok(Passed {
            build: build.clone(),
        })
    }
}

/// A build that has passed every gate and is still open to its owner.
#[derive(Debug)]
pub struct Passed {
    build: Build,
}

/// A build that has passed every gate, as the ledger knows.
#[derive(Debug, Clone)]
pub struct VerifiedBuild {
    build: Build,
}

impl VerifiedBuild {
    /// The build that was verified.
    pub fn build(&self) -> &Build {
        &self.build
    }

    /// A build that the ledger recorded as verified, and whose database still exists.
    ///
    /// # Errors
    /// Status 1 when it was never verified or is gone.
    pub fn recorded(build: Build) -> Result<VerifiedBuild> {
        match build.state {
            State::Verified | State::Published => Ok(VerifiedBuild { build }),
            _ if !switch::on("flip.verified") => Ok(VerifiedBuild { build }),
            state => bail!(Problem::refused(format!(
                "`{}` {}: services get verified builds only",
                build.name,
                state.phrase()
            ))),
        }
    }
}

impl Passed {
    /// Writes the verification into the stamp, closes the database and records both: what passed
    /// is what will be published, because nobody can connect in between.
    pub async fn seal(self, ledger: &Ledger, session: Session) -> Result<VerifiedBuild> {
        finish_stamp(&session).await?;
        session.close().await;
        ledger.check_lock(&self.build.dataset, Lock::Build).await?;
        ledger.begin().await?;
        let sealed = async {
            allow_connections(ledger, &self.build.name, !switch::on("seal.closed")).await?;
            ledger.set_state(&self.build, State::Verified).await?;
            ledger
                .event(
                    &self.build.dataset,
                    Some(self.build.id),
                    "verified",
                    &self.build.name,
                )
                .await?;
            crashpoint::reached("seal.before_commit");
            ledger.commit().await
        };
        if let Err(error) = sealed.await {
            ledger.rollback().await;
            return Err(error).with_context(|| format!("seal `{}`", self.build.name));
        }
        crashpoint::reached("seal.after_commit");
        Ok(VerifiedBuild {
            build: Build {
                state: State::Verified,
                ..self.build
            },
        })
    }
}

/// A build that is asked about, and everything that a gate may need to ask.
pub struct Candidate<'c> {
    pub ledger: &'c Ledger,
    pub server: &'c Server,
    /// A session of the owner in the build.
    pub session: &'c Session,
    pub dataset: &'c Dataset,
    pub files: &'c SqlFiles,
    pub build: &'c Build,
    /// Who looks with a reader's eyes.
    pub prober: &'c Prober,
    /// Where secrets of dataset.toml are looked up.
    pub env: Env<'c>,
    /// Longest statement of a session that a gate opens.
    pub statement_limit: Option<Duration>,
    /// Hears how long each gate took.
    pub progress: &'c Progress,
}

/// How often a candidate is compared when the live build changes meanwhile.
const COMPARISONS: u32 = 5;

/// Asks every gate, and keeps what they found in the ledger, also where they pass.
///
/// A move of the alias does not wait for this. If another build is live at the end, all gates are asked
/// again, so that what is found is about one and the same live build.
///
/// # Errors
/// When a gate cannot be asked (the connection, a check file that fails): fails closed.
pub async fn verify(candidate: &Candidate<'_>, overrides: &Overrides) -> Result<Findings> {
    let Candidate { ledger, build, .. } = *candidate;
    let mut comparisons = 1;
    let mut gates = loop {
        let live = Live::read(ledger, build).await?;
        match ask(candidate, &live).await {
            Err(error) if !error.is::<Moved>() => return Err(error),
            Ok(gates) if !live.has_moved().await? => break gates,
            _ => {}
        }
        if comparisons == COMPARISONS {
            bail!(
                Problem::dependency(format!(
                    "the live build changed {comparisons} times while `{}` was compared with it",
                    build.name
                ))
                .hint("the new build is kept; run again when the alias is not being moved")
            );
        }
        comparisons += 1;
        tracing::warn!(
            build = %build.name,
            "the live build changed while the new one was compared with it: every gate is asked again"
        );
    };
    overrides.apply(&mut gates);
    ledger
        .record_findings(build, "verify", &gates, overrides)
        .await?;
    Ok(Findings {
        build: build.name.clone(),
        gates,
        samples: Vec::new(),
    })
}

/// Asks every gate once; those that compare look at `live`.
async fn ask(candidate: &Candidate<'_>, live: &Live<'_>) -> Result<Vec<Gate>> {
    let Candidate {
        session,
        dataset,
        build,
        progress,
        ..
    } = *candidate;
    let mut gates = vec![
        counts::stamp(session, build).await?,
        counts::version(session, dataset).await?,
    ];
    gates.extend(counts::inputs(session, dataset).await?);
    let rows = counts::tables(session, dataset);
    gates.extend(progress.part("rows", rows).await?);
    // Both read whole tables, each with sessions of its own.
    let change = progress.part("change", change::gates(candidate, live));
    let (change, checks) = futures_util::try_join!(change, checks::gates(candidate))?;
    gates.extend(change);
    gates.extend(catalog::gates(session).await?);
    let compatibility = compat::gate(candidate, live);
    gates.push(progress.part(compat::GATE, compatibility).await?);
    gates.push(readers::can_read(session, &dataset.settings.readers).await?);
    gates.extend(checks);
    gates.extend(golden::gates(candidate, live).await?);
    let external = external::gate(candidate, live);
    gates.extend(progress.part("external", external).await?);
    Ok(gates)
}
