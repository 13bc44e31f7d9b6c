//! The stages between the plan and the move: create, fill, verify, seal.
//!
//! Out: a verified build, or an error. What becomes of the database then depends on the error: gates
//! that did not pass leave it closed for an operator, what may pass by itself leaves it for the next
//! run, and everything else drops it.

use super::resume::Resumed;
use super::{Options, Run, TakenOver, bounded};
use crate::build::{self, refused};
use crate::crashpoint;
use crate::ledger::{Build, State};
use crate::load::TableLoad;
use crate::postgres::Session;
use crate::postgres::error as pg_error;
use crate::rotate::probe::Prober;
use crate::schema::numbered::NumberedFile;
use crate::schema::run as numbered_run;
use crate::verify::{Candidate, Findings, VerifiedBuild, verify};
use anyhow::{Context, Error, Result};
use std::time::Instant;

/// Objects named in one event, at most.
const MOST_UNUSED: usize = 20;

/// A filled build and what the gates found.
struct Filled {
    findings: Findings,
    keeper: Session,
    loads: Vec<TableLoad>,
    taken_over: Option<TakenOver>,
}

/// A build that may be published, and how it was made.
pub(super) struct Finished {
    pub verified: VerifiedBuild,
    pub loads: Vec<TableLoad>,
    pub taken_over: Option<TakenOver>,
}

