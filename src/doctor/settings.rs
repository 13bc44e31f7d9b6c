//! Settings of the server that make a night slow, a crash costly, or data readable in a log.

use super::{Known, Level, Notes, Visit};
use crate::vitals::sessions;
use anyhow::{Context, Result};
use std::collections::HashMap;

/// A value of a setting that should not be, and what follows from it.
struct Rule {
    name: &'static str,
    wrong: &'static [&'static str],
    level: Level,
    finding: &'static str,
    todo: &'static str,
}

const RULES: &[Rule] = &[
    Rule {
        name: "fsync",
        wrong: &["off"],
        level: Level::Problem,
        finding: "a crash of the machine can destroy every database of the server",
        todo: "fsync = on in postgresql.conf",
    },
    Rule {
        name: "full_page_writes",
        wrong: &["off"],
        level: Level::Warning,
        finding: "a crash of the machine can leave half-written pages",
        todo: "full_page_writes = on in postgresql.conf",
    },
    Rule {
        name: "autovacuum",
        wrong: &["off"],
        level: Level::Warning,
        finding: "the ledger and the catalog are never cleaned, and transaction numbers run out one day",
        todo: "autovacuum = on in postgresql.conf",
    },
    Rule {
        name: "password_encryption",
        wrong: &["md5", "on"],
        level: Level::Warning,
        finding: "new passwords are kept as md5",
        todo: "password_encryption = 'scram-sha-256', then set the passwords anew",
    },
    Rule {
        name: "log_statement",
        wrong: &["all", "mod", "ddl"],
        level: Level::Warning,
        finding: "the server's log keeps statements, which may hold values",
        todo: "a superuser: alter role ROLE set log_statement = 'none'",
    },
    Rule {
        name: "log_error_verbosity",
        wrong: &["default", "verbose"],
        level: Level::Warning,
        finding: "the server's log keeps the details of errors, which hold rows",
        todo: "a superuser: alter role ROLE set log_error_verbosity = 'terse'",
    },
];

/// Fewer bytes than this make a load checkpoint all the time.
const LITTLE_WAL: i64 = 1 << 30;

pub(super) async fn look(visit: &Visit<'_>, known: &[Known]) -> Result<Notes> {
    let mut notes = Notes::new("settings");
    // As the server has them for this role; a session of ours sets its own timeouts.
    let names: Vec<&str> = RULES.iter().map(|rule| rule.name).collect();
    let rows = visit
        .session
        .query(
            "select name, setting from pg_settings where name = any($1)",
            &[&names],
        )
        .await
        .context("ask for the settings")?;
    let found: HashMap<String, String> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    for rule in RULES {
        let value = found.get(rule.name).map_or("", String::as_str);
        if rule.wrong.contains(&value) {
            let finding = format!("{} is {value}: {}", rule.name, rule.finding);
            notes.add(
                rule.level,
                finding,
                Some(rule.todo.replace("ROLE", visit.session.user())),
            );
        }
    }
    log_size(visit, &mut notes).await?;
    connections(visit, &mut notes).await?;
    of_databases(visit, known, &mut notes).await?;
    encryption(visit, &mut notes).await?;
    Ok(notes.or_ok("nothing that makes a night slow or data readable"))
}

async fn log_size(visit: &Visit<'_>, notes: &mut Notes) -> Result<()> {
    let row = visit
        .session
        .query_one(
            "select current_setting('wal_level'), pg_size_bytes(current_setting('max_wal_size')),
                    current_setting('max_wal_size'), current_setting('checkpoint_timeout')",
            &[],
        )
        .await
        .context("ask for the settings of the log")?;
    let (level, bytes): (String, i64) = (row.get(0), row.get(1));
    let (size, timeout): (String, String) = (row.get(2), row.get(3));
    let text = format!("wal_level {level}, max_wal_size {size}, checkpoint_timeout {timeout}");
    match level != "minimal" && bytes < LITTLE_WAL {
        true => notes.warn(
            format!("{text}: a load checkpoints all the time"),
            "max_wal_size = '4GB' or more, if the disk has the room",
        ),
        false => notes.ok(text),
    }
    Ok(())
}

async fn connections(visit: &Visit<'_>, notes: &mut Notes) -> Result<()> {
    let found = sessions::sessions(visit.session).await?;
    let spare = visit.config.watching.spare_connections;
    let text = format!(
        "{} of {} connections are in use, {} are reserved",
        found.used, found.most, found.reserved
    );
    match found.free() {
        free if free < spare + 6 => notes.warn(
            format!("{text}: with {spare} left to services a run has to wait"),
            "raise max_connections, or lower spare_connections",
        ),
        _ => notes.ok(text),
    }
    Ok(())
}

/// What `ALTER DATABASE … SET` has given to the live build does not come with the next one.
async fn of_databases(visit: &Visit<'_>, known: &[Known], notes: &mut Notes) -> Result<()> {
    for known in known {
        let Some(live) = known.live() else { continue };
        let row = visit
            .session
            .query_one(
                "select string_agg(split_part(setting, '=', 1) || coalesce(' for ' || r.rolname, ''), ', ' order by 1)
                 from pg_db_role_setting s left join pg_roles r on r.oid = s.setrole, unnest(s.setconfig) setting
                 where s.setdatabase = $1",
                &[&live.database_oid],
            )
            .await
            .context("ask for the settings of the live database")?;
        if let Some(names) = row.get::<_, Option<String>>(0) {
            notes.warn(
                format!(
                    "the live `{}` has settings of its own that the next build will not have: {names}",
                    known.row.dataset
                ),
                "set them for the reader roles (alter role … set …), or in a schema file",
            );
        }
    }
    Ok(())
}

async fn encryption(visit: &Visit<'_>, notes: &mut Notes) -> Result<()> {
    if visit.server.target().is_local() {
        return Ok(());
    }
    let row = visit
        .session
        .query_opt(
            "select version from pg_stat_ssl where pid = pg_backend_pid() and ssl",
            &[],
        )
        .await
        .context("ask whether the connection is encrypted")?;
    match row {
        Some(row) => notes.ok(format!(
            "the connection is encrypted ({}), sslmode {}",
            row.get::<_, Option<String>>(0).unwrap_or_default(),
            visit.server.target().ssl_mode().as_str()
        )),
        None => notes.problem(
            "the connection to the server is not encrypted",
            "turn TLS on at the server, and use sslmode=verify-full",
        ),
    }
    Ok(())
}
