//! Two builds side by side, table by table, for somebody who wants to know what a night changed.
//!
//! In: a dataset and the names of two builds, or none. Out: rows, keys that came, went and changed, and
//! figures of columns that moved. A table whose digests in the ledger are equal is not read. It needs nothing of the source files but their limits, so builds of
//! different schemas can be compared as well. Nothing is recorded.

use super::Workplace;
use crate::build::{allow_connections, find_database_by_oid};
use crate::dataset::Dataset;
use crate::ledger::profiles::KeyChange;
use crate::ledger::{Build, Ledger, Lock, State};
use crate::postgres::Session;
use crate::problem::Problem;
use crate::verify::change::measure::{Table, tables};
use crate::verify::change::merge::{Difference, Side, difference};
use crate::verify::change::{Figures, alarms_between, figures_of};
use anyhow::{Context, Result, bail};
use serde::Serialize;

/// What somebody wants to see.
#[derive(Debug, Default)]
pub struct Wanted {
    /// The older build; default: the live one, or the previous one when no newer build waits.
    pub old: Option<String>,
    /// The newer build; default: the one that waits, or the live one.
    pub new: Option<String>,
    /// Only this table.
    pub table: Option<String>,
    /// So many keys of each kind.
    pub samples: usize,
}

/// Two builds.
#[derive(Debug, Serialize)]
pub struct Diff {
    pub dataset: String,
    pub old: String,
    pub new: String,
    pub tables: Vec<TableDiff>,
}

/// One table of them.
#[derive(Debug, Serialize)]
pub struct TableDiff {
    pub table: String,
    /// In which of them it is.
    pub presence: Presence,
    /// `None` when it is in one of them only.
    pub rows: Option<Rows>,
    pub difference: Option<Difference>,
    /// Columns whose figures moved, in words.
    pub figures: Vec<String>,
}

/// Where a table is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    Both,
    OnlyOld,
    OnlyNew,
}

/// Rows before and after.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Rows {
    pub old: u64,
    pub new: u64,
}

/// Compares two builds.
///
/// # Errors
/// Status 2 for a build that the dataset does not have, status 1 for one whose database is gone.
pub async fn diff(place: &Workplace, dataset: &Dataset, wanted: &Wanted) -> Result<Diff> {
    let ledger = place.ledger(&format!("diff {}", dataset.name)).await?;
    let (old, new) = choose(&ledger, dataset, wanted).await?;
    let sealed: Vec<&Build> = [&old, &new]
        .into_iter()
        .filter(|build| matches!(build.state, State::Verified | State::Refused))
        .collect();
    if !sealed.is_empty() {
        // No run may find it open: what was open is no longer what was verified.
        ledger.lock(&dataset.name, Lock::Build).await?;
    }
    for build in &sealed {
        allow_connections(&ledger, &build.name, true).await?;
    }
    let found = look(place, &ledger, dataset, wanted, &old, &new).await;
    for build in &sealed {
        allow_connections(&ledger, &build.name, false).await?;
    }
    found
}

async fn choose(ledger: &Ledger, dataset: &Dataset, wanted: &Wanted) -> Result<(Build, Build)> {
    ledger.register(&dataset.name).await?;
    let row = ledger.dataset(&dataset.name).await?;
    let builds = ledger.builds(&dataset.name).await?;
    let named = |name: &String| {
        let build = builds.iter().find(|build| build.name == *name);
        build.with_context(|| {
            Problem::usage(format!("`{}` has no build `{name}`", dataset.name))
                .hint(format!("`overnight builds {}` lists them", dataset.name))
        })
    };
    let by_id = |id: Option<i64>| builds.iter().find(|build| Some(build.id) == id);
    let live = by_id(row.live_build);
    let waiting = builds.iter().find(|build| {
        build.state == State::Verified && row.live_build.is_none_or(|live| build.id > live)
    });
    let missing = || {
        Problem::refused(format!("`{}` has no two builds to compare", dataset.name)).hint(format!(
            "`overnight builds {}` lists what there is",
            dataset.name
        ))
    };
    let new = match &wanted.new {
        Some(name) => named(name)?,
        // With one name, the live build is compared with it.
        None if wanted.old.is_some() => live.with_context(missing)?,
        None => waiting.or(live).with_context(missing)?,
    };
    let old = match &wanted.old {
        Some(name) => named(name)?,
        None if Some(new.id) != row.live_build => live.with_context(missing)?,
        None => by_id(row.previous_build).with_context(missing)?,
    };
    if old.id == new.id {
        bail!(Problem::usage(format!(
            "`{}` would be compared with itself",
            old.name
        )));
    }
    Ok((old.clone(), new.clone()))
}

