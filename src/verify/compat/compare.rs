//! Compares the shape of a candidate with that of the live build.
//!
//! In: two [`Shape`]s and nothing else. Out: [`Changes`]. The live build is the measure: what it
//! has and the candidate lacks breaks services, what only the candidate has breaks nobody. What
//! lies inside something that is gone is not told again.

use super::changes::Changes;
use super::shape::{Column, Relation, Shape};
use super::widening::widens;
use super::{described, rights};
use std::collections::BTreeSet;

/// Everything that is different.
pub fn compare(live: &Shape, candidate: &Shape) -> Changes {
    let mut changes = Changes::default();
    if live.locale != candidate.locale {
        changes.notes(format!(
            "locale: `{}` became `{}`, texts are sorted otherwise",
            live.locale, candidate.locale
        ));
    }
    for schema in live.schemas.difference(&candidate.schemas) {
        changes.breaks(format!("schema {schema}: gone"));
    }
    for extension in live.extensions.difference(&candidate.extensions) {
        changes.breaks(format!("extension {extension}: gone"));
    }
    for partition in live.partitions.difference(&candidate.partitions) {
        if candidate.relation(partition).is_none() {
            changes.notes(format!("partition {partition}: gone"));
        }
    }
    for sequence in live.sequences.difference(&candidate.sequences) {
        changes.breaks(format!("sequence {sequence}: gone"));
    }
    relations(live, candidate, &mut changes);
    described::keys(live, candidate, &mut changes);
    described::indexes(live, candidate, &mut changes);
    described::functions(live, candidate, &mut changes);
    described::types(live, candidate, &mut changes);
    rights::compare(live, candidate, &mut changes);
    changes
}

/// A type's name as services write it.
pub fn shown(type_name: &str) -> &str {
    type_name.strip_prefix("public.").unwrap_or(type_name)
}

fn relations(live: &Shape, candidate: &Shape, changes: &mut Changes) {
    let new: Vec<&Relation> = candidate
        .relations
        .iter()
        .filter(|relation| live.relation(&relation.name).is_none())
        .collect();
    for old in &live.relations {
        match candidate.relation(&old.name) {
            Some(relation) => one_relation(old, relation, changes),
            None if !candidate.schemas.contains(&old.schema) => {}
            // It became a part of another table.
            None if candidate.partitions.contains(&old.name) => {}
            None => {
                let heir = new
                    .iter()
                    .find(|relation| same_columns(&relation.columns, &old.columns));
                changes.breaks(match heir {
                    Some(heir) => {
                        format!(
                            "{} {}: gone; `{}` has its columns",
                            old.kind, old.name, heir.name
                        )
                    }
                    None => format!("{} {}: gone", old.kind, old.name),
                });
            }
        }
    }
    for relation in new {
        changes.adds(format!("{} {}", relation.kind, relation.name));
    }
}

fn same_columns(some: &[Column], others: &[Column]) -> bool {
    !some.is_empty()
        && some.len() == others.len()
        && some
            .iter()
            .zip(others)
            .all(|(one, other)| one.name == other.name && one.wire == other.wire)
}

fn one_relation(old: &Relation, new: &Relation, changes: &mut Changes) {
    let name = &old.name;
    if old.kind != new.kind {
        let text = format!("{} {name}: became a {}", old.kind, new.kind);
        // A type has no rows that could be read.
        match old.kind == "type" || new.kind == "type" {
            true => changes.breaks(text),
            false => changes.notes(text),
        }
    }
    if new.row_security && !old.row_security {
        changes.breaks(format!(
            "table {name}: row security was switched on, readers may see fewer rows"
        ));
    }
    let added: Vec<&Column> = new
        .columns
        .iter()
        .filter(|column| find(&old.columns, &column.name).is_none())
        .collect();
    for (place, column) in old.columns.iter().enumerate() {
        match find(&new.columns, &column.name) {
            Some(now) => one_column(name, column, now, changes),
            None => {
                let heir = new.columns.get(place).filter(|heir| {
                    heir.wire == column.wire && added.iter().any(|added| added.name == heir.name)
                });
                changes.breaks(match heir {
                    Some(heir) => {
                        format!(
                            "column {name}.{}: gone; `{}` stands in its place",
                            column.name, heir.name
                        )
                    }
                    None => format!("column {name}.{}: gone", column.name),
                });
            }
        }
    }
    let kept: Vec<&str> = old
        .columns
        .iter()
        .filter(|column| find(&new.columns, &column.name).is_some())
        .map(|column| column.name.as_str())
        .collect();
    let first: Vec<&str> = new
        .columns
        .iter()
        .take(kept.len())
        .map(|column| column.name.as_str())
        .collect();
    // With a column gone the order is no longer the question.
    if kept.len() == old.columns.len() && kept != first {
        changes.notes(format!(
            "{} {name}: `select *` gives the columns in another order",
            old.kind
        ));
    }
    for column in added {
        changes.adds(format!("column {name}.{}", column.name));
    }
}

fn one_column(table: &str, old: &Column, new: &Column, changes: &mut Changes) {
    let name = format!("column {table}.{}", old.name);
    // A domain or enum that kept its name is compared by itself.
    if old.declared != new.declared && !widens(&old.wire, &new.wire) {
        changes.breaks(format!(
            "{name}: {} became {}",
            shown(&old.declared),
            shown(&new.declared)
        ));
    }
    if old.not_null && !new.not_null {
        changes.breaks(format!("{name}: may be null now"));
    }
    if old.collation != new.collation {
        let shown = |collation: &Option<String>| match collation {
            Some(name) => format!("`{name}`"),
            None => "the default".to_owned(),
        };
        changes.breaks(format!(
            "{name}: collation {} became {}",
            shown(&old.collation),
            shown(&new.collation)
        ));
    }
    if old.identity && !new.identity {
        changes.notes(format!("{name}: is no identity any more"));
    }
}

fn find<'c>(columns: &'c [Column], name: &str) -> Option<&'c Column> {
    columns.iter().find(|column| column.name == name)
}

/// Names of tables that only the live build has, or that became partitions: what hangs on them is
/// not told again.
pub fn gone<'s>(live: &'s Shape, candidate: &Shape) -> BTreeSet<&'s str> {
    live.relations
        .iter()
        .filter(|relation| candidate.relation(&relation.name).is_none())
        .map(|relation| relation.name.as_str())
        .collect()
}
