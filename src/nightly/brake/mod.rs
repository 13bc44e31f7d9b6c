//! Watches the server while a build is made: holds the load back, and ends the run before the server
//! is in trouble.
//!
//! In: a build under way. Out: its outcome, or why it was given up. Only COPY can be made to wait, so
//! the causes that waiting may help (log, replicas, slots, the live alias, a disk that others are
//! clearing) hold the [`Throttle`], with a high mark and a lower one to go on from; and a wait that
//! helps nobody ends after `patience`. What ends the run at once is a disk that is nearly full: a
//! server that cannot write its log stops for everybody
//! (<https://www.postgresql.org/docs/current/disk-full.html>). Looking must never harm: what cannot
//! be asked is logged once and asked again.

mod live;
mod look;

pub use live::LiveLatency;

use super::Run;
use crate::build::{end_sessions, refused};
use crate::ledger::{Build, State};
use crate::load::throttle::{Cause, Pause, Throttle};
use crate::postgres::explain_chain;
use crate::problem::Problem;
use crate::room::OutOfRoom;
use crate::rotate::probe::Prober;
use crate::switch;
use crate::units::Bytes;
use crate::vitals::{disk, sessions};
use anyhow::{Result, bail};
use live::Latencies;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Bytes a second that no server writes more of: how soon a disk must be looked at again.
const FASTEST: u64 = 512 << 20;
/// Shortest time between two looks at a disk.
const SHORTEST: Duration = Duration::from_millis(50);
/// Sessions of a run beside those that load or build indexes.
const OTHER_SESSIONS: usize = 4;
/// How long a run waits for connections before it gives up.
const CONNECTIONS_PATIENCE: Duration = Duration::from_secs(60);

/// What the watch and the load of one run share.
#[derive(Debug, Default)]
pub struct Brake {
    pub throttle: Throttle,
    latencies: Latencies,
    /// Why the run was given up: said before its sessions are ended, whose errors come first.
    stopped: Mutex<Option<Problem>>,
    /// Whether a disk that cannot be looked at was reported.
    warned: AtomicBool,
}

impl Brake {
    /// How fast the live alias answered meanwhile.
    pub fn live_latency(&self) -> Option<LiveLatency> {
        self.latencies.report()
    }

    /// When and why the load waited.
    pub fn pauses(&self) -> Vec<Pause> {
        self.throttle.pauses()
    }
}

