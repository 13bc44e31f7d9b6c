//! The statements that choose rows, as text.
//!
//! A chosen row is known by the part of its table and its place there (`ctid`): both stand still under
//! one snapshot, need no key and no index, and take eight bytes. Each table has its chosen rows in a
//! temporary table `(p, c, r)`: part, place, and the round in which the row came.
//!
//! What decides which rows are taken is never their place but a hash of their key: md5, because it gives
//! the same on every server, version and machine, which the hashes of the server's own do not promise.
//! <https://www.postgresql.org/docs/current/functions-binarystring.html>

use super::catalog::{Catalog, Edge, Table};
use super::rules::{Rules, Take};
use crate::dataset::subset::{Children, KeyText};
use crate::postgres::{quote_ident, quote_literal};

/// What [`rows`] calls part and place: no table has columns of these names.
pub const P: &str = "overnight__part";
pub const C: &str = "overnight__place";

/// The temporary table of the rows chosen of a table.
pub fn chosen(table: usize) -> String {
    format!("pg_temp.overnight_subset_{table}")
}

/// Makes that table.
pub fn create_chosen(table: usize) -> String {
    format!(
        "create temporary table overnight_subset_{table} \
         (p int4 not null, c tid not null, r int4 not null, unique (p, c)) on commit drop"
    )
}

fn idents(columns: &[String], before: &str) -> Vec<String> {
    columns
        .iter()
        .map(|name| format!("{before}{}", quote_ident(name)))
        .collect()
}

/// All rows of these parts, with part, place and `columns`.
pub fn rows(table: &Table, parts: &[usize], columns: &[String]) -> String {
    let columns: String = idents(columns, ", t.").concat();
    let parts: Vec<String> = parts
        .iter()
        .map(|part| {
            format!(
                "select {part} as {P}, t.ctid as {C}{columns} from only {} t",
                table.parts[*part].ident
            )
        })
        .collect();
    match parts.is_empty() {
        // A partitioned table without partitions.
        true => format!(
            "select 0 as {P}, '(0,0)'::tid as {C}{columns} from only {} t where false",
            table.ident
        ),
        false => parts.join(" union all "),
    }
}

/// Every part of a table.
pub fn all_parts(table: &Table) -> Vec<usize> {
    (0..table.parts.len()).collect()
}

/// Text that tells a row `u` from others: its key, or all of it where there is none.
pub fn row_key(table: &Table) -> String {
    let columns = key_columns(table);
    match columns.as_slice() {
        [] => "''".into(),
        [only] if !table.key.is_empty() => format!("u.{}::text", quote_ident(only)),
        several => {
            let quoted: Vec<String> = several
                .iter()
                .map(|name| format!("quote_nullable(u.{}::text)", quote_ident(name)))
                .collect();
            format!("concat_ws(',', {})", quoted.join(", "))
        }
    }
}

/// The columns that [`row_key`] reads.
pub fn key_columns(table: &Table) -> Vec<String> {
    match table.key.is_empty() {
        false => table.key.clone(),
        true => table.columns.iter().map(|c| c.name.clone()).collect(),
    }
}

/// 32 hexadecimal digits for a row `u`; ordered by them, rows are in an order without meaning.
fn row_hash(seed: &str, table: &Table) -> String {
    let salt = quote_literal(&format!("{seed}/{}/", table.display()));
    format!("md5({salt} || {}) collate \"C\"", row_key(table))
}

/// Where the digits of a share end: `1` percent is everything below `028f5c28f5c28f5c`.
fn share(percent: f64) -> String {
    let below = (percent / 100.0 * 2f64.powi(64)) as u128;
    format!("{:016x}", below.min(u128::from(u64::MAX)))
}

