//! What a column becomes on its way into a subset, as SQL.
//!
//! In: a column and its [`ColumnFate`]. Out: an expression that the server computes while it copies, so
//! that what is hidden never leaves it. Everything is keyed by a secret and by the value alone: the
//! same value becomes the same everywhere and every day, and without the key nobody can try values out.
//!
//! The rule that is easy to break: both ends of a reference must become the same, or neither changes.

use super::catalog::{Catalog, Edge, Table};
use super::rules::TableRule;
use crate::dataset::subset::{ColumnFate, Fake};
use crate::postgres::{quote_ident, quote_literal};
use crate::problem::Problem;
use crate::schema::tables::Column;
use crate::switch;
use anyhow::{Result, bail};

/// Where a session has the secret: not in a setting and not in a statement, which servers log.
pub const SECRET_TABLE: &str = "pg_temp.overnight_subset_secret";

const FIRST_NAMES: &[&str] = &[
    "Ada", "Alan", "Amir", "Ana", "Ben", "Carla", "Chen", "Dana", "Diego", "Elif", "Emma", "Farid",
    "Grace", "Hana", "Hugo", "Ines", "Ivan", "Jamal", "Jana", "Joao", "Kai", "Lara", "Leo", "Lin",
    "Lucia", "Malik", "Maria", "Mei", "Milan", "Nadia", "Nia", "Noah", "Olga", "Omar", "Paula",
    "Pedro", "Priya", "Quinn", "Ravi", "Rosa", "Sam", "Sara", "Sofia", "Tariq", "Tomas", "Uma",
    "Vera", "Wei", "Yara", "Zoe",
];
const LAST_NAMES: &[&str] = &[
    "Abbott", "Ahmed", "Baker", "Berg", "Bianchi", "Castro", "Chen", "Cohen", "Costa", "Diaz",
    "Dubois", "Evans", "Farah", "Fischer", "Garcia", "Gupta", "Haas", "Hansen", "Hughes", "Ito",
    "Jensen", "Jones", "Kaya", "Khan", "Kim", "Kovacs", "Lee", "Lopez", "Martin", "Meyer",
    "Moreau", "Nguyen", "Novak", "Okafor", "Olsen", "Park", "Patel", "Perez", "Quist", "Reyes",
    "Rossi", "Sato", "Silva", "Singh", "Smith", "Tanaka", "Vega", "Weber", "Young", "Zhang",
];
const STREETS: &[&str] = &[
    "Ash", "Bay", "Birch", "Bridge", "Canal", "Cedar", "Church", "Elm", "Forest", "Garden", "Hill",
    "Lake", "Linden", "Maple", "Market", "Mill", "North", "Oak", "Park", "Pine", "River", "School",
    "South", "Spring",
];
const CITIES: &[&str] = &[
    "Ashford",
    "Bayview",
    "Brookfield",
    "Cedarton",
    "Clearwater",
    "Eastlake",
    "Fairmont",
    "Glenwood",
    "Hillcrest",
    "Kingsport",
    "Lakeside",
    "Midvale",
    "Northgate",
    "Oakdale",
    "Pinehurst",
    "Riverton",
    "Southport",
    "Springdale",
    "Stonebridge",
    "Westfield",
];
const COMPANIES: &[&str] = &[
    "Acorn", "Anchor", "Aster", "Beacon", "Cobalt", "Compass", "Crescent", "Delta", "Ember",
    "Falcon", "Harbor", "Keystone", "Lantern", "Meridian", "Nimbus", "Orchard", "Pinnacle",
    "Quarry", "Summit", "Willow",
];

/// What a type can hold of a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// At most so many characters, if any number.
    Text(Option<usize>),
    Uuid,
    Bigint,
    Integer,
    Other,
}

/// Fewer hexadecimal digits would meet too often.
const UNIQUE_DIGITS: usize = 16;

