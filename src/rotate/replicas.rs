//! Standbys that services read from: caught up before a move, and moved along after it.
//!
//! In: the standbys that somebody declared. A rename reaches a standby with the log and ends no
//! session there: whoever is connected goes on reading the old build. So a move waits until each
//! has replayed the new build, and is confirmed only when each has replayed the rename and nobody
//! there is left on the old one. Standbys that nobody declared cannot be asked, so they stop a move.
//!
//! Log positions are compared, not times: `pg_last_wal_replay_lsn` against `pg_current_wal_lsn`.
//! <https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-RECOVERY-CONTROL>

use crate::gate::Gate;
use crate::ledger::{Build, Ledger};
use crate::postgres::{Server, Session, Standby, explain_chain};
use crate::problem::Problem;
use crate::switch;
use crate::units::Bytes;
use anyhow::{Context, Result, anyhow};
use futures_util::future::join_all;
use std::time::{Duration, Instant};

/// Pause between two looks at a standby.
const BETWEEN: Duration = Duration::from_millis(200);
/// How long sessions that were told to end may take.
const ENDING: Duration = Duration::from_secs(5);
/// What to do about a standby that no `[[replica]]` declares.
pub const DECLARE: &str = "declare them as [[replica]] in overnight.toml";
/// What to do about a declared one that does not answer, or does not follow.
pub const BRING_BACK: &str = "bring it back; until then every move of an alias is refused";
/// Programs that read the log and let nobody read data.
const NO_STANDBYS: [&str; 2] = ["pg_basebackup", "pg_receivewal"];

/// What a standby must have replayed.
struct Wanted {
    /// Position in the log of the primary.
    lsn: String,
    /// Identity of the cluster, which a physical standby shares.
    system: String,
    oid: u32,
    /// What the database must be called there.
    name: Option<String>,
}

impl Wanted {
    async fn now(ledger: &Ledger, build: &Build, name: Option<&str>) -> Result<Wanted> {
        let row = ledger
            .session
            .query_one(
                "select pg_current_wal_lsn()::text, (select system_identifier::text from pg_control_system())",
                &[],
            )
            .await
            .context("ask for the position in the log")?;
        Ok(Wanted {
            lsn: row.get(0),
            system: row.get(1),
            oid: build.database_oid.unwrap_or_default(),
            name: name.map(str::to_owned),
        })
    }
}

/// Whether every standby has `to`, and none is unknown: the gate `replicas`.
///
/// # Errors
/// The primary cannot be asked. A standby that cannot is a failed gate.
pub(super) async fn gate(ledger: &Ledger, server: &Server, to: &Build) -> Result<Gate> {
    let standbys = server.standbys();
    let mut wrong = Vec::new();
    if !standbys.ignore_undeclared && switch::on("flip.undeclared_replicas") {
        wrong.extend(undeclared(ledger, &standbys.declared).await?);
    }
    if !standbys.declared.is_empty() && switch::on("flip.replicas") {
        let wanted = Wanted::now(ledger, to, None).await?;
        let looks = standbys
            .declared
            .iter()
            .map(|standby| has_replayed(standby, &wanted, standbys.wait));
        for looked in join_all(looks).await {
            wrong.extend(looked.err().map(|error| explain_chain(&error)));
        }
    }
    Ok(match (wrong.as_slice(), standbys.declared.len()) {
        ([], 0) => Gate::new("replicas", true, "none declared"),
        ([], count) => Gate::new("replicas", true, format!("{count} have the build")),
        (wrong, _) => Gate::new("replicas", false, wrong.join("; ")),
    })
}

/// Standbys that the primary serves and nobody declared. A role without `pg_read_all_stats` sees
/// their number and names, and not what they do.
pub async fn undeclared(ledger: &Ledger, declared: &[Standby]) -> Result<Option<String>> {
    let rows = ledger
        .session
        .query(
            "select coalesce(nullif(application_name, ''), 'unnamed') from pg_stat_replication
             where coalesce(state, '') <> 'backup' and coalesce(application_name, '') <> all($1)
               and pid not in (select active_pid from pg_replication_slots
                               where slot_type = 'logical' and active_pid is not null)
             order by 1",
            &[&NO_STANDBYS.as_slice()],
        )
        .await
        .context("ask which standbys follow the server")?;
    let mut names: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    let mut left = declared.len();
    for standby in declared {
        if let Some(at) = names.iter().position(|name| *name == standby.name) {
            names.remove(at);
            left -= 1;
        }
    }
    // The others have a name that everybody has, and are told apart by their number only.
    Ok((names.len() > left).then(|| {
        format!(
            "{} that follow the server are in no [[replica]] ({}): declare them, or set undeclared_replicas = \"ignore\"",
            names.len() - left,
            names.join(", ")
        )
    }))
}

/// Whether a standby has the live build, under its alias.
///
/// # Errors
/// It does not, or does not answer.
pub async fn has_live(ledger: &Ledger, standby: &Standby, alias: &str, live: &Build) -> Result<()> {
    let wanted = Wanted::now(ledger, live, Some(alias)).await?;
    has_replayed(standby, &wanted, ENDING).await.map(drop)
}

