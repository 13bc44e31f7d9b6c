//! Reads a partition tree from the catalog.
//!
//! In: a session, the top table, and the columns of its COPY with their types. Out: a [`Routing`].
//! The constants of bounds go through the encoders of their columns, so that they compare with
//! what the rows hold. Operator classes other than the server's defaults, and collations that
//! order otherwise than by bytes, are left to the server.

use super::bounds::{Bound, End, Key, Listed, MAX_MODULUS, Next, Split};
use super::spelled::{Datum, Spelled};
use super::value::{KeyType, Label};
use super::{Leaf, Router, Routing, Table};
use crate::encode::Type;
use crate::postgres::error::explain;
use crate::schema::settings::pin_for_reading;
use anyhow::{Context, Result, anyhow};
use std::collections::HashMap;
use tokio_postgres::{Client, Row};

/// Why rows go through the parent.
type Reason = String;

/// The length word in front of an encoded value.
const LENGTH_BYTES: usize = 4;

impl Routing {
    /// Reads the tree below a partitioned table. `columns` are those of the COPY, in its order.
    ///
    /// # Errors
    /// The server refuses a query; the session's settings may then still be changed.
    pub async fn read(
        client: &Client,
        table_oid: u32,
        columns: &[(&str, &Type)],
    ) -> Result<Routing> {
        let refused = |error| anyhow!("read the partitions: {}", explain(&error));
        let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
        let pinned = pin_for_reading(client).await?;
        let tables = client
            .query(include_str!("tables.sql"), &[&table_oid, &names])
            .await
            .map_err(refused)?;
        let keys = client
            .query(include_str!("keys.sql"), &[&table_oid])
            .await
            .map_err(refused)?;
        pinned.restore(client).await?;

        let tree = Tree::read(&tables, &keys).context("read the partitions")?;
        Ok(match tree.router(columns) {
            Ok(router) => Routing::Leaves(router),
            Err(reason) => Routing::Parent(reason),
        })
    }
}

/// What the catalog says, the top table first, parents before their partitions.
struct Tree {
    tables: Vec<Declared>,
    /// By identifier of the partitioned table, in the order of the key.
    keys: HashMap<u32, Vec<KeyColumn>>,
}

struct Declared {
    oid: u32,
    parent: Option<u32>,
    schema: String,
    name: String,
    kind: String,
    bound: Option<String>,
    strategy: Option<String>,
    statement_trigger: bool,
    other_default: Option<String>,
}

struct KeyColumn {
    name: Option<String>,
    /// The default operator class of the type that it says.
    usual: bool,
    operand: u32,
    /// The collation takes different texts for equal.
    loose: bool,
    /// The collation orders as bytes do.
    bytewise: bool,
    utf8: bool,
    labels: Vec<Label>,
}

impl Tree {
    fn read(tables: &[Row], keys: &[Row]) -> Result<Tree> {
        let mut tree = Tree {
            tables: Vec::new(),
            keys: HashMap::new(),
        };
        for row in tables {
            tree.tables.push(Declared {
                oid: row.try_get("oid")?,
                parent: row.try_get("parent")?,
                schema: row.try_get("nspname")?,
                name: row.try_get("relname")?,
                kind: row.try_get("relkind")?,
                bound: row.try_get("bound")?,
                strategy: row.try_get("strategy")?,
                statement_trigger: row.try_get("statement_trigger")?,
                other_default: row.try_get("other_default")?,
            });
        }
        for row in keys {
            let labels: Vec<String> = row.try_get("labels")?;
            let oids: Vec<u32> = row.try_get("label_oids")?;
            let ranked = (0..).zip(labels.into_iter().zip(oids));
            let column = KeyColumn {
                name: row.try_get("attname")?,
                usual: row.try_get("usual")?,
                operand: row.try_get("opcintype")?,
                loose: row.try_get("loose")?,
                bytewise: row.try_get("bytewise")?,
                utf8: row.try_get("utf8")?,
                labels: ranked
                    .map(|(rank, (text, oid))| Label { text, oid, rank })
                    .collect(),
            };
            tree.keys
                .entry(row.try_get("oid")?)
                .or_default()
                .push(column);
        }
        Ok(tree)
    }

