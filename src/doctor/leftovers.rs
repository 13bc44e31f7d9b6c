//! What a night, or somebody, has left behind: databases without a record, open moves, holds.

use super::{Known, Notes, Visit};
use crate::build::has_stamp;
use crate::ledger::State;
use anyhow::{Context, Result};

/// Databases that one finding names; of more there is only the number.
const LISTED: usize = 5;

pub(super) async fn look(visit: &Visit<'_>, known: &[Known], beyond: &[Known]) -> Result<Notes> {
    let mut notes = Notes::new("leftovers");
    let rows = visit
        .session
        .query(
            "select oid, datname::text, datconnlimit, pg_get_userbyid(datdba) = current_user, datallowconn
             from pg_database order by datname",
            &[],
        )
        .await
        .context("list the databases")?;
    let databases: Vec<(u32, String, i32)> = rows
        .iter()
        .map(|row| (row.get(0), row.get(1), row.get(2)))
        .collect();
    let mut names: Vec<&str> = visit.datasets.iter().map(|of| of.name.as_str()).collect();
    names.extend(known.iter().map(|known| known.row.dataset.as_str()));
    let builds = || known.iter().chain(beyond).flat_map(|known| &known.builds);
    let is_known = |oid: u32, name: &str| {
        builds().any(|build| build.database_oid == Some(oid) || build.name == name)
    };
    let mut lost = Vec::new();
    for row in &rows {
        let (oid, name): (u32, String) = (row.get(0), row.get(1));
        let like = names.iter().any(|dataset| is_build_name(&name, dataset));
        if !like || is_known(oid, &name) {
            continue;
        }
        let (owned, open): (bool, bool) = (row.get(3), row.get(4));
        // A sealed or retired build takes no connections, so its stamp cannot be read here.
        match owned && (!open || has_stamp(visit.server, &name).await) {
            true => lost.push(format!("`{name}`")),
            false => notes.warn(
                format!("`{name}` is called like a build, and the ledger does not know it"),
                "it does not carry our stamp, so nothing will ever drop it: ask who made it",
            ),
        }
    }
    if !lost.is_empty() {
        let more = lost.len().saturating_sub(LISTED);
        lost.truncate(LISTED);
        let more = match more {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        notes.problem(
            format!(
                "the ledger `{}` does not know builds that are there: {}{more}",
                visit.config.control_database,
                lost.join(", ")
            ),
            "the ledger is gone, or older than they are: `overnight reconcile --adopt`",
        );
    }
    for (oid, name, limit) in &databases {
        let is_known = is_known(*oid, name);
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
