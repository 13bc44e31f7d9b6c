//! Holds a load back while the server, or somebody who reads from it, needs the room.
//!
//! In: causes, set and lifted by whoever watches. Out: [`Throttle::pass`], which every connection that
//! loads asks before it sends a batch. Between two batches a COPY may wait for as long as it takes: the
//! server waits for its client without a limit. What has been sent is not taken back.

use serde::Serialize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Why a load is held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    Disk,
    /// Reckoned from its declared size.
    DeclaredDisk,
    Log,
    Slot,
    Replica,
    LiveAlias,
}

/// Holds a load back. Clones are the same throttle.
#[derive(Debug, Clone)]
pub struct Throttle {
    held: Arc<watch::Sender<Vec<(Cause, String)>>>,
    waiting: Arc<Mutex<Waiting>>,
    /// Connections that may load side by side at this time.
    most: Arc<AtomicUsize>,
}

#[derive(Debug, Default)]
struct Waiting {
    count: usize,
    since: Option<Instant>,
    pauses: Vec<Pause>,
}

/// A time in which at least one connection waited.
#[derive(Debug, Clone, Serialize)]
pub struct Pause {
    pub reason: String,
    pub seconds: f64,
}

impl Default for Throttle {
    fn default() -> Throttle {
        Throttle {
            held: Arc::new(watch::Sender::new(Vec::new())),
            waiting: Arc::default(),
            most: Arc::new(AtomicUsize::new(usize::MAX)),
        }
    }
}

impl Throttle {
    /// Holds the load for a cause, or lifts that cause again.
    pub fn set(&self, cause: Cause, reason: Option<String>) {
        self.held.send_if_modified(|held| {
            let at = held.iter().position(|(of, _)| *of == cause);
            match (at, reason) {
                (Some(at), Some(reason)) => {
                    if let Some((_, text)) = held.get_mut(at) {
                        *text = reason;
                    }
                    false
                }
                (None, Some(reason)) => {
                    tracing::warn!("the load waits: {reason}");
                    held.push((cause, reason));
                    true
                }
                (Some(at), None) => {
                    let (_, reason) = held.remove(at);
                    tracing::info!("the load need not wait any more for: {reason}");
                    true
                }
                (None, None) => false,
            }
        });
    }

    /// Whether a cause holds the load.
    pub fn is_held_by(&self, cause: Cause) -> bool {
        self.held.borrow().iter().any(|(of, _)| *of == cause)
    }

    /// What holds the load, in words; `None` when nothing does.
    pub fn reason(&self) -> Option<String> {
        let held = self.held.borrow();
        let reasons: Vec<&str> = held.iter().map(|(_, reason)| reason.as_str()).collect();
        (!reasons.is_empty()).then(|| reasons.join("; "))
    }

    /// Waits while anything holds the load.
    pub async fn pass(&self) {
        if self.held.borrow().is_empty() {
            return;
        }
        let _waiting = self.begin();
        let mut held = self.held.subscribe();
        // The sender lives in `self`, so the channel is open.
        let _ = held.wait_for(Vec::is_empty).await;
    }

    /// How long connections have been waiting without a break.
    pub fn waited(&self) -> Duration {
        let since = self.lock().since;
        since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Every wait that is over.
    pub fn pauses(&self) -> Vec<Pause> {
        self.lock().pauses.clone()
    }

    /// Says how many connections may load side by side from now on.
    pub fn allow(&self, connections: usize) {
        self.most.store(connections.max(1), Ordering::Relaxed);
    }

    /// Connections that may load side by side, at least one.
    pub fn most(&self) -> usize {
        self.most.load(Ordering::Relaxed)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self) -> Waits<'_> {
        let mut waiting = self.lock();
        waiting.count += 1;
        waiting.since.get_or_insert_with(Instant::now);
        Waits {
            throttle: self,
            reason: self.reason().unwrap_or_default(),
        }
    }
}

/// One connection that waits.
struct Waits<'t> {
    throttle: &'t Throttle,
    reason: String,
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        let mut waiting = self.throttle.lock();
        waiting.count -= 1;
        if waiting.count == 0
            && let Some(since) = waiting.since.take()
        {
            waiting.pauses.push(Pause {
                reason: std::mem::take(&mut self.reason),
                seconds: since.elapsed().as_secs_f64(),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_load_waits_until_every_cause_is_lifted() {
        let throttle = Throttle::default();
        assert!(futures_util::poll!(std::pin::pin!(throttle.pass())).is_ready());
        throttle.set(Cause::Disk, Some("little room".into()));
        throttle.set(Cause::Replica, Some("far behind".into()));
        assert_eq!(throttle.reason().unwrap(), "little room; far behind");
        let mut first = std::pin::pin!(throttle.pass());
        assert!(futures_util::poll!(&mut first).is_pending());
        throttle.set(Cause::Disk, None);
        assert!(futures_util::poll!(&mut first).is_pending());
        assert!(throttle.waited() > Duration::ZERO && throttle.pauses().is_empty());
        throttle.set(Cause::Replica, None);
        assert!(futures_util::poll!(&mut first).is_ready());
        assert_eq!(throttle.waited(), Duration::ZERO);
        assert_eq!(throttle.pauses().len(), 1);
    }

    #[tokio::test]
    async fn a_connection_that_is_dropped_waits_no_more() {
        let throttle = Throttle::default();
        throttle.set(Cause::Log, Some("much".into()));
        {
            let mut waiting = std::pin::pin!(throttle.pass());
            assert!(futures_util::poll!(&mut waiting).is_pending());
        }
        assert_eq!(throttle.waited(), Duration::ZERO);
    }
}
