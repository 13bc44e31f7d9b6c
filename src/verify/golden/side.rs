//! One build that a golden query is asked of: its columns, its rows, its times.

use crate::postgres::Session;
use crate::units::grouped;
use futures_util::TryStreamExt;
use std::time::{Duration, Instant};

/// One build that a query is asked of, in a transaction that is rolled back.
pub(super) struct Side<'s> {
    pub(super) session: &'s Session,
    prepared: tokio_postgres::Statement,
    pub(super) columns: Vec<String>,
    pub(super) rows: u64,
    pub(super) times: Vec<Duration>,
}

impl<'s> Side<'s> {
    /// Begins the transaction and prepares the query.
    pub(super) async fn open(
        session: &'s Session,
        text: &str,
        longest: Duration,
    ) -> Result<Side<'s>, tokio_postgres::Error> {
        let longest = longest.as_millis();
        session
            .batch_execute(&format!(
                "begin read only; set local search_path = public; set local statement_timeout = {longest}"
            ))
            .await?;
        let prepared = session.prepare(text).await?;
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

    /// Runs the query once. The rows are counted and dropped as they come.
    pub(super) async fn run(&mut self) -> Result<(), tokio_postgres::Error> {
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

    pub(super) fn median(&self) -> Duration {
        let mut times = self.times.clone();
        times.sort();
        times.get(times.len() / 2).copied().unwrap_or_default()
    }

    pub(super) fn words(&self) -> String {
        format!("{} in {}", of_rows(self.rows), seconds(self.median()))
    }
}

pub(super) fn of_rows(rows: u64) -> String {
    match rows {
        1 => "1 row".into(),
        rows => format!("{} rows", grouped(rows)),
    }
}

pub(super) fn seconds(time: Duration) -> String {
    match time.as_secs_f64() {
        short if short < 1.0 => format!("{:.1} ms", short * 1000.0),
        long => format!("{long:.1} s"),
    }
}
