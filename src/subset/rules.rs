//! What the dataset says of a subset, held against the tables of a build.
//!
//! In: [`SubsetFile`] and the [`Catalog`]. Out: [`Rules`], one for each table, and references that no
//! foreign key declares added to the catalog's edges. A name that is not there is an error, and so is a
//! rule that would be passed over.

use super::catalog::{Catalog, Edge, Table, edge_name};
use super::mask;
use crate::dataset::hex;
use crate::dataset::subset::{
    Children, ColumnFate, Derived, KeyText, Privacy, ReferenceFile, SubsetFile, TableFile,
};
use crate::problem::Problem;
use anyhow::{Context, Result, bail};
use ring::digest::{SHA256, digest};
use std::collections::BTreeSet;

/// What is to be done with each table.
#[derive(Debug)]
pub struct Rules {
    pub seed: String,
    /// By position of the table in the catalog.
    pub tables: Vec<TableRule>,
    pub max_rows: u64,
    pub max_bytes: u64,
    /// SHA-256 of everything that decides which rows are taken and what they hold.
    pub digest: String,
}

/// What is to be done with one table.
#[derive(Debug)]
pub struct TableRule {
    pub take: Take,
    /// Children do not come into it.
    pub closed: bool,
    pub include: Vec<Vec<KeyText>>,
    /// By position of the column; generated columns are left out of any copy.
    pub fates: Vec<ColumnFate>,
}

/// Rows of a table that come for their own sake.
#[derive(Debug, Clone, PartialEq)]
pub enum Take {
    Nothing,
    Everything,
    Some {
        condition: Option<String>,
        percent: Option<f64>,
        limit: Option<u64>,
    },
    /// The derive files fill it; not copied at all.
    Derived,
}

impl Rules {
    /// Resolves the rules; `filled` are schema and name of the tables that sources fill.
    ///
    /// # Errors
    /// Status 2, naming the table, column or reference.
    pub fn resolve(
        file: &SubsetFile,
        catalog: &mut Catalog,
        filled: &BTreeSet<(String, String)>,
    ) -> Result<Rules> {
        let json = serde_json::to_string(file).context("digest the rules of the subset")?;
        let digest = hex(digest(&SHA256, json.as_bytes()).as_ref());
        let own = own_rules(file, catalog)?;
        let rest = match file.percent {
            Some(percent) => percent,
            None if !own.iter().flatten().any(|rule| chooses(rule)) => 1.0,
            None => 0.0,
        };
        let rest = check_percent("subset", rest)?;
        let mut tables = Vec::new();
        for (table, own) in catalog.tables.iter().zip(own) {
            let derived = file.derived == Derived::Derive
                && own.is_none()
                && !filled.contains(&(table.schema.clone(), table.name.clone()));
            tables.push(match own {
                _ if derived => TableRule {
                    take: Take::Derived,
                    closed: true,
                    include: Vec::new(),
                    fates: vec![ColumnFate::Keep; table.columns.len()],
                },
                Some(own) => table_rule(file, table, own, rest)?,
                None => table_rule(file, table, &TableFile::default(), rest)?,
            });
        }
        references(file, catalog)?;
        // What is derived is neither asked for nor asks for others.
        catalog.edges.retain(|edge| {
            tables[edge.child].take != Take::Derived && tables[edge.parent].take != Take::Derived
        });
        mask::check(catalog, &tables)?;
        Ok(Rules {
            seed: file.seed.clone(),
            tables,
            max_rows: file.max_rows,
            max_bytes: file.max_bytes.0,
            digest,
        })
    }

    /// Whether the key of the masks is needed.
    pub fn is_keyed(&self) -> bool {
        let mut fates = self.tables.iter().flat_map(|table| &table.fates);
        fates.any(|fate| fate.is_keyed())
    }
}

/// Whether a rule says which rows to take.
fn chooses(rule: &TableFile) -> bool {
    rule.all
        || rule.none
        || rule.condition.is_some()
        || rule.percent.is_some()
        || rule.limit.is_some()
        || !rule.include.is_empty()
}

/// The rule that somebody wrote for each table.
fn own_rules<'f>(file: &'f SubsetFile, catalog: &Catalog) -> Result<Vec<Option<&'f TableFile>>> {
    let mut own = vec![None; catalog.tables.len()];
    for (name, rule) in &file.tables {
        let at = catalog.find(name).with_context(|| {
            let known: Vec<String> = catalog.tables.iter().map(Table::display).collect();
            Problem::usage(format!(
                "[subset.tables.{name}]: the build has no such table"
            ))
            .hint(format!("its tables: {}", known.join(", ")))
        })?;
        own[at] = Some(rule);
    }
    Ok(own)
}

fn check_percent(what: &str, percent: f64) -> Result<f64> {
    if !(0.0..=100.0).contains(&percent) {
        bail!(Problem::usage(format!(
            "{what}: percent = {percent} is out of range: write 0 to 100"
        )));
    }
    Ok(percent)
}

