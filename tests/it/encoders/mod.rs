//! Every text our encoders accept is the value that the server reads from it.
//!
//! Encoded bytes go in through binary COPY, the lines made of them through text COPY, the texts
//! themselves as literals; then the server compares the three. The texts are seeded, so a failure repeats.

pub mod cases;
pub mod texts;

use anyhow::{Context, ensure};
use bytes::Bytes;
use futures_util::SinkExt as _;
use overnight::encode::line::put_lines;
use overnight::encode::{COPY_HEADER, COPY_TRAILER, Type, put_field_count};
use tokio_postgres::Client;

use crate::support::cluster;
use crate::support::cluster::ADMIN;
use cases::{Case, cases};
use texts::Random;

/// Texts tried on each type.
const TEXTS: usize = 1200;

/// Runs a comparison in a fresh database, which stays to be looked at when it fails.
fn in_a_database<F: Future<Output = anyhow::Result<()>>>(
    name: &str,
    comparison: fn(Client) -> F,
) -> anyhow::Result<()> {
    let cluster = cluster();
    let create = format!("create database {name} template template0 encoding 'UTF8'");
    cluster.sql("postgres", &create)?;
    cluster.block_on(async {
        let client = cluster.client(ADMIN, name).await?;
        client
            .batch_execute("set timezone = 'UTC'; set datestyle = 'ISO'")
            .await?;
        comparison(client).await
    })?;
    cluster.sql("postgres", &format!("drop database {name} with (force)"))?;
    Ok(())
}

#[test]
fn every_accepted_text_is_the_value_the_server_reads() -> anyhow::Result<()> {
    in_a_database("encoders_values", compare_all)
}

async fn compare_all(client: Client) -> anyhow::Result<()> {
    client
        .batch_execute(
            "create domain price as numeric(6,2) check (value > -100000);
             create type state as enum ('ok', 'not ok', 'Ok', '', 'ä', 'it''s')",
        )
        .await?;
    let mut failures = Vec::new();
    for (seed, case) in cases().iter().enumerate() {
        if let Err(error) = compare(&client, case, seed as u64).await {
            failures.push(format!("{}: {error:#}", case.sql));
        }
    }
    ensure!(failures.is_empty(), "{}", failures.join("\n"));
    Ok(())
}

