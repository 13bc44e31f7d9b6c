//! Which field of which file becomes which column of which table.
//!
//! In: the sources, the tables of the fresh database and each object's header. Out: a
//! [`TablePlan`] for each source and a [`RowPlan`] for each object, or one error that lists both
//! sides. Everything is decided before the first row is loaded: a column type without an
//! encoder, a header that does not fit, a column that nobody fills.

use super::column::Fillable;
use super::names::{Names, NoField};
use crate::dataset::{Filled, Format, Source, fold};
use crate::encode::Type;
use crate::measure::{FieldKind, FieldShape, RowShape};
use crate::printable::Printable;
use crate::problem::Problem;
use crate::read::dialect::{Dialect, Shape, Skip};
use crate::read::json_lines::JsonLines;
use crate::read::parse::RowPlan;
use crate::read::text::{ParquetOptions, TextFormat, XlsxOptions};
use crate::read::xml;
use crate::route::Routing;
use crate::schema::tables::{Identity, Table, TableKind};
use crate::sort::SortKey;
use anyhow::{Context, Result, bail};
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio_postgres::Client;

/// One table and the columns that its source may fill.
#[derive(Debug, Clone)]
pub struct TablePlan {
    pub source: Source,
    pub table_oid: u32,
    /// How rows get into a partitioned table; `None` for a table that holds its rows itself.
    pub routing: Option<Routing>,
    /// What the source asks to sort by.
    pub sort: Option<SortKey>,
    /// The primary key, to see whether rows come in its order.
    pub watched: Option<Watched>,
    /// The first rows of every file follow each other in the order of the primary key.
    pub in_order: bool,
    /// How its rows are measured on their way; `None` where the server stores other bytes than it is sent, or adds columns.
    pub shape: Option<Arc<RowShape>>,
    /// The files fill every column.
    complete: bool,
    fillable: Vec<Fillable>,
}

/// The key whose order is watched.
#[derive(Debug, Clone)]
pub struct Watched {
    pub columns: Vec<String>,
    pub key: SortKey,
    /// A column of it is text or numeric: to sort by it costs the server several times what an
    /// integer costs.
    pub costly: bool,
}

impl TablePlan {
    /// Matches a source with its table.
    ///
    /// # Errors
    /// Status 2: no such table, a rule for a column that is not there, a type without an encoder.
    pub fn new(source: &Source, tables: &[Table]) -> Result<TablePlan> {
        let found = tables
            .iter()
            .find(|table| table.schema == source.schema && table.name == source.table);
        let Some(table) = found else {
            let known: Vec<String> = tables
                .iter()
                .map(|table| format!("{}.{}", table.schema, table.name))
                .collect();
            bail!(
                Problem::usage(format!(
                    "source `{}` fills table `{}`, which the schema files do not create",
                    source.name,
                    source.full_table()
                ))
                .hint(format!("they create: {}", known.join(", ")))
            );
        };
        let exists = |name: &String| table.columns.iter().any(|column| column.name == *name);
        let named = source.columns.keys().chain(&source.absent);
        for name in named.chain(&source.order_by) {
            if !exists(name) {
                let columns = table.columns.iter().map(|column| column.name.as_str());
                let columns: Vec<&str> = columns.collect();
                bail!(
                    Problem::usage(format!(
                        "source `{}` names the column `{name}`, which table `{}` does not have",
                        source.name,
                        source.full_table()
                    ))
                    .hint(format!("it has: {}", columns.join(", ")))
                );
            }
        }
        let mut fillable = Vec::new();
        for column in &table.columns {
            let filled_by_server = column.generated || column.identity != Identity::No;
            let asked_for = source.columns.contains_key(&column.name);
            if source.absent.contains(&column.name) || (filled_by_server && !asked_for) {
                continue;
            }
            if column.generated {
                bail!(Problem::usage(format!(
                    "source `{}` fills `{}`, which is a generated column",
                    source.name, column.name
                )));
            }
            let rule = source
                .columns
                .get(&column.name)
                .cloned()
                .unwrap_or_default();
            let hint = match rule.is_plain() {
                true => "change the column's type, or list it under `absent` and fill it in a derive file".to_owned(),
                false => format!("change the column's type, or its rule in `{}.toml`", source.name),
            };
            fillable.push(Fillable::new(column, rule).with_context(|| {
                Problem::usage(format!(
                    "column `{}` of `{}` has type {}",
                    column.name,
                    source.full_table(),
                    column.sql_type
                ))
                .hint(hint)
            })?);
        }
        let sort = match source.order_by.as_slice() {
            [] => None,
            names => Some(sort_key(names, &fillable).with_context(|| {
                Problem::usage(format!("`order_by` of source `{}`", source.name))
            })?),
        };
        Ok(TablePlan {
            sort,
            shape: None,
            complete: fillable.len() == table.columns.len(),
            watched: None,
            in_order: false,
            source: source.clone(),
            table_oid: table.oid,
            // Until `ask` has asked the server.
            routing: match table.kind {
                TableKind::Partitioned { .. } => Some(Routing::Parent("nobody asked".into())),
                TableKind::Plain | TableKind::Partition { .. } => None,
            },
            fillable,
        })
    }

