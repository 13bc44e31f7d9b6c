//! One versioned database: its name, creation, stamp, seal and end.
//!
//! In: a dataset and an open, locked [`Ledger`]. Out: a database that only its owner may enter.
//! The rule that is easy to break: the ledger row comes before `CREATE DATABASE`, because that
//! statement cannot be part of a transaction, and a database without a row would stay for ever.

mod drop;
pub mod refused;
mod stamp;
pub mod unfinished;
mod vacuum;

pub use drop::{
    Fate, Inside, close_after_look, drop_database, fail_and_sweep, not_ours, strange_inside, sweep,
};
pub use stamp::{finish_stamp, grant_readers, has_stamp, read_stamp, stamp_in, write_stamp};
pub use vacuum::{TableToVacuum, add_vacuum, freeze_the_rest, tables};

use crate::crashpoint;
use crate::dataset::Dataset;
use crate::ledger::{Build, Ledger};
use crate::postgres::{self, Server, explain_chain, quote_ident, quote_literal};
use crate::problem::Problem;
use crate::switch;
use anyhow::{Context, Result, bail};
use jiff::Timestamp;
use rand::Rng;
use tokio_postgres::error::SqlState;

/// What the catalog says of one database.
#[derive(Debug, Clone)]
pub struct Database {
    pub oid: u32,
    pub name: String,
    pub owned: bool,
    pub allow_connections: bool,
    /// -2 after a `DROP DATABASE` that was cut short.
    pub connection_limit: i32,
}

impl Database {
    /// False while it is closed, and after a drop that was cut short.
    pub fn is_open(&self) -> bool {
        self.allow_connections && self.connection_limit != -2
    }
}

/// Looks a database up by name.
pub async fn find_database(ledger: &Ledger, name: &str) -> Result<Option<Database>> {
    find(ledger, "d.datname = $1", &name).await
}

/// Looks a database up by OID.
pub async fn find_database_by_oid(ledger: &Ledger, oid: u32) -> Result<Option<Database>> {
    find(ledger, "d.oid = $1", &oid).await
}

async fn find(
    ledger: &Ledger,
    condition: &str,
    value: &(dyn tokio_postgres::types::ToSql + Sync),
) -> Result<Option<Database>> {
    let row = ledger
        .session
        .query_opt(
            &format!(
                "select d.oid, d.datname::text, r.rolname = current_user, d.datallowconn, d.datconnlimit
                 from pg_database d join pg_roles r on r.oid = d.datdba where {condition}"
            ),
            &[value],
        )
        .await
        .context("look a database up")?;
    Ok(row.map(|row| Database {
        oid: row.get(0),
        name: row.get(1),
        owned: row.get(2),
        allow_connections: row.get(3),
        connection_limit: row.get(4),
    }))
}

/// `planinfo_20261121t051002z`: UTC, lower case.
pub fn name_at(dataset: &str, now: Timestamp) -> String {
    format!("{dataset}_{}", now.strftime("%Y%m%dt%H%M%Sz"))
}

/// Reserves a name, creates the database, closes it to the public and writes the stamp.
///
/// # Errors
/// Status 3 when the role may not create databases; nothing is left that the next start would
/// not sweep.
pub async fn create(
    ledger: &Ledger,
    server: &Server,
    dataset: &Dataset,
    input_digest: &str,
    locale: &str,
) -> Result<Build> {
    crashpoint::reached("build.before_intent");
    let name = free_name(ledger, &dataset.name).await?;
    let nonce = format!("{:032x}", rand::rng().random::<u128>());
    let schema_version = dataset.settings.schema_version;
    let mut build = ledger
        .reserve(&dataset.name, &name, &nonce, schema_version, input_digest)
        .await?;
    crashpoint::reached("build.after_intent");
    if let Err(error) = create_database(ledger, server, &mut build, locale).await {
        // The reason of the failure matters more than what does not succeed here; the next start
        // repeats it.
        let reason = explain_chain(&error);
        if let Err(also) = fail_and_sweep(ledger, server, &build, &reason).await {
            tracing::warn!(build = %build.name, "{}", explain_chain(&also));
        }
        return Err(error);
    }
    Ok(build)
}

