//! What services can see of a database, as read from its catalog.
//!
//! In: a session. Out: a [`Shape`]. It holds names and definitions, nothing of what tables hold.
//! Names of things in `public` stand without their schema, as services write them.

use crate::postgres::Session;
use anyhow::{Context, Result};
use serde::Deserialize;
use std::collections::BTreeSet;

/// Everything a service can rely on.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Shape {
    /// How texts are sorted where a column says nothing else.
    pub locale: String,
    pub schemas: BTreeSet<String>,
    pub extensions: BTreeSet<String>,
    pub partitions: BTreeSet<String>,
    /// Without those behind identity columns.
    pub sequences: BTreeSet<String>,
    pub relations: Vec<Relation>,
    pub indexes: Vec<Index>,
    pub keys: Vec<Key>,
    pub functions: Vec<Function>,
    pub types: Vec<Type>,
    pub rights: Vec<Right>,
}

/// A table, view, materialized view or composite type.
#[derive(Debug, Clone, Deserialize)]
pub struct Relation {
    pub name: String,
    pub schema: String,
    pub kind: String,
    pub row_security: bool,
    /// In the order of `select *`.
    pub columns: Vec<Column>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Column {
    pub name: String,
    /// As declared, which may be a domain.
    pub declared: String,
    /// As a client sees it: the type below all domains.
    pub wire: String,
    pub not_null: bool,
    pub identity: bool,
    /// Where it is not the type's own.
    pub collation: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Index {
    pub table: String,
    pub unique: bool,
    /// Made by a key, which is compared by itself.
    pub of_key: bool,
    /// Method, columns, predicate: `btree (name) WHERE (price > 0)`.
    pub definition: String,
}

/// A primary, unique or foreign key, a check or an exclusion.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Key {
    pub table: String,
    pub definition: String,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Function {
    /// With the types of its arguments.
    pub name: String,
    pub kind: String,
    pub result: String,
    pub volatility: String,
    /// Names of the arguments; empty for one without.
    pub arguments: Vec<String>,
    pub defaults: i32,
    /// Runs with the rights of its owner.
    pub definer: bool,
    pub strict: bool,
}

/// An enum, domain, range or base type.
#[derive(Debug, Clone, Deserialize)]
pub struct Type {
    pub name: String,
    pub kind: String,
    /// Of a domain: the type below it.
    pub wire: Option<String>,
    pub not_null: bool,
    /// Of an enum, quoted, in their order.
    pub labels: Vec<String>,
    /// Of a domain.
    pub checks: Vec<String>,
}

/// What one role may do with one object.
#[derive(Debug, Clone, Deserialize)]
pub struct Right {
    pub role: String,
    pub kind: String,
    pub object: String,
    /// The table of a column.
    pub part_of: Option<String>,
    pub rights: BTreeSet<String>,
}

impl Shape {
    /// Reads the session's database; `roles` are those whose rights matter.
    pub async fn read(session: &Session, roles: &[String]) -> Result<Shape> {
        Shape::parse(&Shape::text(session, roles).await?)
    }

    /// The same as JSON, to be kept.
    pub async fn text(session: &Session, roles: &[String]) -> Result<String> {
        let row = session
            .query_one(include_str!("shape.sql"), &[&roles])
            .await
            .context("read what services can see")?;
        Ok(row.get(0))
    }

    /// Parses the kept JSON.
    pub fn parse(text: &str) -> Result<Shape> {
        serde_json::from_str(text).context("read what services can see")
    }

    /// As it is for these roles: others have no rights in it.
    #[must_use]
    pub fn for_roles(mut self, roles: &[String]) -> Shape {
        self.rights.retain(|right| roles.contains(&right.role));
        self
    }

    /// A table, view or composite type.
    pub fn relation(&self, name: &str) -> Option<&Relation> {
        self.relations.iter().find(|relation| relation.name == name)
    }
}
