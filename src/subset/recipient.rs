//! Makes a database for a subset, fills it, and puts its indexes and keys back.
//!
//! In: a [`Head`] and rows as binary COPY. Out: a database with the schema, keys, statistics, grants and
//! stamp of the build. Every foreign key is checked when it comes back, and every other reference by an
//! anti-join, so a subset in which something leads nowhere is never handed over.
//!
//! The same pieces that make a build are used here: the numbered SQL, what is set aside, the vacuum.

use super::head::{Head, HeadTable};
use super::place::{self, Role};
use super::statement;
use crate::build::{self, TableToVacuum};
use crate::postgres::{Server, Session, quote_ident, quote_literal};
use crate::problem::Problem;
use crate::schema::catalog::{self, Catalog};
use crate::schema::jobs::Job;
use crate::schema::run as numbered_run;
use crate::schema::schedule::{table_sizes, work_off};
use crate::schema::set_aside::{self, SetAside};
use crate::schema::worker::Limits;
use crate::switch;
use anyhow::{Context, Result, bail};
use bytes::Bytes;
use futures_util::SinkExt;
use std::collections::BTreeSet;
use std::pin::Pin;
use std::time::Duration;
use tokio_postgres::CopyInSink;

/// A database that is being made.
pub struct Recipient<'r> {
    pub server: &'r Server,
    /// A session in a database that is there already.
    pub maintenance: &'r Session,
    pub head: &'r Head,
    pub name: String,
    pub nonce: String,
    pub limits: Limits,
    /// Roles that may read it.
    pub readers: Vec<String>,
    pub stall_limit: Duration,
}

/// Its tables are there and empty, without indexes and keys.
pub struct Ready {
    keeper: Session,
    set_aside: SetAside,
    declared: Catalog,
}

/// The COPY of one table.
pub struct Receiver<'r> {
    session: Session,
    sink: Pin<Box<CopyInSink<Bytes>>>,
    table: &'r HeadTable,
    enable: Option<String>,
    stall_limit: Duration,
}

