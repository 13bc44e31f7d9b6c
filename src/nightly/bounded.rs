//! A run that must be done by a deadline.
//!
//! In: the work, and the time. Out: what the work gave, or the error of a deadline that passed before it
//! was done. The work may be dropped wherever it waits; sealing and the move of the alias are not part
//! of it: they are asked for before they begin, and the move is given no more than the time that is left.
//!
//! A run that will probably be late says so as early as it can tell: from the last build, and from its
//! own pace while it loads.

use super::Run;
use crate::config::FlipSettings;
use crate::deadline::{Deadline, about};
use crate::ledger::Build;
use crate::progress::{Progress, Snapshot};
use crate::switch;
use anyhow::Result;
use std::future::Future;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How often the pace is looked at; also how late a stop may be.
const LOOK: Duration = Duration::from_millis(500);
/// How long the server may take to undo a statement after the deadline.
const CLEAN_UP: Duration = Duration::from_secs(5);
/// Before this a pace tells nothing.
const EARLIEST: Duration = Duration::from_secs(5);
/// The shortest time limit that the server is given.
const SHORTEST: Duration = Duration::from_millis(10);

/// What to do when the deadline ended a run before its move.
const HINT: &str = "the alias was not touched; where a table was loaded, the next run of the same inputs resumes it";

/// Runs a part of a run until it is done or the deadline is over. `work` may be dropped wherever it waits.
///
/// # Errors
/// Its own, or status 1 when the time was over.
pub(super) async fn until<T>(
    deadline: Option<&Deadline>,
    progress: &Progress,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    let Some(deadline) = deadline else {
        return work.await;
    };
    tokio::select! {
        biased;
        done = work => done,
        () = over(deadline) => Err(passed(deadline, progress)),
    }
}

/// Waits for the deadline by the wall clock, which may be set meanwhile.
async fn over(deadline: &Deadline) {
    loop {
        let left = deadline.left();
        if left.is_zero() {
            return;
        }
        tokio::time::sleep(left.min(LOOK)).await;
    }
}

fn passed(deadline: &Deadline, progress: &Progress) -> anyhow::Error {
    let stage = progress.snapshot().map_or("plan", |now| now.stage);
    deadline.passed(&format!("during the stage `{stage}`"), HINT)
}

impl Run<'_> {
    /// Runs `work` until it is done or the deadline is over.
    ///
    /// # Errors
    /// Its own, or status 1 when the time was over.
    pub(super) async fn bounded<T>(
        &self,
        work: impl Future<Output = Result<T>>,
        live: Option<&Build>,
        deadline: Option<&Deadline>,
    ) -> Result<T> {
        let Some(deadline) = deadline.filter(|_| switch::on("deadline.load")) else {
            return work.await;
        };
        let foreseen = self.foresee(live, deadline);
        let behind = until(Some(deadline), self.progress, foreseen).await?;
        tokio::select! {
            done = work => return done,
            () = self.watch(deadline, behind) => {}
        }
        let passed = passed(deadline, self.progress);
        // A statement of ours may have been under way, and the server may have stopped answering.
        let rollback = self.ledger.rollback();
        drop(tokio::time::timeout(CLEAN_UP, rollback).await);
        Err(passed)
    }

    /// Says so if the last build took longer than there is time; gives the seconds that its work
    /// behind the load would take tonight.
    async fn foresee(&self, live: Option<&Build>, deadline: &Deadline) -> Result<f64> {
        let Some(live) = live else { return Ok(0.0) };
        let scale = match live.bytes_read {
            Some(bytes) if bytes > 0 => self.manifest.bytes() as f64 / bytes as f64,
            _ => 1.0,
        };
        let left = deadline.left();
        let took = seconds(live.seconds.unwrap_or_default() * scale);
        if took > left {
            tracing::warn!(
                "{}: by the time that `{}` took, tonight's build takes about {}; {deadline}: it will probably be missed",
                self.dataset.name,
                live.name,
                about(took)
            );
        }
        Ok(self.ledger.seconds_behind_load(live.id).await? * scale)
    }

    /// Returns when the time is over; warns once before.
    async fn watch(&self, deadline: &Deadline, behind: f64) {
        let mut warned = false;
        loop {
            let left = deadline.left();
            let now = self.progress.snapshot();
            if left.is_zero() {
                return;
            }
            if let Some(needed) = now.as_ref().and_then(|now| needed(now, behind))
                && needed > left
                && !warned
            {
                warned = true;
                tracing::warn!(
                    "{}: at this pace the build needs about {} more; {deadline}: it will probably be missed",
                    self.dataset.name,
                    about(needed)
                );
            }
            tokio::time::sleep(left.min(LOOK)).await;
        }
    }
}

/// Time that the rest of a load needs at its pace, with the work behind it.
fn needed(now: &Snapshot, behind: f64) -> Option<Duration> {
    if now.stage != "load" || now.stage_elapsed < EARLIEST {
        return None;
    }
    let read = now.tables.iter().map(|t| t.bytes.load(Ordering::Relaxed));
    let read = read.sum::<u64>();
    let total: u64 = now.tables.iter().map(|table| table.bytes_total).sum();
    if read == 0 {
        return None;
    }
    let pace = now.stage_elapsed.as_secs_f64() / read as f64;
    Some(seconds(total.saturating_sub(read) as f64 * pace + behind))
}

fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

/// Lets a move press on the alias no longer than until the deadline.
pub(super) fn flip(settings: FlipSettings, deadline: Option<&Deadline>) -> FlipSettings {
    let Some(left) = deadline.map(Deadline::left) else {
        return settings;
    };
    FlipSettings {
        limit: settings.limit.min(left.max(SHORTEST)),
        window: settings.window.min(left),
    }
}

/// Moves the aliases of `name`, unless the deadline is over.
pub(super) async fn moved(
    work: impl Future<Output = Result<()>>,
    builds: &[&str],
    name: &str,
    deadline: Option<&Deadline>,
) -> Result<()> {
    if let Some(deadline) = deadline.filter(|_| switch::on("deadline.move")) {
        let (are, it) = match builds {
            [_] => ("is verified and waits", "it"),
            _ => ("are verified and wait", "them"),
        };
        let hint = format!(
            "`{}` {are}: `overnight rotate {name}` publishes {it}, and so does the next run of the same inputs",
            builds.join("`, `"),
        );
        deadline.check("before the alias was moved", &hint)?;
    }
    work.await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_that_is_needed_is_the_rest_at_this_pace_and_what_follows() {
        let progress = Progress::default();
        progress.begin("d");
        progress.stage("load");
        let table = progress.table("a", 1000);
        table.bytes.store(250, Ordering::Relaxed);
        progress.table("b", 1000);
        let at = |elapsed| Snapshot {
            stage_elapsed: Duration::from_secs(elapsed),
            ..progress.snapshot().unwrap()
        };
        // 1,750 bytes are left, at 10 bytes a second.
        assert_eq!(needed(&at(25), 30.0), Some(Duration::from_secs(205)));
        assert_eq!(needed(&at(1), 30.0), None);
        table.bytes.store(0, Ordering::Relaxed);
        assert_eq!(needed(&at(25), 30.0), None);
        progress.stage("derive");
        assert_eq!(needed(&at(25), 30.0), None);
    }
}
