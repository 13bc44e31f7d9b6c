//! Resuming a build that an earlier run did not finish.
//!
//! In: the builds that the ledger calls loading. Out: the one of the same inputs, SQL, source files and
//! release, if there is one that had begun to load; all others are swept. What was set aside lies in
//! the build itself, and so do the receipts. A table with a receipt stays; one without is loaded anew,
//! whatever may lie in it: its load begins with a TRUNCATE. Indexes and keys that are back stay.

use super::{Options, Prepared, Run, inputs};
use crate::build::unfinished::{self, Unfinished};
use crate::build::{end_sessions, fail_and_sweep, refused, sessions_in};
use crate::crashpoint;
use crate::ledger::{Build, Ledger, State};
use crate::load::{InputCount, TableLoad, is_touched, read_receipt, take_back_receipt};
use crate::manifest::SourceInputs;
use crate::postgres::error::explain_chain;
use crate::postgres::{Server, Session};
use crate::problem::Problem;
use crate::schema::catalog::Catalog;
use crate::schema::late::{Late, root_of};
use crate::schema::set_aside::SetAside;
use crate::schema::tables;
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

/// Why a build of other inputs is not resumed.
const OTHER_INPUTS: &str = "it was made from other inputs, source files or SQL";

/// How long sessions of the run before may take to end.
const ENDING: Duration = Duration::from_secs(20);

/// Whether a run resumes what an earlier one has left.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Resume {
    /// Where it can.
    #[default]
    IfPossible,
    /// It must: an error otherwise.
    Only,
    /// Never: everything anew.
    Never,
}

/// What a run took over from the one before.
#[derive(Debug, Default, Clone, Serialize)]
pub struct TakenOver {
    /// Tables that stayed as they were loaded.
    pub kept: Vec<String>,
    /// Tables that were loaded anew.
    pub loaded: Vec<String>,
    /// Indexes, keys and foreign keys that were back already.
    pub keys_kept: usize,
}

/// What a build remembers for the run that resumes it.
#[derive(Debug, Serialize, Deserialize)]
struct Plan {
    set_aside: SetAside,
    declared: Catalog,
    waiting: Catalog,
    away: Vec<String>,
    late: Late,
    /// Columns of the primary keys, by table.
    watched: HashMap<u32, Vec<String>>,
    /// What else decides about the build and is no part of its inputs.
    locale: String,
}

/// A build taken over, ready for the rest of its load.
pub(super) struct Resumed {
    /// What is left to be loaded and put back; `None` when only the gates are left.
    pub prepared: Option<Prepared>,
    pub keeper: Session,
    pub kept: Vec<TableLoad>,
    pub taken: TakenOver,
}

impl Resumed {
    /// A build that this run has begun itself.
    pub(super) fn anew(prepared: Prepared, keeper: Session) -> Resumed {
        Resumed {
            prepared: Some(prepared),
            keeper,
            kept: Vec::new(),
            taken: TakenOver::default(),
        }
    }
}

/// Sweeps builds that no run will resume. One that cannot be swept must not keep tonight's run
/// from its work.
pub(super) async fn sweep_unfinished(
    ledger: &Ledger,
    server: &Server,
    dataset: &str,
    reason: &str,
) -> Result<()> {
    for build in ledger.builds(dataset).await? {
        if build.state == State::Loading {
            let_go(ledger, server, &build, reason).await;
        }
    }
    Ok(())
}

async fn let_go(ledger: &Ledger, server: &Server, build: &Build, reason: &str) {
    tracing::info!(build = %build.name, "the unfinished build is dropped: {reason}");
    if let Err(error) = fail_and_sweep(ledger, server, build, reason).await {
        let why = explain_chain(&error);
        tracing::warn!(build = %build.name, "{why}; tried again at the next start");
    }
}

