//! The session settings overnight relies on, set at connect and read back.
//!
//! In: a fresh connection. Out: the same, in a state that does not depend on what `ALTER ROLE`,
//! `ALTER DATABASE`, `options` or a server's configuration say; plus the backend's process id.
//!
//! `session_replication_role` and `row_security` are left alone: changing either would change what
//! the data means. `search_path` holds only `pg_catalog`, so every other name must be qualified.

use super::{error::explain, quote::quote_literal};
use anyhow::{Context, Result, anyhow, ensure};
use tokio_postgres::{Client, SimpleQueryMessage};

/// Name, value, and the first major version that has it.
const SETTINGS: &[(&str, &str, u32)] = &[
    ("search_path", "pg_catalog", 0),
    ("client_encoding", "UTF8", 0),
    ("TimeZone", "UTC", 0),
    ("DateStyle", "ISO, MDY", 0),
    ("IntervalStyle", "postgres", 0),
    ("bytea_output", "hex", 0),
    ("extra_float_digits", "1", 0),
    ("standard_conforming_strings", "on", 0),
    ("statement_timeout", "0", 0),
    ("lock_timeout", "0", 0),
    ("idle_in_transaction_session_timeout", "0", 0),
    ("idle_session_timeout", "0", 0),
    ("transaction_timeout", "0", 17),
    ("default_transaction_read_only", "off", 0),
    ("default_transaction_isolation", "read committed", 0),
];

/// A server notices that its client is gone: in the middle of CREATE INDEX, and when the client's
/// machine has lost its power or its network. The same times as on our side of the connection.
const CHECK_CLIENT: &[(&str, &str)] = &[
    ("client_connection_check_interval", "30s"),
    ("tcp_keepalives_idle", "30s"),
    ("tcp_keepalives_interval", "10s"),
    ("tcp_keepalives_count", "3"),
    ("tcp_user_timeout", "60s"),
];

/// Sets everything, reads it back, and returns the backend's process id.
pub(super) async fn apply(client: &Client, major: u32) -> Result<i32> {
    let settings = || SETTINGS.iter().filter(|(_, _, since)| *since <= major);
    let writes: Vec<_> = settings()
        .map(|(name, value, _)| set(name, value))
        .collect();
    let reads: Vec<_> = settings()
        .map(|(name, _, _)| format!("pg_catalog.current_setting({})", quote_literal(name)))
        .collect();
    // Two statements: within one, the read could be the echo of the write.
    let script = format!(
        "SELECT {}; SELECT pg_catalog.pg_backend_pid(), {}",
        writes.join(", "),
        reads.join(", ")
    );
    let answers = client
        .simple_query(&script)
        .await
        .map_err(|error| anyhow!("{}", explain(&error)));
    let answers = answers.context("set up the session")?;
    let last = answers.iter().rev().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    let row = last.context("set up the session: the settings could not be read back")?;
    for (column, (name, value, _)) in settings().enumerate() {
        let found = row.try_get(column + 1).ok().flatten().unwrap_or_default();
        ensure!(
            found == *value,
            "set up the session: `{name}` is `{found}` after setting it to `{value}` (is a pooler in between? connect directly)"
        );
    }
    let pid = row
        .try_get(0)
        .ok()
        .flatten()
        .and_then(|text| text.parse().ok());
    check_client(client).await?;
    pid.context("set up the session: the server did not tell its process id")
}

async fn check_client(client: &Client) -> Result<()> {
    let all: Vec<_> = CHECK_CLIENT
        .iter()
        .map(|(name, value)| set(name, value))
        .collect();
    if !accepts(client, &all.join(", ")).await? {
        for one in all {
            accepts(client, &one).await?;
        }
    }
    Ok(())
}

/// False when the server refuses: on some platforms it knows a name but no value of it.
async fn accepts(client: &Client, settings: &str) -> Result<bool> {
    let tried = client.simple_query(&format!("SELECT {settings}")).await;
    if let Err(error) = &tried {
        let refused = error.as_db_error().is_some();
        ensure!(refused, "set up the session: {}", explain(error));
    }
    Ok(tried.is_ok())
}

fn set(name: &str, value: &str) -> String {
    format!(
        "pg_catalog.set_config({}, {}, false)",
        quote_literal(name),
        quote_literal(value)
    )
}
