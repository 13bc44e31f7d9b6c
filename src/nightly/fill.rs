//! From declared, empty tables to full ones with their indexes, keys and statistics.
//!
//! While tables load, those that are ready get their indexes, keys and statistics, as far as the server
//! has cores to spare. When all are there the derive files run, one after the other; a table that only
//! they fill gets its own behind the last that writes it. What derive files have written is analyzed
//! again at the end, so every table of the build is frozen and has its statistics.

use super::{Prepared, Run};
use crate::build::{self, TableToVacuum};
use crate::crashpoint;
use crate::ledger::Build;
use crate::load::{Destination, LoadRequest, Loader, TableJob, TableLoad, frozen_by_load};
use crate::postgres::Session;
use crate::problem::Problem;
use crate::schema::catalog;
use crate::schema::jobs::Job;
use crate::schema::numbered::NumberedFile;
use crate::schema::run::run_and_tell_writes;
use crate::schema::schedule::{Loading, table_sizes, work_off};
use crate::schema::set_aside::SetAside;
use crate::schema::worker::Limits;
use crate::switch;
use crate::verify::change::sample_shifts;
use anyhow::{Context, Result, bail};
use futures_util::{StreamExt, TryStreamExt, stream};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;
use tokio::sync::mpsc::{self, UnboundedSender};

/// Shorter index builds are not recorded one by one: a table may have thousands of partitions.
const SHORTEST_JOB: Duration = Duration::from_millis(10);

impl Run<'_> {
    /// Loads, puts back, derives, analyzes.
    pub(super) async fn fill(
        &self,
        build: &Build,
        prepared: Prepared,
        keeper: &Session,
        list_rejects: bool,
    ) -> Result<Vec<TableLoad>> {
        let Prepared {
            jobs,
            set_aside,
            declared,
            roots,
            late,
            waiting,
            away,
            ..
        } = prepared;
        let limits = self.limits();
        let (early, parts) = late.split(&set_aside);
        let (now, later): (Vec<TableToVacuum>, Vec<TableToVacuum>) = build::tables(keeper)
            .await?
            .into_iter()
            .filter(|table| !table.is_stamp)
            .partition(|table| !late.behind.contains_key(&table.root_oid));

        let present: BTreeSet<u32> = now.iter().map(|table| table.root_oid).collect();
        let sizes = table_sizes(keeper, &present).await?;
        let (tell, loaded) = mpsc::unbounded_channel();
        // When every table is there already, nobody is waited for.
        let loading = (!roots.is_empty()).then_some(Loading { roots, loaded });
        let connections = self
            .capacity
            .connections(self.place.config.load.connections);
        let frozen = frozen_by_load(&jobs, connections);
        let put_back = build::add_vacuum(early.jobs(), &now, &frozen);
        let put_back = self.work_off(build, put_back, &limits, sizes, loading);
        let load = self.load(build, jobs, list_rejects, &limits, tell);
        let loads = side_by_side(load, put_back).await?;
        self.progress.moved(None, None, Some(limits.sessions));
        let found = catalog::snapshot(keeper).await?;
        as_declared("load", waiting.diff(&found))?;
        crashpoint::reached("put_back.after");
        build::unfinished::forget_plan(keeper).await?;

        self.progress.stage("derive");
        crashpoint::reached("derive.before");
        let mut clean: BTreeSet<u32> = present;
        self.derive(build, parts, &later, keeper, &limits, &mut clean)
            .await?;
        let mut left = declared.diff(&catalog::snapshot(keeper).await?);
        left.retain(|line| away.contains(line));
        as_declared("derive files", left)?;
        crashpoint::reached("derive.after");

        self.progress.stage("analyze");
        let mut rest = build::tables(keeper).await?;
        rest.retain(|table| !clean.contains(&table.root_oid));
        self.put_back_late(build, &SetAside::default(), &rest, keeper, &limits)
            .await?;
        let again = build::freeze_the_rest(keeper).await?;
        if !again.is_empty() {
            tracing::debug!("frozen in a second pass: {}", again.join(", "));
        }
        crashpoint::reached("vacuum.after");
        Ok(loads)
    }

    /// How much may happen at once.
    pub fn limits(&self) -> Limits {
        let sessions = self.place.config.index_sessions;
        let connections = self.place.config.load.connections;
        let slots = self.capacity.slots(sessions.max(connections));
        Limits::new(&self.capacity, sessions, &slots)
    }

    async fn load(
        &self,
        build: &Build,
        jobs: Vec<TableJob>,
        list_rejects: bool,
        limits: &Limits,
        tell: UnboundedSender<u32>,
    ) -> Result<Vec<TableLoad>> {
        self.progress.stage("load");
        let settings = self.place.config.load;
        let connections = self.capacity.connections(settings.connections);
        let mut loader = Loader::new(LoadRequest {
            location: self.location,
            settings,
            connections,
            temporary: &self.place.config.temporary,
            list_rejects,
            progress: self.progress,
            samples: sample_shifts(self.ledger, build).await?,
            throttle: self.brake.throttle.clone(),
        })?;
        let destination = Destination {
            server: &self.place.server,
            database: &build.name,
        };
        let loads = loader.load(destination, jobs, &limits.slots, &tell).await?;
        let rows: u64 = loads.iter().map(|load| load.rows).sum();
        let inputs = loads.iter().flat_map(|load| &load.inputs);
        let bytes = inputs.map(|input| input.bytes).sum();
        self.progress
            .moved(Some(rows), Some(bytes), Some(connections));
        self.progress.stage("indexes and keys");
        Ok(loads)
    }

    async fn work_off(
        &self,
        build: &Build,
        jobs: Vec<Job>,
        limits: &Limits,
        sizes: HashMap<u32, u64>,
        loading: Option<Loading>,
    ) -> Result<()> {
        let open = || self.open(build, "index");
        let told = |job: &Job, took: Duration| {
            if took >= SHORTEST_JOB {
                self.progress.part_took(job.to_string(), took);
            }
        };
        work_off(jobs, open, limits, sizes, loading, told)
            .await
            .context("put indexes and keys back")
    }

    /// Runs the derive files in the order of their numbers, those of one number side by side; takes out of `clean` what they write, and adds what is finished.
    async fn derive(
        &self,
        build: &Build,
        mut parts: BTreeMap<usize, SetAside>,
        later: &[TableToVacuum],
        keeper: &Session,
        limits: &Limits,
        clean: &mut BTreeSet<u32>,
    ) -> Result<()> {
        let files = &self.files.derive;
        let mut position = 0;
        for numbered in files.chunk_by(|one, next| one.number == next.number) {
            let running = numbered.iter().map(|file| self.derive_file(build, file));
            let written: Vec<Option<Vec<u32>>> = stream::iter(running)
                .buffered(limits.sessions)
                .try_collect()
                .await?;
            let known = build::tables(keeper).await?;
            let written: Vec<u32> = (known.iter())
                .filter(|table| {
                    let by_one = |file: &Option<Vec<u32>>| {
                        file.as_ref().is_none_or(|all| all.contains(&table.oid))
                    };
                    written.iter().any(by_one)
                })
                .map(|table| table.root_oid)
                .collect();
            clean.retain(|root| !written.contains(root));
            forget_measures(keeper, &written).await?;
            for position in position..position + numbered.len() {
                let Some(part) = parts.remove(&position) else {
                    continue;
                };
                let own: BTreeSet<u32> = part.keys.iter().map(|key| key.root_oid).collect();
                let tables = later.iter().filter(|table| own.contains(&table.root_oid));
                let tables: Vec<TableToVacuum> = tables.cloned().collect();
                self.put_back_late(build, &part, &tables, keeper, limits)
                    .await?;
                clean.extend(own);
            }
            position += numbered.len();
        }
        Ok(())
    }

    /// Runs one derive file. Returns the tables that it has written, `None` if that cannot be known.
    async fn derive_file(&self, build: &Build, file: &NumberedFile) -> Result<Option<Vec<u32>>> {
        let session = self.open(build, &format!("derive {}", file.name)).await?;
        let part = format!("derive/{}", file.name);
        let running = run_and_tell_writes(&session, file);
        let written = self.progress.part(&part, running).await;
        let written = written.with_context(|| format!("run `{part}`"))?;
        session.close().await;
        Ok(written)
    }

    /// Puts keys of tables back that nobody is loading, and vacuums `tables`.
    async fn put_back_late(
        &self,
        build: &Build,
        part: &SetAside,
        tables: &[TableToVacuum],
        keeper: &Session,
        limits: &Limits,
    ) -> Result<()> {
        let roots = tables.iter().map(|table| table.root_oid).collect();
        let sizes = table_sizes(keeper, &roots).await?;
        let jobs = build::add_vacuum(part.jobs(), tables, &BTreeSet::new());
        self.work_off(build, jobs, limits, sizes, None).await
    }
}

