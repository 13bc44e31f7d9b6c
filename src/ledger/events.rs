//! What happened, one row each, never changed afterwards.

use super::Ledger;
use crate::postgres::quote_literal;
use anyhow::{Context, Result};

impl Ledger {
    /// Adds an event. `detail` holds names and numbers, never a value from the data.
    pub async fn event(
        &self,
        dataset: &str,
        build: Option<i64>,
        kind: &str,
        detail: &str,
    ) -> Result<()> {
        self.session
            .execute(
                "insert into ledger.event (dataset, build, kind, detail, actor) values ($1, $2, $3, $4, $5)",
                &[&dataset, &build, &kind, &detail, &self.actor],
            )
            .await
            .context("write an event to the ledger")?;
        Ok(())
    }

    /// The statement that adds an event, for the end of a transaction.
    pub fn event_statement(
        &self,
        dataset: &str,
        build: Option<i64>,
        kind: &str,
        detail: &str,
    ) -> String {
        format!(
            "insert into ledger.event (dataset, build, kind, detail, actor) values ({}, {}, {}, {}, {})",
            quote_literal(dataset),
            build.map_or_else(|| "null".to_owned(), |build| build.to_string()),
            quote_literal(kind),
            quote_literal(detail),
            quote_literal(&self.actor)
        )
    }
}
