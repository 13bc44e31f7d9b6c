//! Moves of an alias: written as an intent, confirmed after the probe.

use super::{Build, Ledger};
use anyhow::{Context, Result, bail};

/// Forward to a new build, or back to an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Rotate,
    Rollback,
}

impl Kind {
    /// As written in the ledger.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Rotate => "rotate",
            Kind::Rollback => "rollback",
        }
    }
}

/// A move that was begun.
#[derive(Debug, Clone)]
pub struct Flip {
    pub id: i64,
    /// Epoch of the alias before the move.
    pub epoch: i64,
    pub from_build: Option<i64>,
    pub to_build: i64,
    pub state: String,
}

impl Ledger {
    /// Writes down, in a transaction of its own, that the alias is about to move.
    pub async fn intend(
        &self,
        dataset: &str,
        epoch: i64,
        from: Option<&Build>,
        to: &Build,
        kind: Kind,
        reason: Option<&str>,
    ) -> Result<Flip> {
        let from_build = from.map(|build| build.id);
        let row = self
            .session
            .query_one(
                "insert into ledger.flip (dataset, epoch, from_build, to_build, kind, state, reason, actor)
                 values ($1, $2, $3, $4, $5, 'intent', $6, $7) returning id",
                &[&dataset, &epoch, &from_build, &to.id, &kind.word(), &reason, &self.actor],
            )
            .await
            .context("write the intent to the ledger")?;
        Ok(Flip {
            id: row.get(0),
            epoch,
            from_build,
            to_build: to.id,
            state: "intent".into(),
        })
    }

    /// The record of a move, inside its transaction: compare-and-set of the epoch, live and
    /// previous build, and, going back, the hold.
    ///
    /// # Errors
    /// When another process has moved the alias in between; the caller rolls back.
    pub async fn record_switch(
        &self,
        dataset: &str,
        flip: &Flip,
        kind: Kind,
        reason: Option<&str>,
    ) -> Result<()> {
        let moved = self
            .session
            .execute(
                "update ledger.dataset set previous_build = live_build, live_build = $3, epoch = epoch + 1,
                        held = held or $4,
                        hold_reason = case when $4 then $5 else hold_reason end,
                        held_by = case when $4 then $6 else held_by end,
                        held_at = case when $4 then clock_timestamp() else held_at end
                 where dataset = $1 and epoch = $2",
                &[&dataset, &flip.epoch, &flip.to_build, &(kind == Kind::Rollback), &reason, &self.actor],
            )
            .await
            .context("record the move")?;
        if moved != 1 {
            bail!("the alias `{dataset}` was moved by another process meanwhile");
        }
        self.session
            .execute(
                "update ledger.build set state = 'published',
                        published_at = coalesce(published_at, clock_timestamp()), rolled_back_at = null
                 where id = $1",
                &[&flip.to_build],
            )
            .await?;
        if kind == Kind::Rollback {
            self.session
                .execute(
                    "update ledger.build set rolled_back_at = clock_timestamp() where id = $1",
                    &[&flip.from_build],
                )
                .await?;
        }
        self.session
            .execute(
                "update ledger.flip set state = 'switched', switched_at = clock_timestamp() where id = $1",
                &[&flip.id],
            )
            .await?;
        self.event(
            dataset,
            Some(flip.to_build),
            kind.word(),
            reason.unwrap_or(""),
        )
        .await
    }

    /// Sets the state of a move.
    pub async fn flip_state(&self, flip: &Flip, state: &str) -> Result<()> {
        self.session
            .execute(
                "update ledger.flip set state = $2,
                        confirmed_at = case when $2 = 'confirmed' then clock_timestamp() else confirmed_at end
                 where id = $1",
                &[&flip.id, &state],
            )
            .await
            .with_context(|| format!("record the move as {state}"))?;
        Ok(())
    }

    /// Moves that were begun and neither confirmed nor given up.
    pub async fn open_flips(&self, dataset: &str) -> Result<Vec<Flip>> {
        let rows = self
            .session
            .query(
                "select id, epoch, from_build, to_build, state from ledger.flip
                 where dataset = $1 and state in ('intent', 'switched') order by id",
                &[&dataset],
            )
            .await
            .context("read the open moves")?;
        Ok(rows
            .iter()
            .map(|row| Flip {
                id: row.get(0),
                epoch: row.get(1),
                from_build: row.get(2),
                to_build: row.get(3),
                state: row.get(4),
            })
            .collect())
    }
}
