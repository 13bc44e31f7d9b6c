//! What hooks are to be told: written down with the truth, crossed off when they have been.

use super::Ledger;
use anyhow::{Context, Result};
use serde::Serialize;
use std::time::Duration;

/// A move of the alias that no hook was told of yet.
#[derive(Debug, Clone)]
pub struct UntoldFlip {
    pub id: i64,
    pub rollback: bool,
    pub build: String,
    pub previous: Option<String>,
    pub schema_version: i32,
    pub rows: Option<i64>,
    pub reason: Option<String>,
    pub actor: String,
    /// When it was confirmed, UTC.
    pub at: String,
}

/// One thing to tell one hook.
#[derive(Debug, Clone)]
pub struct Delivery {
    pub hook: String,
    pub event: String,
    pub kind: String,
    pub document: String,
}

/// A delivery that this process has taken upon itself.
#[derive(Debug)]
pub struct Claimed {
    pub id: i64,
    pub event: String,
    pub dataset: String,
    pub kind: String,
    pub document: String,
}

/// A delivery that did not come through.
#[derive(Debug, Serialize)]
pub struct Undelivered {
    pub hook: String,
    pub kind: String,
    /// Whether it is still tried.
    pub given_up: bool,
    pub attempts: i32,
    pub last_error: Option<String>,
    pub since: String,
}

impl Ledger {
    /// Confirmed moves that nobody was told of, oldest first.
    pub async fn untold_flips(&self, dataset: &str) -> Result<Vec<UntoldFlip>> {
        let rows = self
            .session
            .query(
                "select f.id, f.kind = 'rollback', b.name, p.name, b.schema_version, b.rows_loaded, f.reason, f.actor,
                        to_char(f.confirmed_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')
                 from ledger.flip f join ledger.build b on b.id = f.to_build
                      left join ledger.build p on p.id = f.from_build
                 where f.dataset = $1 and f.state = 'confirmed' and not f.told order by f.id",
                &[&dataset],
            )
            .await
            .context("read the moves that hooks were not told of")?;
        Ok(rows
            .iter()
            .map(|row| UntoldFlip {
                id: row.get(0),
                rollback: row.get(1),
                build: row.get(2),
                previous: row.get(3),
                schema_version: row.get(4),
                rows: row.get(5),
                reason: row.get(6),
                actor: row.get(7),
                at: row.get(8),
            })
            .collect())
    }

    /// Writes down what is to be told of a move, once: the move is told with it, or another process
    /// was quicker.
    pub async fn tell_flip(
        &self,
        dataset: &str,
        flip: &UntoldFlip,
        deliveries: &[Delivery],
    ) -> Result<()> {
        self.begin().await?;
        let told = async {
            let first = self
                .session
                .execute(
                    "update ledger.flip set told = true where id = $1 and not told",
                    &[&flip.id],
                )
                .await
                .context("record that hooks are told of a move")?;
            if first == 1 {
                self.add_deliveries(dataset, deliveries).await?;
            }
            self.commit().await
        };
        let told = told.await;
        if told.is_err() {
            self.rollback().await;
        }
        told
    }

    /// Writes down what is to be told.
    pub async fn add_deliveries(&self, dataset: &str, deliveries: &[Delivery]) -> Result<()> {
        for delivery in deliveries {
            self.session
                .execute(
                    "insert into ledger.delivery (event, hook, dataset, kind, document)
                     values ($1, $2, $3, $4, $5) on conflict do nothing",
                    &[
                        &delivery.event,
                        &delivery.hook,
                        &dataset,
                        &delivery.kind,
                        &delivery.document,
                    ],
                )
                .await
                .with_context(|| format!("write down what the hook `{}` is told", delivery.hook))?;
        }
        Ok(())
    }

    /// What waits for a hook, newest first: what happened today matters more than what could not be
    /// delivered yesterday.
    pub async fn waiting_deliveries(&self, hook: &str) -> Result<Vec<i64>> {
        let rows = self
            .session
            .query(
                "select id from ledger.delivery where hook = $1 and state = 'waiting' order by id desc",
                &[&hook],
            )
            .await
            .context("read what hooks are to be told")?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    /// Takes a delivery for a while, so that two commands do not both make it; `None` if it is taken.
    pub async fn claim_delivery(&self, id: i64, lease: Duration) -> Result<Option<Claimed>> {
        let row = self
            .session
            .query_opt(
                "update ledger.delivery set attempts = attempts + 1,
                        claimed_until = clock_timestamp() + $2 * interval '1 second'
                 where id = $1 and state = 'waiting'
                   and (claimed_until is null or claimed_until < clock_timestamp())
                 returning id, event, dataset, kind, document",
                &[&id, &lease.as_secs_f64()],
            )
            .await
            .context("take a delivery")?;
        Ok(row.map(|row| Claimed {
            id: row.get(0),
            event: row.get(1),
            dataset: row.get(2),
            kind: row.get(3),
            document: row.get(4),
        }))
    }

    /// Crosses a delivery off, or gives it back; after `give_up_after` it is given up.
    pub async fn settle_delivery(
        &self,
        id: i64,
        error: Option<&str>,
        give_up_after: Duration,
    ) -> Result<()> {
        self.session
            .execute(
                "update ledger.delivery
                 set state = case when $2::text is null then 'delivered'
                                  when clock_timestamp() - created_at > $3 * interval '1 second' then 'given up'
                                  else 'waiting' end,
                     last_error = coalesce($2, last_error), claimed_until = null, ended_at = clock_timestamp()
                 where id = $1",
                &[&id, &error, &give_up_after.as_secs_f64()],
            )
            .await
            .context("record a delivery")?;
        Ok(())
    }

    /// What did not come through; what was given up is shown for a week.
    pub async fn undelivered(&self, dataset: &str) -> Result<Vec<Undelivered>> {
        let rows = self
            .session
            .query(
                "select hook, kind, state = 'given up', attempts, last_error,
                        to_char(created_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')
                 from ledger.delivery
                 where dataset = $1 and (state = 'waiting'
                     or state = 'given up' and created_at > clock_timestamp() - interval '7 days')
                 order by id desc",
                &[&dataset],
            )
            .await
            .context("read what hooks were not told")?;
        Ok(rows
            .iter()
            .map(|row| Undelivered {
                hook: row.get(0),
                kind: row.get(1),
                given_up: row.get(2),
                attempts: row.get(3),
                last_error: row.get(4),
                since: row.get(5),
            })
            .collect())
    }
}