    /// Asks the server for the table's primary key, and how rows get to the leaves if the table is
    /// partitioned.
    ///
    /// # Errors
    /// The server refuses to show its catalog.
    pub async fn ask(&mut self, client: &Client) -> Result<()> {
        let key = primary_key(client, self.table_oid).await?;
        if self.complete && !has_triggers(client, self.table_oid).await? {
            self.shape = self.row_shape(&key);
        }
        self.watch(key);
        if self.routing.is_some() {
            let columns = self.fillable.iter();
            let columns: Vec<(&str, &Type)> = columns
                .map(|column| (column.name.as_str(), &column.ty))
                .collect();
            let routing = Routing::read(client, self.table_oid, &columns).await?;
            if let Routing::Parent(reason) = &routing {
                let table = self.source.full_table();
                tracing::info!("rows of `{table}` go through the parent: {reason}");
            }
            self.routing = Some(routing);
        }
        Ok(())
    }

    /// What each field is; `None` if the load cannot tell what the server will store.
    fn row_shape(&self, key: &[String]) -> Option<Arc<RowShape>> {
        let field = |column: &Fillable| {
            let place = key.iter().position(|name| *name == column.name);
            Some(FieldShape {
                name: column.name.clone(),
                kind: FieldKind::of(&column.ty)?,
                key: place.map_or(0, |place| place + 1),
            })
        };
        let fields: Option<Vec<FieldShape>> = self.fillable.iter().map(field).collect();
        fields.map(RowShape::new)
    }

    /// Watches whether rows come in the order of these columns, the primary key.
    pub fn watch(&mut self, columns: Vec<String>) {
        // A key that the files do not fill, or that cannot be compared here, is not watched.
        let costly = |column: &Fillable| {
            use Type::{Bpchar, Name, Numeric, Text, Varchar};
            let costly = matches!(column.ty, Text | Varchar(_) | Bpchar(_) | Name | Numeric(_));
            costly && columns.contains(&column.name)
        };
        let costly = self.fillable.iter().any(costly);
        self.watched = sort_key(&columns, &self.fillable).ok().map(|key| Watched {
            columns,
            key,
            costly,
        });
    }

    /// Rows come, or are put, in an order that is worth keeping: to sort them by the primary key
    /// would cost the server more than one connection is slower than several.
    pub fn keeps_order(&self) -> bool {
        let sorted = self.in_order || self.sort.is_some();
        sorted && self.watched.as_ref().is_some_and(|watched| watched.costly)
    }

