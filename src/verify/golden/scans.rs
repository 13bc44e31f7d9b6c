//! Which tables a query would read from end to end, as the plan says.

use crate::postgres::Session;
use crate::switch;
use crate::units::Bytes;
use crate::verify::warm::{any, explained};
use serde_json::Value;
use std::collections::BTreeMap;

/// Tables above `largest` that the query would read from end to end.
pub(super) async fn scans(
    new: &Session,
    text: &str,
    largest: Option<Bytes>,
) -> Result<Vec<String>, tokio_postgres::Error> {
    let Some(largest) = largest.filter(|_| switch::on("golden.seq_scan")) else {
        return Ok(Vec::new());
    };
    let mut scanned = Vec::new();
    if let Some(plan) = explained(new, text).await? {
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

fn scanned_table(node: &Value) -> Option<(String, String)> {
    if node["Node Type"] != "Seq Scan" {
        return None;
    }
    let schema = node["Schema"].as_str()?.to_owned();
    Some((schema, node["Relation Name"].as_str()?.to_owned()))
}