/// Waits until a standby has replayed what is wanted.
async fn has_replayed(standby: &Standby, wanted: &Wanted, wait: Duration) -> Result<Session> {
    let end = Instant::now() + wait;
    let name = &standby.name;
    let session = standby.connect("look at a replica").await?;
    loop {
        let row = session
            .query_one(
                "select pg_is_in_recovery(),
                        (select system_identifier::text from pg_control_system()) = $2,
                        coalesce(pg_wal_lsn_diff($1::text::pg_lsn, pg_last_wal_replay_lsn())::bigint, -1),
                        exists (select from pg_database where oid = $3 and datname = coalesce($4, datname))",
                &[&wanted.lsn, &wanted.system, &wanted.oid, &wanted.name],
            )
            .await
            .with_context(|| format!("look at the replica `{name}`"))?;
        let (standby, same, behind, there): (bool, bool, i64, bool) =
            (row.get(0), row.get(1), row.get(2), row.get(3));
        if !standby || !same {
            return Err(anyhow!(
                "`{name}` is not a standby of this server: it was promoted, or its target leads elsewhere"
            ));
        }
        if behind <= 0 && there {
            return Ok(session);
        }
        if Instant::now() >= end {
            return Err(match behind {
                1.. => anyhow!(
                    "`{name}` is {} of log behind after {} s",
                    Bytes(behind.unsigned_abs()),
                    wait.as_secs()
                ),
                _ => anyhow!("`{name}` does not have the build"),
            });
        }
        tokio::time::sleep(BETWEEN).await;
    }
}

/// After a move: each standby has replayed the rename, and nobody there is left on the old build.
///
/// # Errors
/// Status 3 that names what is missing. The alias has moved all the same.
pub(super) async fn follow(
    ledger: &Ledger,
    server: &Server,
    name: &str,
    from: Option<&Build>,
    to: &Build,
    wait: Duration,
) -> Result<()> {
    let standbys = &server.standbys().declared;
    if standbys.is_empty() {
        return Ok(());
    }
    let wanted = Wanted::now(ledger, to, Some(name)).await?;
    let old = from.and_then(|build| build.database_oid);
    let followed = standbys.iter().map(|standby| async {
        let session = has_replayed(standby, &wanted, wait).await?;
        match old {
            Some(old) if switch::on("flip.replica_sessions") => {
                leave(standby, &session, old, wait.is_zero()).await
            }
            _ => Ok(()),
        }
    });
    let wrong: Vec<String> = join_all(followed)
        .await
        .into_iter()
        .filter_map(|followed| Some(explain_chain(&followed.err()?)))
        .collect();
    if wrong.is_empty() {
        return Ok(());
    }
    Err(Problem::dependency(format!(
        "`{}` is live, and its replicas are not confirmed: {}",
        to.name,
        wrong.join("; ")
    ))
    .hint("services of those replicas may read the old build; every later command tries again"))?
}

/// Waits for the sessions of the old build as long as they may drain, then ends them.
async fn leave(standby: &Standby, session: &Session, oid: u32, at_once: bool) -> Result<()> {
    let drain = if at_once {
        Duration::ZERO
    } else {
        standby.drain
    };
    let begun = Instant::now();
    loop {
        let left = sessions(session, oid).await?;
        if left.is_empty() {
            return Ok(());
        }
        if begun.elapsed() >= drain + ENDING {
            return Err(anyhow!(
                "on `{}` {} still use the old build and could not be ended: {}",
                standby.name,
                left.len(),
                left.join(", ")
            ));
        }
        if begun.elapsed() >= drain {
            session
                .query(
                    "select pg_terminate_backend(a.pid) from pg_stat_activity a join pg_roles r on r.oid = a.usesysid
                     where a.datid = $1 and not r.rolsuper
                       and (pg_has_role(a.usesysid, 'usage') or pg_has_role('pg_signal_backend', 'usage'))",
                    &[&oid],
                )
                .await
                .with_context(|| format!("end sessions on the replica `{}`", standby.name))?;
        }
        tokio::time::sleep(BETWEEN).await;
    }
}

/// Who is connected to a database of a standby.
async fn sessions(session: &Session, oid: u32) -> Result<Vec<String>> {
    let rows = session
        .query(
            "select format('%s (%s, process %s)', coalesce(usename::text, 'unknown'),
                    coalesce(nullif(application_name, ''), 'unnamed'), pid)
             from pg_stat_activity where datid = $1 order by pid",
            &[&oid],
        )
        .await
        .context("ask who is connected to a replica")?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Why a database must not be dropped yet: a standby has sessions in it, which the drop would end
/// there, or cannot be asked.
pub async fn in_use(server: &Server, oid: u32) -> Option<String> {
    if !switch::on("retire.replicas") {
        return None;
    }
    for standby in &server.standbys().declared {
        let name = &standby.name;
        let asked = async {
            let session = standby.connect("count sessions").await?;
            sessions(&session, oid).await
        };
        match asked.await {
            Ok(left) if left.is_empty() => {}
            Ok(left) => {
                return Some(format!(
                    "in use on the replica `{name}` by {}",
                    left.join(", ")
                ));
            }
            Err(error) => {
                return Some(format!(
                    "the replica `{name}` could not be asked: {}",
                    explain_chain(&error)
                ));
            }
        }
    }
    None
}