async fn compare(client: &Client, case: &Case, seed: u64) -> anyhow::Result<()> {
    let mut random = Random(seed);
    let mut all = case.edges.clone();
    while all.len() < TEXTS {
        let text = (case.generator)(&mut random);
        all.push(random.spoil(&text));
        all.push(text);
    }
    let mut copy = COPY_HEADER.to_vec();
    let mut accepted = Vec::new();
    for text in &all {
        let start = copy.len();
        put_field_count(2, &mut copy);
        let id = i32::try_from(accepted.len())?;
        Type::Int4.encode(id.to_string().as_bytes(), &mut copy)?;
        let value = copy.len();
        if let Err(fault) = case.encoder.encode(text.as_bytes(), &mut copy) {
            ensure!(copy.len() == value, "{text:?} left something behind");
            ensure!(!fault.to_string().is_empty() && !fault.expected().is_empty());
            copy.truncate(start);
            continue;
        }
        let (encoded, bound) = (
            copy.len() - value,
            case.encoder.expansion() * (text.len() + 1) as f64,
        );
        ensure!(
            encoded as f64 <= bound,
            "{text:?} takes {encoded} bytes, more than {bound}"
        );
        accepted.push(text);
    }
    let mut lines = Vec::new();
    let types = [Type::Int4, case.encoder.clone()];
    put_lines(&copy[COPY_HEADER.len()..], &types, &mut lines)?;
    // Exponents and escapes grow, but never beyond what a chunk may need.
    let bound = case.encoder.expansion().max(5.0) * (copy.len() as f64);
    ensure!(
        (lines.len() as f64) < bound,
        "{} bytes of lines",
        lines.len()
    );
    copy.extend_from_slice(&COPY_TRAILER);

    client
        .batch_execute(&format!(
            "drop table if exists copied, lined, read;
             create table copied (id int, v {0}); create table lined (id int, v {0});
             create table read (id int, v {0})",
            case.sql
        ))
        .await?;
    for (bytes, statement) in [
        (copy, "copy copied from stdin (format binary)"),
        (lines, "copy lined from stdin (format text)"),
    ] {
        let sink = client.copy_in(statement).await?;
        let mut sink = std::pin::pin!(sink);
        sink.send(Bytes::from(bytes)).await?;
        let rows = sink.as_mut().finish().await.context(statement)?;
        ensure!(rows == accepted.len() as u64, "{statement}: {rows} rows");
    }

    let literals: Vec<String> = accepted
        .iter()
        .enumerate()
        .map(|(id, text)| {
            // Infinities, and texts that were spoilt so that they say their own offset.
            let whole = Type::Timestamptz {
                precision: 6,
                zone: None,
            };
            let suffix = match whole.encode(text.as_bytes(), &mut Vec::new()) {
                Ok(()) => "",
                Err(_) => case.suffix,
            };
            format!("({id}, '{}{suffix}')", text.replace('\'', "''"))
        })
        .collect();
    let insert = format!("insert into read values {}", literals.join(","));
    if client.batch_execute(&insert).await.is_err() {
        for (text, literal) in accepted.iter().zip(&literals) {
            client
                .batch_execute(&format!("insert into read values {literal}"))
                .await
                .with_context(|| format!("the server refuses {:.200}", format!("{text:?}")))?;
        }
    }

    let different = client
        .query(
            "select id, left(copied.v::text, 100), left(read.v::text, 100)
             from copied full join read using (id) full join lined using (id)
             where copied.v::text is distinct from read.v::text
                or record_send(row(copied.v)) is distinct from record_send(row(read.v))
                or record_send(row(copied.v)) is distinct from record_send(row(lined.v))
                or not (copied *= read) or not (copied *= lined)",
            &[],
        )
        .await?;
    if let Some(row) = different.first() {
        let (id, ours, theirs): (i32, Option<String>, Option<String>) =
            (row.get(0), row.get(1), row.get(2));
        let text = accepted.get(usize::try_from(id)?);
        anyhow::bail!(
            "{} values differ, as {:.200}: we {ours:?}, the server {theirs:?}",
            different.len(),
            format!("{text:?}")
        );
    }
    let loaded: i64 = client
        .query_one("select count(*) from copied", &[])
        .await?
        .get(0);
    ensure!(
        usize::try_from(loaded)? == accepted.len(),
        "{loaded} of {} rows",
        accepted.len()
    );
    let share = accepted.len() as f64 / all.len() as f64;
    println!(
        "{:<20} accepted {:>4} of {} ({share:.2})",
        case.sql,
        accepted.len(),
        all.len()
    );
    ensure!(
        share >= case.accepted,
        "only {share:.2} of the texts are accepted"
    );
    Ok(())
}

#[test]
fn a_modifier_means_what_the_server_says() -> anyhow::Result<()> {
    in_a_database("encoders_modifiers", compare_modifiers)
}

async fn compare_modifiers(client: Client) -> anyhow::Result<()> {
    let supported = [
        "boolean",
        "smallint",
        "integer",
        "bigint",
        "real",
        "double precision",
        "numeric",
        "numeric(6,2)",
        "numeric(3,-2)",
        "numeric(1000,1000)",
        "numeric(1000,-1000)",
        "numeric(5,0)",
        "text",
        "character varying",
        "character varying(3)",
        "character(5)",
        "bpchar",
        "name",
        "date",
        "time without time zone",
        "time(0) without time zone",
        "timestamp without time zone",
        "timestamp(3) without time zone",
        "timestamp with time zone",
        "timestamp(2) with time zone",
        "interval",
        "interval(3)",
        "uuid",
        "json",
        "jsonb",
        "bytea",
        "inet",
        "cidr",
    ];
    let unsupported = [
        "money",
        "time with time zone",
        "bit(3)",
        "bit varying(3)",
        "xml",
        "\"char\"",
        "point",
        "interval day to hour",
        "interval second(3)",
        "macaddr",
        "tsvector",
        "int4range",
        "oid",
        "int4[]",
    ];
    for (sql, known) in supported
        .map(|sql| (sql, true))
        .into_iter()
        .chain(unsupported.map(|sql| (sql, false)))
    {
        client
            .batch_execute(&format!("drop table if exists t; create table t (v {sql})"))
            .await?;
        let row = client
            .query_one("select atttypid, atttypmod, format_type(atttypid, atttypmod) from pg_attribute where attrelid = 't'::regclass and attname = 'v'", &[])
            .await?;
        let (oid, typmod, name): (u32, i32, String) = (row.get(0), row.get(1), row.get(2));
        let found = Type::scalar(oid, typmod).map(|found| found.sql_name());
        ensure!(
            found == known.then_some(name),
            "{sql} is taken for {found:?}"
        );
    }
    Ok(())
}