impl Run<'_> {
    /// Does the work of a build while the server is watched. `prober` looks at the live database, whose name is with it.
    pub(super) async fn watched<T>(
        &self,
        build: &Build,
        prober: Option<&(Prober, String)>,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        if !switch::on("brake") {
            return work.await;
        }
        let folders = self.folders().await;
        // Before the first byte: what is short already must not be found out by taking more.
        let (disk, server) = tokio::join!(
            self.look_at_disk_and_make_room(&folders),
            self.look_once(build)
        );
        if let Some(problem) = disk.err().or(server) {
            return Err(given_up(problem));
        }
        let watching = async {
            // Each returns only when it has given the run up.
            tokio::select! {
                () = self.watch_disk(build, &folders) => {}
                () = self.watch_server(build) => {}
                () = self.watch_patience(build) => {}
                () = self.watch_live(prober) => {}
            }
        };
        let done = tokio::select! {
            biased;
            done = work => done,
            () = watching => Err(anyhow::anyhow!("the watch over the server ended")),
            silent = self.place.server.watch_answers() => Err(silent.into()),
        };
        let stopped = self.brake.stopped.lock();
        let stopped = stopped.unwrap_or_else(PoisonError::into_inner).take();
        let Some(problem) = stopped else { return done };
        // A statement of ours may have been under way.
        self.ledger.rollback().await;
        Err(given_up(problem))
    }

    /// Gives the run up: its sessions end at once, since each could write on until it hears of it.
    async fn stop(&self, build: &Build, problem: Problem) {
        tracing::error!(build = %build.name, "the run is given up: {problem}");
        self.brake
            .stopped
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert(problem);
        let ended = async {
            let helper = self.ledger.second(&self.place.server, "brake").await?;
            end_sessions(&helper, build.database_oid.unwrap_or_default()).await
        };
        if let Err(error) = ended.await {
            tracing::warn!("{}", explain_chain(&error));
        }
    }

    /// Folders on the disks of the server that can be looked at.
    async fn folders(&self) -> Vec<PathBuf> {
        let found = disk::folders(
            &self.ledger.session,
            self.place.server.target().is_local(),
            self.place.data(),
            &self.place.config.watching.folders,
        );
        found.await.unwrap_or_else(|error| {
            tracing::warn!("the disk is not watched: {}", explain_chain(&error));
            Vec::new()
        })
    }

    /// Looks at the disks for as long as the run lasts, the sooner again the less is free.
    async fn watch_disk(&self, build: &Build, folders: &[PathBuf]) {
        if folders.is_empty() {
            return std::future::pending().await;
        }
        loop {
            match self.look_at_disk_and_make_room(folders).await {
                Ok(soon) => tokio::time::sleep(soon.max(SHORTEST)).await,
                Err(problem) => return self.stop(build, problem).await,
            }
        }
    }

    /// Drops the builds that gates have refused where a disk gets short, and looks again.
    async fn look_at_disk_and_make_room(&self, folders: &[PathBuf]) -> Result<Duration, Problem> {
        let was_short = self.brake.throttle.is_held_by(Cause::Disk);
        let looked = self.look_at_disk(folders).await;
        let is_short = !was_short && self.brake.throttle.is_held_by(Cause::Disk);
        if (is_short || looked.is_err()) && self.drop_refused().await {
            return self.look_at_disk(folders).await;
        }
        looked
    }

    /// Whether there was a refused build, and its room is free now.
    async fn drop_refused(&self) -> bool {
        let server = &self.place.server;
        let dropped = async {
            let mut any = false;
            let builds = self.ledger.builds(&self.dataset.name).await?;
            for build in builds.iter().filter(|build| build.state == State::Refused) {
                // A transaction may be open in the session of the run.
                let helper = self.ledger.beside(server, "brake").await?;
                any |= refused::let_go(&helper, server, build, "a disk is short of room").await;
                helper.close().await;
            }
            anyhow::Ok(any)
        };
        dropped.await.unwrap_or_else(|error| {
            tracing::warn!("{}", explain_chain(&error));
            false
        })
    }

    /// Holds the load or lets it go on; returns when to look again. The first failure to look is
    /// a warning, later ones are for debugging.
    async fn look_at_disk(&self, folders: &[PathBuf]) -> Result<Duration, Problem> {
        let settings = &self.place.config.watching;
        let is_held = self.brake.throttle.is_held_by(Cause::Disk);
        let mut soon = settings.every;
        let mut little = None;
        let disks = disk::look(folders).await;
        for failure in disks.failures {
            match self.brake.warned.swap(true, Ordering::Relaxed) {
                false => tracing::warn!("a disk is not watched: {failure}"),
                true => tracing::debug!("{failure}"),
            }
        }
        for space in disks.spaces {
            let (mark, min) = disk::marks(space.size_bytes, settings.free, settings.free_min);
            match judge(&space, mark, min, is_held) {
                Free::Enough => {}
                Free::Little(reason) => little = Some(reason),
                Free::Spent(reason) => return Err(spent(&reason)),
            }
            let until = space.free_bytes.saturating_sub(min);
            soon = soon.min(Duration::from_secs_f64(until as f64 / FASTEST as f64));
        }
        self.brake.throttle.set(Cause::Disk, little);
        Ok(soon)
    }

    /// Ends a wait that helps nobody.
    async fn watch_patience(&self, build: &Build) {
        let patience = self.place.config.watching.patience;
        let between = (patience / 10).clamp(SHORTEST, Duration::from_secs(1));
        loop {
            tokio::time::sleep(between).await;
            let waited = self.brake.throttle.waited();
            let reason = self.brake.throttle.reason();
            let reason = reason.filter(|_| !waited.is_zero());
            self.progress.waits(reason.clone());
            let Some(reason) = reason.filter(|_| waited >= patience) else {
                continue;
            };
            let problem = Problem::dependency(format!(
                "the load waited {} s and nothing got better: {reason}",
                patience.as_secs()
            ))
            .hint("the build is dropped, the alias is untouched; [brake] in overnight.toml has the marks");
            return self.stop(build, problem).await;
        }
    }

    /// Connections that this run may use without taking those that services need; waits a while when
    /// there are none.
    ///
    /// # Errors
    /// Status 3 when not even one is left.
    pub async fn sessions_left(&self) -> Result<usize> {
        let spare = self.place.config.watching.spare_connections;
        let end = Instant::now() + CONNECTIONS_PATIENCE;
        let mut said = false;
        loop {
            let found = sessions::sessions(&self.ledger.session).await?;
            let left = found.free().saturating_sub(spare + OTHER_SESSIONS);
            if left >= 2 || !switch::on("plan.spare_connections") {
                // Those that load and those that build indexes stay open side by side.
                return Ok((left / 2).max(1));
            }
            let text = format!(
                "{} of {} connections are in use, and {spare} are left to services",
                found.used,
                found.most - found.reserved.min(found.most)
            );
            if Instant::now() >= end {
                bail!(
                    Problem::dependency(format!("{text}: none is left for a load"))
                        .hint("end sessions, raise max_connections, or lower --spare-connections")
                );
            }
            if !said {
                tracing::warn!("{text}; waiting for others to end");
                said = true;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }
}

/// What is given up is not kept for the next run: others need the room now.
fn given_up(problem: Problem) -> anyhow::Error {
    anyhow::Error::new(OutOfRoom(problem.to_string())).context(problem)
}

fn spent(reason: &str) -> Problem {
    Problem::dependency(format!("{reason}: the run ends before the disk is full"))
        .hint("give the server room; the build is dropped, the alias is untouched")
}

/// What is left of a disk.
enum Free {
    Enough,
    /// The load waits.
    Little(String),
    /// The run ends.
    Spent(String),
}

/// A load that waits goes on only when a third more is free.
fn judge(space: &disk::Space, mark: u64, min: u64, is_held: bool) -> Free {
    let free = space.free_bytes;
    let text = |limit: u64| {
        format!(
            "{} has {} free, less than {}",
            space.place,
            Bytes(free),
            Bytes(limit)
        )
    };
    let go_on = if is_held { mark + mark / 3 } else { mark };
    if free < min && switch::on("brake.free_min") {
        Free::Spent(text(min))
    } else if free < go_on {
        Free::Little(text(go_on))
    } else {
        Free::Enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_little_below_one_mark_and_spent_below_the_other() {
        let space = |free_bytes| disk::Space {
            place: "the disk".into(),
            size_bytes: 1000,
            free_bytes,
        };
        let at = |free, is_held| match judge(&space(free), 300, 100, is_held) {
            Free::Enough => "enough",
            Free::Little(_) => "little",
            Free::Spent(_) => "spent",
        };
        assert_eq!(at(300, false), "enough");
        assert_eq!(at(299, false), "little");
        assert_eq!(at(399, true), "little");
        assert_eq!(at(400, true), "enough");
        assert_eq!((at(100, true), at(99, false)), ("little", "spent"));
        // Marks of 0 are off.
        let off = judge(&space(0), 0, 0, false);
        assert!(matches!(off, Free::Enough));
    }
}
