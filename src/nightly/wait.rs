//! Waits at the start of a run for a server or a store that is expected back: a failover of seconds must
//! not cost the night.
//!
//! In: an attempt that may be repeated. Out: what it gives, or its last error. Only what passes by itself is waited
//! for; a wrong password or an unknown bucket fails at once.

use super::lost::lost_code;
use crate::fetch::FetchError;
use crate::postgres::{Refusal, explain_chain};
use anyhow::{Error, Result};
use jiff::Timestamp;
use std::time::{Duration, Instant};

/// Before the second attempt; doubles up to `LONGEST_PAUSE`.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Waits for the server.
///
/// # Errors
/// The last error of `attempt`.
pub(super) async fn for_server<T>(
    limit: Duration,
    attempt: impl AsyncFn() -> Result<T>,
) -> Result<T> {
    let passes = |error: &Error| {
        let refusal = error.downcast_ref::<Refusal>();
        refusal.is_some_and(|refusal| refusal.reason.may_pass()) || lost_code(error).is_some()
    };
    repeat(limit, "the server", attempt, passes).await
}

/// Waits for the store of the raw files.
///
/// # Errors
/// The last error of `attempt`.
pub(super) async fn for_inputs<T>(
    limit: Duration,
    attempt: impl AsyncFn() -> Result<T>,
) -> Result<T> {
    let passes = |error: &Error| {
        let mut chain = error.chain();
        let fetch = chain.find_map(|cause| cause.downcast_ref::<FetchError>());
        fetch.is_some_and(FetchError::retryable)
    };
    repeat(limit, "the raw files", attempt, passes).await
}

async fn repeat<T>(
    limit: Duration,
    what: &str,
    attempt: impl AsyncFn() -> Result<T>,
    passes: impl Fn(&Error) -> bool,
) -> Result<T> {
    let end = Instant::now() + limit;
    let mut pause = FIRST_PAUSE;
    let mut waits = false;
    loop {
        let error = match attempt().await {
            Ok(done) => {
                if waits {
                    tracing::info!("{what} can be reached again");
                }
                return Ok(done);
            }
            Err(error) => error,
        };
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() || !passes(&error) {
            return Err(error);
        }
        if !waits {
            waits = true;
            let until = Timestamp::now().checked_add(left).map_or_else(
                |_| "the end of time".to_owned(),
                |until| until.strftime("%H:%M:%S UTC").to_string(),
            );
            let why = explain_chain(&error);
            tracing::warn!("waiting for {what} until {until} (--wait-for): {why}");
        }
        tokio::time::sleep(pause.min(left)).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[tokio::test]
    async fn only_what_passes_is_waited_for_and_only_until_the_limit() {
        let tried = Cell::new(0);
        let attempt = async || {
            tried.set(tried.get() + 1);
            match tried.get() {
                3 => Ok(()),
                _ => Err(anyhow::anyhow!("refused")),
            }
        };
        let long = Duration::from_secs(60);
        assert!(repeat(long, "x", attempt, |_| true).await.is_ok());
        assert_eq!(tried.get(), 3);
        tried.set(0);
        assert!(repeat(long, "x", attempt, |_| false).await.is_err());
        assert!(
            repeat(Duration::ZERO, "x", attempt, |_| true)
                .await
                .is_err()
        );
        assert_eq!(tried.get(), 2);
    }
}