impl Recipient<'_> {
    /// Creates the database, its stamp and its tables.
    ///
    /// # Errors
    /// The server's; a part of a database may be left, which the next command sweeps.
    pub async fn prepare(&self) -> Result<Ready> {
        let name = quote_ident(&self.name);
        self.maintenance
            .batch_execute(&format!(
                "create database {name} template template0 encoding 'UTF8' lc_collate {} lc_ctype {}",
                quote_literal(&self.head.collate),
                quote_literal(&self.head.ctype)
            ))
            .await
            .with_context(|| {
                Problem::dependency(format!("create the database `{}`", self.name)).hint(format!(
                    "the role needs CREATEDB, and the server the locale {} of the build",
                    self.head.collate
                ))
            })?;
        place::mark(
            self.maintenance,
            &self.name,
            &self.head.dataset,
            Role::Unfinished,
            &self.nonce,
        )
        .await?;
        self.maintenance
            .batch_execute(&format!("revoke all on database {name} from public"))
            .await
            .context("close the new database to the public")?;
        let keeper = self.server.connect(&self.name, "subset").await?;
        keeper
            .batch_execute("revoke create on schema public from public")
            .await
            .context("close schema public of the new database")?;
        self.stamp(&keeper).await?;
        for file in &self.head.schema {
            let session = self.server.connect(&self.name, "subset schema").await?;
            numbered_run::run(&session, &file.file("schema")?)
                .await
                .with_context(|| format!("run `schema/{}`", file.name))?;
            session.close().await;
        }
        let declared = catalog::snapshot(&keeper).await?;
        let mut set_aside = set_aside::plan(&keeper)
            .await
            .context("find what to set aside")?;
        set_aside
            .take_out(&keeper)
            .await
            .context("set indexes and keys aside")?;
        let tables: Vec<String> = self.head.tables.iter().map(HeadTable::ident).collect();
        if !tables.is_empty() {
            // Schema files may have filled some; those rows are in the build as well.
            keeper
                .batch_execute(&format!("truncate {}", tables.join(", ")))
                .await
                .context("empty the tables")?;
        }
        Ok(Ready {
            keeper,
            set_aside,
            declared,
        })
    }

    async fn stamp(&self, session: &Session) -> Result<()> {
        let head = self.head;
        let writing = "write the stamp of the subset";
        session
            .batch_execute(&format!(
                "begin; {} {}",
                include_str!("../build/stamp.sql"),
                include_str!("stamp.sql")
            ))
            .await
            .context(writing)?;
        session
            .execute(
                "insert into overnight.build
                     (dataset, build, nonce, schema_version, tool_version, input_digest, created_at, verified_at)
                 values ($1, $2, $3, $4, $5, $6, $7::text::timestamptz, $8::text::timestamptz)",
                &[
                    &head.dataset,
                    &head.build,
                    &self.nonce,
                    &head.schema_version,
                    &env!("CARGO_PKG_VERSION"),
                    &head.input_digest,
                    &head.created_at,
                    &head.verified_at,
                ],
            )
            .await
            .context(writing)?;
        session
            .execute(
                "insert into overnight.subset (nonce, seed, rules_digest) values ($1, $2, $3)",
                &[&self.nonce, &head.seed, &head.rules_digest],
            )
            .await
            .context(writing)?;
        for table in &head.tables {
            session
                .execute(
                    "insert into overnight.subset_table (table_name, rows_copied) values ($1, $2)",
                    &[
                        &format!("{}.{}", table.schema, table.name),
                        &(table.rows as i64),
                    ],
                )
                .await
                .context(writing)?;
        }
        for (part, files) in [("schema", &head.schema), ("derive", &head.derive)] {
            for file in files {
                let digest = file.file(part)?.digest;
                session
                    .execute(
                        "insert into overnight.sql_file (path, sha256) values ($1, $2)",
                        &[&format!("{part}/{}", file.name), &digest],
                    )
                    .await
                    .context(writing)?;
            }
        }
        session.batch_execute("commit").await.context(writing)
    }

    /// Begins the COPY of a table.
    pub async fn receive<'t>(&self, table: &'t HeadTable) -> Result<Receiver<'t>> {
        let ident = table.ident();
        let session = self.server.connect(&self.name, "subset copy").await?;
        let filling = || format!("fill `{}`", table.name);
        session.batch_execute("begin").await.with_context(filling)?;
        let triggers: bool = session
            .query_one(
                "select exists (select from pg_trigger where tgrelid = $1::text::regclass and not tgisinternal)",
                &[&ident],
            )
            .await
            .with_context(filling)?
            .try_get(0)?;
        // What triggers did is in the rows already.
        let enable = triggers.then(|| format!("alter table {ident} enable trigger user"));
        if triggers {
            session
                .batch_execute(&format!("alter table {ident} disable trigger user"))
                .await
                .with_context(filling)?;
        }
        // FREEZE asks for a table that was emptied in the same transaction, and for one without parts.
        let freeze = match table.partitioned {
            true => "",
            false => {
                session
                    .batch_execute(&format!("truncate {ident}"))
                    .await
                    .with_context(filling)?;
                ", freeze"
            }
        };
        let columns: Vec<String> = table.columns.iter().map(|name| quote_ident(name)).collect();
        let columns = match columns.is_empty() {
            true => String::new(),
            false => format!(" ({})", columns.join(", ")),
        };
        let sink = session
            .copy_in(&format!(
                "copy {ident}{columns} from stdin (format binary{freeze})"
            ))
            .await
            .with_context(filling)?;
        Ok(Receiver {
            session,
            sink: Box::pin(sink),
            table,
            enable,
            stall_limit: self.stall_limit,
        })
    }

    /// Puts back what was set aside, derives, checks and analyzes.
    ///
    /// # Errors
    /// Status 1 for a key that does not hold, naming it.
    pub async fn finish(&self, ready: Ready) -> Result<()> {
        let Ready {
            keeper,
            set_aside,
            declared,
        } = ready;
        let all: Vec<TableToVacuum> = build::tables(&keeper).await?;
        self.work_off(
            &keeper,
            build::add_vacuum(set_aside.jobs(), &all, &BTreeSet::new()),
        )
        .await
        .context("put indexes and keys back")?;
        for sequence in &self.head.sequences {
            let name = format!(
                "{}.{}",
                quote_ident(&sequence.schema),
                quote_ident(&sequence.name)
            );
            keeper
                .execute(
                    "select setval($1::text::regclass, $2)",
                    &[&name, &sequence.value],
                )
                .await
                .with_context(|| format!("set the sequence {name}"))?;
        }
        for file in &self.head.derive {
            let session = self.server.connect(&self.name, "subset derive").await?;
            numbered_run::run(&session, &file.file("derive")?)
                .await
                .with_context(|| format!("run `derive/{}`", file.name))?;
            session.close().await;
        }
        let views = self.refresh_views(&keeper).await?;
        if views || !self.head.derive.is_empty() {
            self.work_off(
                &keeper,
                build::add_vacuum(Vec::new(), &all, &BTreeSet::new()),
            )
            .await
            .context("analyze what was derived")?;
        }
        build::freeze_the_rest(&keeper).await?;
        let left = declared.diff(&catalog::snapshot(&keeper).await?);
        if !left.is_empty() {
            bail!(Problem::refused(format!(
                "after the copy the catalog is not what the schema files declared: {}",
                left.join("; ")
            )));
        }
        self.check_references(&keeper).await?;
        build::grant_readers(&keeper, &self.readers).await?;
        keeper.close().await;
        place::mark(
            self.maintenance,
            &self.name,
            &self.head.dataset,
            Role::Finished,
            &self.nonce,
        )
        .await
    }

    async fn work_off(&self, keeper: &Session, jobs: Vec<Job>) -> Result<()> {
        let roots: BTreeSet<u32> = jobs.iter().map(|job| job.table_oid).collect();
        let sizes = table_sizes(keeper, &roots).await?;
        let open = || self.server.connect(&self.name, "subset index");
        work_off(jobs, open, &self.limits, sizes, None, |_, _| {}).await
    }

    /// Fills materialized views again, in the order in which they were made.
    async fn refresh_views(&self, keeper: &Session) -> Result<bool> {
        let views = keeper
            .query(
                "select format('%I.%I', n.nspname, c.relname) from pg_class c
                 join pg_namespace n on n.oid = c.relnamespace
                 where c.relkind = 'm' and c.relispopulated order by c.oid",
                &[],
            )
            .await
            .context("list materialized views")?;
        for view in &views {
            let name: String = view.try_get(0)?;
            keeper
                .batch_execute(&format!("refresh materialized view {name}"))
                .await
                .with_context(|| format!("fill the materialized view {name}"))?;
        }
        Ok(!views.is_empty())
    }

    /// No reference leads nowhere that led somewhere in the build.
    async fn check_references(&self, keeper: &Session) -> Result<()> {
        for reference in &self.head.references {
            let sql = statement::orphans(
                &format!("{} u", reference.child),
                &format!("{} w", reference.parent),
                [
                    &reference.child_columns,
                    &reference.parent_columns,
                    &reference.operators,
                ],
            );
            let found: i64 = keeper
                .query_one(&sql, &[])
                .await
                .with_context(|| format!("look where {} leads", reference.name))?
                .try_get(0)?;
            if found.unsigned_abs() > reference.dangling && switch::on("subset.orphans") {
                bail!(Problem::refused(format!(
                    "{}: {found} rows lead nowhere, {} in the build",
                    reference.name, reference.dangling
                )));
            }
            if reference.dangling > 0 {
                tracing::warn!(
                    "{}: {} rows lead nowhere, in the build as well",
                    reference.name,
                    reference.dangling
                );
            }
        }
        Ok(())
    }
}

