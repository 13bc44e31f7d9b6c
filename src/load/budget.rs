//! One number that bounds the memory of records in flight.
//!
//! A permit is taken before a chunk is filled, counted for the most that its rows can grow to,
//! rides with the chunk and its encoded rows, and is given back when Postgres has taken the
//! bytes. Chunks of one table take permits in file order and are sent in file order, so the
//! oldest chunk always holds what it needs and waiting cannot lock up.

use anyhow::{Context, Result};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Permits are counted in KiB: the semaphore takes 32-bit amounts.
const UNIT_BYTES: usize = 1024;

/// The bytes that chunks and their rows may take together.
#[derive(Debug, Clone)]
pub struct Budget {
    units: Arc<Semaphore>,
    total_units: u32,
}

/// A part of the budget; given back when dropped.
#[derive(Debug)]
pub struct Share {
    permit: OwnedSemaphorePermit,
}

impl Budget {
    /// A budget of so many bytes.
    pub fn new(bytes: usize) -> Budget {
        let total_units = u32::try_from(bytes.div_ceil(UNIT_BYTES))
            .unwrap_or(u32::MAX)
            .max(1);
        Budget {
            units: Arc::new(Semaphore::new(total_units as usize)),
            total_units,
        }
    }

    /// Waits for a share. One chunk that would need more than everything gets everything, and
    /// then flies alone.
    pub async fn take(&self, bytes: usize) -> Result<Share> {
        let units = u32::try_from(bytes.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX);
        let permit = Arc::clone(&self.units)
            .acquire_many_owned(units.clamp(1, self.total_units))
            .await
            .context("wait for memory")?;
        Ok(Share { permit })
    }
}

impl Share {
    /// Takes a part off, at most all of it.
    pub fn split(&mut self, bytes: usize) -> Option<Share> {
        let wanted = bytes.div_ceil(UNIT_BYTES).min(self.permit.num_permits());
        self.permit.split(wanted).map(|permit| Share { permit })
    }

    /// Gives back what turned out not to be needed.
    pub fn shrink_to(&mut self, bytes: usize) {
        let needed = bytes.div_ceil(UNIT_BYTES).max(1);
        if let Some(spare) = self.permit.num_permits().checked_sub(needed) {
            drop(self.permit.split(spare));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_share_that_shrinks_lets_the_next_one_in() {
        let budget = Budget::new(10 * 1024);
        let mut first = budget.take(8 * 1024).await.unwrap();
        let waiting = budget.take(5 * 1024);
        tokio::pin!(waiting);
        assert!(futures_util::poll!(&mut waiting).is_pending());
        first.shrink_to(2 * 1024);
        assert!(futures_util::poll!(&mut waiting).is_ready());
        // More than everything is everything.
        drop(first);
        drop(budget.take(1 << 30).await.unwrap());
    }
}