/// Chooses the rows that a rule takes for their own sake, at most `room`; `None` when it takes none, or
/// all.
pub fn take(rules: &Rules, table: &Table, at: usize, room: u64) -> Option<String> {
    let Take::Some {
        condition,
        percent,
        limit,
    } = &rules.tables[at].take
    else {
        return None;
    };
    let columns: Vec<String> = table.columns.iter().map(|c| c.name.clone()).collect();
    let hash = row_hash(&rules.seed, table);
    let mut conditions = Vec::new();
    if let Some(condition) = condition {
        // On a line of its own: it may end with a comment.
        conditions.push(format!("({condition}\n)"));
    }
    if let Some(percent) = percent {
        conditions.push(format!("{hash} < {}", quote_literal(&share(*percent))));
    }
    let filter = match conditions.is_empty() {
        true => String::new(),
        false => format!(" where {}", conditions.join(" and ")),
    };
    let order = match limit {
        Some(limit) => format!(
            " order by {hash}, {} collate \"C\", u.{P}, u.{C} limit {}",
            row_key(table),
            room.min(*limit)
        ),
        None => format!(" limit {room}"),
    };
    // The condition names columns without a table: they are those of the only one.
    Some(format!(
        "insert into {} (p, c, r) select u.{P}, u.{C}, 0 from ({}) u{filter}{order}",
        chosen(at),
        rows(table, &all_parts(table), &columns),
    ))
}

/// Chooses the row with this primary key.
pub fn include(table: &Table, at: usize, key: &[KeyText]) -> String {
    format!(
        "insert into {} (p, c, r) select u.{P}, u.{C}, 0 {} on conflict do nothing",
        chosen(at),
        with_key(table, key)
    )
}

/// Counts the rows with this primary key, chosen or not.
pub fn find(table: &Table, key: &[KeyText]) -> String {
    format!("select count(*) {}", with_key(table, key))
}

fn with_key(table: &Table, key: &[KeyText]) -> String {
    // A literal without a type takes that of the column.
    let conditions: Vec<String> = table
        .primary
        .iter()
        .zip(key)
        .map(|(name, text)| format!("u.{} = {}", quote_ident(name), quote_literal(&text.0)))
        .collect();
    format!(
        "from ({}) u where {}",
        rows(table, &all_parts(table), &table.primary),
        conditions.join(" and ")
    )
}

/// Rows chosen in a round, or in any, or all of a table that comes whole.
#[derive(Debug, Clone, Copy)]
pub enum Which {
    Round(i32),
    Any,
    Whole,
}

/// Distinct values `v1`, `v2`, … of the columns of rows that are chosen already.
fn values(table: &Table, at: usize, parts: &[usize], columns: &[String], which: Which) -> String {
    let named: Vec<String> = columns
        .iter()
        .enumerate()
        .map(|(number, name)| format!("u.{} as v{}", quote_ident(name), number + 1))
        .collect();
    let present: Vec<String> = columns
        .iter()
        .map(|name| format!("u.{} is not null", quote_ident(name)))
        .collect();
    format!(
        "select distinct {} from ({}) u{} where {}",
        named.join(", "),
        rows(table, parts, columns),
        join_chosen(at, which),
        present.join(" and ")
    )
}

/// Joins the rows `u` of a table with those that are chosen of it.
pub fn join_chosen(at: usize, which: Which) -> String {
    let on = format!("k on k.p = u.{P} and k.c = u.{C}");
    match which {
        Which::Whole => String::new(),
        Which::Any => format!(" join {} {on}", chosen(at)),
        Which::Round(round) => format!(" join {} {on} and k.r = {round}", chosen(at)),
    }
}

fn not_yet(at: usize) -> String {
    format!(
        "not exists (select from {} h where h.p = u.{P} and h.c = u.{C})",
        chosen(at)
    )
}

/// Chooses what the rows of a round refer to.
///
/// Ordered, so that all of them are known before the first is written: a plan that looks for each row
/// among those chosen before would else run over what it has just added, again and again.
pub fn parents(catalog: &Catalog, edge: &Edge, which: Which, next: i32, room: u64) -> String {
    let (child, parent) = (&catalog.tables[edge.child], &catalog.tables[edge.parent]);
    let wanted = values(
        child,
        edge.child,
        &edge.child_parts,
        &edge.child_columns,
        which,
    );
    format!(
        "insert into {chosen} (p, c, r) select u.{P}, u.{C}, {next} from ({}) u join ({wanted}) f on {} \
         where {} order by u.{P}, u.{C} limit {room} on conflict do nothing",
        rows(parent, &edge.parent_parts, &edge.parent_columns),
        matches(&edge.parent_columns, &edge.operators, Side::Row),
        not_yet(edge.parent),
        chosen = chosen(edge.parent),
    )
}