impl Receiver<'_> {
    /// Sends bytes on.
    pub async fn write(&mut self, bytes: Bytes) -> Result<()> {
        match tokio::time::timeout(self.stall_limit, self.sink.send(bytes)).await {
            Ok(sent) => sent.with_context(|| format!("fill `{}`", self.table.name)),
            Err(_) => bail!(
                Problem::dependency(format!(
                    "fill `{}`: the server took no bytes for {} s",
                    self.table.name,
                    self.stall_limit.as_secs()
                ))
                .hint("look for a full disk or a lock; --stall-limit sets the limit")
            ),
        }
    }

    /// Ends the COPY and commits; as many rows must have come as were chosen.
    pub async fn finish(mut self) -> Result<()> {
        let filling = || format!("fill `{}`", self.table.name);
        let rows = self.sink.as_mut().finish().await.with_context(filling)?;
        if rows != self.table.rows && switch::on("subset.rows") {
            bail!(Problem::refused(format!(
                "`{}`: {rows} rows came, {} were chosen",
                self.table.name, self.table.rows
            )));
        }
        let enable = self.enable.as_deref().unwrap_or_default();
        self.session
            .batch_execute(&format!("{enable}; commit"))
            .await
            .with_context(filling)?;
        self.session.close().await;
        Ok(())
    }
}
