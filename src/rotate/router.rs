//! How an alias is realised, and where it leads now as seen from outside.
//!
//! In: the settings, once at the start. Out: a [`Router`], which the move, its revert and the
//! repair ask. Every router can be observed: one that could not would only be a hook, because
//! nobody could tell after a crash what it has done.

use super::pgbouncer::Poolers;
use crate::build::{Database, find_database, find_database_by_oid};
use crate::config::{Env, RouterKind, RouterSettings};
use crate::ledger::{Build, Ledger};
use crate::postgres::{Target, explain_chain};
use anyhow::Result;
use serde::Serialize;
use std::time::Duration;

/// How aliases are realised on this server.
#[derive(Debug)]
pub struct Router {
    pub way: Way,
    /// How long sessions may use the previous build after a move.
    pub drain: Duration,
}

/// One of the ways.
#[derive(Debug)]
pub enum Way {
    /// The live database has the alias's name.
    Rename,
    /// A line in the configuration of each pooler; builds keep their names.
    PgBouncer(Poolers),
    /// A row that services follow; builds keep their names.
    Pointer,
}

/// Where an alias leads at one place.
#[derive(Debug, Clone, Serialize)]
pub struct Seen {
    /// `server`, `pointer` or the place of a pooler.
    pub place: String,
    /// The database that a service would get; `None` when there is none.
    pub database: Option<String>,
    /// Why it could not be looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Router {
    /// Makes the router of a server.
    ///
    /// # Errors
    /// Status 2 when a pooler's connection text cannot be read.
    pub fn new(settings: &RouterSettings, target: &Target, env: Env) -> Result<Router> {
        Ok(Router {
            way: match settings.kind {
                RouterKind::Rename => Way::Rename,
                RouterKind::PgBouncer => {
                    Way::PgBouncer(Poolers::new(&settings.poolers, target, env)?)
                }
                RouterKind::Pointer => Way::Pointer,
            },
            drain: settings.drain,
        })
    }

    /// As written in the configuration.
    pub fn word(&self) -> &'static str {
        match self.way {
            Way::Rename => "rename",
            Way::PgBouncer(_) => "pgbouncer",
            Way::Pointer => "pointer",
        }
    }

    /// Whether the move itself ends every session of the build before.
    pub fn ends_sessions(&self) -> bool {
        matches!(self.way, Way::Rename)
    }

    /// What the database of the live build is called.
    pub fn name_of_live<'n>(&self, alias: &'n str, live: &'n Build) -> &'n str {
        match self.way {
            Way::Rename => alias,
            Way::PgBouncer(_) | Way::Pointer => &live.name,
        }
    }

    /// The database that the alias must lead to while `live` is the live build.
    pub async fn database_of(
        &self,
        ledger: &Ledger,
        alias: &str,
        live: &Build,
    ) -> Result<Option<Database>> {
        match (&self.way, live.database_oid) {
            (Way::Rename, _) => find_database(ledger, alias).await,
            (_, Some(oid)) => find_database_by_oid(ledger, oid).await,
            (_, None) => Ok(None),
        }
    }

    /// Where the alias leads now: one line for each place that decides it. What cannot be looked at
    /// says why, and keeps nobody from looking at the rest.
    pub async fn observe(&self, ledger: &Ledger, alias: &str) -> Result<Vec<Seen>> {
        let pointer = ledger.pointer(alias).await?.map(|row| row.database);
        let seen = |place: &str, database| Seen {
            place: place.into(),
            database,
            error: None,
        };
        let pointer = seen("pointer", pointer);
        Ok(match &self.way {
            Way::Pointer => vec![pointer],
            Way::Rename => {
                let database = find_database(ledger, alias).await?;
                vec![
                    seen("server", database.map(|database| database.name)),
                    pointer,
                ]
            }
            Way::PgBouncer(poolers) => {
                let mut all = Vec::new();
                for pooler in poolers.all() {
                    let place = pooler.place();
                    all.push(match pooler.line(alias).await {
                        Ok(line) => seen(&place, line.map(|line| line.database)),
                        Err(error) => Seen {
                            place,
                            database: None,
                            error: Some(explain_chain(&error)),
                        },
                    });
                }
                all.push(pointer);
                all
            }
        })
    }
}
