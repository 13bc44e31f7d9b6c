//! How the live alias answers while a load runs, as a service would see it.
//!
//! Each probe connects anew and reads the stamp: a session that stayed would be in the way of a move,
//! and would not notice that new connections are slow.

use crate::load::throttle::Cause;
use crate::nightly::Run;
use crate::postgres::explain_chain;
use crate::rotate::probe::Prober;
use crate::switch;
use serde::Serialize;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A probe that takes longer has failed.
const LONGEST: Duration = Duration::from_secs(30);

/// What the probes of one run took.
#[derive(Debug, Default)]
pub(super) struct Latencies {
    inner: Mutex<(Vec<Duration>, u64)>,
}

/// The same, summed up.
#[derive(Debug, Clone, Serialize, PartialEq)]
pub struct LiveLatency {
    pub probes: u64,
    /// Not answered, or not within 30 s.
    pub failed: u64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub max_ms: f64,
}

impl Latencies {
    fn add(&self, took: Option<Duration>) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        match took {
            Some(took) => inner.0.push(took),
            None => inner.1 += 1,
        }
    }

    /// `None` when nothing was probed.
    pub(super) fn report(&self) -> Option<LiveLatency> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let mut took = inner.0.clone();
        took.sort_unstable();
        let failed = inner.1;
        let probes = took.len() as u64 + failed;
        // The nearest rank: the smallest value that so many per cent do not exceed.
        let at = |percent: usize| {
            let rank = (took.len() * percent).div_ceil(100).saturating_sub(1);
            took.get(rank).map_or(0.0, |took| took.as_secs_f64() * 1e3)
        };
        (probes > 0).then(|| LiveLatency {
            probes,
            failed,
            p50_ms: at(50),
            p99_ms: at(99),
            max_ms: at(100),
        })
    }
}

impl Run<'_> {
    /// Probes for as long as the run lasts; without `prober` it does nothing.
    pub(super) async fn watch_live(&self, prober: Option<&(Prober, String)>) {
        let Some((prober, name)) = prober else {
            return std::future::pending().await;
        };
        let settings = &self.place.config.watching;
        let throttle = &self.brake.throttle;
        loop {
            let began = Instant::now();
            let asked = prober.ask(&self.place.server, name);
            let answered = match tokio::time::timeout(LONGEST, asked).await {
                Ok(Ok(())) => true,
                Ok(Err(error)) => {
                    tracing::debug!("probe of the live alias: {}", explain_chain(&error));
                    false
                }
                Err(_) => false,
            };
            let took = began.elapsed();
            self.brake.latencies.add(answered.then_some(took));
            if let Some(limit) = settings.live_latency.filter(|_| switch::on("brake.live")) {
                let reason = (took > limit).then(|| {
                    format!(
                        "a query through the live alias took {} ms, more than {} ms",
                        took.as_millis(),
                        limit.as_millis()
                    )
                });
                throttle.set(Cause::LiveAlias, reason);
            }
            tokio::time::sleep(settings.every).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_are_summed_up_by_rank() {
        let latencies = Latencies::default();
        assert_eq!(latencies.report(), None);
        for ms in (1..=200).rev() {
            latencies.add(Some(Duration::from_millis(ms)));
        }
        latencies.add(None);
        let found = latencies.report().unwrap();
        assert_eq!((found.probes, found.failed), (201, 1));
        assert_eq!(
            (found.p50_ms, found.p99_ms, found.max_ms),
            (100.0, 198.0, 200.0)
        );
    }
}