    /// How the records of an object with this header become rows.
    ///
    /// # Errors
    /// Status 1 with both lists when a column is missing in the file or a header name is unknown.
    pub fn row_plan(&self, header: &[String], key: &str) -> Result<RowPlan> {
        let source = &self.source;
        if let Shape::JsonLines(paths) = &source.dialect.shape {
            return self.json_plan(paths, key);
        }
        let names = Names::new(header);
        let mut used: BTreeSet<usize> = BTreeSet::new();
        let mut columns = Vec::new();
        let mut missing = Vec::new();
        for column in &self.fillable {
            if let Some(plan) = column.without_field(key)? {
                columns.push(plan);
                continue;
            }
            let wanted: Vec<Option<&str>> = match &column.rule.filled {
                Filled::Concat { names, .. } => names.iter().map(|name| Some(&**name)).collect(),
                _ => vec![column.rule.from.as_deref()],
            };
            let mut fields = Vec::new();
            for from in wanted {
                let found = match from {
                    Some(from) => names.named(from),
                    None => names.column(&column.name),
                };
                match found {
                    Ok(field) => fields.push(field),
                    Err(NoField::Missing) => missing.push(match from {
                        Some(from) => format!("{} (from \"{}\")", column.name, from.escape_debug()),
                        None => column.name.clone(),
                    }),
                    Err(NoField::Several(places)) => bail!(
                        Problem::refused(format!(
                            "`{}`: {places} header names could fill column `{}` of `{}`",
                            Printable(key),
                            column.name,
                            source.full_table()
                        ))
                        .hint("say which with `from`, spelled exactly as in the header, or as \"NAME#2\", the second field of that name, or \"#7\", the seventh field")
                    ),
                }
            }
            used.extend(&fields);
            columns.push(column.of_fields(&fields, source));
        }
        let ignored = names.ignored(&source.ignore);
        let unknown: Vec<usize> = (0..header.len())
            .filter(|index| !used.contains(index) && !ignored[*index])
            .collect();
        if unknown.len() == header.len() {
            // Without its header the first record is data, which no message may show.
            bail!(
                Problem::refused(format!(
                    "`{}` does not fit table `{}`: its first record holds none of the names that columns take: {}",
                    Printable(key),
                    source.full_table(),
                    missing.join(", "),
                ))
                .hint(format!(
                    "if fields are divided by another character, say `delimiter`; if the file has no header, say `header = false` and `names` in `{}.toml`; if its names are new, map them under [columns]",
                    source.name
                ))
            );
        }
        if !missing.is_empty() || !unknown.is_empty() {
            let list = |names: Vec<String>| {
                if names.is_empty() {
                    "none".into()
                } else {
                    names.join(", ")
                }
            };
            bail!(
                Problem::refused(format!(
                    "`{}` does not fit table `{}`: columns that the file lacks: {}; names in the file that no column takes: {}",
                    Printable(key),
                    source.full_table(),
                    list(missing),
                    list(unknown.iter().map(|index| shown(&header[*index], *index)).collect()),
                ))
                .hint(format!(
                    "in the source file `{}.toml`, map a name under [columns], list a file's name under `ignore`, or a table's column under `absent`",
                    source.name
                ))
            );
        }
        Ok(RowPlan {
            dialect: source.dialect.clone(),
            fields: header.len(),
            columns,
            faults: None,
        })
    }

    /// The fields of a JSON record are what the columns take of it.
    fn json_plan(&self, paths: &JsonLines, key: &str) -> Result<RowPlan> {
        let mut paths = paths.clone();
        let mut columns = Vec::new();
        let mut taken = 0;
        for column in &self.fillable {
            if let Some(plan) = column.without_field(key)? {
                columns.push(plan);
                continue;
            }
            // A name may hold what a path would be cut at.
            let own = || format!("[\"{}\"]", column.name);
            let wanted = match &column.rule.filled {
                Filled::Concat { names, .. } => names.clone(),
                _ => vec![column.rule.from.clone().unwrap_or_else(own)],
            };
            let as_json = matches!(column.ty, Type::Json | Type::Jsonb);
            for from in &wanted {
                paths.take(from, as_json).with_context(|| {
                    Problem::usage(format!(
                        "column `{}` of source `{}`",
                        column.name, self.source.name
                    ))
                })?;
            }
            let fields: Vec<usize> = (taken..taken + wanted.len()).collect();
            taken += wanted.len();
            columns.push(column.of_fields(&fields, &self.source));
        }
        Ok(RowPlan {
            dialect: Dialect {
                shape: Shape::JsonLines(Arc::new(paths.finish())),
                ..self.source.dialect.clone()
            },
            fields: taken,
            columns,
            faults: None,
        })
    }

