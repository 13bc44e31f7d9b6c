//! What a run leaves in a build so that another one can resume it.
//!
//! In: an open build. Out: the table `overnight.set_aside`: how the catalog was declared and what was
//! taken out of it. It comes in the transaction that takes it out, and goes before the first derive file
//! runs, because what derive files have done is written down nowhere. Once all of it is done the table
//! `overnight.filled` has a row. So the rule is: a build can be resumed while it has the table or the row. With the first, its tables stay as far as they have receipts; with the second, only the gates are left.

use super::{Database, find_database_by_oid};
use crate::ledger::{Build, Ledger, State};
use crate::postgres::{Server, Session};
use crate::switch;
use anyhow::{Context, Result};

/// How often a build is resumed: one that fails again and again is made anew.
const MOST_RESUMES: i32 = 3;

/// What is found of a build that its run did not finish.
#[derive(Debug)]
pub enum Unfinished {
    /// It can be resumed: so many tables have receipts, with so many rejects. `filled`: only
    /// its gates are left to be asked.
    Resumable {
        tables: i64,
        rejects: i64,
        filled: bool,
    },
    /// It cannot, and why not.
    Lost(String),
}

/// Writes the plan, in the transaction that takes out what it remembers.
pub async fn keep_plan(session: &Session, plan: &str) -> Result<()> {
    session
        .batch_execute(include_str!("set_aside.sql"))
        .await
        .context("make the stamp's table for what is set aside")?;
    session
        .execute(
            "insert into overnight.set_aside (plan) values ($1)",
            &[&plan],
        )
        .await
        .context("write down what is set aside")?;
    Ok(())
}

/// The plan that was written.
pub async fn read_plan(session: &Session) -> Result<String> {
    let row = session
        .query_one("select plan from overnight.set_aside", &[])
        .await
        .context("read what was set aside")?;
    Ok(row.get(0))
}

/// Counts one more run that resumes the build.
pub async fn count_resume(session: &Session) -> Result<()> {
    session
        .execute("update overnight.set_aside set resumes = resumes + 1", &[])
        .await
        .context("count the resumed run")?;
    Ok(())
}

/// From now on the build can only be made anew.
pub async fn forget_plan(session: &Session) -> Result<()> {
    if switch::on("resume.derive") {
        session
            .batch_execute("drop table overnight.set_aside")
            .await
            .context("close the build to other runs")?;
    }
    Ok(())
}

/// Writes that only the gates are left.
pub async fn mark_filled(session: &Session, locale: &str) -> Result<()> {
    session
        .execute(
            "insert into overnight.filled (locale) values ($1)",
            &[&locale],
        )
        .await
        .context("write into the stamp that the build is filled")?;
    Ok(())
}

/// Counts one more run that only asks the gates.
///
/// # Errors
/// The server cannot be asked; the build is not filled.
pub async fn count_verification(session: &Session) -> Result<()> {
    session
        .execute("update overnight.filled set resumes = resumes + 1", &[])
        .await
        .context("count the resumed run")?;
    Ok(())
}

/// The locale that a filled build was made with; `None` when it is not filled.
pub async fn filled(session: &Session) -> Result<Option<String>> {
    let row = session
        .query_opt("select locale from overnight.filled", &[])
        .await
        .context("look whether the build is filled")?;
    Ok(row.map(|row| row.get(0)))
}

/// Looks whether a build of the ledger can be resumed; changes nothing.
///
/// # Errors
/// The server cannot be asked.
pub async fn look(ledger: &Ledger, server: &Server, build: &Build) -> Result<Unfinished> {
    let lost = |why: &str| Ok(Unfinished::Lost(why.to_owned()));
    let Some(oid) = build.database_oid.filter(|_| build.state == State::Loading) else {
        return lost("its database was not made");
    };
    let Some(database) = find_database_by_oid(ledger, oid).await? else {
        return lost("its database is gone");
    };
    let Database {
        name,
        owned,
        allow_connections,
        connection_limit,
        ..
    } = database;
    if name != build.name || !owned {
        return lost("its database has another name or owner");
    }
    if !allow_connections || connection_limit == -2 {
        return lost("its database is closed");
    }
    let session = server.connect(&build.name, "look what is loaded").await?;
    let looked = look_inside(&session, build).await;
    session.close().await;
    looked
}

async fn look_inside(session: &Session, build: &Build) -> Result<Unfinished> {
    let lost = |why: &str| Ok(Unfinished::Lost(why.to_owned()));
    let row = session
        .query_one(
            "select to_regclass('overnight.build') is not null and to_regclass('overnight.filled') is not null,
                    to_regclass('overnight.set_aside') is not null",
            &[],
        )
        .await
        .context("look for the stamp")?;
    let (stamped, set_aside): (bool, bool) = (row.get(0), row.get(1));
    let filled = stamped && filled(session).await?.is_some();
    if !stamped || !set_aside && !filled {
        return lost("its load had not begun, or derive files had run");
    }
    let stamp = session
        .query_opt(
            "select true from overnight.build
             where dataset = $1 and build = $2 and nonce = $3 and input_digest = $4 and tool_version = $5",
            &[
                &build.dataset,
                &build.name,
                &build.nonce,
                &build.input_digest,
                &env!("CARGO_PKG_VERSION"),
            ],
        )
        .await
        .context("read the stamp")?;
    if switch::on("resume.stamp") && stamp.is_none() {
        return lost("its stamp is of another build or of another release of overnight");
    }
    let memory = match filled {
        true => "overnight.filled",
        false => "overnight.set_aside",
    };
    let row = session
        .query_one(
            &format!(
                "select (select max(resumes) from {memory}),
                        (select count(*) from overnight.loaded),
                        (select coalesce(sum(rejected), 0)::bigint from overnight.input)"
            ),
            &[],
        )
        .await
        .context("read the receipts")?;
    let (resumes, tables, rejects): (Option<i32>, i64, i64) = (row.get(0), row.get(1), row.get(2));
    match resumes {
        None => lost("what was set aside is not written down"),
        Some(resumes) if resumes >= MOST_RESUMES => {
            lost(&format!("{resumes} runs have resumed it already"))
        }
        Some(_) if tables == 0 => lost("no table of it is loaded"),
        Some(_) => Ok(Unfinished::Resumable {
            tables,
            rejects,
            filled,
        }),
    }
}
