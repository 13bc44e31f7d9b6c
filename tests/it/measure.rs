//! What the load measures on the way in is what the server returns.

use crate::encoders::cases::{Case, cases};
use crate::encoders::texts::Random;
use crate::support::cluster::LOADER;
use crate::support::database::Database;
use crate::support::project::Project;
use anyhow::{Context, ensure};
use bytes::Bytes;
use futures_util::SinkExt as _;
use overnight::encode::{COPY_HEADER, COPY_TRAILER, Type, put_field_count, put_null};
use overnight::measure::{Collector, FieldKind, FieldShape, RowShape, TableProfile};
use overnight::postgres::Session;
use overnight::verify::change::measure::{measure, measure_again, tables};

/// Texts tried on each type.
const TEXTS: usize = 600;

#[tokio::test]
async fn every_type_is_measured_on_the_client_as_in_the_server() {
    let database = Database::new().await;
    let server = database.server(LOADER).await;
    let session = server.connect(&database.name, "measure").await.unwrap();
    session
        .batch_execute(
            "create domain public.price as numeric(6,2) check (value > -100000);
             create type public.state as enum ('ok', 'not ok', 'Ok', '', 'ä', 'it''s')",
        )
        .await
        .unwrap();
    let mut failures = Vec::new();
    let mut measured = 0;
    for (seed, case) in cases().iter().enumerate() {
        match compare(&session, case, seed as u64).await {
            Ok(on_client) => measured += u32::from(on_client),
            Err(error) => failures.push(format!("{}: {error:#}", case.sql)),
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(
        measured > 30,
        "only {measured} types are measured on the client"
    );
}

/// Says whether the load can measure the type.
async fn compare(session: &Session, case: &Case, seed: u64) -> anyhow::Result<bool> {
    let Some(kind) = FieldKind::of(&case.encoder) else {
        return Ok(false);
    };
    let field = |name: &str, kind, key| FieldShape {
        name: name.into(),
        kind,
        key,
    };
    let fields = vec![field("id", FieldKind::Integer, 1), field("v", kind, 0)];
    let mut random = Random(seed);
    let mut texts = case.edges.clone();
    texts.extend((0..TEXTS).map(|_| (case.generator)(&mut random)));
    let mut rows = Vec::new();
    for (id, text) in texts.iter().enumerate() {
        let start = rows.len();
        put_field_count(2, &mut rows);
        Type::Int4.encode(id.to_string().as_bytes(), &mut rows)?;
        match id % 11 {
            0 => put_null(&mut rows),
            _ if case.encoder.encode(text.as_bytes(), &mut rows).is_err() => rows.truncate(start),
            _ => {}
        }
    }
    let mut collector = Collector::new(&RowShape::new(fields));
    collector.add_rows(&rows);
    let on_client = collector.profile(None);

    session
        .batch_execute(&format!(
            "set search_path = pg_catalog, public; drop table if exists public.m;
             create table public.m (id int primary key, v {})",
            case.sql
        ))
        .await?;
    let copy = [&COPY_HEADER[..], &rows, &COPY_TRAILER].concat();
    let sink = session
        .copy_in("copy public.m from stdin (format binary)")
        .await?;
    let mut sink = std::pin::pin!(sink);
    sink.send(Bytes::from(copy)).await?;
    sink.as_mut().finish().await.context("copy")?;
    let table = tables(session).await?;
    let table = table.iter().find(|table| table.name == "m").context("m")?;
    let in_server = measure(session, table, None).await?;
    let (ours, theirs) = (rounded(&on_client), rounded(&in_server));
    for (ours, theirs) in ours.columns.iter().zip(&theirs.columns) {
        ensure!(ours == theirs, "{ours:?}\n{theirs:?}");
    }
    ensure!(ours == theirs, "the rows differ");
    Ok(true)
}

#[tokio::test]
async fn of_a_large_table_a_sample_is_read_and_every_row_is_hashed() {
    let database = Database::new().await;
    let server = database.server(LOADER).await;
    let session = server.connect(&database.name, "measure").await.unwrap();
    session
        .batch_execute(
            "create table public.large as select id, 'name ' || id as name, case when id % 4 = 0 then null else id % 7 end as part,
                    jsonb_build_object('a', id) as doc, point(id, 1) as place from generate_series(1, 300000) id;
             alter table public.large add primary key (id);
             analyze public.large",
        )
        .await
        .unwrap();
    let found = tables(&session).await.unwrap();
    let table = found.iter().find(|table| table.name == "large").unwrap();
    let then = measure(&session, table, None).await.unwrap();
    assert_eq!((then.rows, then.server_shift), (300_000, Some(2)));
    let nulls = then.columns[2].nulls;
    assert!((72_000..78_000).contains(&nulls), "{nulls}");
    assert!(
        then.columns[1].looked_at >= 30_000,
        "{}",
        then.columns[1].looked_at
    );
    let again = measure_again(&session, table, &then).await.unwrap();
    assert_eq!(rounded(&again), rounded(&then));
    // Rows that are in no sample: the hash of all rows tells.
    let changed = session
        .execute("update public.large set doc = '{}' where id in (select id from public.large where hashint8extended(id::bigint, 0) & 3 <> 0 limit 1)", &[])
        .await
        .unwrap();
    assert_eq!(changed, 1);
    let again = measure_again(&session, table, &then).await.unwrap();
    assert_eq!(again.digest, then.digest);
    assert_ne!(again.server_digest, then.server_digest);
}

/// Averages are sums of doubles, whose last digits depend on the order of the rows.
fn rounded(profile: &TableProfile) -> TableProfile {
    let mut profile = profile.clone();
    for column in &mut profile.columns {
        column.day = column.day.map(|day| (day * 1e3).round());
        if let Some(number) = &mut column.number {
            number.magnitude = number.magnitude.map(|average| (average * 1e6).round());
        }
    }
    profile
}

#[test]
fn tables_that_sql_has_changed_are_measured_in_the_server() {
    let project = Project::with_schema(
        "measured_where",
        "create table plain (id integer primary key, name text, price numeric(8,2), code char(6));
         create table changed (id integer primary key, price numeric(8,2));
         create table with_default (id integer primary key, at timestamptz not null default now());
         create table with_json (id integer primary key, doc jsonb);",
        "table = 'plain'\nfiles = 'plain.csv'\n",
    );
    project.sql(
        "derive/110_change.sql",
        "update changed set price = price + 1 where id = 7;",
    );
    for (table, absent) in [
        ("changed", ""),
        ("with_default", "absent = ['at']"),
        ("with_json", ""),
    ] {
        project.source(
            table,
            &format!("table = '{table}'\nfiles = '{table}.csv'\n{absent}\n"),
        );
    }
    let lines = |head: &str, line: &dyn Fn(u32) -> String| {
        let lines: Vec<String> = (1..=500).map(line).collect();
        format!("{head}\n{}\n", lines.join("\n"))
    };
    project.input(
        "plain.csv",
        lines("id,name,price,code", &|id| {
            format!("{id},Lamp {id},{id}.5,c{id}")
        }),
    );
    project.input(
        "changed.csv",
        lines("id,price", &|id| format!("{id},{id}.25")),
    );
    project.input("with_default.csv", lines("id", &|id| id.to_string()));
    project.input(
        "with_json.csv",
        lines("id,doc", &|id| {
            format!("{id},\"{{\"\"b\"\": {id}, \"\"a\"\": 1}}\"")
        }),
    );
    project.run().code(0);
    let by_load = project.service(
        "select string_agg(table_name, ' ' order by 1) from overnight.loaded where profile is not null",
    );
    assert_eq!(by_load, "plain");
    let rows = project.ledger("select string_agg(table_name || ' ' || (profile->>'rows'), ', ' order by 1) from ledger.profile");
    assert_eq!(
        rows,
        "changed 500, plain 500, with_default 500, with_json 500"
    );
    // The next night one value differs: of the loaded tables only that one is read.
    project.input(
        "with_json.csv",
        lines("id,doc", &|id| {
            format!("{id},\"{{\"\"a\"\": 1, \"\"b\"\": {id}}}\"")
        }),
    );
    project.input(
        "plain.csv",
        lines("id,name,price,code", &|id| {
            format!("{id},Lamp {},{id}.5,c{id}", if id == 3 { 4 } else { id })
        }),
    );
    project.run().code(0);
    let told = project
        .overnight(&["diff", &project.name, "--json"])
        .code(0);
    let told = told.json();
    let found: Vec<String> = (told["tables"].as_array().unwrap().iter())
        .map(|table| {
            let difference = &table["difference"];
            format!(
                "{} {} {}",
                table["table"], difference["changed"], difference["by_digest"]
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            "\"changed\" 0 true",
            "\"plain\" 1 false",
            "\"with_default\" 500 false",
            "\"with_json\" 0 true"
        ]
    );
    // Asked again, what each path has measured is what the server returns.
    let told = project.overnight(&["verify", &project.name]).code(0).stdout;
    for table in ["plain", "changed", "with_default", "with_json"] {
        assert!(told.contains(&format!("content of {table}")), "{told}");
    }
}
