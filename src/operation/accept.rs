//! Makes a refused build a verified one: an operator accepts the gates that refused it.
//!
//! What the gates found when they refused it is in the ledger and stays true while the same build is
//! live; otherwise every gate is asked again. No row is loaded or changed.

use super::Workplace;
use crate::build::{allow_connections, refused};
use crate::config::Env;
use crate::dataset::Dataset;
use crate::gate::{Gate, Overrides, Verdict, failures};
use crate::ledger::{Build, Ledger, Lock, State};
use crate::postgres::{Session, explain_chain};
use crate::problem::Problem;
use crate::progress::Progress;
use crate::schema::files::SqlFiles;
use crate::verify::{Candidate, Findings, Passed, verify};
use anyhow::{Result, bail};

/// A refused build and the gates that an operator accepts.
pub(super) struct Accepting<'a> {
    pub place: &'a Workplace,
    pub ledger: &'a Ledger,
    pub dataset: &'a Dataset,
    pub overrides: &'a Overrides,
    pub env: Env<'a>,
}

impl Accepting<'_> {
    /// Verifies the build with the accepted gates.
    ///
    /// # Errors
    /// Status 1 while a gate that it did not pass is not accepted, status 75 while a run is under way;
    /// the build stays refused and closed.
    pub async fn verified(&self, build: &Build) -> Result<Build> {
        let ledger = self.ledger;
        ledger.lock(&self.dataset.name, Lock::Build).await?;
        // A run may have resumed or dropped it before we had the lock.
        let build = &ledger.build(build.id).await?;
        if build.state != State::Refused {
            let (name, is) = (&build.name, build.state.phrase());
            bail!(Problem::refused(format!("`{name}` {is}")));
        }
        let recorded = ledger.last_findings(build, "verify").await?;
        if self.overrides.is_empty() {
            bail!(not_accepted(build, &recorded));
        }
        refused::refuse_gone(ledger, build).await?;
        refused::read_only(ledger, build, false).await?;
        allow_connections(ledger, &build.name, true).await?;
        let verified = async {
            let session = self.place.server.connect(&build.name, "accept").await?;
            let passed = self.ask(build, recorded, &session).await?;
            passed.seal(ledger, session).await
        };
        match verified.await {
            Ok(verified) => {
                ledger.unlock(&self.dataset.name, Lock::Build).await?;
                Ok(verified.build().clone())
            }
            Err(error) => {
                if let Err(also) = refused::close(ledger, build).await {
                    let why = explain_chain(&also);
                    tracing::warn!(build = %build.name, "{why}; the next run closes it");
                }
                Err(error)
            }
        }
    }

    async fn ask(&self, build: &Build, mut gates: Vec<Gate>, session: &Session) -> Result<Passed> {
        let (ledger, dataset) = (self.ledger, self.dataset);
        let live = ledger.dataset(&dataset.name).await?.live_build;
        if build.refused_beside == live {
            self.overrides.apply(&mut gates);
            let accepted = |gate: &&Gate| gate.verdict == Verdict::Accepted;
            let accepted: Vec<Gate> = gates.iter().filter(accepted).cloned().collect();
            if gates.iter().any(Gate::stops) || accepted.is_empty() {
                bail!(not_accepted(build, &gates));
            }
            ledger
                .record_findings(build, "verify", &accepted, self.overrides)
                .await?;
        } else {
            tracing::info!(build = %build.name, "another build is live since: every gate is asked again");
            let candidate = Candidate {
                ledger,
                server: &self.place.server,
                session,
                dataset,
                files: &SqlFiles::read(&dataset.sql)?,
                build,
                prober: &self.place.prober(dataset, self.env)?,
                env: self.env,
                statement_limit: self.place.config.statement_limit,
                progress: &Progress::default(),
            };
            gates = verify(&candidate, self.overrides).await?.gates;
        }
        let findings = Findings {
            build: build.name.clone(),
            gates,
            samples: Vec::new(),
        };
        findings.proof(build)
    }
}

/// The gates that are not accepted yet.
fn not_accepted(build: &Build, gates: &[Gate]) -> Problem {
    let (dataset, name) = (&build.dataset, &build.name);
    let stops: Vec<&Gate> = gates.iter().filter(|gate| gate.stops()).collect();
    if gates.is_empty() {
        return Problem::refused(format!(
            "`{name}` was refused, and the ledger does not know by which gates"
        ))
        .hint(format!(
            "`overnight verify {dataset} {name}` asks them again"
        ));
    }
    let Some(failed) = failures(gates) else {
        return Problem::refused(format!("`{name}` was refused, and passes every gate since")).hint(
            format!("`overnight run {dataset}` resumes and publishes it, where its inputs are still those of the night"),
        );
    };
    let accept: Vec<String> = stops
        .iter()
        .map(|gate| format!("--accept '{}'", gate.gate))
        .collect();
    Problem::refused(format!("`{name}` was refused: {failed}")).hint(format!(
        "`overnight rotate {dataset} {name} {} --reason TEXT` publishes it all the same; nothing was changed",
        accept.join(" ")
    ))
}
