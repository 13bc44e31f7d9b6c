//! The databases of a server that carry the stamp of a build.
//!
//! A closed database is opened for the look, with an event in the same transaction, so that one that a
//! crash left open is closed again by the next adoption.

use super::Workplace;
use crate::build::{allow_connections, find_database, read_stamp};
use crate::ledger::Ledger;
use crate::ledger::adoption::{Counts, Stamp};
use crate::postgres::{Server, Session, explain_chain};
use anyhow::{Context, Result};

/// A database with a stamp.
pub struct Found {
    pub oid: u32,
    pub name: String,
    /// It was open to connections when it was found.
    pub open: bool,
    /// Another role than the owner may connect.
    pub has_readers: bool,
    pub stamp: Stamp,
    /// What its stamp counted.
    pub counts: Counts,
}

/// A database of this role, before the look inside.
struct Candidate {
    oid: u32,
    name: String,
    open: bool,
    has_readers: bool,
}

/// The names of this role's databases that look like builds of these datasets, by their names alone.
///
/// # Errors
/// The server's.
pub async fn look_alikes(server: &Server, datasets: &[String]) -> Result<Vec<String>> {
    let database = server.target().database().unwrap_or("postgres");
    let session = server.connect(database, "look for builds").await?;
    let all = candidates(&session).await?;
    session.close().await;
    let names = all.into_iter().map(|one| one.name);
    Ok(names.filter(|name| is_build_of(name, datasets)).collect())
}

fn is_build_of(name: &str, datasets: &[String]) -> bool {
    dataset_of(name).is_some_and(|dataset| datasets.iter().any(|one| one == dataset))
}

/// Looks into every database of this role that may be a build of these datasets, by its name or because
/// it has the alias's. Returns also what could not be looked into, with the reason.
///
/// # Errors
/// The ledger's.
pub async fn stamped(
    place: &Workplace,
    ledger: &Ledger,
    datasets: &[String],
) -> Result<(Vec<Found>, Vec<String>)> {
    let ours = |name: &String| datasets.contains(name) || is_build_of(name, datasets);
    for name in ledger.opened_for_adoption().await? {
        if ours(&name) && find_database(ledger, &name).await?.is_some() {
            turn(ledger, &name, false).await?;
        }
    }
    let candidates = candidates(&ledger.session).await?;
    let (mut found, mut left) = (Vec::new(), Vec::new());
    for one in candidates {
        if !ours(&one.name) {
            continue;
        }
        if !one.open {
            turn(ledger, &one.name, true).await?;
        }
        let looked = look(&place.server, &one.name).await;
        if !one.open {
            turn(ledger, &one.name, false).await?;
        }
        match looked {
            Ok(Some((stamp, counts))) if !stamp.subset => found.push(Found {
                oid: one.oid,
                name: one.name,
                open: one.open,
                has_readers: one.has_readers,
                stamp,
                counts,
            }),
            Ok(_) => {}
            Err(error) => left.push(format!("`{}`: {}", one.name, explain_chain(&error))),
        }
    }
    Ok((found, left))
}

async fn look(server: &Server, name: &str) -> Result<Option<(Stamp, Counts)>> {
    let Some(stamp) = read_stamp(server, name).await? else {
        return Ok(None);
    };
    let session = server.connect(name, "read the counts").await?;
    let counts = Ledger::counts_in(&session).await;
    session.close().await;
    Ok(Some((stamp, counts?)))
}

async fn candidates(session: &Session) -> Result<Vec<Candidate>> {
    let rows = session
        .query(
            "select d.oid, d.datname::text, d.datallowconn and d.datconnlimit <> 0,
                    exists (select from aclexplode(d.datacl) a where a.grantee <> d.datdba)
             from pg_database d
             where pg_get_userbyid(d.datdba) = current_user and not d.datistemplate and d.datconnlimit <> -2
               and coalesce(shobj_description(d.oid, 'pg_database'), '') not like 'overnight subset; %'
             order by 2",
            &[],
        )
        .await
        .context("list the databases of this role")?;
    let candidate = |row: &tokio_postgres::Row| Candidate {
        oid: row.get(0),
        name: row.get(1),
        open: row.get(2),
        has_readers: row.get(3),
    };
    Ok(rows.iter().map(candidate).collect())
}

/// Opens or closes a database for the look, with its event.
async fn turn(ledger: &Ledger, name: &str, open: bool) -> Result<()> {
    let kind = if open { "adopting" } else { "adoption looked" };
    let dataset = dataset_of(name).unwrap_or(name);
    ledger.begin().await?;
    let turned = async {
        allow_connections(ledger, name, open).await?;
        ledger.event(dataset, None, kind, name).await?;
        ledger.commit().await
    };
    let turned = turned.await;
    if turned.is_err() {
        ledger.rollback().await;
    }
    turned
}

/// The dataset of a name like `planinfo_20261121t051002z`.
pub fn dataset_of(name: &str) -> Option<&str> {
    let (dataset, time) = name.rsplit_once('_')?;
    let like = "ddddddddtddddddz";
    let alike = time.len() == like.len()
        && time
            .chars()
            .zip(like.chars())
            .all(|(is, like)| is == like || like == 'd' && is.is_ascii_digit());
    (alike && !dataset.is_empty()).then_some(dataset)
}

#[cfg(test)]
mod tests {
    use super::dataset_of;

    #[test]
    fn only_a_full_time_makes_a_build_name() {
        assert_eq!(dataset_of("a_plan_20261121t051002z"), Some("a_plan"));
        for other in [
            "plan",
            "plan_",
            "_20261121t051002z",
            "plan_20261121t05100z",
            "plan_x0261121t051002z",
        ] {
            assert_eq!(dataset_of(other), None, "{other}");
        }
    }
}
