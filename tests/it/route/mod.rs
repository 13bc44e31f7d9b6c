//! Rows go to the leaf that the server puts them into.
//!
//! The texts of the encoders' tests are inserted through the parent; the server's `tableoid` is
//! compared with the router's leaf for the same row in binary. What no partition takes, the server
//! has to refuse. The texts are seeded, so a failure repeats.

mod trees;

use crate::encoders::cases::{Case, cases};
use crate::encoders::texts::Random;
use crate::support::database::{Database, value};
use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use futures_util::SinkExt as _;
use overnight::encode::{COPY_HEADER, COPY_TRAILER, Type, put_field_count, put_null};
use overnight::route::{Router, Routing};
use tokio_postgres::Client;

/// Texts tried on each type.
const TEXTS: usize = 400;

/// A key column: its name and its type.
struct KeyColumn {
    name: &'static str,
    ty: Type,
}

/// One row: the texts of its key columns, None for a null.
type Texts = Vec<Option<String>>;

/// What was compared.
#[derive(Debug, Default)]
struct Compared {
    routed: usize,
    refused: usize,
    /// Leaves that took a row.
    leaves: usize,
}

fn quoted(text: &str, suffix: &str) -> String {
    format!("'{}{suffix}'", text.replace('\'', "''"))
}

/// A row in binary: an integer and the keys. None if one of the texts is no value.
fn encoded(id: usize, columns: &[KeyColumn], texts: &Texts) -> Option<Vec<u8>> {
    let mut row = Vec::new();
    put_field_count(i16::try_from(columns.len()).unwrap() + 1, &mut row);
    Type::Int4
        .encode(id.to_string().as_bytes(), &mut row)
        .unwrap();
    for (column, text) in columns.iter().zip(texts) {
        match text {
            None => put_null(&mut row),
            Some(text) => column.ty.encode(text.as_bytes(), &mut row).ok()?,
        }
    }
    Some(row)
}

async fn routing(client: &Client, table: &str, columns: &[KeyColumn]) -> anyhow::Result<Routing> {
    let oid = value(client, &format!("select '{table}'::regclass::oid")).await;
    let mut described = vec![("id", &Type::Int4)];
    described.extend(columns.iter().map(|column| (column.name, &column.ty)));
    Routing::read(client, oid.parse()?, &described).await
}

async fn router(client: &Client, table: &str, columns: &[KeyColumn]) -> anyhow::Result<Router> {
    match routing(client, table, columns).await? {
        Routing::Leaves(router) => Ok(router),
        Routing::Parent(why) => bail!("`{table}` is left to the server: {why}"),
    }
}

/// Inserts the rows through the parent and compares where they are with where we would put them.
async fn compare(
    client: &Client,
    table: &str,
    columns: &[KeyColumn],
    rows: &[Texts],
    suffix: &str,
) -> anyhow::Result<Compared> {
    let router = router(client, table, columns).await?;
    let (mut routed, mut unrouted) = (Vec::new(), Vec::new());
    for texts in rows {
        let id = routed.len();
        let Some(row) = encoded(id, columns, texts) else {
            continue;
        };
        let literals: Vec<String> = texts
            .iter()
            .map(|text| {
                text.as_ref()
                    .map_or("null".into(), |text| quoted(text, suffix))
            })
            .collect();
        let literal = format!("({id}, {})", literals.join(", "));
        match router.leaf(&row) {
            Ok(leaf) => routed.push((router.leaves()[leaf as usize].oid, row, literal)),
            Err(nowhere) => {
                ensure!(nowhere.to_string().starts_with("no partition of `"));
                unrouted.push(literal);
            }
        }
    }
    let literals: Vec<&str> = routed
        .iter()
        .map(|(.., literal)| literal.as_str())
        .collect();
    let insert = format!("insert into {table} values {}", literals.join(", "));
    client
        .batch_execute(&insert)
        .await
        .context("insert through the parent")?;
    let found = client
        .query(
            &format!("select id, tableoid from {table} order by id"),
            &[],
        )
        .await?;
    ensure!(found.len() == routed.len(), "{} rows", found.len());
    let mut taken = std::collections::BTreeSet::new();
    for (row, (oid, _, literal)) in found.iter().zip(&routed) {
        let there: u32 = row.get(1);
        ensure!(
            there == *oid,
            "{literal:.200} is in {there} and not in {oid}"
        );
        taken.insert(there);
    }
    for literal in &unrouted {
        let insert = format!("insert into {table} values {literal}");
        match client.batch_execute(&insert).await {
            Ok(()) => bail!("the server takes {literal:.200}"),
            Err(error) => {
                let message = error.as_db_error().map_or("", |db| db.message());
                ensure!(message.starts_with("no partition of relation"), "{error:?}");
            }
        }
    }
    // The server checks the bounds of a leaf for each row that is copied into it.
    client.batch_execute(&format!("truncate {table}")).await?;
    for leaf in router
        .leaves()
        .iter()
        .filter(|leaf| taken.contains(&leaf.oid))
    {
        let mut copy = COPY_HEADER.to_vec();
        let rows = routed.iter().filter(|(oid, ..)| *oid == leaf.oid);
        copy.extend(rows.flat_map(|(_, row, _)| row));
        copy.extend_from_slice(&COPY_TRAILER);
        let names: Vec<&str> = columns.iter().map(|column| column.name).collect();
        let sql = format!(
            "copy {}.{} (id, {}) from stdin (format binary)",
            leaf.schema,
            leaf.name,
            names.join(", ")
        );
        let mut sink = std::pin::pin!(client.copy_in(&sql).await?);
        sink.send(Bytes::from(copy)).await?;
        sink.as_mut().finish().await.context("copy into a leaf")?;
    }
    let count = value(client, &format!("select count(*) from {table}")).await;
    ensure!(count == routed.len().to_string(), "{count} rows after COPY");
    Ok(Compared {
        routed: routed.len(),
        refused: unrouted.len(),
        leaves: taken.len(),
    })
}

