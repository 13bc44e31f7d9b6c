//! Who is still on the build before a move, and how they leave it.
//!
//! In: a move that has happened and was looked at. Out: nobody is left there, or the move stays
//! `switched` and the next command goes on. With poolers that hand out sessions, and with services
//! that follow a row, a move is no more than an invitation; only the list of sessions tells when it
//! is over.
//!
//! Nobody holds the lock of the moves while waiting: an operator may have to go back just then.

use super::{Move, Step};
use crate::build::Database;
use crate::config::groups::Unit;
use crate::crashpoint;
use crate::ledger::{Build, Ledger, Lock};
use crate::switch;
use anyhow::{Context, Result};
use serde::Serialize;
use std::fmt;
use std::time::{Duration, Instant};

const LOOK_EVERY: Duration = Duration::from_millis(250);
const SAY_EVERY: Duration = Duration::from_secs(30);
/// Time for sessions to end once they were told to.
const ENDING: Duration = Duration::from_secs(5);

/// A session on a build that is no longer live.
#[derive(Debug, Clone, Serialize)]
pub struct Staying {
    pub pid: i32,
    pub application: String,
    pub user: String,
    /// Network address of the client, or `local`. Of a pooler's session it is the pooler's.
    pub address: String,
    /// Age of the session and of its transaction; unknown without pg_read_all_stats.
    pub session_seconds: Option<i64>,
    pub transaction_seconds: Option<i64>,
    /// overnight never ends it.
    pub superuser: bool,
}

impl fmt::Display for Staying {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.application.as_str() {
            "" => "unnamed",
            name => name,
        };
        write!(out, "{name} ({}, {}", self.user, self.address)?;
        if let Some(age) = self.session_seconds {
            write!(out, ", connected for {age} s")?;
        }
        if let Some(age) = self.transaction_seconds {
            write!(out, ", in a transaction for {age} s")?;
        }
        match self.superuser {
            true => out.write_str(", superuser)"),
            false => out.write_str(")"),
        }
    }
}

/// Who is on a database, longest first.
pub async fn staying(ledger: &Ledger, oid: u32) -> Result<Vec<Staying>> {
    let rows = ledger
        .session
        .query(include_str!("drain.sql"), &[&oid])
        .await
        .context("ask who is still on the old build")?;
    Ok(rows
        .iter()
        .map(|row| Staying {
            pid: row.get(0),
            application: row.get(1),
            user: row.get(2),
            address: row.get(3),
            session_seconds: row.get(4),
            transaction_seconds: row.get(5),
            superuser: row.get(6),
        })
        .collect())
}

/// At most five of them in words.
pub fn in_words(staying: &[Staying]) -> String {
    let mut words: Vec<String> = staying.iter().take(5).map(Staying::to_string).collect();
    if staying.len() > words.len() {
        words.push(format!("{} more", staying.len() - words.len()));
    }
    words.join(", ")
}

