//! What a night, or somebody, has left behind: databases without a record, open moves, holds.

use super::{Known, Notes, Visit};
use crate::ledger::State;
use anyhow::{Context, Result};

pub(super) async fn look(visit: &Visit<'_>, known: &[Known]) -> Result<Notes> {
    let mut notes = Notes::new("leftovers");
    let rows = visit
        .session
        .query(
            "select oid, datname::text, datconnlimit from pg_database",
            &[],
        )
        .await
        .context("list the databases")?;
    let databases: Vec<(u32, String, i32)> = rows
        .iter()
        .map(|row| (row.get(0), row.get(1), row.get(2)))
        .collect();
    let mut datasets: Vec<&str> = visit.datasets.iter().map(|of| of.name.as_str()).collect();
    datasets.extend(known.iter().map(|known| known.row.dataset.as_str()));
    let builds = || known.iter().flat_map(|known| &known.builds);
    for (oid, name, limit) in &databases {
        let looks_like_ours = datasets.iter().any(|dataset| is_build_name(name, dataset));
        let is_known =
            builds().any(|build| build.database_oid == Some(*oid) || build.name == *name);
        if looks_like_ours && !is_known {
            notes.warn(
                format!("`{name}` is called like a build, and the ledger does not know it"),
                "nothing will ever drop it: look what it is, and drop it by hand",
            );
        }
        if *limit == -2 && is_known {
            notes.warn(
                format!("a drop of `{name}` was cut short"),
                "the next run or `overnight retire` drops it",
            );
        }
    }
    for known in known {
        let dataset = &known.row.dataset;
        let typed = visit.config.groups.typed_for(dataset);
        let there = |oid: Option<u32>| databases.iter().find(|database| Some(database.0) == oid);
        for build in &known.builds {
            let failed = matches!(build.state, State::Failed);
            if failed && there(build.database_oid).is_some() {
                notes.warn(
                    format!("the failed build `{}` still has its database", build.name),
                    format!("the next `overnight run {typed}` drops it"),
                );
            }
        }
        if let Some(live) = known.live() {
            let at = visit.router.name_of_live(dataset, live);
            if there(live.database_oid).is_none_or(|database| database.1 != at) {
                notes.problem(
                    format!(
                        "the ledger says that `{}` is live, and it is not at `{at}`",
                        live.name
                    ),
                    "somebody renamed, dropped or restored a database: put the names right",
                );
            }
        }
        if known.row.held {
            notes.warn(
                format!(
                    "`{dataset}` is held by {} ({})",
                    known.row.held_by.as_deref().unwrap_or("somebody"),
                    known
                        .row
                        .hold_reason
                        .as_deref()
                        .unwrap_or("no reason given")
                ),
                format!("`overnight release {typed}` when the cause is gone"),
            );
        }
        let open = match visit.ledger {
            Some(ledger) => ledger.open_flips(dataset).await?,
            None => Vec::new(),
        };
        for flip in open {
            notes.warn(
                format!("a move of `{dataset}` is {} and not confirmed", flip.state),
                format!("the next `overnight run {typed}` settles it"),
            );
        }
    }
    Ok(notes.or_ok("none"))
}

/// `dataset_20261121t051002z`.
fn is_build_name(name: &str, dataset: &str) -> bool {
    let Some(time) = name
        .strip_prefix(dataset)
        .and_then(|rest| rest.strip_prefix('_'))
    else {
        return false;
    };
    let like = "ddddddddtddddddz";
    time.len() == like.len()
        && time
            .chars()
            .zip(like.chars())
            .all(|(is, like)| is == like || like == 'd' && is.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::is_build_name;

    #[test]
    fn only_a_full_time_makes_a_build_name() {
        assert!(is_build_name("plan_20261121t051002z", "plan"));
        for other in [
            "plan",
            "plan_",
            "plan_20261121t051002",
            "plan_20261121t051002z2",
            "plan_extra_20261121t051002z",
            "planx20261121t051002z",
        ] {
            assert!(!is_build_name(other, "plan"), "{other}");
        }
    }
}