/// Texts of a case, with the edges and a null.
fn texts(case: &Case, seed: u64) -> Vec<Texts> {
    let mut random = Random(seed);
    let mut all = case.edges.clone();
    while all.len() < TEXTS {
        all.push((case.generator)(&mut random));
    }
    // The encoders' tests see to these; here they take a hundred times the rest.
    all.retain(|text| text.len() < 20_000);
    all.push("ab".repeat(999));
    let zeros = [
        "0.00000000",
        "10000.0000",
        "100000000",
        "1000000000000.00010000",
    ];
    all.extend(zeros.map(str::to_owned));
    let mut rows: Vec<Texts> = all.into_iter().map(|text| vec![Some(text)]).collect();
    rows.push(vec![None]);
    rows
}

/// The cases whose type can be hashed.
fn hashed_cases() -> Vec<Case> {
    let mut all = cases();
    all.retain(|case| !matches!(case.encoder, Type::Json | Type::Jsonb | Type::Array { .. }));
    all
}

/// The cases whose type can be in lists and ranges.
fn compared_cases() -> Vec<Case> {
    let mut all = hashed_cases();
    all.retain(|case| !matches!(case.encoder, Type::Inet | Type::Cidr));
    all
}

async fn prepared() -> Client {
    let client = Database::new().await.admin().await;
    client
        .batch_execute(
            "set timezone = 'UTC'; set datestyle = 'ISO'; set client_min_messages = warning;
             create domain price as numeric(6,2) check (value > -100000);
             create type state as enum ('ok', 'not ok', 'Ok', '', 'ä', 'it''s')",
        )
        .await
        .unwrap();
    client
}

fn key(ty: &Type) -> [KeyColumn; 1] {
    [KeyColumn {
        name: "v",
        ty: ty.clone(),
    }]
}

