//! Compares what is known by its definition: keys, indexes, functions and types.
//!
//! Keys and indexes are told apart by what they do, never by their names, which no query uses.

use super::changes::Changes;
use super::compare::{gone, shown};
use super::shape::{Function, Index, Shape, Type};
use super::widening::widens;

/// Keys and checks that the candidate lacks.
pub fn keys(live: &Shape, candidate: &Shape, changes: &mut Changes) {
    let gone = gone(live, candidate);
    for key in &live.keys {
        if gone.contains(key.table.as_str()) || candidate.keys.contains(key) {
            continue;
        }
        // What is unique by the primary key is as unique as before.
        let stronger = key
            .definition
            .strip_prefix("UNIQUE")
            .is_some_and(|columns| {
                let primary = format!("PRIMARY KEY{columns}");
                candidate
                    .keys
                    .iter()
                    .any(|other| other.table == key.table && other.definition == primary)
            });
        if !stronger {
            changes.breaks(format!(
                "table {}: {} is gone or changed",
                key.table, key.definition
            ));
        }
    }
}

/// Indexes that the candidate lacks; those of keys are lost with their keys.
pub fn indexes(live: &Shape, candidate: &Shape, changes: &mut Changes) {
    let gone = gone(live, candidate);
    let serves = |new: &Index, old: &Index| {
        new.table == old.table && new.definition == old.definition && (new.unique || !old.unique)
    };
    for old in live.indexes.iter().filter(|index| !index.of_key) {
        let there = candidate.indexes.iter().any(|new| serves(new, old));
        if !there && !gone.contains(old.table.as_str()) {
            let unique = if old.unique { "unique " } else { "" };
            changes.breaks(format!(
                "table {}: the {unique}index {} is gone",
                old.table, old.definition
            ));
        }
    }
}

/// Functions that can no longer be called as before.
pub fn functions(live: &Shape, candidate: &Shape, changes: &mut Changes) {
    for old in &live.functions {
        let found = candidate.functions.iter().find(|new| new.name == old.name);
        match found {
            Some(new) => one_function(old, new, changes),
            None => changes.breaks(format!("{} {}: gone", old.kind, shown(&old.name))),
        }
    }
    for new in &candidate.functions {
        if !live.functions.iter().any(|old| old.name == new.name) {
            changes.adds(format!("{} {}", new.kind, new.name));
        }
    }
}

fn one_function(old: &Function, new: &Function, changes: &mut Changes) {
    let name = format!("{} {}", old.kind, old.name);
    if old.kind != new.kind {
        changes.breaks(format!("{name}: became a {}", new.kind));
    }
    if !widens(&old.result, &new.result) {
        changes.breaks(format!(
            "{name}: returns {}, it was {}",
            shown(&new.result),
            shown(&old.result)
        ));
    }
    if loose(&new.volatility) > loose(&old.volatility) {
        changes.breaks(format!(
            "{name}: is {}, it was {}",
            new.volatility, old.volatility
        ));
    }
    if !old.arguments.is_empty() && old.arguments != new.arguments {
        changes.breaks(format!("{name}: its arguments have other names"));
    }
    if new.defaults < old.defaults {
        changes.breaks(format!("{name}: fewer arguments may be left out"));
    }
    if old.definer && !new.definer {
        changes.breaks(format!("{name}: no longer runs with its owner's rights"));
    }
    if old.strict != new.strict {
        let now = if new.strict {
            "answers null"
        } else {
            "is called"
        };
        changes.breaks(format!("{name}: {now} where an argument is null"));
    }
}

/// The looser, the less a query may take for granted.
fn loose(volatility: &str) -> u8 {
    match volatility {
        "immutable" => 0,
        "stable" => 1,
        _ => 2,
    }
}

/// Enums, domains and other types.
pub fn types(live: &Shape, candidate: &Shape, changes: &mut Changes) {
    for old in &live.types {
        let found = candidate.types.iter().find(|new| new.name == old.name);
        match found {
            Some(new) => one_type(old, new, changes),
            None => changes.breaks(format!("{} {}: gone", old.kind, old.name)),
        }
    }
}

fn one_type(old: &Type, new: &Type, changes: &mut Changes) {
    let name = format!("{} {}", old.kind, old.name);
    if old.kind != new.kind {
        changes.breaks(format!("{name}: became a {}", new.kind));
        return;
    }
    for label in old
        .labels
        .iter()
        .filter(|label| !new.labels.contains(label))
    {
        changes.breaks(format!("{name}: the value {label} is gone"));
    }
    for label in new
        .labels
        .iter()
        .filter(|label| !old.labels.contains(label))
    {
        changes.adds(format!("value {label} of {name}"));
    }
    let common = |labels: &[String], others: &[String]| -> Vec<String> {
        let kept = labels.iter().filter(|label| others.contains(label));
        kept.cloned().collect()
    };
    if common(&old.labels, &new.labels) != common(&new.labels, &old.labels) {
        changes.notes(format!("{name}: its values are sorted otherwise"));
    }
    if let (Some(before), Some(now)) = (&old.wire, &new.wire)
        && !widens(before, now)
    {
        changes.breaks(format!("{name}: {} became {}", shown(before), shown(now)));
    }
    if old.not_null && !new.not_null {
        changes.breaks(format!("{name}: may be null now"));
    }
    for check in old
        .checks
        .iter()
        .filter(|check| !new.checks.contains(check))
    {
        changes.breaks(format!("{name}: {check} is gone or changed"));
    }
}
