//! The tables of a build and what refers to what, as a subset needs them.
//!
//! In: a session in the build. Out: a [`Catalog`]: each table with the parts that hold its rows, the
//! key that tells rows apart, and its size; each foreign key as an [`Edge`]. Partitions are parts of
//! their uppermost table, never tables of their own.

use crate::dataset::subset::Children;
use crate::postgres::quote_ident;
use crate::schema::tables::{self as declared, Column, TableKind};
use anyhow::{Context, Result};
use std::collections::HashMap;
use tokio_postgres::Client;

/// Tables and references of a build.
#[derive(Debug)]
pub struct Catalog {
    /// By schema and name.
    pub tables: Vec<Table>,
    pub edges: Vec<Edge>,
}

/// A table, however many parts it has.
#[derive(Debug)]
pub struct Table {
    pub oid: u32,
    pub schema: String,
    pub name: String,
    /// As SQL.
    pub ident: String,
    pub partitioned: bool,
    /// What holds the rows.
    pub parts: Vec<Part>,
    pub columns: Vec<Column>,
    /// Columns of all unique keys, the best to tell rows apart first.
    pub unique: Vec<Vec<String>>,
    /// Columns that tell rows apart and are never missing; none if there is no such key.
    pub key: Vec<String>,
    /// Columns of the primary key.
    pub primary: Vec<String>,
    /// Estimated from the statistics; `None` if there are none.
    pub row_estimate: Option<u64>,
    pub bytes: u64,
}

/// A plain table or a leaf of a partitioned one.
#[derive(Debug)]
pub struct Part {
    pub ident: String,
    /// It and the tables above it.
    lineage: Vec<u32>,
}

/// A reference from one table to another.
#[derive(Debug, Clone)]
pub struct Edge {
    /// For people: `price(plan_id) -> plan(id)`.
    pub name: String,
    pub child: usize,
    /// Positions of the parts that the reference is about.
    pub child_parts: Vec<usize>,
    pub child_columns: Vec<String>,
    pub parent: usize,
    pub parent_parts: Vec<usize>,
    pub parent_columns: Vec<String>,
    /// `parent operator child`, for each column.
    pub operators: Vec<String>,
    /// A foreign key; otherwise the dataset says so.
    pub declared: bool,
    pub children: Children,
}

impl Table {
    /// As people write it: without `public`.
    pub fn display(&self) -> String {
        match self.schema.as_str() {
            "public" => self.name.clone(),
            schema => format!("{schema}.{}", self.name),
        }
    }

    /// Bytes of one row, roughly.
    pub fn row_bytes(&self) -> u64 {
        match self.row_estimate {
            Some(rows) if rows > 0 => (self.bytes / rows).max(1),
            _ => 100,
        }
    }

    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }
}

impl Catalog {
    /// Reads the catalog of the session's database.
    ///
    /// # Errors
    /// The server refuses a query.
    pub async fn read(client: &Client) -> Result<Catalog> {
        let mut tables: Vec<Table> = Vec::new();
        let mut at = HashMap::new();
        for table in declared::tables(client).await? {
            let partitioned = match table.kind {
                TableKind::Plain => false,
                TableKind::Partitioned { parent: None } => true,
                TableKind::Partitioned { .. } | TableKind::Partition { .. } => continue,
            };
            at.insert(table.oid, tables.len());
            tables.push(Table {
                oid: table.oid,
                ident: ident(&table.schema, &table.name),
                schema: table.schema,
                name: table.name,
                partitioned,
                parts: Vec::new(),
                columns: table.columns,
                unique: Vec::new(),
                key: Vec::new(),
                primary: Vec::new(),
                row_estimate: Some(0),
                bytes: 0,
            });
        }
        let ask = "read the tables of the build";
        for row in client
            .query(include_str!("tables.sql"), &[])
            .await
            .context(ask)?
        {
            let Some(table) = at.get(&row.try_get("root")?).map(|at| &mut tables[*at]) else {
                continue;
            };
            let (schema, name): (String, String) = (row.try_get("schema")?, row.try_get("name")?);
            let estimate: f64 = row.try_get("row_estimate")?;
            table.row_estimate = table
                .row_estimate
                .filter(|_| estimate >= 0.0)
                .map(|rows| rows + estimate as u64);
            table.bytes += u64::try_from(row.try_get::<_, i64>("bytes")?).unwrap_or(0);
            table.parts.push(Part {
                ident: ident(&schema, &name),
                lineage: row.try_get("lineage")?,
            });
        }
        for row in client
            .query(include_str!("keys.sql"), &[])
            .await
            .context("read the keys of the build")?
        {
            let Some(table) = at
                .get(&row.try_get("table_oid")?)
                .map(|at| &mut tables[*at])
            else {
                continue;
            };
            let columns: Vec<String> = row.try_get("columns")?;
            if row.try_get("is_primary")? {
                table.primary = columns.clone();
            }
            if table.key.is_empty() && row.try_get("never_missing")? {
                table.key = columns.clone();
            }
            table.unique.push(columns);
        }
        let edges = edges(client, &tables).await?;
        Ok(Catalog { tables, edges })
    }

    /// Finds a table by the name that somebody wrote: `plan` or `audit.plan`.
    pub fn find(&self, written: &str) -> Option<usize> {
        let (schema, name) = written.split_once('.').unwrap_or(("public", written));
        self.tables
            .iter()
            .position(|table| table.schema == schema && table.name == name)
    }
}

async fn edges(client: &Client, tables: &[Table]) -> Result<Vec<Edge>> {
    let rows = client
        .query(include_str!("references.sql"), &[])
        .await
        .context("read the foreign keys of the build")?;
    let mut edges = Vec::new();
    for row in rows {
        let (child_oid, parent_oid): (u32, u32) = (row.try_get("child")?, row.try_get("parent")?);
        let (Some((child, child_parts)), Some((parent, parent_parts))) =
            (parts_of(tables, child_oid), parts_of(tables, parent_oid))
        else {
            continue;
        };
        let child_columns: Vec<String> = row.try_get("child_columns")?;
        let parent_columns: Vec<String> = row.try_get("parent_columns")?;
        edges.push(Edge {
            name: edge_name(
                &tables[child],
                &child_columns,
                &tables[parent],
                &parent_columns,
            ),
            child,
            child_parts,
            child_columns,
            parent,
            parent_parts,
            parent_columns,
            operators: row.try_get("operators")?,
            declared: true,
            children: Children::None,
        });
    }
    Ok(edges)
}

/// Where a table, or a part of one, is found: position of the table, positions of the parts.
fn parts_of(tables: &[Table], oid: u32) -> Option<(usize, Vec<usize>)> {
    tables.iter().enumerate().find_map(|(at, table)| {
        let parts: Vec<usize> = (0..table.parts.len())
            .filter(|part| table.oid == oid || table.parts[*part].lineage.contains(&oid))
            .collect();
        (table.oid == oid || !parts.is_empty()).then_some((at, parts))
    })
}

/// `price(plan_id) -> plan(id)`.
pub fn edge_name(
    child: &Table,
    child_columns: &[String],
    parent: &Table,
    parent_columns: &[String],
) -> String {
    format!(
        "{}({}) -> {}({})",
        child.display(),
        child_columns.join(", "),
        parent.display(),
        parent_columns.join(", ")
    )
}

fn ident(schema: &str, name: &str) -> String {
    format!("{}.{}", quote_ident(schema), quote_ident(name))
}
