//! Gates that the application's own queries ask, of the new build and of the live one.
//!
//! In: the golden files and both builds. Out: one gate for each file. Each query runs as the reader,
//! in turns on both sides, so that a busy machine is busy for both: same columns, as many rows as
//! its header allows, not much slower, and no large table read from end to end. On the live build a
//! query may fail, because it may be about something new; on the new one that is what is looked for.

use super::reader::{Place, Reader, is_closed};
use super::warm::{any, explained};
use super::{Candidate, warm};
use crate::gate::Gate;
use crate::postgres::error::explain_statement;
use crate::postgres::sql::{Statement, leading_word};
use crate::postgres::{Session, is_cancelled};
use crate::schema::header::{GoldenHeader, Level};
use crate::schema::numbered::NumberedFile;
use crate::switch;
use crate::units::{Bytes, grouped};
use anyhow::{Context, Result, bail, ensure};
use futures_util::TryStreamExt;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A query that names no limit is stopped after this.
const LONGEST: Duration = Duration::from_secs(60);
/// Slow queries are repeated less often: no further run begins after this.
const PATIENCE: Duration = Duration::from_secs(5);

/// Warms up, then asks every golden file.
///
/// # Errors
/// No session of a reader can be had, or a connection is lost.
pub async fn gates(candidate: &Candidate<'_>) -> Result<Vec<Gate>> {
    let mut gates = Vec::new();
    let settings = &candidate.dataset.settings;
    gates.extend(warm::warm(candidate.session, &settings.warm).await?);
    if candidate.files.golden.is_empty() {
        return Ok(gates);
    }
    let place = |database, closed| Place {
        server: candidate.server,
        prober: candidate.prober,
        database,
        closed,
    };
    let closed = is_closed(candidate.build).then_some(candidate.session);
    let here = place(candidate.session.database(), closed);
    let alias = place(&candidate.dataset.name, None);
    let new = here.look().await?;
    let asked = async {
        let live = match candidate.live {
            Some(_) => Some(alias.look().await.context("look at the live build")?),
            None => None,
        };
        for file in &candidate.files.golden {
            gates.push(ask(file, &new, live.as_ref()).await?);
        }
        if let Some(live) = live {
            alias.close(live).await?;
        }
        anyhow::Ok(gates)
    };
    let gates = asked.await;
    here.close(new).await?;
    gates
}

/// All queries of one file.
async fn ask(file: &NumberedFile, new: &Reader, live: Option<&Reader>) -> Result<Gate> {
    let header = GoldenHeader::of_file(file)?;
    let statements = file.statements()?;
    ensure!(
        !statements.is_empty(),
        "`{}` has no query: it could never fail",
        file.path.display()
    );
    let (mut wrong, mut fine) = (Vec::new(), Vec::new());
    for statement in &statements {
        let word = leading_word(statement.text);
        if !matches!(word.as_str(), "select" | "with" | "values" | "table" | "") {
            bail!(
                "{}: a golden file is made of queries only, not `{word}`",
                file.place(statement.line)
            );
        }
        let query = Query {
            statement,
            header: &header,
            longest: file.timeout.unwrap_or(LONGEST),
        };
        let answer = query
            .ask(&new.session, live.map(|live| &live.session))
            .await
            .with_context(|| format!("ask {}", file.place(statement.line)))?;
        let place = match statements.len() {
            1 => String::new(),
            _ => format!("line {}: ", statement.line),
        };
        match answer {
            Ok(words) => fine.push(format!("{place}{words}")),
            Err(words) => wrong.push(format!("{place}{words}")),
        }
    }
    let told = if wrong.is_empty() { &fine } else { &wrong };
    let gate = Gate::new(
        format!("golden {}", file.name),
        wrong.is_empty(),
        format!("as {}: {}", new.role, told.join("; ")),
    );
    Ok(match header.level {
        Level::Error => gate,
        Level::Warn => gate.only_warns(),
    })
}

/// One query and what is expected of it.
struct Query<'q> {
    statement: &'q Statement<'q>,
    header: &'q GoldenHeader,
    longest: Duration,
}

/// One build that a query is asked of, in a transaction that is rolled back.
struct Side<'s> {
    session: &'s Session,
    prepared: tokio_postgres::Statement,
    columns: Vec<String>,
    rows: u64,
    times: Vec<Duration>,
}

