//! Statistics and the visibility map of a finished build.

use crate::ledger::Build;
use crate::postgres::{Server, Session, quote_ident};
use anyhow::{Context, Result};
use futures_util::{StreamExt, TryStreamExt, stream};

/// Freezes, analyzes and marks visible every table, side by side. After COPY FREEZE there is
/// almost nothing to do but the statistics.
pub async fn vacuum(
    server: &Server,
    build: &Build,
    keeper: &Session,
    sessions: usize,
) -> Result<()> {
    let rows = keeper
        .query(
            "select n.nspname::text, c.relname::text, c.relkind = 'p'
             from pg_class c join pg_namespace n on n.oid = c.relnamespace
             where c.relkind in ('r', 'm', 'p') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
             order by c.relkind = 'p', c.relpages desc",
            &[],
        )
        .await
        .context("list the tables")?;
    let statements = rows.iter().map(|row| {
        let table = format!("{}.{}", quote_ident(row.get(0)), quote_ident(row.get(1)));
        match row.get(2) {
            true => format!("analyze {table}"),
            false => format!("vacuum (freeze, analyze) {table}"),
        }
    });
    stream::iter(statements)
        .map(|statement| async move {
            let session = server.connect(&build.name, "analyze").await?;
            session
                .batch_execute(&statement)
                .await
                .with_context(|| statement.clone())?;
            anyhow::Ok(())
        })
        .buffer_unordered(sessions)
        .try_collect::<()>()
        .await
}
