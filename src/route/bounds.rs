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

/// A value of a list with its hash, by which it is looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listed {
    pub value: Owned,
    pub hash: u64,
}

/// Which rows a partition takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Bound {
    Hash {
        modulus: u32,
        remainder: u32,
    },
    /// None is NULL.
    List(Vec<Option<Listed>>),
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
        /// A hash table with open addressing; its length is a power of two, and half is free.
        slots: Box<[Option<(Listed, Next)>]>,
        null: Next,
        default: Next,
    },
    Range {
        /// Sorted.
        ends: Box<[Vec<End>]>,
        /// What lies below the first end, from each end to the next, and above the last.
        between: Box<[Next]>,
        default: Next,
    },
    /// The same for one column whose values are 64-bit integers.
    Integers {
        ends: Box<[i64]>,
        between: Box<[Next]>,
        default: Next,
    },
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
        if null == Next::Nowhere {
            null = default;
        }
        let mut slots = vec![None; (2 * values.len()).next_power_of_two().max(2)];
        for (value, next) in values {
            let start = value.hash as usize % slots.len();
            let (before, after) = slots.split_at_mut(start);
            let free = after.iter_mut().chain(before).find(|slot| slot.is_none());
            if let Some(free) = free {
                *free = Some((value, next));
            }
        }
        Split::List {
            slots: slots.into(),
            null,
            default,
        }
    }

    /// Arranges the partitions of a table partitioned by range of these columns.
    pub fn range(partitions: Vec<(Bound, Next)>, keys: &[Key]) -> Split {
        let (mut ranges, mut default) = (Vec::new(), Next::Nowhere);
        for (bound, next) in partitions {
            match bound {
                Bound::Range(lower, upper) => ranges.push((lower, upper, next)),
                _ => default = next,
            }
        }
        // They do not overlap.
        ranges.sort_by(|(one, ..), (two, ..)| order(one, two));
        let (mut ends, mut between) = (Vec::<Vec<End>>::new(), vec![default]);
        for (lower, upper, next) in ranges {
            if ends.last().is_some_and(|end| order(end, &lower).is_eq()) {
                between.pop();
            } else {
                ends.push(lower);
            }
            ends.push(upper);
            between.extend([next, default]);
        }
        integers(&ends, &between, default, keys).unwrap_or_else(|| Split::Range {
            ends: ends.into(),
            between: between.into(),
            default,
        })
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
                slots,
                null,
                default,
            } => {
                let key = keys.first()?;
                let Some(field) = key.field(row)? else {
                    return Some(*null);
                };
                let (value, hash) = (key.ty.value(field)?, key.ty.hash(field)?);
                let mut at = hash as usize;
                loop {
                    match slots.get(at & (slots.len() - 1))? {
                        None => return Some(*default),
                        Some((listed, next)) if listed.value.compare(&value).is_eq() => {
                            return Some(*next);
                        }
                        Some(_) => at = at.wrapping_add(1),
                    }
                }
            }
            Split::Integers {
                ends,
                between,
                default,
            } => {
                let key = keys.first()?;
                let Some(field) = key.field(row)? else {
                    return Some(*default);
                };
                let value = key.ty.integer(field)?;
                between
                    .get(ends.partition_point(|end| *end <= value))
                    .copied()
            }
            Split::Range {
                ends,
                between,
                default,
            } => {
                let place = |key: &[Value<&[u8]>]| {
                    let place = ends.partition_point(|end| against(end, key).is_le());
                    between.get(place).copied()
                };
                if let [key] = keys {
                    let Some(field) = key.field(row)? else {
                        return Some(*default);
                    };
                    return place(&[key.ty.value(field)?]);
                }
                let mut values = [Value::Int(0); MAX_KEYS];
                for (key, value) in keys.iter().zip(&mut values) {
                    match key.field(row)? {
                        None => return Some(*default),
                        Some(field) => *value = key.ty.value(field)?,
                    }
                }
                place(values.get(..keys.len())?)
            }
        }
    }
}

/// The form for one column of integers; None if the key is something else.
fn integers(ends: &[Vec<End>], between: &[Next], default: Next, keys: &[Key]) -> Option<Split> {
    let [key] = keys else {
        return None;
    };
    if !key.ty.is_integer() {
        return None;
    }
    let (mut numbers, mut between) = (Vec::new(), between.to_vec());
    for end in ends {
        match end.first()? {
            End::At(Value::Int(number)) => numbers.push(i64::try_from(*number).ok()?),
            End::At(_) => return None,
            // Nothing is below the first and above the last.
            End::Min => drop(between.remove(0)),
            End::Max => drop(between.pop()),
        }
    }
    Some(Split::Integers {
        ends: numbers.into(),
        between: between.into(),
        default,
    })
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