impl Run<'_> {
    /// A file that the supplier has renamed is one that no source asks for.
    async fn record_unused(&self, build: &Build) -> Result<()> {
        let unused = &self.manifest.unused;
        if unused.is_empty() {
            return Ok(());
        }
        let shown: Vec<&str> = unused
            .iter()
            .take(MOST_UNUSED)
            .map(String::as_str)
            .collect();
        let more = match unused.len() - shown.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let detail = format!("no source uses {}{more}", shown.join(", "));
        let dataset = &self.dataset.name;
        let event = self
            .ledger
            .event(dataset, Some(build.id), "unused_objects", &detail);
        event.await
    }

    /// Builds and verifies. A failure leaves its record, and what an operator or the next run can use.
    pub(super) async fn build(
        &self,
        digest: &str,
        live: Option<&Build>,
        options: &Options,
        prober: Option<&(Prober, String)>,
        began: Instant,
    ) -> Result<Finished> {
        let beginning = async {
            if let Some(build) = self.unfinished(digest, options).await? {
                return Ok((self.adopt(build, digest).await?, true));
            }
            self.progress.stage("create");
            let locale = &self.place.config.locale;
            let server = &self.place.server;
            let build = build::create(self.ledger, server, self.dataset, digest, locale).await?;
            self.record_unused(&build).await?;
            Ok((build, false))
        };
        let deadline = options.deadline.as_ref();
        let (build, resumes) = bounded::until(deadline, self.progress, beginning).await?;
        self.progress.build(&build.name);
        let finished = self
            .make(&build, resumes, live, options, prober, began)
            .await;
        if let Err(error) = &finished {
            self.keep_or_abandon(&build, error).await;
        }
        finished
    }

    /// Drops a database that was never meant to become a build.
    pub async fn discard(&self, build: &Build) {
        let swept = async {
            build::sweep(self.ledger, &self.place.server, build).await?;
            self.ledger.set_state(build, State::Dropped).await
        };
        if let Err(error) = swept.await {
            let why = pg_error::explain_chain(&error);
            tracing::warn!(build = %build.name, "{why}; the next start drops the scratch database");
        }
    }

    /// Records the reason and drops the database. What does not succeed here is only logged: the
    /// reason of the failure matters more, and the next start repeats the rest.
    pub async fn abandon(&self, build: &Build, error: &anyhow::Error) {
        let reason = pg_error::explain_chain(error);
        let swept = build::fail_and_sweep(self.ledger, &self.place.server, build, &reason);
        if let Err(error) = swept.await {
            let why = pg_error::explain_chain(&error);
            tracing::warn!(build = %build.name, "{why}; the next start drops the unfinished build");
        }
    }

    async fn make(
        &self,
        build: &Build,
        resumes: bool,
        live: Option<&Build>,
        options: &Options,
        prober: Option<&(Prober, String)>,
        began: Instant,
    ) -> Result<Finished> {
        let filling = self.fill_and_verify(build, resumes, options);
        let filling = self.watched(build, prober, filling);
        let deadline = options.deadline.as_ref();
        let Filled {
            findings,
            keeper,
            loads,
            taken_over,
        } = self.bounded(filling, live, deadline).await?;
        let finishing = async {
            self.record(build, &loads, began).await?;
            let passed = match findings.proof(build) {
                Ok(passed) => passed,
                Err(refusal) => return Err(self.refuse(build, keeper, refusal).await),
            };
            // Before the seal: a build that is found sealed must not be published without it.
            self.ask_approval(build, options).await?;
            self.progress.stage("seal");
            passed.seal(self.ledger, keeper).await
        };
        let verified = bounded::until(deadline, self.progress, finishing).await?;
        Ok(Finished {
            verified,
            loads,
            taken_over,
        })
    }

    /// Keeps a build that gates have refused, if it is to be kept. Returns why the run fails.
    async fn refuse(&self, build: &Build, keeper: Session, refusal: Error) -> Error {
        if self.place.config.refused_keep.is_zero() {
            return refusal;
        }
        keeper.close().await;
        let reason = pg_error::explain_chain(&refusal);
        if let Err(error) = refused::refuse(self.ledger, build, &reason).await {
            tracing::warn!(build = %build.name, "{}", pg_error::explain_chain(&error));
            return refusal;
        }
        self.drop_expired().await;
        refused::with_commands(refusal, build)
    }

    async fn fill_and_verify(
        &self,
        build: &Build,
        resumes: bool,
        options: &Options,
    ) -> Result<Filled> {
        let server = &self.place.server;
        let resumed = match resumes {
            true => self.take_over(build).await?,
            false => {
                let mut prepared = self.prepare(build).await?;
                let keeper = self.open(build, "build").await?;
                crashpoint::reached("set_aside.before");
                self.set_aside(&mut prepared, &keeper)
                    .await
                    .context("set indexes and keys aside")?;
                crashpoint::reached("set_aside.after");
                Resumed::anew(prepared, keeper)
            }
        };
        let taken_over = resumes.then_some(resumed.taken);
        let (keeper, mut loads) = (resumed.keeper, resumed.kept);
        if let Some(prepared) = resumed.prepared {
            let list_rejects = options.list_rejects;
            loads.extend(self.fill(build, prepared, &keeper, list_rejects).await?);
            build::grant_readers(&keeper, &self.dataset.settings.readers).await?;
            crashpoint::reached("grant.after");
            build::unfinished::mark_filled(&keeper, &self.place.config.locale).await?;
        }

        self.progress.stage("verify");
        crashpoint::reached("verify.before");
        let candidate = Candidate {
            ledger: self.ledger,
            server,
            session: &keeper,
            dataset: self.dataset,
            files: self.files,
            build,
            prober: &self.place.prober(self.dataset, self.env)?,
            env: self.env,
            statement_limit: self.place.config.statement_limit,
            progress: self.progress,
        };
        let findings = verify(&candidate, &options.overrides).await?;
        crashpoint::reached("verify.after");
        Ok(Filled {
            findings,
            keeper,
            loads,
            taken_over,
        })
    }

    /// A session of the owner in the build, whose statements have the declared limit.
    pub(super) async fn open(&self, build: &Build, purpose: &str) -> Result<Session> {
        let session = self.place.server.connect(&build.name, purpose).await?;
        if let Some(limit) = self.place.config.statement_limit {
            session.limit(limit, limit).await?;
        }
        Ok(session)
    }

    /// Runs files in order, each on a fresh session.
    pub(super) async fn run_files(
        &self,
        build: &Build,
        part: &str,
        files: &[NumberedFile],
    ) -> Result<()> {
        for file in files {
            let session = self.open(build, &format!("{part} {}", file.name)).await?;
            let name = format!("{part}/{}", file.name);
            let running = numbered_run::run(&session, file);
            let ran = self.progress.part(&name, running).await;
            ran.with_context(|| format!("run `{name}`"))?;
        }
        Ok(())
    }

    async fn record(&self, build: &Build, loads: &[TableLoad], began: Instant) -> Result<()> {
        let inputs = || loads.iter().flat_map(|load| &load.inputs);
        let records = inputs().map(|input| input.records_read).sum();
        let rows = loads.iter().map(|load| load.rows).sum();
        let bytes = inputs().map(|input| input.bytes).sum();
        self.ledger
            .record_counts(build, records, rows, bytes, began.elapsed().as_secs_f64())
            .await?;
        self.ledger.record_loads(build, loads).await
    }
}
