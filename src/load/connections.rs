//! How many connections load one table, and why.
//!
//! In: the sizes of the raw objects, the cores of the server, what somebody declared. Out: a number
//! and a sentence. The server's cores are what a load is short of: COPY keeps one busy for each
//! connection, so more connections than cores gain nothing.
//!
//! One connection truncates and copies with FREEZE, which saves the vacuum that would otherwise
//! read and write the table once more, and it keeps the order of the rows, which is worth more than
//! the load where a long key is built from it. Several into one table can do neither, but use
//! several cores; the leaves of a partitioned table have it all.

use crate::units::Bytes;

/// Stored bytes from which the leaves of a table are loaded side by side.
const LEAVES_FROM: u64 = 1 << 20;
/// Stored bytes from which a plain table is loaded by several connections: about two seconds of one.
const SEVERAL_FROM: u64 = 32 << 20;

/// Connections from which a load is worth more than the order of its rows. Of rows that come in the
/// order of their key the server sorts none, however long the key; with two connections the order
/// is gone, and the key of four texts took 20 s instead of 5 s for 10 million rows, where the
/// second connection saved 3 s of 15 s. The load gains from each core, the sort less and less.
const ORDER_IS_LOST_FROM: usize = 4;

/// What decides.
#[derive(Debug, Clone, Copy)]
pub struct Sizes {
    /// Of the objects of this table, as stored.
    pub table_bytes: u64,
    /// Of all tables of the build.
    pub all_bytes: u64,
    /// Leaves that rows can be routed to; `None` for a table that takes them itself.
    pub leaves: Option<usize>,
    /// The rows are in the order of a key that is costly to sort by.
    pub keep_order: bool,
}

/// The connections of one table.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Connections {
    pub count: usize,
    pub reason: String,
}

/// Decides for one table, with at most `most` connections over all tables.
pub fn connections(sizes: Sizes, most: usize) -> Connections {
    let Sizes {
        table_bytes,
        all_bytes,
        leaves,
        keep_order,
    } = sizes;
    let size = Bytes(table_bytes);
    // Its part of the connections, rounded: tables of equal size take one each.
    let part = (most as u128 * u128::from(table_bytes) + u128::from(all_bytes) / 2)
        / u128::from(all_bytes.max(1));
    let part = usize::try_from(part).unwrap_or(most).clamp(1, most.max(1));
    let (count, reason) = match leaves {
        Some(leaves) if table_bytes >= LEAVES_FROM => {
            let count = most.clamp(1, leaves.max(1));
            let reason = format!("{leaves} leaves, each in one transaction with FREEZE");
            (count, reason)
        }
        Some(leaves) => (
            1,
            format!("{size} for {leaves} leaves is below the parallel threshold"),
        ),
        None if table_bytes < SEVERAL_FROM => (
            1,
            format!("{size} is below the parallel threshold; with FREEZE"),
        ),
        None if keep_order && part < ORDER_IS_LOST_FROM => (
            1,
            "the rows come in the order of the key, which several would lose; with FREEZE"
                .to_owned(),
        ),
        None if part > 1 => (
            part,
            format!("{size}, most of the load; vacuumed with FREEZE afterwards"),
        ),
        None => (1, "others load beside it; with FREEZE".to_owned()),
    };
    Connections { count, reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_big_table_gets_what_small_ones_do_not_need() {
        let count = |table_mib: u64, all_mib: u64, leaves, most| {
            let sizes = Sizes {
                table_bytes: table_mib << 20,
                all_bytes: all_mib << 20,
                leaves,
                keep_order: false,
            };
            connections(sizes, most).count
        };
        assert_eq!(count(1000, 1010, None, 2), 2);
        assert_eq!(count(1000, 1010, None, 8), 8);
        assert_eq!(count(10, 1010, None, 8), 1);
        // Four of a size on two cores: one connection each, two at a time.
        assert_eq!(count(250, 1000, None, 2), 1);
        assert_eq!(count(1000, 1010, None, 1), 1);
        // In the order of a key that is costly to sort by.
        let in_order = |most| {
            let sizes = Sizes {
                table_bytes: 1000 << 20,
                all_bytes: 1010 << 20,
                leaves: None,
                keep_order: true,
            };
            connections(sizes, most).count
        };
        assert_eq!((in_order(2), in_order(8)), (1, 8));
        // Leaves.
        assert_eq!(count(100, 1000, Some(16), 4), 4);
        assert_eq!(count(100, 1000, Some(2), 4), 2);
        assert_eq!(count(0, 1000, Some(2), 4), 1);
        assert_eq!(count(0, 0, None, 2), 1);
    }
}