fn shape(column: &Column) -> Shape {
    let base = &column.base;
    if base.schema != "pg_catalog" {
        return Shape::Other;
    }
    let limit = usize::try_from(base.typmod - 4)
        .ok()
        .filter(|_| base.typmod > 4);
    match base.name.as_str() {
        "text" => Shape::Text(None),
        "varchar" | "bpchar" => Shape::Text(limit),
        "uuid" => Shape::Uuid,
        "int8" => Shape::Bigint,
        "int4" => Shape::Integer,
        _ => Shape::Other,
    }
}

/// The expression for a column of the row `u`; `None` when it is not copied. `row_key` is a text that
/// tells the row from others.
pub fn expression(column: &Column, fate: ColumnFate, row_key: &str) -> Option<String> {
    let value = format!("u.{}", quote_ident(&column.name));
    let hidden = match fate {
        ColumnFate::Keep => return Some(value),
        ColumnFate::Drop => return None,
        ColumnFate::Null => return Some(format!("null::{}", column.sql_type)),
        ColumnFate::Hash => {
            let digits = keyed(&format!("{value}::text"));
            match shape(column) {
                Shape::Text(limit) => {
                    let length = limit.map_or(32, |limit| limit.min(32));
                    format!("left({digits}, {length})")
                }
                Shape::Uuid => format!("left({digits}, 32)::uuid"),
                Shape::Bigint => {
                    format!("(('x' || left({digits}, 16))::bit(64)::int8 & 9223372036854775807)")
                }
                Shape::Integer | Shape::Other => {
                    format!("(('x' || left({digits}, 8))::bit(32)::int4 & 2147483647)")
                }
            }
        }
        ColumnFate::Fake(fake) => {
            let digits = keyed(&format!("{value}::text"));
            let text = invented(fake, &digits);
            match shape(column) {
                Shape::Text(Some(limit)) => format!("left({text}, {limit})"),
                _ => text,
            }
        }
        // Each row gets the value of the next in an order that only the key knows.
        ColumnFate::Shuffle => {
            let order = keyed(&format!("{} || {row_key}", quote_literal(&column.name)));
            let window = format!("(order by {order} collate \"C\", {row_key} collate \"C\")");
            return Some(format!(
                "case when row_number() over {window} = count(*) over () \
                 then first_value({value}) over {window} else lead({value}) over {window} end"
            ));
        }
    };
    Some(format!(
        "case when {value} is not null then ({hidden})::{} end",
        column.sql_type
    ))
}

/// 64 hexadecimal digits from the secret and a text; hashed twice, so that nothing can be appended.
fn keyed(text: &str) -> String {
    let secret = format!("(select s from {SECRET_TABLE})");
    format!("encode(sha256({secret} || sha256({secret} || convert_to({text}, 'UTF8'))), 'hex')")
}

fn invented(fake: Fake, digits: &str) -> String {
    let pick = |words: &[&str], from: usize| {
        let list: Vec<String> = words.iter().map(|word| quote_literal(word)).collect();
        format!(
            "(array[{}])[1 + ('x' || substr({digits}, {from}, 7))::bit(28)::int4 % {}]",
            list.join(","),
            words.len()
        )
    };
    let number = |from: usize, below: u32| {
        format!("(('x' || substr({digits}, {from}, 7))::bit(28)::int4 % {below})")
    };
    match fake {
        Fake::FirstName => pick(FIRST_NAMES, 1),
        Fake::LastName => pick(LAST_NAMES, 9),
        Fake::Name => format!("{} || ' ' || {}", pick(FIRST_NAMES, 1), pick(LAST_NAMES, 9)),
        // A domain that is reserved for examples (RFC 2606), so that no mail is ever delivered.
        Fake::Email => format!("'user.' || left({digits}, 12) || '@example.com'"),
        // Numbers that are kept for fiction in North America.
        Fake::Phone => format!("'555-01' || lpad({}::text, 2, '0')", number(1, 100)),
        Fake::Street => format!(
            "(1 + {})::text || ' ' || {} || ' Street'",
            number(1, 999),
            pick(STREETS, 9)
        ),
        Fake::City => pick(CITIES, 1),
        Fake::Company => format!("{} || ' Inc.'", pick(COMPANIES, 1)),
    }
}