impl Run<'_> {
    /// The build to resume; drops the others.
    ///
    /// # Errors
    /// Status 1 when one was asked for and there is none; then nothing is dropped.
    pub(super) async fn unfinished(
        &self,
        digest: &str,
        options: &Options,
    ) -> Result<Option<Build>> {
        self.reopen_refused(digest, options).await?;
        self.drop_expired().await;
        let mut found = None;
        let mut others = Vec::new();
        for build in self.ledger.builds(&self.dataset.name).await? {
            if build.state != State::Loading {
                continue;
            }
            let why_not = match &found {
                Some(_) => Some("a newer one is resumed".to_owned()),
                // A build that cannot be looked into must not keep tonight's run from its work.
                None => match self.why_not(&build, digest, options).await {
                    Ok(why_not) => why_not,
                    Err(error) => Some(explain_chain(&error)),
                },
            };
            match why_not {
                None => found = Some(build),
                Some(why) => others.push((build, why)),
            }
        }
        if found.is_none() && options.resume == Resume::Only {
            let reasons = others.iter();
            let reasons: Vec<String> = reasons
                .map(|(build, why)| format!("`{}`: {why}", build.name))
                .collect();
            let why = match reasons.is_empty() {
                true => "no run has left an unfinished build".to_owned(),
                false => reasons.join("; "),
            };
            bail!(
                Problem::refused(format!("nothing can be resumed: {why}"))
                    .hint("run without --resume; the alias was not touched")
            );
        }
        for (build, why) in &others {
            let_go(self.ledger, &self.place.server, build, why).await;
        }
        Ok(found)
    }

    /// The newest refused build stands for the gates alone, where its rows come from the same inputs: what
    /// refused it may be accepted now, or a check was wrong and is corrected.
    async fn reopen_refused(&self, digest: &str, options: &Options) -> Result<()> {
        if options.resume == Resume::Never || options.force {
            return Ok(());
        }
        let builds = self.ledger.builds(&self.dataset.name).await?;
        let newest = builds.iter().find(|build| build.state == State::Refused);
        let (location, manifest) = (self.location, self.manifest);
        if let Some(build) = newest
            && inputs::same_content(&build.input_digest, digest)
            && inputs::loaded_from(self.ledger, build, location, manifest).await?
        {
            refused::resume(self.ledger, build).await?;
        }
        Ok(())
    }

    /// Why a build cannot be resumed; `None` if it can.
    async fn why_not(
        &self,
        build: &Build,
        digest: &str,
        options: &Options,
    ) -> Result<Option<String>> {
        if options.resume == Resume::Never {
            return Ok(Some("--fresh was asked for".into()));
        }
        if !inputs::same_content(&build.input_digest, digest) {
            return Ok(Some(OTHER_INPUTS.into()));
        }
        Ok(
            match unfinished::look(self.ledger, &self.place.server, build).await? {
                Unfinished::Lost(why) => Some(why),
                Unfinished::Resumable { rejects, .. } if options.list_rejects && rejects > 0 => {
                    Some("--rejects asks for the rejects of tables that are loaded already".into())
                }
                Unfinished::Resumable { filled, .. } => {
                    self.why_not_its_plan(build, filled).await?
                }
            },
        )
    }

    async fn why_not_its_plan(&self, build: &Build, filled: bool) -> Result<Option<String>> {
        let session = self.place.server.connect(&build.name, "resume").await?;
        let read = async {
            let tables = self.tables_of_these_inputs(&session).await?;
            if filled {
                let why_not = self.why_not_filled(&session, tables).await?;
                return Ok((unfinished::filled(&session).await?, tables, why_not));
            }
            let plan = unfinished::read_plan(&session).await?;
            let plan = serde_json::from_str::<Plan>(&plan).ok();
            anyhow::Ok((plan.map(|plan| plan.locale), tables, None))
        };
        let read = read.await;
        session.close().await;
        let (locale, tables, why_not) = read?;
        if tables == 0 {
            return Ok(Some(OTHER_INPUTS.into()));
        }
        if why_not.is_some() {
            return Ok(why_not);
        }
        let Some(locale) = locale else {
            return Ok(Some("another release wrote down what is set aside".into()));
        };
        let other = locale != self.place.config.locale;
        Ok(other.then(|| format!("it was made with the locale {locale}")))
    }

    /// Why a build whose derive files have run cannot be taken as it is: they read what is others now.
    async fn why_not_filled(&self, session: &Session, tables: usize) -> Result<Option<String>> {
        if tables < self.dataset.sources.len() {
            return Ok(Some(OTHER_INPUTS.into()));
        }
        for source in &self.dataset.sources {
            if is_touched(session, source).await? {
                let table = source.full_table();
                return Ok(Some(format!(
                    "rows of `{table}` were changed after its load"
                )));
            }
        }
        Ok(None)
    }

    /// How many tables were loaded from the objects of this run.
    async fn tables_of_these_inputs(&self, session: &Session) -> Result<usize> {
        let mut tables = 0;
        for (source, inputs) in self.dataset.sources.iter().zip(&self.manifest.inputs) {
            if let Some(load) = read_receipt(session, source).await?
                && self.is_of_these(&load, inputs).await?
            {
                tables += 1;
            }
        }
        Ok(tables)
    }

    async fn is_of_these(&self, load: &TableLoad, inputs: &SourceInputs) -> Result<bool> {
        let recorded: Vec<&InputCount> = load.inputs.iter().collect();
        inputs::same_objects(self.location, &inputs.objects, &recorded).await
    }

    /// Takes back the receipts of tables that other objects or other hands have filled, in the
    /// transaction under way. Returns the uppermost tables of these.
    async fn take_back_stale(
        &self,
        session: &Session,
        known: &[tables::Table],
    ) -> Result<BTreeSet<u32>> {
        let mut anew = BTreeSet::new();
        for (source, inputs) in self.dataset.sources.iter().zip(&self.manifest.inputs) {
            let Some(load) = read_receipt(session, source).await? else {
                continue;
            };
            let why = if !self.is_of_these(&load, inputs).await? {
                "its objects are others now"
            } else if is_touched(session, source).await? {
                "rows of it were changed after its load"
            } else {
                continue;
            };
            tracing::warn!("`{}` is loaded anew: {why}", load.table);
            take_back_receipt(session, source).await?;
            let table = known
                .iter()
                .find(|table| table.schema == source.schema && table.name == source.table);
            anew.extend(table.map(|table| root_of(known, table.oid)));
        }
        Ok(anew)
    }

    /// Writes down that the build is made from the objects of this run from now on.
    pub(super) async fn adopt(&self, mut build: Build, digest: &str) -> Result<Build> {
        if build.input_digest == digest {
            return Ok(build);
        }
        let session = self.place.server.connect(&build.name, "resume").await?;
        let written = session
            .execute("update overnight.build set input_digest = $1", &[&digest])
            .await
            .context("write the inputs into the stamp");
        session.close().await;
        written?;
        self.ledger.set_input_digest(&build, digest).await?;
        digest.clone_into(&mut build.input_digest);
        Ok(build)
    }

    /// Takes indexes and keys out, and writes into the build what another run must know to go on
    /// with it: both or neither.
    pub(super) async fn set_aside(&self, prepared: &mut Prepared, keeper: &Session) -> Result<()> {
        let mut left = prepared.set_aside.clone();
        let watched = prepared.jobs.iter().filter_map(|job| {
            let watched = job.plan.watched.as_ref()?;
            Some((job.plan.table_oid, watched.columns.clone()))
        });
        keeper.batch_execute("begin").await?;
        left.take_out_here(keeper).await?;
        let plan = Plan {
            set_aside: left.clone(),
            declared: prepared.declared.clone(),
            waiting: prepared.waiting.clone(),
            away: prepared.away.clone(),
            late: prepared.late.clone(),
            watched: watched.collect(),
            locale: self.place.config.locale.clone(),
        };
        let plan = serde_json::to_string(&plan).context("write down what is set aside")?;
        unfinished::keep_plan(keeper, &plan).await?;
        keeper.batch_execute("commit").await?;
        prepared.set_aside = left;
        Ok(())
    }

    /// Ends what the run before may still do in the build, and finds out what is left to do.
    pub(super) async fn take_over(&self, build: &Build) -> Result<Resumed> {
        self.progress.stage("resume");
        crashpoint::reached("resume.before");
        self.end_others(build).await?;
        let keeper = self.open(build, "build").await?;
        if unfinished::filled(&keeper).await?.is_some() {
            return self.take_over_filled(build, keeper).await;
        }
        let plan: Plan = serde_json::from_str(&unfinished::read_plan(&keeper).await?)
            .context("read what was set aside")?;
        let known = tables::tables(&keeper).await?;
        keeper.batch_execute("begin").await?;
        let anew = self.take_back_stale(&keeper, &known).await?;
        let missing = plan.set_aside.missing(&keeper, &anew).await?;
        unfinished::count_resume(&keeper).await?;
        for statement in &missing.drops {
            keeper
                .batch_execute(statement)
                .await
                .context("drop what was put back by halves")?;
        }
        crashpoint::reached("resume.before_commit");
        keeper.batch_execute("commit").await?;

        let mut kept = Vec::new();
        let mut jobs = Vec::new();
        for (source, inputs) in self.dataset.sources.iter().zip(&self.manifest.inputs) {
            let receipt = read_receipt(&keeper, source).await?;
            if let Some(load) = receipt {
                kept.push(load);
                continue;
            }
            let mut job = self.table_job(source, inputs, &known, &keeper).await?;
            // The primary key itself is away.
            if let Some(columns) = plan.watched.get(&job.plan.table_oid) {
                job.plan.watch(columns.clone());
            }
            jobs.push(job);
        }
        let all = |set: &SetAside| set.keys.len() + set.foreign_keys.len();
        let taken = TakenOver {
            kept: kept.iter().map(|load| load.table.clone()).collect(),
            loaded: jobs
                .iter()
                .map(|job| job.plan.source.full_table())
                .collect(),
            keys_kept: all(&plan.set_aside) - all(&missing.left),
        };
        self.tell(build, &taken).await?;
        crashpoint::reached("resume.after");
        let filled = jobs.iter().map(|job| job.plan.table_oid);
        let roots = filled.map(|oid| (oid, root_of(&known, oid))).collect();
        Ok(Resumed {
            prepared: Some(Prepared {
                jobs,
                roots,
                set_aside: missing.left,
                declared: plan.declared,
                late: plan.late,
                waiting: plan.waiting,
                away: plan.away,
                not_rehearsed: Vec::new(),
            }),
            keeper,
            kept,
            taken,
        })
    }

    /// Takes over a build whose run ended while the gates were asked.
    async fn take_over_filled(&self, build: &Build, keeper: Session) -> Result<Resumed> {
        unfinished::count_verification(&keeper).await?;
        let mut kept = Vec::new();
        for source in &self.dataset.sources {
            let receipt = read_receipt(&keeper, source).await?;
            kept.push(receipt.with_context(|| {
                format!("`{}` has no receipt for `{}`", build.name, source.name)
            })?);
        }
        let taken = TakenOver {
            kept: kept.iter().map(|load| load.table.clone()).collect(),
            ..TakenOver::default()
        };
        self.tell(build, &taken).await?;
        crashpoint::reached("resume.after");
        Ok(Resumed {
            prepared: None,
            keeper,
            kept,
            taken,
        })
    }

    async fn tell(&self, build: &Build, taken: &TakenOver) -> Result<()> {
        let said = format!(
            "kept: {}; to load: {}; indexes and keys that are back: {}",
            list(&taken.kept),
            list(&taken.loaded),
            taken.keys_kept
        );
        tracing::info!(build = %build.name, "resumes the build of an earlier run; {said}");
        self.ledger
            .event(&build.dataset, Some(build.id), "resumed", &said)
            .await
    }

    /// Whatever the run before had asked for and the server still does: it could commit a table, or
    /// put an index back, after we have looked.
    async fn end_others(&self, build: &Build) -> Result<()> {
        let Some(oid) = build.database_oid else {
            bail!("the build `{}` has no database", build.name);
        };
        let end = Instant::now() + ENDING;
        loop {
            end_sessions(self.ledger, oid).await?;
            let others = sessions_in(self.ledger, oid).await?;
            if others == 0 {
                return Ok(());
            }
            if Instant::now() > end {
                bail!(
                    Problem::dependency(format!(
                        "{others} sessions in `{}` do not end",
                        build.name
                    ))
                    .hint("look at pg_stat_activity; end them, then run again")
                );
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

fn list(names: &[String]) -> String {
    match names.is_empty() {
        true => "nothing".into(),
        false => names.join(", "),
    }
}
