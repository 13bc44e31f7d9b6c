//! Chooses the rows of a subset: what the rules take, and everything that it refers to.
//!
//! In: a build, its [`Catalog`] and [`Rules`]. Out: [`Chosen`]: a session that holds one snapshot and the
//! chosen rows in temporary tables, and the [`Plan`] that says how many came along which reference.
//! Rows never come here: the server works round by round, each round taking what the one before refers
//! to (always) and what refers to it (as far as the reference says), until a round brings nothing new.
//!
//! The result depends on no order of the rounds: a parent comes or it does not, and of the children of
//! one row always the same ones come.

use super::catalog::Catalog;
use super::plan::{Because, Plan, TablePlan};
use super::rules::{Rules, Take};
use super::statement::{self, Which};
use crate::postgres::{Server, Session};
use crate::problem::Problem;
use anyhow::{Context, Result, bail};

/// A build with the rows of a subset chosen.
#[derive(Debug)]
pub struct Chosen {
    /// Holds the snapshot and the temporary tables; one statement at a time.
    pub keeper: tokio::sync::Mutex<Session>,
    pub server: Server,
    pub database: String,
    /// The name by which other sessions see the same rows.
    pub snapshot: String,
    pub catalog: Catalog,
    pub rules: Rules,
    pub plan: Plan,
}

/// Of each session in the build. Conditions of rules may use functions of `public`. Few rows of large
/// tables are asked for by their place or key: at the default price of a random page the server would
/// rather read 15 million rows (13 s) than find 150,000 of them (1 s).
pub(super) const SETTINGS: &str = "set search_path = pg_catalog, public; set jit = off; \
     set random_page_cost = 1.1; set work_mem = '64MB'; set temp_buffers = '64MB'";

/// Opens a session whose picture of the build stays as it is.
pub async fn open(server: &Server, database: &str) -> Result<(Session, String)> {
    let session = server.connect(database, "subset").await?;
    session
        .batch_execute(&format!(
            "{SETTINGS}; begin isolation level repeatable read"
        ))
        .await
        .context("begin to read the build")?;
    let snapshot = session
        .query_one("select pg_export_snapshot()", &[])
        .await
        .context("keep one picture of the build")?
        .try_get(0)?;
    Ok((session, snapshot))
}

/// Chooses the rows.
///
/// # Errors
/// Status 1 when the subset grows over its limits, naming what brought the rows; status 2 for a condition
/// that the server does not understand.
pub async fn choose(
    server: &Server,
    database: &str,
    (session, snapshot): (Session, String),
    catalog: Catalog,
    rules: Rules,
) -> Result<Chosen> {
    let mut work = Work {
        session: &session,
        catalog: &catalog,
        rules: &rules,
        plan: Plan::new(&catalog, &rules),
        round: vec![None; catalog.tables.len()],
    };
    work.roots().await?;
    work.rounds().await?;
    work.dangling().await?;
    let plan = work.plan;
    Ok(Chosen {
        keeper: tokio::sync::Mutex::new(session),
        server: server.clone(),
        database: database.to_owned(),
        snapshot,
        catalog,
        rules,
        plan,
    })
}

struct Work<'w> {
    session: &'w Session,
    catalog: &'w Catalog,
    rules: &'w Rules,
    plan: Plan,
    /// The last round that brought rows of each table.
    round: Vec<Option<i32>>,
}

