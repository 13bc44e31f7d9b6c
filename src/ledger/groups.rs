//! Moves that were one act: what a group can go back from.

use super::Ledger;
use super::flips::Flip;
use anyhow::{Context, Result};

/// One alias of the last move of a group.
#[derive(Debug)]
pub struct Together {
    pub dataset: String,
    /// `None` when nothing was live before.
    pub from_build: Option<i64>,
    /// Whether the alias leads there still.
    pub live: bool,
}

impl Ledger {
    /// Writes down that these moves are one act of a group. Called in the transaction of the intents.
    pub async fn one_act(&self, group: &str, flips: &[&Flip]) -> Result<()> {
        let ids: Vec<i64> = flips.iter().map(|flip| flip.id).collect();
        self.session
            .execute(
                "update ledger.flip set group_name = $1, act = (select min(id) from unnest($2::bigint[]) id)
                 where id = any($2)",
                &[&group, &ids],
            )
            .await
            .context("write down that the moves are one act")?;
        Ok(())
    }

    /// The last move forward of a group that has not been gone back from: one row for each alias that
    /// it moved, by name. Empty when there is none.
    pub async fn last_act(&self, group: &str) -> Result<Vec<Together>> {
        let rows = self
            .session
            .query(include_str!("last_act.sql"), &[&group])
            .await
            .context("read the last move of the group")?;
        Ok(rows
            .iter()
            .map(|row| Together {
                dataset: row.get(0),
                from_build: row.get(1),
                live: row.get(2),
            })
            .collect())
    }
}
