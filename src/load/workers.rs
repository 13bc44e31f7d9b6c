//! The bridge to rayon, and its only user.
//!
//! A job is a pure function of what it is given. It never waits: it answers through a one-shot
//! channel and is done. A panic in a job becomes an error of whoever waits for the answer.

use crate::read::parse::Scratch;
use anyhow::{Context, Result, anyhow};
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use tokio::sync::oneshot;

/// The threads that parse and encode.
#[derive(Debug)]
pub struct Workers {
    pool: rayon::ThreadPool,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// The answer of a job, once it is there.
pub type Answer<T> = oneshot::Receiver<Result<T>>;

impl Workers {
    /// Starts so many threads.
    pub fn start(threads: usize) -> Result<Workers> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|index| format!("parse-{index}"))
            .build()
            .context("start the threads that parse")?;
        Ok(Workers { pool })
    }

    /// Queues a job, which may use the memory of the thread that runs it.
    pub fn run<T, F>(&self, job: F) -> Answer<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Scratch) -> T + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        self.pool.spawn_fifo(move || {
            let job = || SCRATCH.with_borrow_mut(|scratch| job(scratch));
            let outcome = catch_unwind(AssertUnwindSafe(job))
                .map_err(|_| anyhow!("a parsing thread panicked; this is a fault of overnight"));
            // Nobody waits any more when the run was stopped.
            drop(sender.send(outcome));
        });
        receiver
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_becomes_an_error() {
        let workers = Workers::start(1).unwrap();
        assert_eq!(workers.run(|_| 1 + 1).await.unwrap().unwrap(), 2);
        let answer: Answer<()> = workers.run(|_| panic!("on purpose"));
        assert!(answer.await.unwrap().is_err());
        assert_eq!(workers.run(|_| 3).await.unwrap().unwrap(), 3);
    }
}
