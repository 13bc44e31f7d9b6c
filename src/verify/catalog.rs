//! Gates that look at the catalog: what a load or a derive file may leave half done.

use crate::gate::Gate;
use crate::postgres::Session;
use crate::switch;
use anyhow::{Context, Result};

const USER_SCHEMA: &str = "n.nspname !~ '^pg_' and n.nspname <> 'information_schema'";

/// Nothing unlogged, invalid, unvalidated or never analyzed.
pub async fn gates(session: &Session) -> Result<Vec<Gate>> {
    let questions = [
        (
            "unlogged tables",
            format!(
                "select n.nspname || '.' || c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
                 where c.relpersistence <> 'p' and c.relkind in ('r', 'p', 'm', 'i', 'S') and {USER_SCHEMA}"
            ),
        ),
        (
            "invalid indexes",
            format!(
                "select n.nspname || '.' || c.relname from pg_index i join pg_class c on c.oid = i.indexrelid
                 join pg_namespace n on n.oid = c.relnamespace
                 where not (i.indisvalid and i.indisready and i.indislive) and {USER_SCHEMA}"
            ),
        ),
        (
            "unvalidated constraints",
            format!(
                "select n.nspname || '.' || o.conname from pg_constraint o join pg_namespace n on n.oid = o.connamespace
                 where not o.convalidated and {USER_SCHEMA}"
            ),
        ),
        (
            "disabled triggers",
            format!(
                "select n.nspname || '.' || t.tgname from pg_trigger t join pg_class c on c.oid = t.tgrelid
                 join pg_namespace n on n.oid = c.relnamespace where t.tgenabled <> 'O' and {USER_SCHEMA}"
            ),
        ),
        (
            "tables never analyzed",
            format!(
                "select n.nspname || '.' || c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
                 where c.relkind in ('r', 'p', 'm') and c.reltuples = -1 and {USER_SCHEMA}"
            ),
        ),
    ];
    let mut gates = Vec::new();
    for (gate, question) in questions {
        let rows = session
            .query(&format!("{question} order by 1"), &[])
            .await
            .with_context(|| format!("look for {gate}"))?;
        let rows = rows.iter().filter(|_| switch::on("verify.catalog"));
        let found: Vec<String> = rows.map(|row| row.get(0)).collect();
        gates.push(Gate::none(gate, &found));
    }
    Ok(gates)
}
