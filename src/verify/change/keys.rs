//! Keys that came, went and changed, where a source file says how many may.

use super::measure::{Table, tables};
use super::merge::{Side, difference};
use crate::build::{Database, find_database_by_oid};
use crate::dataset::Source;
use crate::gate::Gate;
use crate::ledger::Build;
use crate::ledger::profiles::KeyChange;
use crate::postgres::Session;
use crate::switch;
use crate::units::{Percent, grouped};
use crate::verify::Candidate;
use crate::verify::live::Live;
use anyhow::Result;

/// One gate for each source that declares `keys`.
pub(super) async fn gates(
    candidate: &Candidate<'_>,
    live: &Live<'_>,
    measure: &Build,
) -> Result<Vec<Gate>> {
    let declared = || {
        let sources = candidate.dataset.sources.iter();
        sources.filter(|source| source.expect.keys.is_some())
    };
    if declared().next().is_none() {
        return Ok(Vec::new());
    }
    let oid = measure.database_oid.unwrap_or_default();
    let there = find_database_by_oid(candidate.ledger, oid).await?;
    if !there.is_some_and(|database| database.allow_connections) {
        let finding = format!(
            "`{}` is gone, there is nothing to compare with",
            measure.name
        );
        let gate = |source: &Source| Gate::new(name(source), false, finding.clone()).only_warns();
        return Ok(declared().map(gate).collect());
    }
    let now = tables(candidate.session).await?;
    let open = async |database: &Database| {
        let server = candidate.server;
        server.connect(&database.name, "compare keys").await
    };
    let compared = live.ask(measure, open, async |old: &Session| {
        let before = tables(old).await?;
        let mut gates = Vec::new();
        for source in declared() {
            let find = |tables: &[Table]| {
                let mut tables = tables.iter();
                tables.find(|t| t.full() == source.full_table()).cloned()
            };
            let Some((was, is)) = find(&before).zip(find(&now)) else {
                continue;
            };
            gates.push(compare(candidate, measure, source, (old, &was), &is).await?);
        }
        Ok(gates)
    });
    compared.await
}

fn name(source: &Source) -> String {
    format!("keys of {}", source.full_table())
}

async fn compare(
    candidate: &Candidate<'_>,
    measure: &Build,
    source: &Source,
    (session, was): (&Session, &Table),
    is: &Table,
) -> Result<Gate> {
    if is.key().is_empty() || is.key() != was.key() {
        let finding = "the table needs the same primary key in both builds";
        return Ok(Gate::new(name(source), false, finding));
    }
    let old = Side {
        session,
        table: was,
    };
    let new = Side {
        session: candidate.session,
        table: is,
    };
    let counts = difference(old, new, 0).await?.counts;
    candidate
        .ledger
        .record_keys(candidate.build, &source.full_table(), measure.id, counts)
        .await?;
    Ok(judge(source, measure, counts))
}

fn judge(source: &Source, measure: &Build, counts: KeyChange) -> Gate {
    let KeyChange {
        added,
        removed,
        changed,
        unchanged,
    } = counts;
    let all = removed + changed + unchanged;
    let limits = source.expect.keys.clone().unwrap_or_default();
    let within = |count: u64, most: Option<Percent>| {
        most.is_none_or(|most| count as f64 <= all as f64 * most.0 / 100.0)
    };
    let passed = within(added, limits.added)
        && within(removed, limits.removed)
        && within(changed, limits.changed);
    let part = |what: &str, count: u64, most: Option<Percent>| {
        let allowed = most.map_or_else(String::new, |most| format!(" (allowed {most})"));
        format!("{} {what}{allowed}", grouped(count))
    };
    Gate::new(
        name(source),
        passed || !switch::on("change.keys"),
        format!(
            "{}, {}, {} of {} in `{}`",
            part("added", added, limits.added),
            part("removed", removed, limits.removed),
            part("changed", changed, limits.changed),
            grouped(all),
            measure.name
        ),
    )
}