#[tokio::test]
async fn every_key_type_is_hashed_as_the_server_hashes_it() {
    let client = prepared().await;
    let (mut failures, mut compared) = (Vec::new(), 0);
    // Moduli of one size, and mixed ones that divide each other.
    let equal: Vec<_> = (0..32).map(|remainder| (32, remainder)).collect();
    let mixed = vec![(2, 0), (4, 1), (8, 3), (8, 7)];
    let thirds = vec![(3, 0), (6, 1), (6, 4), (12, 2), (12, 5), (12, 11)];
    for (seed, case) in hashed_cases().iter().enumerate() {
        for parts in [&equal, &mixed, &thirds] {
            let mut sql = format!(
                "reset search_path; drop table if exists t; create table t (id int, v {}) partition by hash (v);",
                case.sql
            );
            for (modulus, remainder) in parts {
                sql += &format!(
                    "create table t_{modulus}_{remainder} partition of t for values with (modulus {modulus}, remainder {remainder});"
                );
            }
            client.batch_execute(&sql).await.unwrap();
            let rows = texts(case, seed as u64);
            match compare(&client, "t", &key(&case.encoder), &rows, case.suffix).await {
                Err(error) => failures.push(format!("{}: {error:#}", case.sql)),
                Ok(some) => {
                    println!("{:<20} {some:?}", case.sql);
                    assert!(some.routed + some.refused > TEXTS / 8, "{some:?}");
                    compared += some.routed;
                }
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(compared > 15_000, "{compared} values");
}

/// Texts of distinct values in the server's order.
async fn distinct(client: &Client, case: &Case, sql_type: &str, rows: &[Texts]) -> Vec<String> {
    let literals: Vec<String> = rows
        .iter()
        .filter(|row| encoded(0, &key(&case.encoder), row).is_some())
        .filter_map(|row| row[0].as_ref())
        .map(|text| format!("({})", quoted(text, case.suffix)))
        .collect();
    let sql = format!(
        "reset search_path; drop table if exists d; create table d (v {sql_type}, t text);
         insert into d select t::{}, t from (values {}) as x (t);",
        case.sql,
        literals.join(",")
    );
    client.batch_execute(&sql).await.unwrap();
    let found = client
        .query("select min(t) from d group by v order by v", &[])
        .await
        .unwrap();
    found.iter().map(|row| row.get(0)).collect()
}

/// The column's type, with an order of bytes where the type has a collation.
fn bytewise(case: &Case) -> String {
    match case.encoder {
        Type::Text | Type::Varchar(_) | Type::Bpchar(_) => format!("{} collate \"C\"", case.sql),
        _ => case.sql.to_owned(),
    }
}

#[tokio::test]
async fn every_key_type_is_found_in_lists() {
    let client = prepared().await;
    let (mut failures, mut routed, mut refused) = (Vec::new(), 0, 0);
    for (seed, case) in compared_cases().iter().enumerate() {
        let rows = texts(case, seed as u64);
        let values = distinct(&client, case, case.sql, &rows).await;
        for last in ["", "create table t_default partition of t default;"] {
            let mut sql = format!(
                "reset search_path; drop table if exists t; create table t (id int, v {}) partition by list (v);{last}",
                case.sql
            );
            // Every second value is in a list; one list has NULL as well.
            for part in 0..4 {
                let mine = values.iter().step_by(2).skip(part).step_by(4);
                let mut list: Vec<String> = mine.map(|text| quoted(text, "")).collect();
                if part == 0 {
                    list.push("null".into());
                }
                if !list.is_empty() {
                    sql += &format!(
                        "create table t_{part} partition of t for values in ({});",
                        list.join(", ")
                    );
                }
            }
            client.batch_execute(&sql).await.unwrap();
            match compare(&client, "t", &key(&case.encoder), &rows, case.suffix).await {
                Err(error) => failures.push(format!("{}: {error:#}", case.sql)),
                Ok(some) => {
                    println!("{:<20} {some:?}", case.sql);
                    assert!(some.routed + some.refused > TEXTS / 8, "{some:?}");
                    (routed, refused) = (routed + some.routed, refused + some.refused);
                }
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(routed > 8_000 && refused > 1_000, "{routed}, {refused}");
}

#[tokio::test]
async fn every_key_type_is_found_in_ranges() {
    let client = prepared().await;
    let (mut failures, mut routed, mut refused) = (Vec::new(), 0, 0);
    for (seed, case) in compared_cases().iter().enumerate() {
        let rows = texts(case, seed as u64);
        let sql_type = bytewise(case);
        let values = distinct(&client, case, &sql_type, &rows).await;
        let cuts: Vec<String> = (1..10)
            .map(|cut| values.len() * cut / 10)
            .map(|at| quoted(&values[at], ""))
            .collect();
        for (open, last) in [
            (true, ""),
            (false, ""),
            (false, "create table t_default partition of t default;"),
        ] {
            let mut ends = cuts.clone();
            ends.dedup();
            if open {
                ends.insert(0, "minvalue".into());
                ends.push("maxvalue".into());
            }
            let mut sql = format!(
                "reset search_path; drop table if exists t; create table t (id int, v {sql_type}) partition by range (v);{last}"
            );
            for (part, pair) in ends.windows(2).enumerate() {
                // A gap in the middle.
                if part != 3 {
                    sql += &format!(
                        "create table t_{part} partition of t for values from ({}) to ({});",
                        pair[0], pair[1]
                    );
                }
            }
            client.batch_execute(&sql).await.unwrap();
            match compare(&client, "t", &key(&case.encoder), &rows, case.suffix).await {
                Err(error) => failures.push(format!("{}: {error:#}", case.sql)),
                Ok(some) => {
                    println!("{:<20} {some:?}", case.sql);
                    assert!(some.routed + some.refused > TEXTS / 8, "{some:?}");
                    (routed, refused) = (routed + some.routed, refused + some.refused);
                }
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(routed > 12_000 && refused > 1_000, "{routed}, {refused}");
}