/// Chooses rows that refer to those of a round, as many for each as the edge says.
pub fn children(
    catalog: &Catalog,
    edge: &Edge,
    seed: &str,
    which: Which,
    next: i32,
    room: u64,
) -> String {
    let (child, parent) = (&catalog.tables[edge.child], &catalog.tables[edge.parent]);
    let wanted = values(
        parent,
        edge.parent,
        &edge.parent_parts,
        &edge.parent_columns,
        which,
    );
    let on = matches(&edge.child_columns, &edge.operators, Side::Value);
    let chosen = chosen(edge.child);
    let mut columns = edge.child_columns.clone();
    match edge.children {
        Children::Most(most) => {
            for column in key_columns(child) {
                if !columns.contains(&column) {
                    columns.push(column);
                }
            }
            let group: Vec<String> = (1..=edge.child_columns.len())
                .map(|number| format!("f.v{number}"))
                .collect();
            format!(
                "insert into {chosen} (p, c, r) select u.{P}, u.{C}, {next} from ( \
                   select u.{P}, u.{C}, row_number() over (partition by {} order by {}, {} collate \"C\", u.{P}, u.{C}) as n \
                   from ({}) u join ({wanted}) f on {on}) u \
                 where u.n <= {most} and {} order by u.{P}, u.{C} limit {room} on conflict do nothing",
                group.join(", "),
                row_hash(seed, child),
                row_key(child),
                rows(child, &edge.child_parts, &columns),
                not_yet(edge.child),
            )
        }
        Children::All | Children::None => format!(
            "insert into {chosen} (p, c, r) select u.{P}, u.{C}, {next} from ({}) u join ({wanted}) f on {on} \
             where {} order by u.{P}, u.{C} limit {room} on conflict do nothing",
            rows(child, &edge.child_parts, &columns),
            not_yet(edge.child),
        ),
    }
}

/// Which side of the operator the row `u` is on: operators of foreign keys have the parent on the left.
#[derive(Clone, Copy, PartialEq)]
enum Side {
    Row,
    Value,
}

fn matches(columns: &[String], operators: &[String], side: Side) -> String {
    let pairs: Vec<String> = columns
        .iter()
        .zip(operators)
        .enumerate()
        .map(|(number, (name, operator))| {
            let (row, value) = (
                format!("u.{}", quote_ident(name)),
                format!("f.v{}", number + 1),
            );
            match side {
                Side::Row => format!("{row} {operator} {value}"),
                Side::Value => format!("{value} {operator} {row}"),
            }
        })
        .collect();
    pairs.join(" and ")
}

/// Counts chosen rows of which the reference leads nowhere, in the build itself.
pub fn dangling(catalog: &Catalog, edge: &Edge, which: Which) -> String {
    let (child, parent) = (&catalog.tables[edge.child], &catalog.tables[edge.parent]);
    orphans(
        &format!(
            "({}) u{}",
            rows(child, &edge.child_parts, &edge.child_columns),
            join_chosen(edge.child, which)
        ),
        &format!(
            "({}) w",
            rows(parent, &edge.parent_parts, &edge.parent_columns)
        ),
        [&edge.child_columns, &edge.parent_columns, &edge.operators],
    )
}

/// The anti-join over one reference: rows `u` without a row `w`. Columns of `u`, of `w`, and the
/// operators between them, `w` on the left.
pub fn orphans(
    from: &str,
    to: &str,
    [child_columns, parent_columns, operators]: [&Vec<String>; 3],
) -> String {
    let present: Vec<String> = child_columns
        .iter()
        .map(|name| format!("u.{} is not null", quote_ident(name)))
        .collect();
    let pairs: Vec<String> = parent_columns
        .iter()
        .zip(child_columns)
        .zip(operators)
        .map(|((parent, child), operator)| {
            format!(
                "w.{} {operator} u.{}",
                quote_ident(parent),
                quote_ident(child)
            )
        })
        .collect();
    format!(
        "select count(*) from {from} where {} and not exists (select from {to} where {})",
        present.join(" and "),
        pairs.join(" and ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_where_the_digits_end() {
        assert_eq!(share(0.0), "0000000000000000");
        assert_eq!(share(50.0), "8000000000000000");
        assert_eq!(&share(1.0)[..8], "028f5c28");
        assert_eq!(share(100.0), "ffffffffffffffff");
    }
}