    fn router(&self, columns: &[(&str, &Type)]) -> Result<Router, Reason> {
        let mut leaves = Vec::new();
        // Where a row goes that a partition takes, in the order of `tables`.
        let mut places = Vec::new();
        let mut partitioned = 0;
        for table in &self.tables {
            let name = table.full_name();
            if table.statement_trigger {
                return Err(format!("`{name}` has a trigger for each INSERT statement"));
            }
            if let Some(column) = &table.other_default {
                return Err(format!(
                    "column `{column}` of `{name}` has another default than in the parent"
                ));
            }
            places.push(match table.kind.as_str() {
                "p" => {
                    partitioned += 1;
                    Next::Table(partitioned - 1)
                }
                "r" => {
                    leaves.push(Leaf {
                        oid: table.oid,
                        schema: table.schema.clone(),
                        name: table.name.clone(),
                    });
                    Next::Leaf(u32::try_from(leaves.len() - 1).map_err(|_| "too many partitions")?)
                }
                "f" => return Err(format!("`{name}` is a foreign table")),
                _ => return Err(format!("`{name}` is no table")),
            });
        }
        let mut tables = Vec::new();
        for table in self.tables.iter().filter(|table| table.kind == "p") {
            let below = self.tables.iter().zip(&places);
            let partitions: Vec<_> = below
                .filter(|(partition, _)| partition.parent == Some(table.oid))
                .map(|(partition, next)| (partition, *next))
                .collect();
            tables.push(self.table(table, &partitions, columns)?);
        }
        if tables.is_empty() {
            return Err("it is not partitioned".to_owned());
        }
        Ok(Router { leaves, tables })
    }

    fn table(
        &self,
        table: &Declared,
        partitions: &[(&Declared, Next)],
        columns: &[(&str, &Type)],
    ) -> Result<Table, Reason> {
        let name = table.full_name();
        let strategy = table.strategy.as_deref().unwrap_or_default();
        let mut keys = Vec::new();
        let mut types = Vec::new();
        for column in self.keys.get(&table.oid).into_iter().flatten() {
            let (key, ty) = column
                .key(strategy, columns)
                .map_err(|why| format!("the partition key of `{name}` {why}"))?;
            keys.push(key);
            types.push(ty);
        }
        let mut bounds = Vec::new();
        for (partition, next) in partitions {
            let bound = partition.bound(&keys, &types).ok_or_else(|| {
                format!("the bounds of `{}` are not known", partition.full_name())
            })?;
            if matches!(bound, Bound::Hash { modulus, .. } if modulus > MAX_MODULUS) {
                return Err(format!(
                    "a modulus of `{name}` is greater than {MAX_MODULUS}"
                ));
            }
            bounds.push((bound, *next));
        }
        let split = match strategy {
            "h" => Split::hash(bounds),
            "l" => Split::list(bounds),
            "r" => Split::range(bounds, &keys),
            _ => {
                return Err(format!(
                    "`{name}` is partitioned in a way that is not known"
                ));
            }
        };
        Ok(Table { name, keys, split })
    }
}

