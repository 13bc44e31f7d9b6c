//! Finds the leaf partition that the server would put an encoded row into.
//!
//! In: a partitioned table and the columns that COPY fills. Out: a [`Router`], which takes rows of
//! binary COPY to their leaves, or the reason why rows have to go through the parent. A leaf can
//! then be loaded in a transaction of its own, with FREEZE, which the server refuses for a parent.
//!
//! A row in the wrong leaf never gets in: the server checks the partition constraint of each row
//! that is copied into a partition. Whatever is not known to be exact goes through the parent.

mod bounds;
mod hash;
mod spelled;
mod tree;
mod value;

use bounds::{Key, Next, Split};
use thiserror::Error;

/// How rows get into a partitioned table.
#[derive(Debug, Clone)]
pub enum Routing {
    /// Each row into its leaf.
    Leaves(Router),
    /// Through the parent, and why: a clause such as ``the partition key of `public.t` is an expression``.
    Parent(String),
}

/// A partition that holds rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    pub oid: u32,
    pub schema: String,
    pub name: String,
}

/// Takes rows to leaves. One serves any number of threads.
#[derive(Debug, Clone)]
pub struct Router {
    leaves: Vec<Leaf>,
    /// The top table first, and each before its partitions.
    tables: Vec<Table>,
}

/// A partitioned table.
#[derive(Debug, Clone)]
struct Table {
    /// With its schema, for messages.
    name: String,
    keys: Vec<Key>,
    split: Split,
}

/// The server would refuse the row: no partition takes its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("no partition of `{table}` takes it")]
pub struct Unrouted<'r> {
    /// The partitioned table, or the partition of it that is partitioned again.
    pub table: &'r str,
}

impl Router {
    /// The leaves, the higher ones first, then by schema and name: the same in every build.
    pub fn leaves(&self) -> &[Leaf] {
        &self.leaves
    }

    /// Returns the index in [`Router::leaves`] of the leaf for the row at the start of `row`, whose
    /// fields are the columns that the router was made for.
    ///
    /// # Errors
    /// No partition takes the row. So is a row that lacks a field of the key.
    #[inline]
    pub fn leaf(&self, row: &[u8]) -> Result<u32, Unrouted<'_>> {
        let (mut at, mut name) = (0, "");
        while let Some(table) = self.tables.get(at) {
            name = &table.name;
            match table.split.next(&table.keys, row) {
                Some(Next::Leaf(leaf)) => return Ok(leaf),
                Some(Next::Table(below)) => at = below as usize,
                Some(Next::Nowhere) | None => break,
            }
        }
        Err(Unrouted { table: name })
    }
}
