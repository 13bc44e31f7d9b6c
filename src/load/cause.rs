//! The first cause of a failure, where two halves of one piece of work stop when the other does.
//!
//! Halves that pass data on through a channel notice each other's end, and then fail as well. Such
//! an error is [`Stopped`] and is never the cause. Of two other errors the one that came first is.

use anyhow::{Error, Result};
use std::future::Future;
use std::sync::OnceLock;

/// The other end of a channel is gone: another part of the run has failed, and has the cause.
#[derive(Debug, thiserror::Error)]
#[error("stopped")]
pub struct Stopped;

/// Runs both to their ends.
///
/// # Errors
/// The cause, as the module says.
pub async fn both<A, B>(
    one: impl Future<Output = Result<A>>,
    other: impl Future<Output = Result<B>>,
) -> Result<(A, B)> {
    // True when `one` failed first.
    let first = OnceLock::new();
    let one = async {
        let ended = one.await;
        ended.inspect_err(|_| {
            first.get_or_init(|| true);
        })
    };
    let other = async {
        let ended = other.await;
        ended.inspect_err(|_| {
            first.get_or_init(|| false);
        })
    };
    match tokio::join!(one, other) {
        (Ok(one), Ok(other)) => Ok((one, other)),
        (Err(error), Ok(_)) | (Ok(_), Err(error)) => Err(error),
        (Err(one), Err(other)) => Err(cause(one, other, first.get() == Some(&true))),
    }
}

fn cause(one: Error, other: Error, one_was_first: bool) -> Error {
    match (one.is::<Stopped>(), other.is::<Stopped>()) {
        (true, false) => other,
        (false, true) => one,
        _ if one_was_first => one,
        _ => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::anyhow;
    use tokio::sync::oneshot;

    async fn fail(after: oneshot::Receiver<()>, with: Error) -> Result<()> {
        drop(after.await);
        Err(with)
    }

    #[tokio::test]
    async fn of_two_errors_the_first_is_the_cause_on_either_side() {
        for one_first in [true, false] {
            let (end_one, one) = oneshot::channel();
            let (end_other, other) = oneshot::channel();
            let (first, second) = match one_first {
                true => (end_one, end_other),
                false => (end_other, end_one),
            };
            let mut joined = std::pin::pin!(both(
                fail(one, anyhow!("one")),
                fail(other, anyhow!("other"))
            ));
            drop(first);
            assert!(futures_util::poll!(&mut joined).is_pending());
            drop(second);
            let expected = if one_first { "one" } else { "other" };
            assert_eq!(joined.await.unwrap_err().to_string(), expected);
        }
    }

    #[tokio::test]
    async fn a_half_that_was_stopped_is_never_the_cause() {
        let stopped = async || Err::<(), _>(anyhow!(Stopped).context("read"));
        let failed = async || Err::<(), _>(anyhow!("the server is gone"));
        for error in [
            both(stopped(), failed()).await.unwrap_err(),
            both(failed(), stopped()).await.unwrap_err(),
        ] {
            assert_eq!(error.to_string(), "the server is gone");
        }
    }
}