/// Forgets what the load has measured of tables that SQL has written since: the server is asked about them.
async fn forget_measures(keeper: &Session, tables: &[u32]) -> Result<()> {
    keeper
        .execute(
            "update overnight.loaded l set profile = null, sketches = null
             from pg_class c join pg_namespace n on n.oid = c.relnamespace
             where c.oid = any($1) and l.profile is not null and l.table_name =
                   case n.nspname when 'public' then c.relname::text else n.nspname || '.' || c.relname end",
            &[&tables],
        )
        .await
        .context("forget what was measured of a table that a derive file has written")?;
    Ok(())
}

/// Runs the load and the work that follows it table by table; the first error stops both.
async fn side_by_side(
    load: impl Future<Output = Result<Vec<TableLoad>>>,
    put_back: impl Future<Output = Result<()>>,
) -> Result<Vec<TableLoad>> {
    let mut load = std::pin::pin!(load);
    let mut put_back = std::pin::pin!(put_back);
    tokio::select! {
        done = &mut put_back => {
            done?;
            load.await
        }
        loads = &mut load => {
            // After an error its end of the channel is closed: the other cancels what runs and ends.
            let done = put_back.await;
            let loads = loads?;
            done.map(|()| loads)
        }
    }
}

fn as_declared(after: &str, differences: Vec<String>) -> Result<()> {
    if !differences.is_empty() && switch::on("schema.as_declared") {
        bail!(Problem::refused(format!(
            "after the {after} the catalog is not what the schema files declared: {}",
            differences.join("; ")
        )));
    }
    Ok(())
}