impl Query<'_> {
    /// What is right about the answers, or what is wrong.
    async fn ask(&self, new: &Session, live: Option<&Session>) -> Result<Result<String, String>> {
        let asked = self.compare(new, live).await;
        for session in [Some(new), live].into_iter().flatten() {
            // A lost session has nothing to roll back; the error that led here says so.
            if !session.is_closed() {
                session.batch_execute("rollback").await?;
            }
        }
        asked
    }

    async fn compare(
        &self,
        new: &Session,
        live: Option<&Session>,
    ) -> Result<Result<String, String>> {
        let mut not_compared = String::new();
        let mut old = None;
        if let Some(live) = live {
            match self.open(live).await {
                Ok(side) => old = Some(side),
                Err(error) => not_compared = self.not_on_live(live, error)?,
            }
        }
        let mut side = match self.open(new).await {
            Ok(side) => side,
            Err(error) => return self.refused(new, error).map(Err),
        };
        let began = Instant::now();
        // The first run of each is not timed: it reads what the others find in the cache.
        for run in 0..=2 * self.header.runs() {
            let enough = run > self.header.runs() && !self.is_slow(&side, old.as_ref());
            if enough || (run > 1 && began.elapsed() > PATIENCE) {
                break;
            }
            if let Some(live) = &mut old
                && let Err(error) = live.run().await
            {
                not_compared = self.not_on_live(live.session, error)?;
                old = None;
            }
            if let Err(error) = side.run().await {
                return self.refused(new, error).map(Err);
            }
            if run == 0 {
                side.times.clear();
                old.iter_mut().for_each(|old| old.times.clear());
            }
        }
        let mut wrong = Vec::new();
        wrong.extend(self.columns(&side, old.as_ref()));
        wrong.extend(self.rows(&side, old.as_ref()));
        wrong.extend(self.time(&side, old.as_ref()));
        match self.scans(new).await {
            Ok(scans) => wrong.extend(scans),
            Err(error) => return self.refused(new, error).map(Err),
        }
        Ok(match wrong.is_empty() {
            true => {
                let live = old.map_or_else(String::new, |old| format!(" (live {})", old.words()));
                Ok(format!("{}{live}{not_compared}", side.words()))
            }
            false => Err(wrong.join(", ")),
        })
    }

    async fn open<'s>(&self, session: &'s Session) -> Result<Side<'s>, tokio_postgres::Error> {
        let longest = self.longest.as_millis();
        session
            .batch_execute(&format!(
                "begin read only; set local search_path = public; set local statement_timeout = {longest}"
            ))
            .await?;
        let prepared = session.prepare(self.statement.text).await?;
        let columns = prepared.columns().iter().map(|column| {
            let kind = column.type_();
            match kind.schema() {
                "pg_catalog" => format!("{} {}", column.name(), kind.name()),
                schema => format!("{} {schema}.{}", column.name(), kind.name()),
            }
        });
        Ok(Side {
            session,
            columns: columns.collect(),
            prepared,
            rows: 0,
            times: Vec::new(),
        })
    }

    /// Why the query says nothing of the live build.
    fn not_on_live(&self, live: &Session, error: tokio_postgres::Error) -> Result<String> {
        if live.is_closed() {
            return Err(error).context("ask the live build");
        }
        let why = explain_statement(&error, self.statement.text);
        Ok(format!(" (not compared, on the live build: {why})"))
    }

    /// Why the new build does not answer.
    fn refused(&self, new: &Session, error: tokio_postgres::Error) -> Result<String> {
        if new.is_closed() {
            return Err(error).context("ask the new build");
        }
        if is_cancelled(&error) {
            return Ok(format!("no answer within {}", seconds(self.longest)));
        }
        Ok(explain_statement(&error, self.statement.text))
    }

    fn columns(&self, new: &Side<'_>, live: Option<&Side<'_>>) -> Option<String> {
        let live = live?;
        let changed = new.columns != live.columns && switch::on("golden.columns");
        changed.then(|| {
            format!(
                "columns ({}), live ({})",
                new.columns.join(", "),
                live.columns.join(", ")
            )
        })
    }

    fn rows(&self, new: &Side<'_>, live: Option<&Side<'_>>) -> Option<String> {
        if !switch::on("golden.rows") {
            return None;
        }
        let rows = new.rows;
        if let Some(min) = self.header.min.filter(|min| rows < *min) {
            return Some(format!(
                "{}, at least {} expected",
                of_rows(rows),
                grouped(min)
            ));
        }
        if let Some(max) = self.header.max.filter(|max| rows > *max) {
            return Some(format!(
                "{}, at most {} expected",
                of_rows(rows),
                grouped(max)
            ));
        }
        let before = live?.rows;
        let Some(allowed) = self.header.rows else {
            let vanished = rows == 0 && before > 0 && self.header.min.is_none();
            return vanished.then(|| format!("no row, {} on live", grouped(before)));
        };
        let percent = match (before, rows) {
            (0, 0) => 0.0,
            (0, _) => f64::INFINITY,
            _ => (rows as f64 - before as f64) * 100.0 / before as f64,
        };
        (percent.abs() > allowed.0).then(|| {
            format!(
                "{}, {} on live: {percent:+.2}%, allowed {allowed}",
                of_rows(rows),
                grouped(before)
            )
        })
    }

    /// Whether the factor against the live build is exceeded.
    fn is_slow(&self, new: &Side<'_>, live: Option<&Side<'_>>) -> bool {
        let over = |live: &Side<'_>| {
            let limit = live.median().mul_f64(self.header.slower());
            new.median() > limit.max(self.header.floor())
        };
        live.is_some_and(over)
            || self
                .header
                .budget
                .is_some_and(|budget| new.median() > budget.0)
    }

    fn time(&self, new: &Side<'_>, live: Option<&Side<'_>>) -> Option<String> {
        if !self.is_slow(new, live) || !switch::on("golden.latency") {
            return None;
        }
        let took = seconds(new.median());
        match (self.header.budget, live) {
            (Some(budget), _) if new.median() > budget.0 => {
                Some(format!("{took}, the budget is {}", seconds(budget.0)))
            }
            (_, Some(live)) => Some(format!(
                "{took}, {} on live, at most {} times as long is allowed",
                seconds(live.median()),
                self.header.slower()
            )),
            _ => None,
        }
    }

    /// Tables above the declared size that the query would read from end to end.
    async fn scans(&self, new: &Session) -> Result<Vec<String>, tokio_postgres::Error> {
        let Some(largest) = self
            .header
            .seq_scan
            .filter(|_| switch::on("golden.seq_scan"))
        else {
            return Ok(Vec::new());
        };
        let mut scanned = Vec::new();
        if let Some(plan) = explained(new, self.statement.text).await? {
            let seen = std::cell::RefCell::new(Vec::new());
            any(&plan, &|node| {
                seen.borrow_mut().extend(scanned_table(node));
                false
            });
            scanned = seen.into_inner();
        }
        let (schemas, tables): (Vec<String>, Vec<String>) = scanned.into_iter().unzip();
        // The leaves of one table count together.
        let rows = new
            .query(
                "select coalesce(pg_partition_root(c.oid), c.oid)::regclass::text, pg_relation_size(c.oid)
                 from (select distinct * from unnest($1::text[], $2::text[])) s (schema, name)
                      join pg_namespace n on n.nspname = s.schema
                      join pg_class c on c.relnamespace = n.oid and c.relname = s.name",
                &[&schemas, &tables],
            )
            .await?;
        let mut sizes: BTreeMap<String, i64> = BTreeMap::new();
        for row in &rows {
            *sizes.entry(row.get(0)).or_default() += row.get::<_, i64>(1);
        }
        let large = sizes
            .into_iter()
            .filter(|(_, size)| *size as u64 > largest.0);
        Ok(large
            .map(|(table, size)| {
                format!(
                    "reads all of {table} ({}), at most {largest} may be read from end to end",
                    Bytes(size as u64)
                )
            })
            .collect())
    }
}

