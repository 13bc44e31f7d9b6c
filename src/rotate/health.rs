//! Why services do not get the live build through an alias.
//!
//! In: one look at the ledger and the catalog in one statement, so that a move which commits meanwhile
//! is seen whole, and one look at each pooler. Out: [`Fault`]s, worst first, each with a command that
//! leads on; none when the alias is sound. Changes nothing.

use super::router::{Router, Seen, Way};
use crate::build::read_stamp;
use crate::ledger::{Build, Ledger, State};
use crate::postgres::Server;
use anyhow::{Context, Result};
use serde::Serialize;
use std::time::Duration;

/// While a move is under way the ledger, the poolers and the catalog may differ for a moment.
const LOOKS_DURING_MOVE: usize = 5;
const BETWEEN_LOOKS: Duration = Duration::from_millis(400);

/// What to do about databases that carry a stamp and are unknown to the ledger.
pub const ADOPT: &str = "`overnight reconcile --adopt --reason TEXT` records in the ledger what the server has; it touches no alias";

/// What kind of fault it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The database of the live build is not on the server.
    Gone,
    /// Another database is in its place, or it has another name.
    Other,
    /// The database refuses connections.
    Closed,
    /// A pooler or the pointer leads to another database, or nowhere.
    Elsewhere,
    /// A pooler cannot be asked.
    Unreachable,
}

/// One thing that keeps services from the live build.
#[derive(Debug, Clone, Serialize)]
pub struct Fault {
    pub kind: Kind,
    /// `server`, `pointer` or the place of a pooler.
    pub place: String,
    pub what: String,
    /// What to do; begins with the command to type.
    pub todo: String,
}

/// What ledger and catalog say of an alias at one moment.
struct Look {
    live: Option<Live>,
    /// The database with the alias's name.
    at_alias: Option<Entry>,
    /// Where the pointer leads.
    pointer: Option<String>,
    move_open: bool,
}

struct Live {
    build: String,
    /// The database with the build's OID.
    by_oid: Option<Entry>,
    /// Another database has the build's own name.
    name_taken: bool,
}

struct Entry {
    oid: u32,
    name: String,
    open: bool,
}

/// Everything that is wrong with the alias of a dataset. `member`: it belongs to a group, and moves
/// alone only where the gate `group` is accepted.
///
/// # Errors
/// The server or the ledger cannot be asked.
pub async fn faults(
    ledger: &Ledger,
    server: &Server,
    router: &Router,
    dataset: &str,
    member: bool,
) -> Result<(Vec<Fault>, Vec<Seen>)> {
    let check = Check {
        ledger,
        server,
        router,
        dataset,
        member,
    };
    let mut looks = 0;
    loop {
        looks += 1;
        let look = check.look().await?;
        let seen = router.observe(ledger, dataset).await?;
        let faults = check.judge(&look, &seen).await?;
        if faults.is_empty() || !look.move_open || looks == LOOKS_DURING_MOVE {
            return Ok((faults, seen));
        }
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
}

/// What is wrong with the database of the live build; poolers are not asked.
///
/// # Errors
/// The server or the ledger cannot be asked.
pub async fn database_fault(
    ledger: &Ledger,
    server: &Server,
    router: &Router,
    dataset: &str,
) -> Result<Option<Fault>> {
    let check = Check {
        ledger,
        server,
        router,
        dataset,
        member: false,
    };
    let look = check.look().await?;
    match &look.live {
        Some(live) => check.database(&look, live).await,
        None => Ok(None),
    }
}

struct Check<'c> {
    ledger: &'c Ledger,
    server: &'c Server,
    router: &'c Router,
    dataset: &'c str,
    member: bool,
}

