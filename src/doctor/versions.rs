//! What builds were made with, against what reads them now: an index that was sorted by another
//! version of a collation finds rows no more.
//!
//! <https://www.postgresql.org/docs/current/sql-altercollation.html#SQL-ALTERCOLLATION-NOTES>

use super::{Known, Notes, Visit};
use crate::postgres::LOOK;
use crate::switch;
use anyhow::{Context, Result};

pub(super) async fn look(visit: &Visit<'_>, known: &[Known]) -> Result<Notes> {
    let mut notes = Notes::new("versions");
    let now = visit.session.server_version().to_owned();
    notes.ok(format!("PostgreSQL {now}"));
    for known in known {
        if let Err(error) = of_dataset(visit, known, &now, &mut notes).await {
            notes.unknown(&format!("the live `{}`", known.row.dataset), &error);
        }
    }
    Ok(notes)
}

async fn of_dataset(visit: &Visit<'_>, known: &Known, now: &str, notes: &mut Notes) -> Result<()> {
    let Some(live) = known.live() else {
        return Ok(());
    };
    let dataset = &known.row.dataset;
    let typed = visit.config.groups.typed_for(dataset);
    let made = match visit.ledger {
        Some(ledger) => ledger.server_version(live).await?,
        None => None,
    };
    if let Some(made) = made.filter(|made| major(made) != major(now)) {
        notes.warn(
            format!("the live `{dataset}` was made by PostgreSQL {made}"),
            format!("`overnight run {typed} --force` builds it anew on this version"),
        );
    }
    let row = visit
                .session
                .query_opt(
                    "select datcollversion::text, pg_database_collation_actual_version(oid)::text from pg_database
                     where oid = $1 and datcollversion is distinct from pg_database_collation_actual_version(oid)",
                    &[&live.database_oid],
                )
                .await
                .context("ask for the collation version of the database")?;
    if let Some(row) = row {
        changed(
            notes,
            dataset,
            "its default collation",
            row.get(0),
            row.get(1),
        );
    }
    let session = visit
        .server
        .connect(visit.router.name_of_live(dataset, live), "doctor")
        .await?;
    session.limit(LOOK, LOOK).await?;
    let rows = session
            .query(
                "select distinct c.collname::text, c.collversion, pg_collation_actual_version(c.oid)
                 from pg_index i cross join unnest(i.indcollation) used join pg_collation c on c.oid = used
                 where c.collversion <> pg_collation_actual_version(c.oid) order by 1",
                &[],
            )
            .await
            .context("ask for the collation versions of the indexes")?;
    for row in rows {
        let name = format!("the collation `{}` of its indexes", row.get::<_, String>(0));
        changed(notes, dataset, &name, row.get(1), row.get(2));
    }
    Ok(())
}

fn changed(notes: &mut Notes, dataset: &str, what: &str, was: Option<String>, is: Option<String>) {
    if !switch::on("doctor.collation") {
        return;
    }
    let text = |version: Option<String>| version.unwrap_or_else(|| "none".into());
    notes.problem(
        format!(
            "of the live `{dataset}` {what} was version {} and is {}: indexes may miss rows",
            text(was),
            text(is)
        ),
        format!("`overnight run {dataset} --force`; the locale `C` never changes"),
    );
}

fn major(version: &str) -> &str {
    version.split(['.', ' ']).next().unwrap_or_default()
}