fn scanned_table(node: &Value) -> Option<(String, String)> {
    if node["Node Type"] != "Seq Scan" {
        return None;
    }
    let schema = node["Schema"].as_str()?.to_owned();
    Some((schema, node["Relation Name"].as_str()?.to_owned()))
}

impl Side<'_> {
    /// Runs the query once. The rows are counted and dropped as they come.
    async fn run(&mut self) -> Result<(), tokio_postgres::Error> {
        let began = Instant::now();
        let none: [&(dyn tokio_postgres::types::ToSql + Sync); 0] = [];
        let rows = self.session.query_raw(&self.prepared, none).await?;
        let mut rows = std::pin::pin!(rows);
        self.rows = 0;
        while rows.try_next().await?.is_some() {
            self.rows += 1;
        }
        self.times.push(began.elapsed());
        Ok(())
    }

    fn median(&self) -> Duration {
        let mut times = self.times.clone();
        times.sort();
        times.get(times.len() / 2).copied().unwrap_or_default()
    }

    fn words(&self) -> String {
        format!("{} in {}", of_rows(self.rows), seconds(self.median()))
    }
}

fn of_rows(rows: u64) -> String {
    match rows {
        1 => "1 row".into(),
        rows => format!("{} rows", grouped(rows)),
    }
}

fn seconds(time: Duration) -> String {
    match time.as_secs_f64() {
        short if short < 1.0 => format!("{:.1} ms", short * 1000.0),
        long => format!("{long:.1} s"),
    }
}