async fn look(
    place: &Workplace,
    ledger: &Ledger,
    dataset: &Dataset,
    wanted: &Wanted,
    old: &Build,
    new: &Build,
) -> Result<Diff> {
    let before = open(place, ledger, old).await?;
    let after = open(place, ledger, new).await?;
    let figures = (
        figures_of(ledger, old.id).await?,
        figures_of(ledger, new.id).await?,
    );
    let (were, are) = (tables(&before).await?, tables(&after).await?);
    let mut names: Vec<String> = were.iter().chain(&are).map(Table::full).collect();
    names.sort();
    names.dedup();
    if let Some(only) = &wanted.table {
        names.retain(|name| name == only || Some(name.as_str()) == only.strip_prefix("public."));
        if names.is_empty() {
            bail!(Problem::usage(format!(
                "neither `{}` nor `{}` has a table `{only}`",
                old.name, new.name
            )));
        }
    }
    let mut compared = Vec::new();
    for name in names {
        let find = |tables: &[Table]| tables.iter().find(|table| table.full() == name).cloned();
        let sides = (find(&were), find(&are));
        let sessions = (&before, &after);
        compared.push(table_diff(dataset, &name, sides, sessions, &figures, wanted.samples).await?);
    }
    before.close().await;
    after.close().await;
    Ok(Diff {
        dataset: dataset.name.clone(),
        old: old.name.clone(),
        new: new.name.clone(),
        tables: compared,
    })
}

async fn table_diff(
    dataset: &Dataset,
    name: &str,
    (was, is): (Option<Table>, Option<Table>),
    (before, after): (&Session, &Session),
    figures: &(Figures, Figures),
    samples: usize,
) -> Result<TableDiff> {
    let mut found = TableDiff {
        table: name.to_owned(),
        presence: match (&was, &is) {
            (Some(_), None) => Presence::OnlyOld,
            (None, Some(_)) => Presence::OnlyNew,
            _ => Presence::Both,
        },
        rows: None,
        difference: None,
        figures: Vec::new(),
    };
    let recorded = figures.0.get(name).zip(figures.1.get(name));
    if let (Some(_), Some(_), Some((old, new))) = (&was, &is, recorded)
        && old.same_rows(new) == Some(true)
    {
        found.rows = Some(Rows {
            old: old.rows,
            new: new.rows,
        });
        found.difference = Some(Difference {
            counts: KeyChange {
                unchanged: new.rows,
                ..KeyChange::default()
            },
            key: new.key.clone(),
            by_digest: true,
            ..Difference::default()
        });
        return Ok(found);
    }
    if let (Some(was), Some(is)) = (&was, &is) {
        let old = Side {
            session: before,
            table: was,
        };
        let new = Side {
            session: after,
            table: is,
        };
        let difference = difference(old, new, samples).await?;
        let counts = difference.counts;
        found.rows = Some(Rows {
            old: counts.removed + counts.changed + counts.unchanged,
            new: counts.added + counts.changed + counts.unchanged,
        });
        found.difference = Some(difference);
        let moved = alarms_between(dataset, name, &figures.0, &figures.1);
        found.figures = moved
            .into_iter()
            .map(|alarm| match alarm.column {
                Some(column) => format!("{column}: {}", alarm.text),
                None => alarm.text,
            })
            .collect();
    }
    Ok(found)
}

async fn open(place: &Workplace, ledger: &Ledger, build: &Build) -> Result<Session> {
    let oid = build.database_oid.unwrap_or_default();
    let database = find_database_by_oid(ledger, oid)
        .await?
        .filter(|database| database.allow_connections)
        .with_context(|| {
            Problem::refused(format!(
                "the database of `{}` is gone or closed: the build is {}",
                build.name,
                build.state.word()
            ))
        })?;
    place.server.connect(&database.name, "diff").await
}
