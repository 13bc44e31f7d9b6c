//! Reads what a database declares, as lines of text that can be compared.
//!
//! In: a session. Out: a [`Catalog`]: one line for each schema, table, column, constraint, index, view,
//! function, grant and so on of the user's schemas, in byte order. Two databases made by the same files
//! give the same lines: nothing in them depends on object identifiers or on the session's settings.
//! What a table holds is not read here.

use std::collections::BTreeSet;

use anyhow::{Context, Result, anyhow};
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use tokio_postgres::Client;

use super::settings::pin_for_reading;
use crate::postgres::error::explain;

const CATALOG: &str = include_str!("catalog.sql");

/// Lines longer than this are cut in [`Catalog::diff`]: a function's body is one line here.
const SHOWN_CHARS: usize = 500;

/// Everything declared in the user's schemas, one line each, sorted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Catalog {
    pub entries: BTreeSet<String>,
}

/// Reads the catalog of the session's database; works inside and outside a transaction.
///
/// # Errors
/// The server refuses a query; the session's settings may then still be changed.
pub async fn snapshot(client: &Client) -> Result<Catalog> {
    let pinned = pin_for_reading(client).await?;
    let rows = client
        .query(CATALOG, &[])
        .await
        .map_err(|error| anyhow!("read the catalog: {}", explain(&error)))?;
    pinned.restore(client).await?;
    let mut entries = BTreeSet::new();
    for row in rows {
        let line: Option<String> = row.try_get(0).context("read the catalog")?;
        entries.extend(line);
    }
    Ok(Catalog { entries })
}

impl Catalog {
    /// SHA-256 of the lines, in hexadecimal digits.
    pub fn digest(&self) -> String {
        let mut text = String::new();
        for line in &self.entries {
            text.push_str(line);
            text.push('\n');
        }
        let digest = digest(&SHA256, text.as_bytes());
        digest.as_ref().iter().map(|b| format!("{b:02x}")).collect()
    }

    /// Lines that `self` has and `other` lacks (`missing: …`), and the reverse (`extra: …`); empty if equal.
    pub fn diff(&self, other: &Catalog) -> Vec<String> {
        let missing = self.entries.difference(&other.entries);
        let extra = other.entries.difference(&self.entries);
        missing
            .map(|line| format!("missing: {}", shown(line)))
            .chain(extra.map(|line| format!("extra: {}", shown(line))))
            .collect()
    }
}

fn shown(line: &str) -> String {
    let mut shown: String = line.chars().take(SHOWN_CHARS).collect();
    if shown.len() < line.len() {
        shown.push('…');
    }
    shown
}
