//! Session settings that change how the catalog spells a definition, pinned and given back.
//!
//! In: a session in any state. Out: the same session, with names spelled in full and constants in one
//! form, until [`Pinned::restore`] gives the old values back. Definitions are read under
//! `search_path = pg_catalog`, so every user name in them carries its schema.

use anyhow::{Context, Result};
use tokio_postgres::Client;

const READING: [(&str, &str); 8] = [
    ("search_path", "pg_catalog"),
    ("datestyle", "ISO, YMD"),
    ("intervalstyle", "postgres"),
    ("timezone", "UTC"),
    ("extra_float_digits", "1"),
    ("bytea_output", "hex"),
    ("quote_all_identifiers", "off"),
    ("standard_conforming_strings", "on"),
];

/// Names in the statements are complete; `public` is there for the bodies of functions that indexes
/// use, which run with the path of the session (before PostgreSQL 17). An index without a tablespace
/// of its own belongs to the database's.
const WRITING: [(&str, &str); 2] = [
    ("search_path", "pg_catalog, public"),
    ("default_tablespace", ""),
];

/// The values that were in force before.
pub(crate) struct Pinned {
    before: Vec<(&'static str, String)>,
}

/// Pins the settings for reading definitions.
pub(crate) async fn pin_for_reading(client: &Client) -> Result<Pinned> {
    pin(client, &READING).await
}

/// Pins the settings for running definitions that were read here.
pub(super) async fn pin_for_writing(client: &Client) -> Result<Pinned> {
    pin(client, &WRITING).await
}

async fn pin(client: &Client, settings: &[(&'static str, &str)]) -> Result<Pinned> {
    let mut before = Vec::new();
    for (name, value) in settings {
        let row = client
            .query_one("SELECT current_setting($1)", &[name])
            .await
            .with_context(|| format!("read setting `{name}`"))?;
        before.push((*name, row.try_get::<_, String>(0)?));
        set(client, name, value).await?;
    }
    Ok(Pinned { before })
}

impl Pinned {
    /// Gives the earlier values back; after an error in a transaction the rollback does it.
    pub(crate) async fn restore(self, client: &Client) -> Result<()> {
        for (name, value) in &self.before {
            set(client, name, value).await?;
        }
        Ok(())
    }
}

async fn set(client: &Client, name: &str, value: &str) -> Result<()> {
    client
        .execute("SELECT set_config($1, $2, false)", &[&name, &value])
        .await
        .with_context(|| format!("set `{name}`"))?;
    Ok(())
}
