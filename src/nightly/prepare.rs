//! Everything of a run that can fail before the first row.
//!
//! In: a fresh, empty build. Out: [`Prepared`]: tables as the schema files declare them, each with
//! its plan, and a rehearsal behind us. A night that is going to fail should fail here, in the
//! first minute, and not after hours of loading.

use super::Run;
use crate::crashpoint;
use crate::dataset::Source;
use crate::fetch::REQUESTS_AT_ONCE;
use crate::ledger::Build;
use crate::load::plan::TablePlan;
use crate::load::{TableJob, object};
use crate::manifest::SourceInputs;
use crate::postgres::{Session, explain_chain};
use crate::printable::Printable;
use crate::problem::Problem;
use crate::schema::catalog::{self, Catalog};
use crate::schema::late::{Late, root_of};
use crate::schema::set_aside::{self, SetAside};
use crate::schema::{rehearse, tables};
use crate::sort::Order;
use crate::switch;
use crate::verify::external;
use crate::verify::reader::refuse_without_reader;
use anyhow::{Context, Result, anyhow};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use std::collections::HashMap;

/// A build whose tables are declared and empty, and what will be done with them.
pub struct Prepared {
    pub jobs: Vec<TableJob>,
    pub set_aside: SetAside,
    pub declared: Catalog,
    /// The uppermost table of each table that a source fills.
    pub roots: HashMap<u32, u32>,
    /// What comes back only behind derive files.
    pub late: Late,
    /// What the catalog is while that is away.
    pub waiting: Catalog,
    /// How that differs from what is declared; nothing of it may be left behind the derive files.
    pub away: Vec<String>,
    /// Derive files that cannot be rehearsed, because they do not run in a transaction.
    pub not_rehearsed: Vec<String>,
}

impl Run<'_> {
    /// The load of one source: its table and the headers of its objects.
    pub(super) async fn table_job(
        &self,
        source: &Source,
        inputs: &SourceInputs,
        known: &[tables::Table],
        session: &Session,
    ) -> Result<TableJob> {
        let mut plan = TablePlan::new(source, known)?;
        plan.ask(session).await?;
        let mut looked_at = Vec::new();
        let mut starts = stream::iter(&inputs.objects)
            .map(async |object| {
                let start = self.location.read_start(object, object::START_BYTES);
                anyhow::Ok((object, start.await?))
            })
            .buffered(REQUESTS_AT_ONCE);
        while let Some((object, start)) = starts.try_next().await? {
            let order = object::peek(&plan, &object.key, &start)
                .with_context(|| format!("look at the header of `{}`", Printable(&object.key)))?;
            looked_at.extend(order);
        }
        drop(starts);
        plan.in_order = !looked_at.is_empty() && looked_at.iter().all(Order::is_sorted);
        Ok(TableJob {
            plan,
            objects: inputs.objects.clone(),
        })
    }

    /// Everything that can fail before the first row: schema files, types, headers, rehearsal.
    pub async fn prepare(&self, build: &Build) -> Result<Prepared> {
        self.progress.stage("schema");
        crashpoint::reached("schema.before_files");
        self.run_files(build, "schema", &self.files.schema).await?;
        let session = self.open(build, "prepare").await?;
        for (part, file) in self.files.all() {
            let path = format!("{part}/{}", file.name);
            session
                .execute(
                    "insert into overnight.sql_file (path, sha256) values ($1, $2)",
                    &[&path, &file.digest],
                )
                .await
                .context("write the SQL digests into the stamp")?;
            self.ledger
                .record_sql_file(build, &path, &file.digest)
                .await?;
        }
        self.check_version(&session).await?;
        crashpoint::reached("schema.after_files");

        self.progress.stage("rehearse");
        let known = tables::tables(&session).await?;
        let mut jobs = Vec::new();
        for (source, inputs) in self.dataset.sources.iter().zip(&self.manifest.inputs) {
            jobs.push(self.table_job(source, inputs, &known, &session).await?);
        }
        let declared = catalog::snapshot(&session).await?;
        let set_aside = set_aside::plan(&session)
            .await
            .context("find what to set aside")?;
        let asked = [&self.files.checks[..], &self.files.golden].concat();
        let rehearsal = rehearse::rehearse(&session, &set_aside, &self.files.derive, &asked)
            .await
            .context("rehearse on the empty tables")?;
        let filled = jobs.iter().map(|job| job.plan.table_oid);
        let roots: HashMap<u32, u32> = filled.map(|oid| (oid, root_of(&known, oid))).collect();
        let loaded = roots.values().copied().collect();
        let mut late = Late::find(&set_aside, &known, &loaded, &self.files.derive);
        let mut waiting = declared.clone();
        let mut away = Vec::new();
        if !late.is_empty() {
            let tried = rehearse::rehearse_late(
                &session,
                &set_aside,
                &late,
                &self.files.derive,
                &rehearsal.derived,
            );
            match tried.await {
                Ok(catalog) => {
                    waiting = catalog;
                    away = declared.diff(&waiting);
                    let changed = declared.diff(&rehearsal.derived);
                    away.retain(|line| !changed.contains(line));
                }
                Err(error) => {
                    let why = explain_chain(&error);
                    tracing::info!("derived tables keep their keys while they are filled: {why}");
                    late = Late::default();
                }
            }
        }
        self.refuse_late_surprises(&session).await?;
        crashpoint::reached("rehearse.after");
        Ok(Prepared {
            jobs,
            set_aside,
            declared,
            roots,
            late,
            waiting,
            away,
            not_rehearsed: rehearsal
                .not_rehearsed
                .into_iter()
                .map(|(file, why)| format!("{file}: {why}"))
                .collect(),
        })
    }

    /// What the last gates need is there: better known now than behind the load.
    async fn refuse_late_surprises(&self, session: &Session) -> Result<()> {
        let settings = &self.dataset.settings;
        external::refuse_without_secrets(settings.external.as_ref(), self.env)?;
        if self.files.golden.is_empty() {
            return Ok(());
        }
        let has_login = self.place.prober(self.dataset, self.env)?.login.is_some();
        refuse_without_reader(session, self.dataset, has_login).await
    }

    /// A wrong schema version is known before anything is loaded.
    async fn check_version(&self, session: &Session) -> Result<()> {
        let expected = self.dataset.settings.schema_version;
        let declared = session
            .query_opt("select schema_version from overnight.declared", &[])
            .await
            .context("read the declared schema version")?
            .map(|row| row.get::<_, i32>(0));
        match declared {
            Some(version) if version == expected || !switch::on("run.version") => Ok(()),
            Some(version) => Err(anyhow!(
                Problem::refused(format!(
                    "the schema files declare version {version}, dataset.toml expects {expected}"
                ))
                .hint("raise `schema_version` when the services understand the new schema")
            )),
            None => Err(anyhow!(
                Problem::refused("no schema file declares a version").hint(format!(
                    "begin the first with: select overnight.declare_version({expected});"
                ))
            )),
        }
    }
}
