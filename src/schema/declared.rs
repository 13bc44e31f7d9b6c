//! Reads the tables that the schema files declare, without asking a server.
//!
//! In: the numbered files of `schema/`. Out: [`Declared`]: a [`Table`] for each CREATE TABLE, as far
//! as it can be read from the text, and notes about what only the server knows. Good enough to try
//! source files against; a run always asks the server instead. A column whose type is not one of
//! the server's own, an enum or a domain of these files is taken for text, and a note says so.

use super::numbered::NumberedFile;
use super::tables::{BaseType, Column, Identity, Kind, Table, TableKind};
use super::type_name::{TypeName, Types};
use super::words::At;
use crate::postgres::sql::tokens;
use anyhow::{Context, Result};

/// What the files say.
#[derive(Debug, Default)]
pub struct Declared {
    pub tables: Vec<Table>,
    pub notes: Vec<Note>,
}

/// What could not be read.
#[derive(Debug, PartialEq, Eq)]
pub struct Note {
    pub schema: String,
    pub table: String,
    /// One sentence.
    pub text: String,
}

/// Words that begin a constraint of the table instead of a column.
const TABLE_CONSTRAINTS: [&str; 7] = [
    "constraint",
    "primary",
    "unique",
    "check",
    "foreign",
    "exclude",
    "like",
];

/// Reads the files in their order.
///
/// # Errors
/// A file cannot be cut into statements.
pub fn declared(files: &[NumberedFile]) -> Result<Declared> {
    let mut reading = Reading::default();
    for file in files {
        for statement in file.statements()? {
            let place = || file.place(statement.line);
            let tokens = tokens(statement.text).with_context(place)?;
            reading.statement(At::new(&tokens), &place());
        }
    }
    Ok(reading.found)
}

#[derive(Default)]
struct Reading {
    found: Declared,
    types: Types,
}

impl Reading {
    fn statement(&mut self, mut at: At, place: &str) {
        if at.take("create") {
            let _ = at.take("unlogged") || (at.take("global") | at.take("local"));
            if at.take("table") {
                self.create_table(at, place);
            } else if at.take("type") {
                self.create_type(at);
            } else if at.take("domain") {
                self.create_domain(at);
            }
        } else if at.take("alter") && at.take("table") {
            self.alter_table(at, place);
        }
    }

    fn note(&mut self, schema: &str, table: &str, text: String) {
        self.found.notes.push(Note {
            schema: schema.to_owned(),
            table: table.to_owned(),
            text,
        });
    }

    fn create_table(&mut self, mut at: At, place: &str) {
        at.take_all(&["if", "not", "exists"]);
        let Some((schema, name)) = at.qualified_name() else {
            return;
        };
        let Some(elements) = at.parenthesised() else {
            if at.take("as") {
                let text = format!("{place}: the columns of `{name}` come from a query");
                self.note(&schema, &name, text);
            }
            return; // a partition
        };
        let partitioned = at.take("partition") && at.take("by");
        let mut table = Table {
            oid: self.found.tables.len() as u32 + 1,
            schema,
            name,
            kind: match partitioned {
                true => TableKind::Partitioned { parent: None },
                false => TableKind::Plain,
            },
            unlogged: false,
            columns: Vec::new(),
        };
        for element in elements {
            self.element(&mut table, element, place);
        }
        self.found.tables.push(table);
    }

    fn element(&mut self, table: &mut Table, element: At, place: &str) {
        let mut at = element;
        if let Some(word) = TABLE_CONSTRAINTS.iter().find(|word| at.sees(word)) {
            match *word {
                "like" => {
                    let text = format!(
                        "{place}: `{}` is LIKE another table, whose columns only the server knows",
                        table.name
                    );
                    self.note(&table.schema, &table.name, text);
                }
                _ => primary_key(table, at),
            }
            return;
        }
        let Some(name) = at.name() else { return };
        let Some(column) = self.column(table, name, at) else {
            return;
        };
        table.columns.push(column);
    }