impl KeyColumn {
    fn key<'t>(
        &self,
        strategy: &str,
        columns: &[(&str, &'t Type)],
    ) -> Result<(Key, &'t Type), Reason> {
        let Some(name) = &self.name else {
            return Err("is an expression".to_owned());
        };
        let place = columns.iter().position(|(column, _)| column == name);
        let Some((field, (_, ty))) = place.and_then(|at| Some((at, columns.get(at)?))) else {
            return Err(format!(
                "has the column `{name}`, which the source does not fill"
            ));
        };
        let unknown = || format!("has the column `{name}` of type {}", ty.sql_name());
        let key_type = KeyType::new(ty, self.labels.clone()).ok_or_else(unknown)?;
        if key_type == KeyType::Inet && strategy != "h" {
            return Err(unknown());
        }
        if !self.usual || Some(self.operand) != operand(ty) {
            return Err(format!(
                "compares `{name}` by an operator class that is not the default"
            ));
        }
        if self.loose {
            return Err(format!(
                "compares `{name}` by a collation that takes different texts for equal"
            ));
        }
        if strategy == "r" && !self.bytewise {
            return Err(format!("orders `{name}` by a collation other than C"));
        }
        let text = matches!(
            ty,
            Type::Text | Type::Varchar(_) | Type::Bpchar(_) | Type::Name
        );
        if text && !self.utf8 {
            return Err(format!(
                "has the column `{name}`, and the database is not in UTF8"
            ));
        }
        let ty = *ty;
        Ok((
            Key {
                field,
                ty: key_type,
            },
            ty,
        ))
    }
}

/// What the default operator classes of a type take: the type itself, or what it is treated as.
fn operand(ty: &Type) -> Option<u32> {
    Some(match ty {
        Type::Bool => 16,
        Type::Bytea => 17,
        Type::Name => 19,
        Type::Int8 => 20,
        Type::Int2 => 21,
        Type::Int4 => 23,
        Type::Text | Type::Varchar(_) => 25,
        Type::Float4 => 700,
        Type::Float8 => 701,
        Type::Inet | Type::Cidr => 869,
        Type::Bpchar(_) => 1042,
        Type::Date => 1082,
        Type::Time(_) => 1083,
        Type::Timestamp(_) => 1114,
        Type::Timestamptz { .. } => 1184,
        Type::Interval(_) => 1186,
        Type::Numeric(_) => 1700,
        Type::Uuid => 2950,
        // anyenum
        Type::Enum(_) => 3500,
        Type::Json | Type::Jsonb | Type::Array { .. } => return None,
    })
}

impl Declared {
    fn full_name(&self) -> String {
        format!("{}.{}", self.schema, self.name)
    }

    /// The bound with its constants encoded; None if one cannot be.
    fn bound(&self, keys: &[Key], types: &[&Type]) -> Option<Bound> {
        let end = |data: Vec<Datum>| -> Option<Vec<End>> {
            if data.len() != keys.len() {
                return None;
            }
            let columns = keys.iter().zip(types);
            let ends = data.iter().zip(columns).map(|(datum, (key, ty))| {
                Some(match datum {
                    Datum::Min => End::Min,
                    Datum::Max => End::Max,
                    Datum::Text(text) => End::At(constant(text, key, ty)?.value),
                    Datum::Null => return None,
                })
            });
            ends.collect()
        };
        Some(match Spelled::parse(self.bound.as_deref()?)? {
            Spelled::Default => Bound::Default,
            Spelled::Hash { modulus, remainder } => Bound::Hash { modulus, remainder },
            Spelled::Range(lower, upper) => Bound::Range(end(lower)?, end(upper)?),
            Spelled::List(data) => {
                let ([key], [ty]) = (keys, types) else {
                    return None;
                };
                let values = data.iter().map(|datum| match datum {
                    Datum::Null => Some(None),
                    Datum::Text(text) => Some(Some(constant(text, key, ty)?)),
                    Datum::Min | Datum::Max => None,
                });
                Bound::List(values.collect::<Option<_>>()?)
            }
        })
    }
}

/// A constant of a bound as a value of its key column, with its hash.
fn constant(text: &str, key: &Key, ty: &Type) -> Option<Listed> {
    let mut encoded = Vec::new();
    ty.encode(text.as_bytes(), &mut encoded).ok()?;
    let field = encoded.get(LENGTH_BYTES..)?;
    Some(Listed {
        value: key.ty.value(field)?.to_boxed(),
        hash: key.ty.hash(field)?,
    })
}