impl Work<'_> {
    async fn roots(&mut self) -> Result<()> {
        let (catalog, rules) = (self.catalog, self.rules);
        for (at, table) in catalog.tables.iter().enumerate() {
            let rule = &rules.tables[at];
            if rule.take == Take::Derived {
                continue;
            }
            if rule.take == Take::Everything {
                let room = self.room(at)?;
                let sql = format!(
                    "select count(*) from (select from ({}) u limit {room}) u",
                    statement::rows(table, &statement::all_parts(table), &[])
                );
                let rows: i64 = self
                    .session
                    .query_one(&sql, &[])
                    .await
                    .with_context(|| format!("count the rows of `{}`", table.display()))?
                    .try_get(0)?;
                self.came(at, Because::Everything, rows.unsigned_abs(), 0)?;
                continue;
            }
            self.session
                .batch_execute(&statement::create_chosen(at))
                .await
                .context("make room for the chosen rows")?;
            let room = self.room(at)?;
            if let Some(sql) = statement::take(self.rules, table, at, room) {
                let rows =
                    self.session.execute(&sql, &[]).await.with_context(|| {
                        format!("choose rows of `{}` by its rule", table.display())
                    })?;
                self.came(at, Because::Rule, rows, 0)?;
            }
            for (number, key) in rule.include.iter().enumerate() {
                let sql = statement::include(table, at, key);
                let place = format!(
                    "[subset.tables.{}] include, key {}",
                    table.display(),
                    number + 1
                );
                let found: i64 = self
                    .session
                    .query_one(&statement::find(table, key), &[])
                    .await
                    .with_context(|| place.clone())?
                    .try_get(0)?;
                if found == 0 {
                    bail!(
                        Problem::refused(format!("{place}: the build has no such row"))
                            .hint("take the key out, or look whether the inputs still hold it")
                    );
                }
                let rows = self.session.execute(&sql, &[]).await.context(place)?;
                self.came(at, Because::Include, rows, 0)?;
            }
            self.analyze(at).await?;
        }
        Ok(())
    }

    async fn rounds(&mut self) -> Result<()> {
        let catalog = self.catalog;
        let mut round = 0;
        loop {
            let next = round + 1;
            for edge in &catalog.edges {
                if let Some(which) = self.fresh(edge.child, round)
                    && !self.is_whole(edge.parent)
                {
                    let room = self.room(edge.parent)?;
                    let sql = statement::parents(self.catalog, edge, which, next, room);
                    let rows = self
                        .session
                        .execute(&sql, &[])
                        .await
                        .with_context(|| format!("follow {}", edge.name))?;
                    self.came(edge.parent, Because::Parent(edge.name.clone()), rows, next)?;
                }
                if let Some(which) = self.fresh(edge.parent, round)
                    && edge.children.come()
                    && !self.is_whole(edge.child)
                    && !self.rules.tables[edge.child].closed
                {
                    let room = self.room(edge.child)?;
                    let sql = statement::children(
                        self.catalog,
                        edge,
                        &self.rules.seed,
                        which,
                        next,
                        room,
                    );
                    let rows = self
                        .session
                        .execute(&sql, &[])
                        .await
                        .with_context(|| format!("follow {} backwards", edge.name))?;
                    self.came(edge.child, Because::Child(edge.name.clone()), rows, next)?;
                }
            }
            let news: Vec<usize> = (0..self.round.len())
                .filter(|at| self.round[*at] == Some(next))
                .collect();
            if news.is_empty() {
                return Ok(());
            }
            for at in news {
                self.analyze(at).await?;
            }
            round = next;
        }
    }

    /// Where references lead nowhere in the build itself, the subset cannot do better, and says so.
    async fn dangling(&mut self) -> Result<()> {
        let catalog = self.catalog;
        for edge in catalog.edges.iter().filter(|edge| !edge.declared) {
            let which = match self.is_whole(edge.child) {
                true => Which::Whole,
                false => Which::Any,
            };
            let rows: i64 = self
                .session
                .query_one(&statement::dangling(self.catalog, edge, which), &[])
                .await
                .with_context(|| format!("look where {} leads", edge.name))?
                .try_get(0)?;
            self.plan.dangling.push(rows.unsigned_abs());
        }
        Ok(())
    }

    fn is_whole(&self, at: usize) -> bool {
        self.rules.tables[at].take == Take::Everything
    }

    /// The rows of a table that came in this round, if any did.
    fn fresh(&self, at: usize, round: i32) -> Option<Which> {
        match self.is_whole(at) {
            true => (round == 0 && self.plan.tables[at].rows > 0).then_some(Which::Whole),
            // A later statement of this round may have brought more; those belong to the next.
            false => self.plan.tables[at]
                .rounds
                .contains(&round)
                .then_some(Which::Round(round)),
        }
    }

    /// How many rows of a table may come, and one more to know that the limit is passed.
    fn room(&self, at: usize) -> Result<u64> {
        let rows = self.rules.max_rows.saturating_sub(self.plan.rows());
        let bytes = self.rules.max_bytes.saturating_sub(self.plan.bytes());
        let by_bytes = bytes / self.catalog.tables[at].row_bytes();
        Ok(rows.min(by_bytes).saturating_add(1).min(i64::MAX as u64))
    }

    /// Records rows, and stops when there are too many.
    fn came(&mut self, at: usize, because: Because, rows: u64, round: i32) -> Result<()> {
        if rows == 0 {
            return Ok(());
        }
        let text = because.to_string();
        self.round[at] = Some(round);
        self.plan.tables[at].add(because, rows, round);
        let (all_rows, all_bytes) = (self.plan.rows(), self.plan.bytes());
        let table = self.catalog.tables[at].display();
        let too_many = if all_rows > self.rules.max_rows {
            format!("max_rows = {}", self.rules.max_rows)
        } else if all_bytes > self.rules.max_bytes {
            format!(
                "max_bytes = \"{}\"",
                crate::units::Bytes(self.rules.max_bytes)
            )
        } else {
            return Ok(());
        };
        if crate::switch::on("subset.limits") {
            bail!(
                Problem::refused(format!(
                    "the subset grows over {too_many}: it had {} rows when {text} brought {} or more of `{table}`",
                    crate::units::grouped(all_rows - rows),
                    crate::units::grouped(rows),
                ))
                .hint("take a smaller share, fewer children along that reference, or raise the limit in [subset]")
            );
        }
        Ok(())
    }

    /// Lets the planner know how many rows there are. Not when there are none: it would believe that
    /// none will come.
    async fn analyze(&self, at: usize) -> Result<()> {
        if self.plan.tables[at].rows == 0 {
            return Ok(());
        }
        self.session
            .batch_execute(&format!("analyze {}", statement::chosen(at)))
            .await
            .context("count the chosen rows")
    }
}

impl TablePlan {
    fn add(&mut self, because: Because, rows: u64, round: i32) {
        self.rows += rows;
        self.rounds.insert(round);
        match self.why.iter_mut().find(|why| why.because == because) {
            Some(why) => why.rows += rows,
            None => self.why.push(super::plan::Why { because, rows }),
        }
    }
}
