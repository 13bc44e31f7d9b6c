//! SIGINT and SIGTERM: stop in order, within ten seconds; leave nothing but what the next run can use.
//!
//! The first signal drops the work under way, at any point but in the middle of moving the
//! alias, and then repairs as the next start would. A second signal ends at once: the next start
//! repairs then.

use crate::dataset::Dataset;
use crate::operation::Workplace;
use crate::postgres::error::explain_chain;
use crate::rotate::MOVING;
use anyhow::{Context, Result};
use std::future::Future;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Time for the repair; cancelling, ending and dropping take a fraction of it.
const CLEAN_UP_LIMIT: Duration = Duration::from_secs(6);
/// Time for a move of the alias that is under way.
const MOVE_LIMIT: Duration = Duration::from_secs(3);

/// How guarded work ended.
pub enum Ended<T> {
    Done(T),
    /// Stopped by this signal; nothing half-done is left, or the next start repairs it.
    Stopped(u8),
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn listen() -> Result<Signals> {
        Ok(Signals {
            interrupt: signal(SignalKind::interrupt()).context("listen for SIGINT")?,
            terminate: signal(SignalKind::terminate()).context("listen for SIGTERM")?,
        })
    }

    async fn next(&mut self) -> u8 {
        tokio::select! {
            _ = self.interrupt.recv() => 2,
            _ = self.terminate.recv() => 15,
        }
    }
}

/// Runs work on datasets until it is done or a signal comes.
pub async fn guarded<T>(
    place: &Workplace,
    datasets: &[Dataset],
    work: impl Future<Output = Result<T>>,
) -> Result<Ended<T>> {
    let mut signals = Signals::listen()?;
    let stopped = {
        tokio::pin!(work);
        tokio::select! {
            done = &mut work => return done.map(Ended::Done),
            number = stop(&mut signals, datasets) => number,
        }
    };
    let repair = tokio::time::timeout(CLEAN_UP_LIMIT, clean_up(place, datasets));
    let outcome = tokio::select! {
        repaired = repair => repaired.unwrap_or_else(|_| "the next start sweeps what was begun".into()),
        _ = signals.next() => "at once; the next start sweeps what was begun".into(),
    };
    super::output::message(&format!("stopped: {outcome}"));
    Ok(Ended::Stopped(128 + stopped))
}

async fn clean_up(place: &Workplace, datasets: &[Dataset]) -> String {
    let mut words = Vec::new();
    for dataset in datasets {
        words.push(match place.clean_up(dataset).await {
            Ok(left) => format!(
                "{}; {}",
                left.kept.map_or_else(
                    || "what was begun is swept".into(),
                    |kept| format!(
                        "`{kept}` is kept, and the next run of the same inputs resumes it (--fresh drops it)"
                    )
                ),
                left.live.map_or_else(|| "nothing is live".into(), |live| format!("`{live}` is live"))
            ),
            Err(error) => format!("the next start sweeps what was begun ({})", explain_chain(&error)),
        });
    }
    words.join("; ")
}

/// Waits for what may be left undone, until it is done or a signal comes.
/// Gives what it returned, or the default when a signal came first.
pub async fn until_signal<T: Default>(work: impl Future<Output = T>) -> Result<T> {
    let mut signals = Signals::listen()?;
    Ok(tokio::select! {
        done = work => done,
        _ = signals.next() => {
            super::output::message("interrupted; pending notifications will be sent by the next command");
            T::default()
        }
    })
}

/// Runs work that touches no alias until it is done or a signal comes; then `clean_up` sweeps.
pub async fn stoppable<T>(
    work: impl Future<Output = Result<T>>,
    clean_up: impl Future<Output = Result<()>>,
) -> Result<Ended<T>> {
    let mut signals = Signals::listen()?;
    let number = {
        tokio::pin!(work);
        tokio::select! {
            done = &mut work => return done.map(Ended::Done),
            number = signals.next() => number,
        }
    };
    let swept = tokio::select! {
        swept = tokio::time::timeout(CLEAN_UP_LIMIT, clean_up) => matches!(swept, Ok(Ok(()))),
        _ = signals.next() => false,
    };
    super::output::message(match swept {
        true => "stopped: what was begun is swept",
        false => "stopped: the next command sweeps what was begun",
    });
    Ok(Ended::Stopped(128 + number))
}

/// Waits for a signal, and then for a move of the alias that is under way: it is short and is
/// not cut in two, unless a second signal or its time limit says so.
async fn stop(signals: &mut Signals, datasets: &[Dataset]) -> u8 {
    let number = signals.next().await;
    let names: Vec<&str> = datasets.iter().map(|set| set.name.as_str()).collect();
    super::output::message(&format!("stopping `{}`", names.join("`, `")));
    tokio::select! {
        moved = tokio::time::timeout(MOVE_LIMIT, MOVING.lock()) => drop(moved),
        _ = signals.next() => {}
    }
    number
}
