//! Lists the tables of a build for the loader, with column types resolved to what COPY must write.
//!
//! In: a session. Out: a [`Table`] for each plain, partitioned and partition table of the user's
//! schemas. A domain is resolved down to its base type and the modifier that the domain carries; an
//! array keeps the identifier of its declared element, which the binary form names, and the resolved
//! element beside it. What cannot be written in binary says why in [`Kind::Unsupported`].

use std::collections::HashMap;

use anyhow::{Context, Result, anyhow};
use tokio_postgres::{Client, Row};

use super::settings::pin_for_reading;
use crate::postgres::error::explain;

/// A table of the user's schemas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    pub oid: u32,
    pub schema: String,
    pub name: String,
    pub kind: TableKind,
    pub unlogged: bool,
    /// In the order of their positions; dropped columns are left out.
    pub columns: Vec<Column>,
}

/// How rows get into a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableKind {
    Plain,
    /// Holds no rows itself; rows copied into it are routed.
    Partitioned {
        /// The partitioned table above it, if it is a partition as well.
        parent: Option<u32>,
    },
    /// Holds rows, of the partitioned table `parent`.
    Partition {
        parent: u32,
    },
}

/// A column as COPY sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    /// `attnum`: from 1, with gaps where columns were dropped.
    pub position: i16,
    /// The declared type, which may be a domain.
    pub type_oid: u32,
    pub typmod: i32,
    /// The declared type as SQL, schema included where it is not the server's.
    pub sql_type: String,
    /// The column or a domain of its type refuses NULL.
    pub not_null: bool,
    pub has_default: bool,
    /// Computed by the server: COPY must leave it out.
    pub generated: bool,
    pub identity: Identity,
    /// The declared type with its domains taken off.
    pub base: BaseType,
}

/// Whether a column counts by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    No,
    Always,
    ByDefault,
}

/// A type that is not a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseType {
    pub oid: u32,
    /// The modifier in force, also where a domain carries it; -1 without.
    pub typmod: i32,
    /// `pg_catalog` for the server's own types.
    pub schema: String,
    /// `pg_type.typname`, such as `int4`; identifiers of extension types differ between databases.
    pub name: String,
    pub kind: Kind,
}

/// What a base type is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    Scalar,
    /// Labels in their order.
    Enum {
        labels: Vec<String>,
    },
    Array {
        /// The declared element, which may be a domain: the binary form of the array names it.
        element_oid: u32,
        /// The element with its domains taken off; the array's modifier counts for it.
        element: Box<BaseType>,
        /// A domain of the element refuses NULL.
        element_not_null: bool,
    },
    /// A range or multirange.
    Range,
    /// Why the loader cannot write it.
    Unsupported(&'static str),
}

/// Reads the tables of the session's database, ordered by schema and name.
///
/// # Errors
/// The server refuses a query.
pub async fn tables(client: &Client) -> Result<Vec<Table>> {
    let refused = |error| anyhow!("read the tables: {}", explain(&error));
    let pinned = pin_for_reading(client).await?;
    let types = client
        .query(include_str!("types.sql"), &[])
        .await
        .map_err(refused)?;
    let rows = client
        .query(include_str!("tables.sql"), &[])
        .await
        .map_err(refused)?;
    pinned.restore(client).await?;

    let types = Types::read(&types).context("read the types")?;
    let mut tables: Vec<Table> = Vec::new();
    for row in &rows {
        let oid: u32 = row.try_get("oid")?;
        if tables.last().is_none_or(|table| table.oid != oid) {
            tables.push(table(row)?);
        }
        // A table may have no columns at all.
        if let (Some(table), Some(column)) = (tables.last_mut(), column(row, &types)?) {
            table.columns.push(column);
        }
    }
    Ok(tables)
}