fn table_rule(file: &SubsetFile, table: &Table, own: &TableFile, rest: f64) -> Result<TableRule> {
    let place = format!("[subset.tables.{}]", table.display());
    let wrong = |what: String| Problem::usage(format!("{place}: {what}"));
    let some = own.condition.is_some() || own.percent.is_some() || own.limit.is_some();
    if u8::from(own.all) + u8::from(own.none) + u8::from(some) > 1 {
        bail!(wrong(
            "write one of all, none, or where, percent and limit".into()
        ));
    }
    if let Some(percent) = own.percent {
        check_percent(&place, percent)?;
    }
    let take = match (own.all, own.none, some) {
        (true, ..) => Take::Everything,
        (_, true, _) => Take::Nothing,
        (_, _, true) => Take::Some {
            condition: own.condition.clone(),
            percent: own.percent.filter(|percent| *percent < 100.0),
            limit: own.limit,
        },
        // Rows that must come, or masks, are no reason to leave out the others' share.
        _ if rest >= 100.0 => Take::Everything,
        _ if rest > 0.0 => Take::Some {
            condition: None,
            percent: Some(rest),
            limit: None,
        },
        _ => Take::Nothing,
    };
    let take = match take {
        Take::Some {
            condition: None,
            percent: None,
            limit: None,
        } => Take::Everything,
        other => other,
    };
    for key in &own.include {
        if table.primary.is_empty() || key.len() != table.primary.len() {
            bail!(wrong(match table.primary.as_slice() {
                [] => "include needs a primary key, and the table has none".into(),
                primary => format!(
                    "include: each key has the {} of the primary key ({})",
                    match primary.len() {
                        1 => "one column".to_owned(),
                        number => format!("{number} columns"),
                    },
                    primary.join(", ")
                ),
            }));
        }
    }
    let unknown = |name: &&String| name.as_str() != "*" && table.column(name).is_none();
    if let Some(name) = own.columns.keys().find(unknown) {
        let known: Vec<&str> = table.columns.iter().map(|c| c.name.as_str()).collect();
        bail!(
            wrong(format!("there is no column `{name}`"))
                .hint(format!("its columns: {}", known.join(", ")))
        );
    }
    let mut silent = Vec::new();
    let fates = table.columns.iter().map(|column| {
        let fate = own.columns.get(&column.name);
        match (fate.or(own.columns.get("*")), file.privacy) {
            (Some(fate), _) => *fate,
            // Computed from the others.
            (None, _) if column.generated => ColumnFate::Keep,
            (None, Privacy::Keep) => ColumnFate::Keep,
            (None, Privacy::Deny) => {
                silent.push(column.name.as_str());
                ColumnFate::Drop
            }
        }
    });
    let fates = fates.collect();
    if !silent.is_empty() && crate::switch::on("subset.deny") {
        bail!(
            wrong(format!(
                "nobody has said what becomes of {}",
                silent.join(", ")
            ))
            .hint(
                "with privacy = \"deny\" every column needs an entry in `columns`: keep, drop, null, hash, shuffle or fake:KIND; `\"*\"` stands for the others"
            )
        );
    }
    Ok(TableRule {
        take,
        closed: own.none,
        include: own.include.clone(),
        fates,
    })
}

/// Adds undeclared references, and sets how many children come along each.
fn references(file: &SubsetFile, catalog: &mut Catalog) -> Result<()> {
    for edge in &mut catalog.edges {
        edge.children = file.children;
    }
    for reference in &file.references {
        let children = reference.children.unwrap_or(file.children);
        let (child, child_columns) = side(catalog, reference, &reference.from)?;
        let (parent, parent_columns) = side(catalog, reference, &reference.to)?;
        if child_columns.len() != parent_columns.len() {
            bail!(Problem::usage(format!(
                "subset.references: `{}` and `{}` have different numbers of columns",
                reference.from, reference.to
            )));
        }
        let pairs = |a: &[String], b: &[String]| -> BTreeSet<(String, String)> {
            a.iter().cloned().zip(b.iter().cloned()).collect()
        };
        let mut known = false;
        for edge in &mut catalog.edges {
            if (edge.child, edge.parent) == (child, parent)
                && pairs(&edge.child_columns, &edge.parent_columns)
                    == pairs(&child_columns, &parent_columns)
            {
                edge.children = children;
                known = true;
            }
        }
        if known {
            continue;
        }
        let (from, to) = (&catalog.tables[child], &catalog.tables[parent]);
        catalog.edges.push(Edge {
            name: edge_name(from, &child_columns, to, &parent_columns),
            child,
            child_parts: (0..from.parts.len()).collect(),
            operators: vec!["=".to_owned(); child_columns.len()],
            child_columns,
            parent,
            parent_parts: (0..to.parts.len()).collect(),
            parent_columns,
            declared: false,
            children,
        });
    }
    Ok(())
}

/// Reads `plan(id, year)`.
fn side(catalog: &Catalog, reference: &ReferenceFile, text: &str) -> Result<(usize, Vec<String>)> {
    let wrong = |what: String| {
        Problem::usage(format!(
            "subset.references, `{}` to `{}`: {what}",
            reference.from, reference.to
        ))
    };
    let split = text
        .trim()
        .strip_suffix(')')
        .and_then(|inner| inner.split_once('('));
    let Some((table, columns)) = split else {
        bail!(wrong(format!(
            "`{text}` is not of the form table(column, …)"
        )));
    };
    let Some(at) = catalog.find(table.trim()) else {
        bail!(wrong(format!("there is no table `{}`", table.trim())));
    };
    let columns: Vec<String> = columns
        .split(',')
        .map(|name| name.trim().to_owned())
        .collect();
    for column in &columns {
        if catalog.tables[at].column(column).is_none() {
            bail!(wrong(format!(
                "`{}` has no column `{column}`",
                table.trim()
            )));
        }
    }
    Ok((at, columns))
}

impl Children {
    /// Whether any come.
    pub fn come(self) -> bool {
        self != Children::None
    }
}