/// Ends those that this role may end, and waits for a moment. Returns who is left.
pub async fn end(ledger: &Ledger, oid: u32) -> Result<Vec<Staying>> {
    let until = Instant::now() + ENDING;
    let mut left = staying(ledger, oid).await?;
    crashpoint::reached("drain.before_end");
    while !left.is_empty() {
        let pids: Vec<i32> = left.iter().map(|one| one.pid).collect();
        ledger
            .session
            .query(
                "select pg_terminate_backend(a.pid) from pg_stat_activity a join pg_roles r on r.oid = a.usesysid
                 where a.pid = any($1) and a.datid = $2 and not r.rolsuper
                   and (pg_has_role(a.usesysid, 'usage') or pg_has_role('pg_signal_backend', 'usage'))",
                &[&pids, &oid],
            )
            .await
            .context("end the sessions of the old build")?;
        crashpoint::reached("drain.after_end");
        left = staying(ledger, oid).await?;
        if Instant::now() >= until {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(left)
}

impl Move<'_> {
    /// Waits until nobody is on the builds before, and ends who stays beyond the limit. Returns the
    /// moves that are not over: somebody is left, or another move has overtaken them.
    pub(super) async fn drain(&self, steps: &[Step<'_>]) -> Result<Vec<i64>> {
        let mut waiting = Vec::new();
        for step in steps {
            let before = step.from.as_ref();
            if let Some((from, oid)) = before.and_then(|from| Some((from, from.database_oid?)))
                && !staying(self.ledger, oid).await?.is_empty()
                && switch::on("drain.wait")
            {
                waiting.push(Leaving { step, from, oid });
            }
        }
        let mut left = Vec::new();
        if waiting.is_empty() {
            return Ok(left);
        }
        // All of them: whoever goes back goes back with all.
        let held = self.held();
        for dataset in held.iter().rev() {
            self.ledger.unlock(dataset, Lock::Move).await?;
        }
        let began = Instant::now();
        let mut waited = Vec::new();
        for leaving in &waiting {
            waited.push(self.wait_for_leavers(leaving, began).await);
        }
        for dataset in &held {
            self.ledger.wait_for(dataset, Lock::Move).await?;
        }
        for (leaving, waited) in waiting.iter().zip(waited) {
            let gone = waited?;
            if !self.is_latest(leaving.step).await? || !(gone || self.end_leavers(leaving).await?) {
                left.push(leaving.step.flip.id);
            }
        }
        Ok(left)
    }

    /// Whose locks the move holds, in the order in which they are taken.
    fn held(&self) -> Vec<&str> {
        match self.unit {
            Unit::Group(group) => group.members.iter().map(String::as_str).collect(),
            Unit::Alone(dataset) | Unit::Member(dataset, _) => vec![dataset],
        }
    }

    /// Ends who is left. False when that is not possible.
    async fn end_leavers(&self, leaving: &Leaving<'_>) -> Result<bool> {
        let left = end(self.ledger, leaving.oid).await?;
        if !left.is_empty() {
            tracing::warn!(
                dataset = %leaving.step.dataset.name,
                "the move is not confirmed, because sessions cannot be ended on `{}`: {}; the next command looks again",
                leaving.from.name,
                in_words(&left)
            );
        }
        Ok(left.is_empty())
    }

    async fn is_latest(&self, step: &Step<'_>) -> Result<bool> {
        let row = self.ledger.dataset(&step.dataset.name).await?;
        Ok(row.epoch == step.flip.epoch + 1)
    }

    /// True when nobody is left or somebody has moved the alias again, false when the time is over.
    async fn wait_for_leavers(&self, leaving: &Leaving<'_>, began: Instant) -> Result<bool> {
        let build = &leaving.from.name;
        let mut said: Option<Instant> = None;
        loop {
            let left = staying(self.ledger, leaving.oid).await?;
            if left.is_empty() || !self.is_latest(leaving.step).await? {
                return Ok(true);
            }
            let rest = self.router.drain.saturating_sub(began.elapsed());
            if rest.is_zero() {
                return Ok(false);
            }
            // A pooler that has just been told closes its connections within milliseconds.
            let due = said.map_or(began.elapsed() >= LOOK_EVERY * 4, |at| {
                at.elapsed() >= SAY_EVERY
            });
            if due {
                said = Some(Instant::now());
                tracing::warn!(
                    dataset = %leaving.step.dataset.name,
                    "{} on `{build}`, which is no longer live; ended in {} s: {}",
                    sessions(left.len()),
                    rest.as_secs(),
                    in_words(&left)
                );
            }
            tokio::time::sleep(LOOK_EVERY.min(rest)).await;
        }
    }
}

/// A build that somebody is still on.
struct Leaving<'l> {
    step: &'l Step<'l>,
    from: &'l Build,
    oid: u32,
}

fn sessions(count: usize) -> String {
    match count {
        1 => "1 session is still".into(),
        more => format!("{more} sessions are still"),
    }
}

/// Whether a move that was found `switched` is over: nobody is left, or the limit has ended them.
/// Says who is left otherwise.
pub(super) async fn finish(
    ledger: &Ledger,
    before: Option<Database>,
    switched_for: Duration,
    limit: Duration,
) -> Result<Vec<Staying>> {
    let Some(before) = before else {
        return Ok(Vec::new());
    };
    let left = staying(ledger, before.oid).await?;
    if left.is_empty() || switched_for < limit {
        return Ok(left);
    }
    end(ledger, before.oid).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_stays_is_told_in_one_line() {
        let one = Staying {
            pid: 7,
            application: "api@41".into(),
            user: "planinfo_reader".into(),
            address: "10.0.0.7".into(),
            session_seconds: Some(30),
            transaction_seconds: None,
            superuser: false,
        };
        let other = Staying {
            application: String::new(),
            session_seconds: None,
            superuser: true,
            ..one.clone()
        };
        assert_eq!(
            in_words(&[one.clone(), other]),
            "api@41 (planinfo_reader, 10.0.0.7, connected for 30 s), \
             unnamed (planinfo_reader, 10.0.0.7, superuser)"
        );
        assert!(in_words(&vec![one; 7]).ends_with(", 2 more"));
    }
}
