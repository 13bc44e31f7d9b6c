//! How one partitioned table splits its rows.
//!
//! In: the key columns of the table and, for each of its partitions, the [`Bound`] as the server
//! spells it with constants encoded. Out: a [`Split`], which finds the partition of a row.
//!
//! Nulls: hashing leaves them out, a list takes them where it names NULL, and a range never takes
//! them, so that they go to the default partition.

use super::hash::combine;
use super::value::{KeyType, Value};
use crate::encode::row::fields;
use std::cmp::Ordering;

/// The server's `PARTITION_MAX_KEYS`.
const MAX_KEYS: usize = 32;

/// The table of remainders has this many entries at most; moduli in use are far below.
pub(super) const MAX_MODULUS: u32 = 1 << 16;

/// A column of a partition key.
#[derive(Debug, Clone)]
pub(super) struct Key {
    /// Index of the field in the row.
    pub field: usize,
    pub ty: KeyType,
}

impl Key {
    /// The field in a row: None if the row has no such field, `Some(None)` if it is null.
    #[inline]
    fn field<'r>(&self, row: &'r [u8]) -> Option<Option<&'r [u8]>> {
        fields(row).nth(self.field)
    }
}

/// A value that outlives the row.
pub(super) type Owned = Value<Box<[u8]>>;

/// One column of the end of a range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    Min,
    At(Owned),
    Max,
}

/// Which rows a partition takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Bound {
    Hash {
        modulus: u32,
        remainder: u32,
    },
    /// None is NULL.
    List(Vec<Option<Owned>>),
    /// From the first, inclusive, to the second, exclusive.
    Range(Vec<End>, Vec<End>),
    Default,
}

/// Where a row goes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    Nowhere,
    /// Index of a leaf.
    Leaf(u32),
    /// Index of a partitioned table.
    Table(u32),
}

/// The partitions of one table, arranged for look-up.
#[derive(Debug, Clone)]
pub(super) enum Split {
    /// Indexed by the hash modulo its length.
    Hash(Box<[Next]>),
    List {
        /// Sorted by value.
        values: Box<[(Owned, Next)]>,
        null: Next,
        default: Next,
    },
    Range {
        /// Sorted by lower end; ranges do not overlap.
        ranges: Box<[Range]>,
        default: Next,
    },
}

#[derive(Debug, Clone)]
pub(super) struct Range {
    lower: Vec<End>,
    upper: Vec<End>,
    next: Next,
}

impl Split {
    /// Arranges the partitions of a table partitioned by hash.
    pub fn hash(partitions: Vec<(Bound, Next)>) -> Split {
        // Every modulus divides the next greater one.
        let greatest = partitions
            .iter()
            .map(|(bound, _)| match bound {
                Bound::Hash { modulus, .. } => *modulus,
                _ => 1,
            })
            .max();
        let mut table = vec![Next::Nowhere; greatest.unwrap_or(1) as usize];
        for (bound, next) in partitions {
            if let Bound::Hash { modulus, remainder } = bound {
                let places = table.iter_mut().skip(remainder as usize);
                for place in places.step_by(modulus.max(1) as usize) {
                    *place = next;
                }
            }
        }
        Split::Hash(table.into())
    }

    /// Arranges the partitions of a table partitioned by list.
    pub fn list(partitions: Vec<(Bound, Next)>) -> Split {
        let (mut values, mut null, mut default) = (Vec::new(), Next::Nowhere, Next::Nowhere);
        for (bound, next) in partitions {
            match bound {
                Bound::List(list) => {
                    for value in list {
                        match value {
                            Some(value) => values.push((value, next)),
                            None => null = next,
                        }
                    }
                }
                _ => default = next,
            }
        }
        values.sort_by(|(one, _), (two, _)| one.compare(two));
        if null == Next::Nowhere {
            null = default;
        }
        Split::List {
            values: values.into(),
            null,
            default,
        }
    }

    /// Arranges the partitions of a table partitioned by range.
    pub fn range(partitions: Vec<(Bound, Next)>) -> Split {
        let (mut ranges, mut default) = (Vec::new(), Next::Nowhere);
        for (bound, next) in partitions {
            match bound {
                Bound::Range(lower, upper) => ranges.push(Range { lower, upper, next }),
                _ => default = next,
            }
        }
        ranges.sort_by(|one, two| order(&one.lower, &two.lower));
        Split::Range {
            ranges: ranges.into(),
            default,
        }
    }

    /// Where a row of the table goes; None if the row does not have the fields of the key.
    #[inline]
    pub fn next(&self, keys: &[Key], row: &[u8]) -> Option<Next> {
        match self {
            Split::Hash(table) => {
                let mut hash = 0;
                for key in keys {
                    if let Some(field) = key.field(row)? {
                        hash = combine(hash, key.ty.hash(field)?);
                    }
                }
                table.get((hash % table.len() as u64) as usize).copied()
            }
            Split::List {
                values,
                null,
                default,
            } => {
                let key = keys.first()?;
                let Some(field) = key.field(row)? else {
                    return Some(*null);
                };
                let value = key.ty.value(field)?;
                let found = values.binary_search_by(|(one, _)| one.compare(&value));
                Some(match found {
                    Ok(index) => values.get(index)?.1,
                    Err(_) => *default,
                })
            }
            Split::Range { ranges, default } => match keys {
                [key] => match key.field(row)? {
                    None => Some(*default),
                    Some(field) => Some(within(ranges, *default, &[key.ty.value(field)?])),
                },
                _ => {
                    let mut values = [Value::Int(0); MAX_KEYS];
                    for (key, value) in keys.iter().zip(&mut values) {
                        match key.field(row)? {
                            None => return Some(*default),
                            Some(field) => *value = key.ty.value(field)?,
                        }
                    }
                    Some(within(ranges, *default, values.get(..keys.len())?))
                }
            },
        }
    }
}

/// The range that holds a key.
#[inline]
fn within(ranges: &[Range], default: Next, key: &[Value<&[u8]>]) -> Next {
    let above = ranges.partition_point(|range| against(&range.lower, key).is_le());
    match above.checked_sub(1).and_then(|index| ranges.get(index)) {
        Some(range) if against(&range.upper, key).is_gt() => range.next,
        _ => default,
    }
}

/// Compares an end with a key. MINVALUE and MAXVALUE decide: columns after them do not count.
#[inline]
fn against(end: &[End], key: &[Value<&[u8]>]) -> Ordering {
    for (end, value) in end.iter().zip(key) {
        let order = match end {
            End::Min => Ordering::Less,
            End::At(bound) => bound.compare(value),
            End::Max => Ordering::Greater,
        };
        if order.is_ne() {
            return order;
        }
    }
    Ordering::Equal
}

/// Compares two ends.
fn order(one: &[End], two: &[End]) -> Ordering {
    let place = |end: &End| match end {
        End::Min => 0,
        End::At(_) => 1,
        End::Max => 2,
    };
    for pair in one.iter().zip(two) {
        let order = match pair {
            (End::At(one), End::At(two)) => one.compare(two),
            (one, two) => place(one).cmp(&place(two)),
        };
        if order.is_ne() {
            return order;
        }
    }
    Ordering::Equal
}
