//! What the server itself can say while a load runs: log, slots, replicas, sizes, connections.

use super::{Free, judge, spent};
use crate::ledger::{Build, Ledger};
use crate::load::throttle::Cause;
use crate::nightly::Run;
use crate::postgres::{Standby, explain_chain};
use crate::problem::Problem;
use crate::switch;
use crate::units::Bytes;
use crate::vitals::{disk, log, sessions};
use anyhow::{Context, Result};
use futures_util::future::join_all;
use std::time::Duration;

/// A replica that does not answer within this says nothing this time.
const ANSWER: Duration = Duration::from_secs(5);

impl Run<'_> {
    /// Looks every few seconds; returns when the run was given up.
    pub(super) async fn watch_server(&self, build: &Build) {
        let mut control: Option<Ledger> = None;
        let mut complained = false;
        loop {
            let looked = async {
                let ledger = match control.take() {
                    Some(ledger) if !ledger.session.is_closed() => ledger,
                    _ => self.ledger.second(&self.place.server, "brake").await?,
                };
                let found = self.look(&ledger, build).await?;
                control = Some(ledger);
                anyhow::Ok(found)
            };
            match looked.await {
                Ok(None) => {}
                Ok(Some(problem)) => return self.stop(build, problem).await,
                Err(error) if complained => tracing::debug!("{}", explain_chain(&error)),
                Err(error) => {
                    complained = true;
                    tracing::warn!("the server is not watched: {}", explain_chain(&error));
                }
            }
            tokio::time::sleep(self.place.config.watching.every).await;
        }
    }

    /// The first look; what cannot be asked is left to the next one.
    pub(super) async fn look_once(&self, build: &Build) -> Option<Problem> {
        let looked = async {
            let control = self.ledger.second(&self.place.server, "brake").await?;
            self.look(&control, build).await
        };
        looked.await.unwrap_or_else(|error| {
            tracing::debug!("{}", explain_chain(&error));
            None
        })
    }

    async fn look(&self, control: &Ledger, build: &Build) -> Result<Option<Problem>> {
        let settings = &self.place.config.watching;
        let throttle = &self.brake.throttle;
        // Some providers have taken these functions away; the rest is watched all the same.
        let log_bytes = match log::log(&control.session).await {
            Ok(found) => {
                self.look_at_log(&found);
                found.bytes
            }
            Err(error) if control.session.is_closed() => return Err(error),
            Err(error) => {
                tracing::debug!("{}", explain_chain(&error));
                0
            }
        };
        self.look_at_replicas(control).await?;
        if let Some(problem) = self.measure(control, build, log_bytes).await? {
            return Ok(Some(problem));
        }
        let left = sessions::sessions(&control.session).await?.free();
        if switch::on("plan.spare_connections") {
            throttle.allow(left.saturating_sub(settings.spare_connections));
        }
        Ok(None)
    }

    fn look_at_log(&self, found: &log::Log) {
        if !switch::on("brake.wal") {
            return;
        }
        let high = self.place.config.watching.wal;
        let high = high.unwrap_or(3 * found.usual_bytes);
        let what = match found.measured {
            true => "pg_wal is",
            false => "the log since the last checkpoint, or held by a slot, is",
        };
        // As everywhere, 0 is for never.
        if high > 0 {
            self.mark(Cause::Log, found.bytes, high, |bytes, high| {
                format!("{what} {bytes}, more than {high}")
            });
        }
        let danger = found.slots.iter().filter(|slot| slot.is_in_danger());
        let danger: Vec<&str> = danger.map(|slot| slot.name.as_str()).collect();
        let reason = format!(
            "replication slots are about to lose their log: {}",
            danger.join(", ")
        );
        let reason = (!danger.is_empty()).then_some(reason);
        self.brake.throttle.set(Cause::Slot, reason);
    }

    /// Holds the load above `high`, until three quarters of that.
    fn mark(&self, cause: Cause, value: u64, high: u64, text: impl Fn(Bytes, Bytes) -> String) {
        let throttle = &self.brake.throttle;
        let limit = if throttle.is_held_by(cause) {
            high / 4 * 3
        } else {
            high
        };
        let reason = (value > limit).then(|| text(Bytes(value), Bytes(limit)));
        throttle.set(cause, reason);
    }

    /// The replica that is furthest behind sets the pace.
    async fn look_at_replicas(&self, control: &Ledger) -> Result<()> {
        let standbys = &self.place.server.standbys().declared;
        if standbys.is_empty() || !switch::on("brake.lag") {
            return Ok(());
        }
        let now: String = control
            .session
            .query_one("select pg_current_wal_lsn()::text", &[])
            .await
            .context("ask for the position in the log")?
            .get(0);
        let lags = join_all(standbys.iter().map(|standby| lag(standby, &now))).await;
        let named = standbys.iter().map(|standby| standby.name.as_str());
        let furthest = named
            .zip(lags)
            .filter_map(|(name, lag)| Some((lag?, name)))
            .max();
        if let Some((bytes, name)) = furthest {
            let high = self.place.config.watching.lag;
            self.mark(Cause::Replica, bytes, high, |bytes, high| {
                format!("the replica `{name}` is {bytes} of log behind, more than {high}")
            });
        }
        Ok(())
    }

    /// Sizes against what was declared.
    async fn measure(
        &self,
        control: &Ledger,
        build: &Build,
        log_bytes: u64,
    ) -> Result<Option<Problem>> {
        let settings = &self.place.config.watching;
        if let Some(most) = settings.max_build {
            let size: Option<i64> = control
                .session
                .query_one(
                    "select (select pg_database_size(oid) from pg_database where oid = $1)",
                    &[&build.database_oid],
                )
                .await
                .context("ask for the size of the build")?
                .get(0);
            let size = size.unwrap_or_default().unsigned_abs();
            if size > most && switch::on("brake.max_build") {
                return Ok(Some(
                    Problem::dependency(format!(
                        "the build has grown to {}, and `max_build` is {}",
                        Bytes(size),
                        Bytes(most)
                    ))
                    .hint(
                        "the build is dropped; look at the delivery, or raise max_build in [brake]",
                    ),
                ));
            }
        }
        if let Some(size) = settings.server_disk {
            let space = disk::reckoned(&control.session, size, log_bytes).await?;
            let (mark, min) = disk::marks(size, settings.free, settings.free_min);
            let is_held = self.brake.throttle.is_held_by(Cause::DeclaredDisk);
            let reason = match judge(&space, mark, min, is_held) {
                Free::Enough => None,
                Free::Little(reason) => Some(reason),
                Free::Spent(reason) => return Ok(Some(spent(&reason))),
            };
            self.brake.throttle.set(Cause::DeclaredDisk, reason);
        }
        Ok(None)
    }
}

/// Log that a replica has not replayed, in bytes; `None` when it does not say.
async fn lag(standby: &Standby, now: &str) -> Option<u64> {
    let asked = async {
        let session = standby.connect("measure the lag").await?;
        let row = session
            .query_one(
                "select pg_wal_lsn_diff($1::text::pg_lsn, pg_last_wal_replay_lsn())::bigint",
                &[&now],
            )
            .await
            .context("measure the lag of a replica")?;
        anyhow::Ok(row.get::<_, Option<i64>>(0))
    };
    match tokio::time::timeout(ANSWER, asked).await {
        Ok(Ok(lag)) => Some(u64::try_from(lag?).unwrap_or(0)),
        Ok(Err(error)) => {
            tracing::debug!("{}", explain_chain(&error));
            None
        }
        Err(_) => None,
    }
}
