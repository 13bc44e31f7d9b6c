//! The gate `compatibility`: whether services can go on with the candidate as with the live build.
//!
//! In: a finished build, read from its catalog, and the live one as it was finished, kept in the ledger: changes
//! made by hand in the live database since are a warning. Out: one [`Gate`] that
//! lists every breaking change, or passes. A raised `schema_version` says that the change is meant:
//! it passes, and which services can follow is the question of the consumers. On a first night
//! there is nothing to compare with.

pub mod changes;
pub mod compare;
mod described;
mod rights;
pub mod shape;
mod widening;

#[cfg(test)]
mod compare_tests;

use super::Candidate;
use super::live::Live;
use crate::build::Database;
use crate::gate::{Gate, Verdict};
use crate::ledger::{Build, State};
use crate::postgres::Session;
use crate::switch;
use anyhow::{Context, Result};
use changes::{Changes, counted, listed};
use shape::Shape;

/// What `--accept` calls the gate.
pub const GATE: &str = "compatibility";
/// What somebody can do who is stopped by it.
pub const HINT: &str = "if the change is meant, raise `schema_version` in dataset.toml and in the first schema file and tell \
the services; to go on this once: --accept compatibility --reason TEXT";

/// Compares the candidate with the live build.
///
/// # Errors
/// When one of the two cannot be read: no answer is never a pass.
pub(super) async fn gate(candidate: &Candidate<'_>, live: &Live<'_>) -> Result<Gate> {
    let roles = roles(candidate);
    let after = Shape::text(candidate.session, &roles).await?;
    if candidate.build.state == State::Loading {
        candidate
            .ledger
            .record_shape(candidate.build, &after)
            .await?;
    }
    let Some(build) = &live.build else {
        let finding = "no other build is live, nothing to compare with";
        return Ok(Gate::new(GATE, true, finding));
    };
    let compared = compare_with(candidate, live, build, &Shape::parse(&after)?).await;
    let changes =
        compared.with_context(|| format!("compare with the live build `{}`", build.name))?;
    let gate = judge(build, candidate.build, &changes);
    // An older build lacks what came later; going back to it is a matter of the consumers.
    Ok(match candidate.build.id < build.id {
        true => gate.only_warns(),
        false => gate,
    })
}

async fn compare_with(
    candidate: &Candidate<'_>,
    live: &Live<'_>,
    build: &Build,
    after: &Shape,
) -> Result<Changes> {
    let readers = &candidate.dataset.settings.readers;
    let roles = roles(candidate);
    let open = async |database: &Database| {
        let server = candidate.server;
        server.connect(&database.name, "compare").await
    };
    let read = live.ask(build, open, async |session: &Session| {
        Ok((
            Shape::read(session, &roles).await?,
            connected(session).await?,
        ))
    });
    let (now, connected) = read.await?;
    let mut changes = match candidate.ledger.shape(build).await? {
        Some(kept) => {
            let before = Shape::parse(&kept)?.for_roles(&roles);
            let mut changes = compare::compare(&before, after);
            for line in compare::compare(&before, &now).breaking {
                changes.notes(format!("changed by hand in the live build: {line}"));
            }
            // Services may have come to rely on it.
            for line in compare::compare(&now, &before).breaking {
                changes.notes(format!("made by hand in the live build alone: {line}"));
            }
            changes
        }
        // A build of an earlier release.
        None => compare::compare(&now, after),
    };
    for role in connected {
        if !readers.contains(&role) {
            changes.breaks(format!(
                "role {role} may connect to the live build and is not among `readers` any more"
            ));
        }
    }
    if candidate.build.schema_version < build.schema_version {
        changes.breaks(format!(
            "schema version: {} became {}",
            build.schema_version, candidate.build.schema_version
        ));
    }
    Ok(changes)
}

/// The readers, and everybody.
fn roles(candidate: &Candidate<'_>) -> Vec<String> {
    let mut roles = candidate.dataset.settings.readers.clone();
    roles.push(rights::EVERYBODY.to_owned());
    roles
}

/// Roles that were let in, by the move of the alias or by hand.
async fn connected(live: &Session) -> Result<Vec<String>> {
    let rows = live
        .query(
            "select distinct r.rolname::text from pg_database d, aclexplode(d.datacl) a
             join pg_roles r on r.oid = a.grantee
             where d.datname = current_database() and a.privilege_type = 'CONNECT'
               and a.grantee <> d.datdba and not r.rolsuper order by 1",
            &[],
        )
        .await
        .context("ask who may connect")?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Breaking changes need a higher schema version.
fn judge(live: &Build, build: &Build, changes: &Changes) -> Gate {
    let (before, now) = (live.schema_version, build.schema_version);
    let mut finding = match changes.breaking.len() {
        0 => format!("nothing that services of `{}` use is gone", live.name),
        count if now > before => format!(
            "{} since `{}`, announced by the schema version, {before} before and {now} now:{}",
            counted(count, "breaking change"),
            live.name,
            listed(&changes.breaking)
        ),
        count => format!(
            "{} since `{}`, and the schema version is {now}:{}",
            counted(count, "breaking change"),
            live.name,
            listed(&changes.breaking)
        ),
    };
    if !changes.notable.is_empty() {
        let count = counted(changes.notable.len(), "change");
        finding += &format!("\n{count} to know of:{}", listed(&changes.notable));
    }
    if !changes.additions.is_empty() {
        let count = counted(changes.additions.len(), "addition");
        finding += &format!("\n{count}:{}", listed(&changes.additions));
    }
    let stops = !changes.breaking.is_empty() && now <= before;
    let passed = !(stops && switch::on("verify.compatibility"));
    let mut gate = Gate::new(GATE, passed, finding);
    if passed && !changes.notable.is_empty() {
        gate.verdict = Verdict::Warned;
    }
    gate
}