    fn column(&mut self, table: &Table, name: String, mut at: At) -> Option<Column> {
        let ty = TypeName::read(&mut at)?;
        let resolved = self.types.resolve(&ty);
        if resolved.is_none() {
            let text = format!(
                "column `{name}` of `{}` has the type {}, which only the server knows: its values are taken for text",
                table.name, ty.sql
            );
            self.note(&table.schema, &table.name, text);
        }
        let text = BaseType {
            oid: 25,
            typmod: -1,
            schema: "pg_catalog".into(),
            name: "text".into(),
            kind: Kind::Scalar,
        };
        let (base, domain_not_null) = resolved.unwrap_or((text, false));
        let mut column = Column {
            name,
            position: table.columns.len() as i16 + 1,
            type_oid: base.oid,
            typmod: base.typmod,
            not_null: domain_not_null || ty.is_serial(),
            has_default: ty.is_serial(),
            sql_type: ty.sql,
            generated: false,
            identity: Identity::No,
            base,
        };
        while !at.ended() {
            if at.take_all(&["not", "null"]) || at.take_all(&["primary", "key"]) {
                column.not_null = true;
            } else if at.take("default") {
                column.has_default = true;
            } else if at.take("generated") {
                column.identity = match (at.take("always"), at.take_all(&["by", "default"])) {
                    (true, _) => Identity::Always,
                    (_, _) => Identity::ByDefault,
                };
                at.take("as");
                if !at.take("identity") {
                    column.identity = Identity::No;
                    column.generated = true;
                }
            } else {
                at.skip();
            }
        }
        Some(column)
    }

    fn create_type(&mut self, mut at: At) {
        let Some((_, name)) = at.qualified_name() else {
            return;
        };
        if at.take_all(&["as", "enum"]) {
            let labels = at.parenthesised().unwrap_or_default();
            let labels = labels.into_iter().filter_map(|label| label.string());
            self.types.add_enum(name, labels.collect());
        }
    }

    fn create_domain(&mut self, mut at: At) {
        let Some((_, name)) = at.qualified_name() else {
            return;
        };
        at.take("as");
        let Some(ty) = TypeName::read(&mut at) else {
            return;
        };
        let mut not_null = false;
        while !at.ended() {
            match at.take_all(&["not", "null"]) {
                true => not_null = true,
                false => at.skip(),
            }
        }
        self.types.add_domain(name, &ty, not_null);
    }

    fn alter_table(&mut self, mut at: At, place: &str) {
        at.take_all(&["if", "exists"]);
        at.take("only");
        let Some((schema, name)) = at.qualified_name() else {
            return;
        };
        let tables = &mut self.found.tables;
        let known = |table: &Table| table.schema == schema && table.name == name;
        let Some(index) = tables.iter().position(known) else {
            return;
        };
        let mut table = tables.remove(index);
        for mut action in at.commas() {
            if action.take("add") {
                if !action.take("column") && TABLE_CONSTRAINTS.iter().any(|word| action.sees(word))
                {
                    primary_key(&mut table, action);
                } else {
                    action.take_all(&["if", "not", "exists"]);
                    self.element(&mut table, action, place);
                }
            } else if action.sees("drop") || action.sees("rename") || action.sees("alter") {
                let text = format!(
                    "{place}: `{name}` is changed in a way that only the server understands"
                );
                self.note(&schema, &name, text);
            }
        }
        self.found.tables.insert(index, table);
    }
}

/// Columns of a PRIMARY KEY constraint refuse NULL.
fn primary_key(table: &mut Table, mut at: At) {
    if at.take("constraint") {
        at.name();
    }
    if !at.take_all(&["primary", "key"]) {
        return;
    }
    for mut column in at.parenthesised().unwrap_or_default() {
        let name = column.name();
        let named = table
            .columns
            .iter_mut()
            .filter(|column| Some(&column.name) == name.as_ref());
        named.for_each(|column| column.not_null = true);
    }
}

#[cfg(test)]
#[path = "declared_tests.rs"]
mod tests;
