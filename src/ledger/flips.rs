//! Moves of an alias: written as an intent, confirmed after the probe.

use super::{Build, Ledger};
use crate::problem::Problem;
use crate::switch;
use anyhow::{Context, Result, bail};
use std::time::Duration;

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
    pub kind: Kind,
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
                "insert into ledger.flip (dataset, epoch, from_build, to_build, kind, state, reason, actor,
                        previous_before, held_before, hold_reason_before, held_by_before, held_at_before)
                 select dataset, $2, $3, $4, $5, 'intent', $6, $7,
                        previous_build, held, hold_reason, held_by, held_at
                 from ledger.dataset where dataset = $1 returning id",
                &[&dataset, &epoch, &from_build, &to.id, &kind.word(), &reason, &self.actor],
            )
            .await
            .context("write the intent to the ledger")?;
        Ok(Flip {
            id: row.get(0),
            epoch,
            from_build,
            to_build: to.id,
            kind,
            state: "intent".into(),
        })
    }

    /// The record of a move, inside its transaction and before the alias changes: compare-and-set of
    /// the epoch, live and previous build, and, going back, the hold. Returns the statements that
    /// belong after the change of the alias.
    ///
    /// # Errors
    /// When another process has moved or held the alias in between; the caller rolls back.
    pub async fn record_switch(
        &self,
        dataset: &str,
        flip: &Flip,
        reason: Option<&str>,
    ) -> Result<[String; 2]> {
        let kind = flip.kind;
        let moved = self
            .session
            .execute(
                "update ledger.dataset d set previous_build = coalesce(live_build, (
                            select max(b.id) from ledger.build b
                            where b.dataset = d.dataset and b.state = 'published'
                              and b.rolled_back_at is null and b.id < $3)),
                        live_build = $3, epoch = epoch + 1,
                        held = held or $4,
                        hold_reason = case when $4 then $5 else hold_reason end,
                        held_by = case when $4 then $6 else held_by end,
                        held_at = case when $4 then clock_timestamp() else held_at end
                 where dataset = $1 and (epoch = $2 or $7) and (not held or $4 or $8)",
                &[
                    &dataset,
                    &flip.epoch,
                    &flip.to_build,
                    &(kind == Kind::Rollback),
                    &reason,
                    &self.actor,
                    &!switch::on("flip.epoch"),
                    &!switch::on("flip.held_meanwhile"),
                ],
            )
            .await
            .context("record the move")?;
        if moved != 1 {
            bail!(
                Problem::refused(format!(
                    "`{dataset}` was held or moved by somebody meanwhile"
                ))
                .hint("`overnight status` shows by whom; nothing was changed")
            );
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
        // Whoever is still on the build before an earlier move is now this move's to wait for.
        self.session
            .execute(
                "update ledger.flip set state = 'superseded'
                 where dataset = $1 and state = 'switched' and id <> $2",
                &[&dataset, &flip.id],
            )
            .await?;
        let (build, why) = (Some(flip.to_build), reason.unwrap_or(""));
        Ok([
            Ledger::point_statement(dataset),
            self.event_statement(dataset, build, kind.word(), why),
        ])
    }

    /// The record of a move that is taken back, inside the transaction that takes it back: what
    /// was live, previous and held before is so again. `was_sealed`: the build had not been
    /// published before, so that it is only verified again. Returns the statements that belong after
    /// the change of the alias.
    pub async fn record_revert(
        &self,
        dataset: &str,
        flip: &Flip,
        was_sealed: bool,
    ) -> Result<[String; 2]> {
        let undone = self
            .session
            .execute(
                "update ledger.dataset d
                    set live_build = f.from_build, previous_build = f.previous_before, epoch = d.epoch + 1,
                        held = f.held_before, hold_reason = f.hold_reason_before,
                        held_by = f.held_by_before, held_at = f.held_at_before
                   from ledger.flip f
                  where d.dataset = $1 and f.id = $2 and d.epoch = f.epoch + 1",
                &[&dataset, &flip.id],
            )
            .await
            .context("record that the move was taken back")?;
        if undone != 1 {
            bail!("the alias `{dataset}` was moved by another process meanwhile");
        }
        // Going back, the one that is live again is no longer rolled back. Going forward to a build
        // of earlier days, that one must not be gone back to.
        let (build, change) = match (flip.kind, was_sealed) {
            (Kind::Rollback, _) => (flip.from_build, "rolled_back_at = null"),
            (Kind::Rotate, true) => (
                Some(flip.to_build),
                "state = 'verified', published_at = null",
            ),
            (Kind::Rotate, false) => (Some(flip.to_build), "rolled_back_at = clock_timestamp()"),
        };
        self.session
            .execute(
                &format!("update ledger.build set {change} where id = $1"),
                &[&build],
            )
            .await?;
        self.flip_state(flip, "reverted").await?;
        let why = "the look through the alias failed";
        Ok([
            Ledger::point_statement(dataset),
            self.event_statement(dataset, Some(flip.to_build), "reverted", why),
        ])
    }

    /// Until when moves that sessions are in the way of are tried again, for `status`.
    pub async fn try_until(&self, flips: &[i64], left: Duration) -> Result<()> {
        self.session
            .execute(
                "update ledger.flip set trying_until = clock_timestamp() + make_interval(secs => $2)
                 where id = any($1)",
                &[&flips, &left.as_secs_f64()],
            )
            .await
            .context("record until when the move is tried")?;
        Ok(())
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

    /// How long ago a move happened.
    pub async fn switched_for(&self, flip: &Flip) -> Result<Duration> {
        let seconds: f64 = self
            .session
            .query_one(
                "select greatest(0, coalesce(extract(epoch from clock_timestamp() - switched_at), 0))::float8
                 from ledger.flip where id = $1",
                &[&flip.id],
            )
            .await
            .context("ask when the alias was moved")?
            .get(0);
        Ok(Duration::from_secs_f64(seconds))
    }

    /// The build that the last move led to and how long ago, when that move was a rollback.
    pub async fn last_rollback(&self, dataset: &str) -> Result<Option<(String, Duration)>> {
        let row = self
            .session
            .query_opt(
                "select f.kind = 'rollback', b.name,
                        greatest(0, extract(epoch from clock_timestamp() - f.switched_at))::float8
                 from ledger.flip f join ledger.build b on b.id = f.to_build
                 where f.dataset = $1 and f.state in ('switched', 'confirmed') and f.switched_at is not null
                 order by f.id desc limit 1",
                &[&dataset],
            )
            .await
            .context("read the last move")?;
        Ok(row
            .filter(|row| row.get(0))
            .map(|row| (row.get(1), Duration::from_secs_f64(row.get(2)))))
    }

    /// Moves that were begun and neither confirmed nor given up.
    pub async fn open_flips(&self, dataset: &str) -> Result<Vec<Flip>> {
        let rows = self
            .session
            .query(
                "select id, epoch, from_build, to_build, state, kind = 'rollback' from ledger.flip
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
                kind: match row.get(5) {
                    true => Kind::Rollback,
                    false => Kind::Rotate,
                },
            })
            .collect())
    }
}
