//! Gates that count: the stamp, the schema version, records and rows in every book.

use crate::dataset::Dataset;
use crate::gate::Gate;
use crate::ledger::Build;
use crate::postgres::{Session, quote_ident};
use crate::switch;
use crate::units::grouped;
use anyhow::{Context, Result};

/// The database is the one that the ledger means.
pub async fn stamp(session: &Session, build: &Build) -> Result<Gate> {
    let rows = session
        .query("select build, nonce from overnight.build", &[])
        .await
        .context("read the stamp")?;
    let ours = rows.len() == 1
        && rows[0].get::<_, String>(0) == build.name
        && rows[0].get::<_, String>(1) == build.nonce
        || !switch::on("verify.stamp");
    Ok(Gate::new(
        "stamp",
        ours,
        if ours {
            "is the ledger's"
        } else {
            "is not the ledger's"
        },
    ))
}

/// The version that the first schema file declares is the one that `dataset.toml` expects.
pub async fn version(session: &Session, dataset: &Dataset) -> Result<Gate> {
    let declared = session
        .query_opt("select schema_version from overnight.declared", &[])
        .await
        .context("read the declared schema version")?
        .map(|row| row.get::<_, i32>(0));
    let expected = dataset.settings.schema_version;
    Ok(match declared {
        Some(version) => Gate::new(
            "schema version",
            version == expected,
            format!("the schema files declare {version}, dataset.toml expects {expected}"),
        ),
        None => Gate::new(
            "schema version",
            false,
            format!(
                "no schema file declares one: begin the first with `select overnight.declare_version({expected});`"
            ),
        ),
    })
}

/// Per object: read = loaded + rejected + skipped, and the rejects are within the budget.
pub async fn inputs(session: &Session, dataset: &Dataset) -> Result<Vec<Gate>> {
    let rows = session
        .query(
            "select source, count(*), sum(records_read)::bigint, sum(rows_loaded)::bigint,
                    sum(rejected)::bigint, sum(skipped)::bigint,
                    bool_and(records_read = rows_loaded + rejected + skipped)
             from overnight.input group by source",
            &[],
        )
        .await
        .context("read the inputs from the stamp")?;
    let mut gates = Vec::new();
    for source in &dataset.sources {
        let gate = format!("records of {}", source.name);
        let Some(row) = rows
            .iter()
            .find(|row| row.get::<_, String>(0) == source.name)
        else {
            gates.push(Gate::new(gate, false, "no object was read"));
            continue;
        };
        let number = |index: usize| row.get::<_, i64>(index) as u64;
        let (objects, read, loaded, rejected, skipped) =
            (number(1), number(2), number(3), number(4), number(5));
        let balanced: bool = row.get(6);
        let budget = &source.expect.rejects;
        gates.push(Gate::new(
            gate,
            balanced && budget.allows(rejected, read),
            format!(
                "{} read from {objects} objects = {} loaded + {} rejected (budget {}) + {} skipped",
                grouped(read),
                grouped(loaded),
                grouped(rejected),
                budget.describe(),
                grouped(skipped)
            ),
        ));
    }
    Ok(gates)
}

/// Per table: what was loaded is what the server counts, and enough of it.
pub async fn tables(session: &Session, dataset: &Dataset) -> Result<Vec<Gate>> {
    let mut gates = Vec::new();
    for source in &dataset.sources {
        let table = source.full_table();
        let gate = format!("rows of {table}");
        let receipt = session
            .query_opt(
                "select rows_loaded from overnight.loaded where table_name = $1",
                &[&table],
            )
            .await
            .context("read the receipts")?;
        let Some(receipt) = receipt else {
            gates.push(Gate::new(
                gate,
                false,
                "no receipt: the table was not loaded",
            ));
            continue;
        };
        let loaded = receipt.get::<_, i64>(0) as u64;
        let read: i64 = session
            .query_one(
                "select coalesce(sum(rows_loaded), 0)::bigint from overnight.input where source = $1",
                &[&source.name],
            )
            .await
            .context("read the inputs from the stamp")?
            .get(0);
        let counted: i64 = session
            .query_one(
                &format!(
                    "select count(*) from {}.{}",
                    quote_ident(&source.schema),
                    quote_ident(&source.table)
                ),
                &[],
            )
            .await
            .with_context(|| format!("count the rows of `{table}`"))?
            .get(0);
        let least = source.expect.rows.min.unwrap_or(1);
        let most = source.expect.rows.max;
        let equal = loaded == counted as u64 && loaded == read as u64 || !switch::on("verify.rows");
        let within = loaded >= least && most.is_none_or(|most| loaded <= most);
        gates.push(Gate::new(
            gate,
            equal && (within || !switch::on("verify.least")),
            format!(
                "{} encoded, {} acknowledged, {} counted, at least {} expected{}",
                grouped(read as u64),
                grouped(loaded),
                grouped(counted as u64),
                grouped(least),
                most.map_or_else(String::new, |most| format!(", at most {}", grouped(most)))
            ),
        ));
    }
    Ok(gates)
}