/// Refuses what could not be loaded, or would break a reference.
pub fn check(catalog: &Catalog, rules: &[TableRule]) -> Result<()> {
    for (table, rule) in catalog.tables.iter().zip(rules) {
        for (column, fate) in table.columns.iter().zip(&rule.fates) {
            if let Some(why) = unfit(table, column, *fate) {
                bail!(Problem::usage(format!(
                    "[subset.tables.{}.columns] {}: {why}",
                    table.display(),
                    column.name
                )));
            }
        }
    }
    for edge in &catalog.edges {
        if switch::on("subset.mask_reference") {
            check_reference(catalog, rules, edge)?;
        }
    }
    Ok(())
}

fn unfit(table: &Table, column: &Column, fate: ColumnFate) -> Option<String> {
    let shape = shape(column);
    let is_text = matches!(shape, Shape::Text(_));
    let unique: Vec<&Vec<String>> = table
        .unique
        .iter()
        .filter(|key| key.contains(&column.name))
        .collect();
    if column.generated && fate != ColumnFate::Keep {
        return Some("the server computes it from other columns: mask those".into());
    }
    match fate {
        ColumnFate::Keep => None,
        ColumnFate::Null if column.not_null => Some("it may not be null".into()),
        ColumnFate::Drop if column.not_null && !column.has_default => {
            Some("it may not be null and has no default that could take its place".into())
        }
        ColumnFate::Null | ColumnFate::Drop if table.key.contains(&column.name) => {
            Some("it is part of the key".into())
        }
        ColumnFate::Null | ColumnFate::Drop => None,
        ColumnFate::Hash => match shape {
            Shape::Other => Some("`hash` is for text, uuid, bigint and integer".into()),
            Shape::Integer if !unique.is_empty() => {
                Some("hashes of an integer would meet, and it must be unique: make it bigint, or keep it".into())
            }
            Shape::Text(Some(limit)) if limit < UNIQUE_DIGITS && !unique.is_empty() => Some(format!(
                "hashes of {limit} characters would meet, and it must be unique: keep it"
            )),
            _ => None,
        },
        ColumnFate::Fake(_) if !is_text => Some("invented values are for text".into()),
        ColumnFate::Fake(_) if !unique.is_empty() => {
            Some("invented values repeat, and it must be unique: use hash".into())
        }
        ColumnFate::Shuffle if unique.iter().any(|key| key.len() > 1) => {
            Some("shuffled, it could break a unique key of several columns: use hash".into())
        }
        ColumnFate::Fake(_) | ColumnFate::Shuffle => None,
    }
}

fn check_reference(catalog: &Catalog, rules: &[TableRule], edge: &Edge) -> Result<()> {
    for (child_column, parent_column) in edge.child_columns.iter().zip(&edge.parent_columns) {
        let find = |table: usize, name: &str| {
            let at = catalog.tables[table]
                .columns
                .iter()
                .position(|column| column.name == name)?;
            Some((
                &catalog.tables[table].columns[at],
                rules[table].fates.get(at).copied()?,
            ))
        };
        let (Some((from, child)), Some((to, parent))) = (
            find(edge.child, child_column),
            find(edge.parent, parent_column),
        ) else {
            continue;
        };
        let fits = match (child, parent) {
            // A reference that is not there needs nothing.
            (ColumnFate::Null, _) => true,
            (ColumnFate::Drop, _) => !from.has_default,
            (ColumnFate::Keep, ColumnFate::Keep) => true,
            (ColumnFate::Hash, ColumnFate::Hash) => shape(from) == shape(to),
            _ => false,
        };
        if !fits {
            bail!(
                Problem::usage(format!(
                    "the masks of {} would break the reference: `{child_column}` and `{parent_column}` would no longer be the same",
                    edge.name
                ))
                .hint("keep both, hash both where they are of one type, or make the referring column null")
            );
        }
    }
    Ok(())
}
