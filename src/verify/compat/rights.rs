//! Compares what the readers, and everybody, may do.
//!
//! A right that was lost breaks a service. One that was gained breaks nobody, but what everybody may
//! do now, or a reader beyond reading, is something to look at.

use super::changes::Changes;
use super::shape::{Right, Shape};
use std::collections::BTreeMap;

/// What readers are given anyway.
const USUAL: [&str; 3] = ["SELECT", "USAGE", "EXECUTE"];
/// The pseudo-role that stands for every role.
pub const EVERYBODY: &str = "public";

/// Rights lost, and rights gained that are not usual.
pub fn compare(live: &Shape, candidate: &Shape, changes: &mut Changes) {
    let now: BTreeMap<_, &Right> = candidate
        .rights
        .iter()
        .map(|right| (key(right), right))
        .collect();
    for old in &live.rights {
        let who = who(&old.role);
        let Some(new) = now.get(&key(old)) else {
            let lost = old.part_of.as_ref().is_some_and(|table| {
                has_column(candidate, table, &old.object)
                    && !may_select(candidate, &old.role, table)
            });
            if lost {
                changes.breaks(format!("{who} lost SELECT on column {}", old.object));
            }
            continue;
        };
        let object = match old.kind.as_str() {
            "relation" => old.object.clone(),
            kind => format!("{kind} {}", old.object),
        };
        let lost: Vec<&str> = difference(old, new);
        if !lost.is_empty() {
            changes.breaks(format!("{who} lost {} on {object}", lost.join(", ")));
        }
        let gained: Vec<&str> = difference(new, old)
            .into_iter()
            .filter(|right| old.role == EVERYBODY || !USUAL.contains(right))
            .collect();
        if !gained.is_empty() {
            changes.notes(format!("{who} gained {} on {object}", gained.join(", ")));
        }
    }
}

fn key(right: &Right) -> (&str, &str, &str) {
    (&right.role, &right.kind, &right.object)
}

fn who(role: &str) -> String {
    match role {
        EVERYBODY => "PUBLIC".to_owned(),
        role => format!("role {role}"),
    }
}

fn difference<'r>(some: &'r Right, others: &'r Right) -> Vec<&'r str> {
    some.rights
        .difference(&others.rights)
        .map(String::as_str)
        .collect()
}

/// Whether `table.column` is still there.
fn has_column(shape: &Shape, table: &str, column: &str) -> bool {
    shape.relation(table).is_some_and(|relation| {
        relation
            .columns
            .iter()
            .any(|found| format!("{table}.{}", found.name) == column)
    })
}

fn may_select(shape: &Shape, role: &str, table: &str) -> bool {
    shape.rights.iter().any(|right| {
        right.role == role
            && right.kind == "relation"
            && right.object == table
            && right.rights.contains("SELECT")
    })
}
