//! Puts indexes, keys and foreign keys back on several sessions.
//!
//! In: a [`SetAside`], a way to open sessions, the sizes of the tables. Out: everything is back, or the
//! first error. A night gives the same jobs to [`work_off`] together with others.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::future::Future;
use std::time::Duration;

use anyhow::Result;
use tokio_postgres::Client;

use super::jobs::Job;
use super::schedule::work_off;
use super::set_aside::SetAside;
use super::worker::Limits;

impl SetAside {
    /// Puts everything back within `limits` on sessions made by `open`, and returns when all is done.
    ///
    /// `sizes` gives bytes for each table's identifier; a table that is missing counts as empty.
    /// `on_done` hears of each job as it ends.
    ///
    /// # Errors
    /// No session can be opened, or a statement fails: an orphan, a duplicate key. The message names the
    /// constraint or index and holds no value.
    pub async fn put_back<C, F, O>(
        &self,
        open: O,
        limits: &Limits,
        sizes: &HashMap<u32, u64>,
        on_done: impl FnMut(&Job, Duration),
    ) -> Result<()>
    where
        C: Borrow<Client>,
        F: Future<Output = Result<C>>,
        O: Fn() -> F,
    {
        work_off(self.jobs(), open, limits, sizes.clone(), None, on_done).await
    }
}