    /// What the files of the source are made of.
    pub fn text_format(&self) -> TextFormat {
        let source = &self.source;
        let ignore: Vec<String> = source.ignore.iter().map(|name| fold(name)).collect();
        match &source.format {
            Format::Delimited | Format::FixedWidth | Format::JsonLines => {
                TextFormat::Plain(source.dialect.encoding)
            }
            Format::Xml { rows, encoding } => TextFormat::Xml(xml::Options {
                rows: rows.clone(),
                fields: self.fillable.iter().flat_map(of_xml).collect(),
                ignore,
                encoding: *encoding,
                max_record_bytes: source.dialect.max_record_bytes,
            }),
            Format::Parquet => TextFormat::Parquet(ParquetOptions { ignore }),
            Format::Xlsx { sheet } => TextFormat::Xlsx(XlsxOptions {
                sheet: sheet.clone(),
                // The rows up to the last one of the header.
                header_row: match source.dialect.skip {
                    Skip::Lines(lines) => Some(lines as usize + source.dialect.header_lines - 1),
                    Skip::Nothing | Skip::Until(_) => None,
                },
            }),
        }
    }

    /// Names of the COPY columns, in the order of `row_plan`'s columns.
    pub fn copy_columns(&self) -> impl Iterator<Item = &str> {
        self.fillable.iter().map(|column| column.name.as_str())
    }

    /// Their types, in the same order.
    pub fn copy_types(&self) -> impl Iterator<Item = &Type> {
        self.fillable.iter().map(|column| &column.ty)
    }

    /// Columns with their types, for `plan`.
    pub fn described(&self) -> impl Iterator<Item = (&str, String)> {
        self.fillable
            .iter()
            .map(|column| (column.name.as_str(), column.ty.sql_name()))
    }
}

/// Where the texts of a column are found in an element.
fn of_xml(column: &Fillable) -> Vec<xml::Field> {
    let field = |from| xml::Field {
        column: column.name.clone(),
        from,
    };
    match &column.rule.filled {
        Filled::Field => vec![field(column.rule.from.clone())],
        Filled::Concat { names, .. } => {
            names.iter().map(|name| field(Some(name.clone()))).collect()
        }
        _ => Vec::new(),
    }
}

/// The key that sorts by these columns.
fn sort_key(names: &[String], fillable: &[Fillable]) -> Result<SortKey> {
    let mut columns = Vec::new();
    for name in names {
        let index = fillable.iter().position(|column| column.name == *name);
        let index = index.with_context(|| format!("no file fills column `{name}`"))?;
        columns.push((index, &fillable[index].ty));
    }
    Ok(SortKey::new(&columns)?)
}

/// Names of the columns of a table's primary key, in its order; none without one.
async fn primary_key(client: &Client, table_oid: u32) -> Result<Vec<String>> {
    let rows = client
        .query(
            "select a.attname::text
             from pg_index i, unnest(i.indkey) with ordinality k (attnum, place), pg_attribute a
             where i.indrelid = $1 and i.indisprimary
               and a.attrelid = i.indrelid and a.attnum = k.attnum
             order by k.place",
            &[&table_oid],
        )
        .await
        .context("ask for the primary key")?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Whether triggers may change the rows of a table or of its parts.
async fn has_triggers(client: &Client, table_oid: u32) -> Result<bool> {
    let row = client
        .query_one(
            "select exists (select from pg_trigger t where not t.tgisinternal
                 and (t.tgrelid = $1 or t.tgrelid in (select relid from pg_partition_tree($1::oid::regclass))))",
            &[&table_oid],
        )
        .await
        .context("ask for triggers")?;
    Ok(row.get(0))
}

/// A name of the header in a message; one that cannot be seen says where it stands.
fn shown(name: &str, index: usize) -> String {
    match name.trim() {
        "" => format!("\"\" (field {})", index + 1),
        _ => name.escape_debug().to_string(),
    }
}