/// A build name that neither a database nor the ledger uses: names change by the second.
async fn free_name(ledger: &Ledger, dataset: &str) -> Result<String> {
    for _ in 0..5 {
        let name = name_at(dataset, Timestamp::now());
        let taken: bool = ledger
            .session
            .query_one(
                "select exists (select from pg_database where datname = $1)
                     or exists (select from ledger.build where name = $1)",
                &[&name],
            )
            .await
            .context("look for a free name")?
            .get(0);
        if !taken {
            return Ok(name);
        }
        tokio::time::sleep(std::time::Duration::from_millis(700)).await;
    }
    bail!("no free name for a build of `{dataset}` within three seconds")
}

async fn create_database(
    ledger: &Ledger,
    server: &Server,
    build: &mut Build,
    locale: &str,
) -> Result<()> {
    let name = quote_ident(&build.name);
    let locale = quote_literal(locale);
    // template0, because anybody may be connected to template1 and may have changed it.
    let created = ledger
        .session
        .batch_execute(&format!(
            "create database {name} template template0 encoding 'UTF8' lc_collate {locale} lc_ctype {locale}"
        ))
        .await;
    if let Err(error) = created {
        let problem = match error.code() {
            Some(&SqlState::INSUFFICIENT_PRIVILEGE) => Problem::dependency(format!(
                "create the database `{}`: the role may not",
                build.name
            ))
            .hint("the role needs CREATEDB: alter role NAME createdb"),
            Some(&SqlState::WRONG_OBJECT_TYPE | &SqlState::INVALID_PARAMETER_VALUE) => {
                Problem::usage(format!(
                    "create the database `{}` with locale {locale}",
                    build.name
                ))
                .hint("`locale` must be one that the server knows; `C` always is")
            }
            _ => Problem::dependency(format!("create the database `{}`", build.name)),
        };
        return Err(error).context(problem);
    }
    crashpoint::reached("build.after_create");
    let Some(database) = find_database(ledger, &build.name).await? else {
        bail!("the database `{}` vanished after its creation", build.name);
    };
    // Everybody may connect to a fresh database until told otherwise: before the first byte.
    if switch::on("build.public") {
        ledger
            .session
            .batch_execute(&format!("revoke all on database {name} from public"))
            .await
            .with_context(|| format!("close `{}` to the public", build.name))?;
    }
    ledger.created(build, database.oid).await?;
    ledger.record_server_version(build).await?;
    crashpoint::reached("build.after_revoke");
    let session = server.connect(&build.name, "stamp").await?;
    if switch::on("build.public") {
        session
            .batch_execute("revoke create on schema public from public")
            .await
            .with_context(|| format!("close schema public of `{}`", build.name))?;
    }
    write_stamp(&session, build).await?;
    crashpoint::reached("build.after_stamp");
    Ok(())
}

/// Opens or closes a database to connections. Part of the caller's transaction, if there is one.
pub async fn allow_connections(ledger: &Ledger, name: &str, allow: bool) -> Result<()> {
    ledger
        .session
        .batch_execute(&format!(
            "alter database {} allow_connections {allow}",
            quote_ident(name)
        ))
        .await
        .with_context(|| format!("{} `{name}`", if allow { "open" } else { "close" }))
}

/// How many sessions of clients a database has.
pub async fn sessions_in(ledger: &Ledger, oid: u32) -> Result<i64> {
    let row = ledger
        .session
        .query_one(
            "select count(*) from pg_stat_activity
             where datid = $1 and backend_type = 'client backend'",
            &[&oid],
        )
        .await
        .context("count the sessions of a database")?;
    Ok(row.get(0))
}

/// Ends the sessions of a build's database that this role may end.
pub async fn end_sessions(ledger: &Ledger, oid: u32) -> Result<()> {
    postgres::end_sessions(&ledger.session, oid).await
}