impl Check<'_> {
    async fn look(&self) -> Result<Look> {
        let row = self
            .ledger
            .session
            .query_opt(include_str!("health.sql"), &[&self.dataset])
            .await
            .context("compare the ledger with the catalog")?;
        let Some(row) = row else {
            return Ok(Look {
                live: None,
                at_alias: None,
                pointer: None,
                move_open: false,
            });
        };
        let entry = |first: usize| {
            let oid: Option<u32> = row.get(first);
            oid.map(|oid| Entry {
                oid,
                name: row.get(first + 1),
                open: row.get(first + 2),
            })
        };
        let build: Option<String> = row.get(0);
        Ok(Look {
            live: build.map(|build| Live {
                build,
                by_oid: entry(1),
                name_taken: row.get(4),
            }),
            at_alias: entry(5),
            pointer: row.get(8),
            move_open: row.get(9),
        })
    }

    async fn judge(&self, look: &Look, seen: &[Seen]) -> Result<Vec<Fault>> {
        let Some(live) = &look.live else {
            return self.nothing_live(look).await;
        };
        let mut faults: Vec<Fault> = self.database(look, live).await?.into_iter().collect();
        let dataset = self.dataset;
        // Without its database nothing can lead to it.
        let Some(own) = live.by_oid.as_ref().filter(|_| faults.is_empty()) else {
            return Ok(faults);
        };
        for seen in seen.iter().filter(|seen| seen.place != "server") {
            let leads = match seen.place.as_str() {
                "pointer" => look.pointer.as_ref(),
                _ => seen.database.as_ref(),
            };
            let what = match (&seen.error, leads) {
                (Some(error), _) => format!("{} cannot be asked: {error}", place(seen)),
                (None, Some(name)) if *name == own.name => continue,
                (None, Some(name)) => {
                    format!(
                        "`{}` is live, and {} leads to `{name}`",
                        live.build,
                        place(seen)
                    )
                }
                (None, None) => {
                    format!(
                        "`{}` is live, and {} leads nowhere",
                        live.build,
                        place(seen)
                    )
                }
            };
            let (kind, todo) = match seen.error {
                Some(_) => (
                    Kind::Unreachable,
                    format!("start the pooler, then `overnight reconcile {dataset}`"),
                ),
                None => {
                    let database = seen.database.as_deref().unwrap_or_default();
                    let unknown = unknown_build(self.ledger, self.server, dataset, database);
                    let todo = match unknown.await? {
                        true => ADOPT.to_owned(),
                        false => {
                            format!("`overnight reconcile {dataset}` leads it to the live build")
                        }
                    };
                    (Kind::Elsewhere, todo)
                }
            };
            faults.push(Fault {
                place: seen.place.clone(),
                ..fault(kind, what, todo)
            });
        }
        Ok(faults)
    }

    /// What is wrong with the database of the live build.
    async fn database(&self, look: &Look, live: &Live) -> Result<Option<Fault>> {
        let (dataset, build) = (self.dataset, &live.build);
        let renames = matches!(self.router.way, Way::Rename);
        let says = format!("the ledger says that `{build}` is live, but");
        let accept = format!("overnight reconcile {dataset} --accept-catalog --reason TEXT");
        let at = match renames {
            true => look.at_alias.as_ref(),
            false => live.by_oid.as_ref(),
        };
        let renamed = |own: &Entry| {
            let right = if renames { dataset } else { build };
            let todo = format!(
                "`alter database \"{}\" rename to \"{right}\"` in psql gives it its name again",
                own.name
            );
            fault(
                Kind::Other,
                format!("{says} its database is called `{}`", own.name),
                todo,
            )
        };
        Ok(match (at, &live.by_oid) {
            (None, None) if live.name_taken => Some(fault(
                Kind::Other,
                format!("{says} its database is not there, and `{build}` is another one"),
                format!("`{accept}` takes the database that is there"),
            )),
            (None, None) => Some(fault(
                Kind::Gone,
                match renames {
                    true => format!("{says} the server has no database `{dataset}`"),
                    false => format!("{says} its database is not on the server"),
                },
                self.way_back().await?,
            )),
            (None, Some(own)) if own.name == *build => Some(fault(
                Kind::Other,
                format!("{says} the database `{dataset}` is not there: it is called `{build}`"),
                format!("`{accept}` gives it the name of the alias"),
            )),
            (None, Some(own)) => Some(renamed(own)),
            (Some(at), own) if own.as_ref().map(|own| own.oid) != Some(at.oid) => {
                Some(self.another(&says, &at.name).await?)
            }
            (Some(at), _) if !renames && at.name != *build && at.name != dataset => {
                Some(renamed(at))
            }
            (Some(at), _) if !at.open => Some(fault(
                Kind::Closed,
                format!(
                    "`{build}` is live, but its database `{}` is closed to connections",
                    at.name
                ),
                format!("`overnight reconcile {dataset}` opens it"),
            )),
            _ => None,
        })
    }

    /// A fresh dataset is no fault. One that had a live build and has none is.
    async fn nothing_live(&self, look: &Look) -> Result<Vec<Fault>> {
        let renames = matches!(self.router.way, Way::Rename);
        if let Some(at) = look.at_alias.as_ref().filter(|_| renames) {
            let says = "the ledger says that nothing is live, but";
            return Ok(vec![self.another(says, &at.name).await?]);
        }
        let builds = self.ledger.builds(self.dataset).await?;
        if !builds.iter().any(|build| build.published_at.is_some()) {
            return Ok(Vec::new());
        }
        let what = "nothing is live: the last live build is gone".to_owned();
        Ok(vec![fault(Kind::Gone, what, self.way_back().await?)])
    }

    /// A database that is not the live one has the alias's name.
    async fn another(&self, says: &str, name: &str) -> Result<Fault> {
        let dataset = self.dataset;
        // A database that cannot be entered counts as another owner's.
        let stamp = read_stamp(self.server, name).await.ok().flatten();
        let (what, todo) = match stamp {
            Some(stamp) if stamp.subset => (
                format!("{says} the database `{name}` is a subset"),
                format!("`overnight subset drop {dataset}` removes it"),
            ),
            Some(stamp) if stamp.dataset == dataset => (
                format!(
                    "{says} the database `{name}` is another one: it carries the stamp of `{}`",
                    stamp.build
                ),
                ADOPT.to_owned(),
            ),
            _ => (
                format!(
                    "{says} the database `{name}` is another one, which overnight did not make"
                ),
                format!(
                    "`alter database \"{name}\" rename to \"{name}_other\"` in psql, then {}",
                    self.way_back().await?
                ),
            ),
        };
        Ok(fault(Kind::Other, what, todo))
    }

    /// The command that gives services a build again.
    async fn way_back(&self) -> Result<String> {
        let dataset = self.dataset;
        let alone = match self.member {
            true => " --accept group --reason TEXT",
            false => "",
        };
        let builds = self.ledger.builds(dataset).await?;
        let live = self.ledger.dataset(dataset).await?.live_build;
        let there = self.ledger.existing_builds(dataset).await?;
        let kept: Vec<&Build> = builds
            .iter()
            .filter(|build| Some(build.id) != live && there.contains(&build.id))
            .collect();
        let newest = |of: fn(&Build) -> bool| kept.iter().find(|build| of(build));
        let published =
            |build: &Build| build.state == State::Published && build.rolled_back_at.is_none();
        if let Some(build) = newest(published) {
            let name = &build.name;
            return Ok(format!(
                "`overnight rollback {dataset}{alone}` publishes `{name}`"
            ));
        }
        if let Some(build) = newest(|build| build.state == State::Verified) {
            let name = &build.name;
            return Ok(format!(
                "`overnight rotate {dataset} {name}{alone}` publishes it"
            ));
        }
        if let Some(build) =
            newest(|build| matches!(build.state, State::Published | State::Tombstone))
        {
            let name = &build.name;
            return Ok(format!(
                "`overnight rollback {dataset} --to {name}{alone}` publishes it"
            ));
        }
        Ok(format!(
            "`overnight run {dataset}` builds and publishes a new one"
        ))
    }
}

fn fault(kind: Kind, what: String, todo: String) -> Fault {
    Fault {
        kind,
        place: "server".into(),
        what,
        todo,
    }
}

fn place(seen: &Seen) -> String {
    match seen.place.as_str() {
        "pointer" => "the pointer".into(),
        place => format!("the pooler at {place}"),
    }
}

/// Whether a database carries the stamp of a build of this dataset that the ledger does not know: then the
/// ledger is older than the server, and nothing may be led to what it calls live.
pub(super) async fn unknown_build(
    ledger: &Ledger,
    server: &Server,
    dataset: &str,
    database: &str,
) -> Result<bool> {
    let builds = ledger.builds(dataset).await?;
    if database.is_empty() || builds.iter().any(|build| build.name == database) {
        return Ok(false);
    }
    // A database that is gone, or cannot be entered, is not one of ours.
    let stamp = read_stamp(server, database).await.ok().flatten();
    Ok(stamp.is_some_and(|stamp| stamp.dataset == dataset && !stamp.subset))
}
