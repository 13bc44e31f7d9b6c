//! What must be true before services may see a build.
//!
//! In: a finished build and what its dataset declares. Out: every gate with its finding, and,
//! if all passed, a [`Passed`], whose seal is the only way to a [`VerifiedBuild`]. Moving the
//! alias takes a `VerifiedBuild`, so an unverified build cannot be published by mistake. All
//! gates are asked, so that one night's report names everything that is wrong. A gate that
//! cannot be asked is an error, never a pass.

mod catalog;
mod counts;
mod readers;

use crate::build::{allow_connections, finish_stamp};
use crate::crashpoint;
use crate::dataset::Dataset;
use crate::ledger::{Build, Ledger, Lock, State};
use crate::postgres::Session;
use crate::problem::Problem;
use crate::schema::numbered::NumberedFile;
use crate::schema::run::offending_rows;
use anyhow::{Context, Result, bail};
use serde::Serialize;

/// Offending rows of one query are counted up to here; more would only take longer.
const MAX_OFFENDING_COUNTED: u64 = 1_000_000;

/// One gate and what it found.
#[derive(Debug, Clone, Serialize)]
pub struct Gate {
    pub gate: String,
    pub passed: bool,
    /// In words: counts and names, never a value of the data.
    pub finding: String,
}

impl Gate {
    fn new(gate: impl Into<String>, passed: bool, finding: impl Into<String>) -> Gate {
        Gate {
            gate: gate.into(),
            passed,
            finding: finding.into(),
        }
    }

    /// Passed if nothing was found.
    fn none(gate: impl Into<String>, found: &[String]) -> Gate {
        match found {
            [] => Gate::new(gate, true, "none"),
            found => Gate::new(gate, false, found.join(", ")),
        }
    }
}

/// What verification found.
#[derive(Debug, Serialize)]
pub struct Findings {
    pub build: String,
    pub gates: Vec<Gate>,
}

impl Findings {
    /// Whether every gate passed.
    pub fn passed(&self) -> bool {
        self.gates.iter().all(|gate| gate.passed)
    }

    /// The proof that every gate passed.
    ///
    /// # Errors
    /// Status 1 that lists the gates that did not.
    pub fn proof(&self, build: &Build) -> Result<Passed> {
        let failed: Vec<String> = self
            .gates
            .iter()
            .filter(|gate| !gate.passed)
            .map(|gate| format!("{}: {}", gate.gate, gate.finding))
            .collect();
        if !failed.is_empty() {
            bail!(
                Problem::refused(format!("verify `{}`: {}", build.name, failed.join("; ")))
                    .hint("the alias was not touched; services stay on the build they have")
            );
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
            state => bail!(Problem::refused(format!(
                "`{}` is {}: only a verified build can stand behind the alias",
                build.name,
                state.word()
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
            allow_connections(ledger, &self.build.name, false).await?;
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

/// Asks every gate.
///
/// # Errors
/// When a gate cannot be asked (the connection, a check file that fails): fails closed.
pub async fn verify(
    ledger: &Ledger,
    session: &Session,
    dataset: &Dataset,
    build: &Build,
    checks: &[NumberedFile],
) -> Result<Findings> {
    let mut gates = vec![
        counts::stamp(session, build).await?,
        counts::version(session, dataset).await?,
    ];
    gates.extend(counts::inputs(session, dataset).await?);
    gates.extend(counts::tables(session, dataset).await?);
    gates.extend(counts::change(ledger, session, dataset, build).await?);
    gates.extend(catalog::gates(session).await?);
    gates.push(readers::can_read(session, &dataset.settings.readers).await?);
    for check in checks {
        let rows: u64 = offending_rows(session, check, MAX_OFFENDING_COUNTED)
            .await
            .with_context(|| format!("run the check `{}`", check.name))?
            .iter()
            .map(|query| query.rows)
            .sum();
        let finding = match rows {
            0 => "no offending row".to_owned(),
            1 => "1 offending row".to_owned(),
            rows => format!("{rows} offending rows"),
        };
        gates.push(Gate::new(
            format!("check {}", check.name),
            rows == 0,
            finding,
        ));
    }
    for gate in &gates {
        if gate.passed {
            tracing::debug!(gate = %gate.gate, finding = %gate.finding, "passed");
        } else {
            tracing::error!(gate = %gate.gate, finding = %gate.finding, "not passed");
        }
    }
    Ok(Findings {
        build: build.name.clone(),
        gates,
    })
}