fn table(row: &Row) -> Result<Table> {
    let parent: Option<u32> = row.try_get("parent")?;
    let kind: String = row.try_get("relkind")?;
    Ok(Table {
        oid: row.try_get("oid")?,
        schema: row.try_get("nspname")?,
        name: row.try_get("relname")?,
        kind: match (kind.as_str(), parent) {
            ("p", parent) => TableKind::Partitioned { parent },
            (_, Some(parent)) => TableKind::Partition { parent },
            (_, None) => TableKind::Plain,
        },
        unlogged: row.try_get("unlogged")?,
        columns: Vec::new(),
    })
}

fn column(row: &Row, types: &Types) -> Result<Option<Column>> {
    let Some(name) = row.try_get::<_, Option<String>>("attname")? else {
        return Ok(None);
    };
    let type_oid = row.try_get("atttypid")?;
    let typmod = row.try_get("atttypmod")?;
    let (base, domain_not_null) = types
        .resolve(type_oid, typmod)
        .with_context(|| format!("resolve the type of column `{name}`"))?;
    let identity: String = row.try_get("identity")?;
    Ok(Some(Column {
        name,
        position: row.try_get("attnum")?,
        type_oid,
        typmod,
        sql_type: row.try_get("sql_type")?,
        not_null: row.try_get::<_, bool>("attnotnull")? || domain_not_null,
        has_default: row.try_get("has_default")?,
        generated: row.try_get("generated")?,
        identity: match identity.as_str() {
            "a" => Identity::Always,
            "d" => Identity::ByDefault,
            _ => Identity::No,
        },
        base,
    }))
}

struct TypeRow {
    schema: String,
    name: String,
    kind: String,
    domain_of: u32,
    typmod: i32,
    not_null: bool,
    element: Option<u32>,
    labels: Vec<String>,
}

struct Types(HashMap<u32, TypeRow>);

impl Types {
    fn read(rows: &[Row]) -> Result<Self> {
        let mut types = HashMap::new();
        for row in rows {
            let found = TypeRow {
                schema: row.try_get("nspname")?,
                name: row.try_get("typname")?,
                kind: row.try_get("typtype")?,
                domain_of: row.try_get("typbasetype")?,
                typmod: row.try_get("typtypmod")?,
                not_null: row.try_get("typnotnull")?,
                element: row.try_get("element")?,
                labels: row.try_get("labels")?,
            };
            types.insert(row.try_get("oid")?, found);
        }
        Ok(Self(types))
    }

    /// Takes the domains off a type; also says whether one of them refuses NULL.
    fn resolve(&self, mut oid: u32, mut typmod: i32) -> Result<(BaseType, bool)> {
        let mut not_null = false;
        // The server refuses domains that contain themselves, so this ends.
        let row = loop {
            let row = self.0.get(&oid).with_context(|| format!("type {oid}"))?;
            if row.kind != "d" {
                break row;
            }
            not_null |= row.not_null;
            (oid, typmod) = (row.domain_of, row.typmod);
        };
        let kind = match (row.kind.as_str(), row.element) {
            (_, Some(element_oid)) if self.0.contains_key(&element_oid) => {
                let (element, element_not_null) = self.resolve(element_oid, typmod)?;
                match element.kind {
                    Kind::Unsupported(reason) => Kind::Unsupported(reason),
                    Kind::Array { .. } => Kind::Unsupported("an array of a domain over an array"),
                    _ => Kind::Array {
                        element_oid,
                        element: Box::new(element),
                        element_not_null,
                    },
                }
            }
            (_, Some(_)) => Kind::Unsupported("an array of a composite type"),
            ("b", None) if matches!(row.name.as_str(), "int2vector" | "oidvector") => {
                Kind::Unsupported("a vector type of the server's own catalog")
            }
            ("b", None) => Kind::Scalar,
            ("e", None) => Kind::Enum {
                labels: row.labels.clone(),
            },
            ("r" | "m", None) => Kind::Range,
            ("c", None) => Kind::Unsupported("a composite type"),
            _ => Kind::Unsupported("a pseudo-type"),
        };
        let base = BaseType {
            oid,
            typmod,
            schema: row.schema.clone(),
            name: row.name.clone(),
            kind,
        };
        Ok((base, not_null))
    }
}
