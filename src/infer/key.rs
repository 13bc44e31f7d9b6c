//! Columns that tell records apart.
//!
//! In: the values of each record. Out: the likeliest key: one column near the front without a
//! null and without a value that comes twice, or else the first few columns together.

use super::{Note, ProposedColumn, counted};
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Columns that are asked alone, and the most that are asked together.
const ALONE: usize = 12;
const TOGETHER: usize = 6;

/// Fewer records are told apart by nearly everything.
const FEW_RECORDS: u64 = 20;

/// What is known of the values so far; a set is dropped at the first value that comes twice.
#[derive(Debug)]
pub struct Keys {
    alone: Vec<Option<HashSet<u64>>>,
    /// Of the first two columns, the first three, and so on.
    together: Vec<Option<HashSet<u64>>>,
}

impl Keys {
    pub fn new(columns: usize) -> Keys {
        Keys {
            alone: vec![Some(HashSet::new()); columns.min(ALONE)],
            together: vec![Some(HashSet::new()); columns.min(TOGETHER).saturating_sub(1)],
        }
    }

    /// Takes one record; `None` is a null.
    pub fn observe<'v>(&mut self, values: impl Iterator<Item = Option<&'v [u8]>>) {
        let mut all = DefaultHasher::new();
        let mut whole = true;
        for (index, value) in values.enumerate().take(ALONE) {
            let mut one = DefaultHasher::new();
            value.hash(&mut one);
            value.hash(&mut all);
            whole &= value.is_some();
            if let Some(slot) = self.alone.get_mut(index) {
                let hash = value.map(|_| one.finish());
                enter(slot, hash);
            }
            if let Some(slot) = index
                .checked_sub(1)
                .and_then(|index| self.together.get_mut(index))
            {
                enter(slot, whole.then(|| all.finish()));
            }
        }
    }

    /// The names of the key's columns, and what speaks for them.
    pub fn propose(
        &self,
        columns: &[ProposedColumn],
        rows: u64,
        whole: bool,
    ) -> (Vec<String>, Vec<Note>) {
        let can = |index: usize| {
            columns.get(index).is_some_and(|column| {
                ["text", "integer", "bigint", "uuid", "date"]
                    .iter()
                    .any(|start| column.sql_type == *start)
            })
        };
        let alone = |index: &usize| {
            self.alone[*index].is_some() && can(*index) && columns[*index].sql_type != "date"
        };
        let front = (0..self.alone.len().min(3)).find(alone);
        let together = (0..self.together.len())
            .find(|last| self.together[*last].is_some() && (0..last + 2).all(can))
            .map(|last| last + 2);
        let other = (0..self.alone.len()).find(alone);
        let key: Vec<String> = match (front, together, other) {
            (Some(index), _, _) | (None, None, Some(index)) => vec![columns[index].name.clone()],
            (None, Some(count), _) => columns[..count]
                .iter()
                .map(|column| column.name.clone())
                .collect(),
            (None, None, None) => Vec::new(),
        };
        if key.is_empty() || rows < 2 {
            return (Vec::new(), Vec::new());
        }
        let what = match key.len() {
            1 => "no null and no value twice".to_owned(),
            _ => "no null, and together no values twice".to_owned(),
        };
        let text = format!("in {} {what}", counted(rows, "record"));
        let note = match (whole, rows >= FEW_RECORDS) {
            (true, true) => Note::guessed(format!("{text}; that it stays so the file cannot show")),
            (true, false) => Note::guessed(format!("{text}, too few to be sure")),
            (false, _) => Note::guessed(format!("{text}; the rest of the file was not looked at")),
        };
        (key, vec![note])
    }
}

/// Whether what was seen is enough to declare the key.
pub fn is_proven(rows: u64, whole: bool) -> bool {
    whole && rows >= FEW_RECORDS
}

fn enter(slot: &mut Option<HashSet<u64>>, hash: Option<u64>) {
    let kept = match (slot.as_mut(), hash) {
        (Some(seen), Some(hash)) => seen.insert(hash),
        _ => false,
    };
    if !kept {
        *slot = None;
    }
}
