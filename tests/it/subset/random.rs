//! 200 random schemas: cycles, keys of two columns, to themselves, missing values, several ways to one
//! table, parts, tables without any key. Whatever the rules say, nothing leads nowhere, and the same
//! seed takes the same rows.
//!
//! The schemas of one run share databases, twenty in each: making a database takes longer than filling it.

use crate::support::cluster::{LOADER, cluster, developer};
use overnight::capacity::Capacity;
use overnight::dataset::subset::SubsetFile;
use overnight::postgres::{Server, Target};
use overnight::schema::files::SqlFiles;
use overnight::schema::numbered::NumberedFile;
use overnight::schema::worker::Limits;
use overnight::subset::catalog::Catalog;
use overnight::subset::closure::{self, Chosen};
use overnight::subset::head::Head;
use overnight::subset::recipient::Recipient;
use overnight::subset::rules::Rules;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

const DATABASES: u64 = 10;
const SCHEMAS: u64 = 20;

/// A reference of a random schema.
struct Reference {
    child: String,
    parent: String,
    columns: Vec<String>,
    keys: Vec<String>,
    declared: bool,
}

impl Reference {
    fn orphans(&self) -> String {
        let present: Vec<String> = self
            .columns
            .iter()
            .map(|c| format!("c.{c} is not null"))
            .collect();
        let same: Vec<String> = self
            .columns
            .iter()
            .zip(&self.keys)
            .map(|(c, p)| format!("c.{c} = p.{p}"))
            .collect();
        format!(
            "select count(*) from {} c where {} and not exists (select from {} p where {})",
            self.child,
            present.join(" and "),
            self.parent,
            same.join(" and ")
        )
    }
}

/// One random schema as SQL and rules.
struct Random {
    tables: String,
    rows: String,
    keys: String,
    references: Vec<Reference>,
    names: Vec<String>,
    listed: String,
    rules: String,
}

/// Makes a schema of its own for a seed.
fn random(seed: u64) -> Random {
    let mut rng = SmallRng::seed_from_u64(seed);
    let schema = format!("s{seed}");
    let mut made = Random {
        tables: format!("create schema {schema};\n"),
        rows: String::new(),
        keys: String::new(),
        references: Vec::new(),
        names: Vec::new(),
        listed: String::new(),
        rules: String::new(),
    };
    let count = rng.random_range(2..7_usize);
    let sizes: Vec<u32> = (0..count).map(|_| rng.random_range(1..80)).collect();
    for table in 0..count {
        let name = format!("{schema}.t{table}");
        // Parents have an identity, and a key of two columns that is not the primary one.
        let kind = rng.random_range(0..10);
        let (key, parts) = match kind {
            0 => ("", ""),
            1 | 2 => ("primary key (id, a)", " partition by hash (id)"),
            3 | 4 => ("primary key (a, b), unique (id)", ""),
            _ => ("primary key (id), unique (b, a)", ""),
        };
        let mut columns =
            "id integer not null, a integer not null, b text not null, note text".to_owned();
        let mut values = "i, i % 9, 'b' || i, nullif('note ' || i, 'note 3')".to_owned();
        let mut referring: Vec<Reference> = Vec::new();
        for number in 0..rng.random_range(0..4) {
            let parent = rng.random_range(0..count);
            let of = sizes[parent];
            let factor = [1, 7, 13][rng.random_range(0..3)];
            let shift = rng.random_range(0..50);
            // A row of the parent, or none.
            let hit = format!("1 + (i * {factor} + {shift}) % {of}");
            let missing = rng.random_range(2..6);
            let declared = rng.random_bool(0.7);
            let (c1, c2) = (format!("f{number}"), format!("g{number}"));
            let pair = rng.random_bool(0.4);
            match pair {
                false => {
                    write!(columns, ", {c1} integer").unwrap();
                    write!(values, ", case when i % {missing} > 0 then {hit} end").unwrap();
                }
                true => {
                    // One half alone missing refers to nothing.
                    write!(columns, ", {c1} text, {c2} integer").unwrap();
                    write!(
                        values,
                        ", case when i % {missing} > 0 then 'b' || ({hit}) end, case when i % 11 > 0 then ({hit}) % 9 end"
                    )
                    .unwrap();
                }
            }
            referring.push(Reference {
                child: name.clone(),
                parent: format!("{schema}.t{parent}"),
                columns: if pair { vec![c1, c2] } else { vec![c1] },
                keys: if pair {
                    vec!["b".into(), "a".into()]
                } else {
                    vec!["id".into()]
                },
                declared,
            });
        }
        let comma = if key.is_empty() { "" } else { ", " };
        writeln!(
            made.tables,
            "create table {name} ({columns}{comma}{key}){parts};"
        )
        .unwrap();
        if !parts.is_empty() {
            for part in 0..3 {
                writeln!(
                    made.tables,
                    "create table {name}_{part} partition of {name} for values with (modulus 3, remainder {part});"
                )
                .unwrap();
            }
        }
        writeln!(
            made.rows,
            "insert into {name} select {values} from generate_series(1, {}) i;",
            sizes[table]
        )
        .unwrap();
        made.references.extend(referring);
        made.names.push(name);
    }
    // A key can only be declared where the parent's columns are unique.
    let tables = made.tables.clone();
    let definition = |name: &str| {
        let start = format!("create table {name} (");
        tables
            .lines()
            .find(|line| line.starts_with(&start))
            .unwrap()
            .to_owned()
    };
    for (number, reference) in made.references.iter_mut().enumerate() {
        let of = definition(&reference.parent);
        let unique = match reference.keys.len() {
            1 => of.contains("primary key (id),") || of.contains("unique (id)"),
            _ => of.contains("unique (b, a)") || of.contains("primary key (a, b)"),
        };
        reference.declared &= unique;
        if reference.declared {
            let later = ["", " deferrable initially deferred"][rng.random_range(0..2)];
            writeln!(
                made.keys,
                "alter table {} add constraint r{number} foreign key ({}) references {} ({}){later};",
                reference.child,
                reference.columns.join(", "),
                reference.parent,
                reference.keys.join(", ")
            )
            .unwrap();
        }
        let children = ["\"none\"", "\"none\"", "1", "3", "\"all\""][rng.random_range(0..5)];
        if !reference.declared || children != "\"none\"" {
            writeln!(
                made.listed,
                "  {{ from = \"{}({})\", to = \"{}({})\", children = {children} }},",
                reference.child,
                reference.columns.join(", "),
                reference.parent,
                reference.keys.join(", ")
            )
            .unwrap();
        }
    }
    for name in &made.names {
        let rule = match rng.random_range(0..8) {
            0 => "all = true".to_owned(),
            1 => "none = true".to_owned(),
            2 => format!("percent = {}", rng.random_range(1..60)),
            3 => format!("limit = {}", rng.random_range(1..9)),
            4 => format!("where = \"id % {} = 1\"", rng.random_range(2..9)),
            _ => continue,
        };
        writeln!(made.rules, "\"{name}\" = {{ {rule} }}").unwrap();
    }
    made
}

fn server(url: &str) -> Server {
    let target = Target::resolve(Some(url), &|_| None).unwrap();
    Server::new(target, "overnight".into())
}

async fn choose(server: &Server, database: &str, file: &SubsetFile) -> Chosen {
    let opened = closure::open(server, database).await.unwrap();
    let mut catalog = Catalog::read(&opened.0).await.unwrap();
    let rules = Rules::resolve(file, &mut catalog, &BTreeSet::new()).unwrap();
    closure::choose(server, database, opened, catalog, rules)
        .await
        .unwrap()
}

async fn copied(chosen: &Chosen, at: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let limit = Duration::from_secs(60);
    chosen
        .send(at, None, limit, async |block| {
            bytes.extend_from_slice(&block);
            Ok(())
        })
        .await
        .unwrap();
    bytes
}

/// One database with twenty schemas, and its subset on another server.
async fn round(number: u64) {
    let (here, there) = (cluster(), developer());
    let name = format!("random_{number}");
    let seeds = (number * SCHEMAS)..((number + 1) * SCHEMAS);
    println!("random schemas of seeds {seeds:?}");
    let schemas: Vec<Random> = seeds.map(random).collect();
    let all = |part: fn(&Random) -> &String| -> String {
        schemas.iter().map(|one| part(one).as_str()).collect()
    };
    let text = format!("{}{}", all(|one| &one.tables), all(|one| &one.keys));
    let file = NumberedFile::new(Path::new("010_tables.sql"), text).unwrap();
    let files = SqlFiles {
        schema: vec![file],
        derive: Vec::new(),
        checks: Vec::new(),
        golden: Vec::new(),
    };
    let admin = here.client(LOADER, "postgres").await.unwrap();
    admin
        .batch_execute(&format!("create database {name} template template0"))
        .await
        .unwrap();
    let source = here.client(LOADER, &name).await.unwrap();
    let stamp = format!(
        "{} insert into overnight.build (dataset, build, nonce, schema_version, tool_version, input_digest, created_at)
         values ('{name}', '{name}_1', 'n', 1, 't', 'd', '2026-01-01');
         insert into overnight.sql_file values ('schema/010_tables.sql', '{}');",
        include_str!("../../../src/build/stamp.sql"),
        files.schema[0].digest
    );
    // The keys come behind the rows, because some rows need each other.
    for sql in [
        &stamp,
        &all(|one| &one.tables),
        &all(|one| &one.rows),
        &all(|one| &one.keys),
        "analyze",
    ] {
        source.batch_execute(sql).await.unwrap();
    }
    let rules = format!(
        "seed = \"{number}\"\nreferences = [\n{}]\n[tables]\n{}",
        all(|one| &one.listed),
        all(|one| &one.rules)
    );
    let file: SubsetFile = toml::from_str(&rules).unwrap();
    let from = server(&here.url("postgres", LOADER));
    let chosen = choose(&from, &name, &file).await;
    let head = Head::of(&chosen, &files, &[]).await.unwrap();

    // The same seed takes the same rows, as the same bytes.
    let again = choose(&from, &name, &file).await;
    for at in chosen.copied_tables() {
        let table = &chosen.plan.tables[at].table;
        assert_eq!(
            chosen.plan.tables[at].rows, again.plan.tables[at].rows,
            "{table}"
        );
        assert!(
            copied(&chosen, at).await == copied(&again, at).await,
            "{table}"
        );
    }
    drop(again);

    let to = server(&there.url("postgres", LOADER));
    let maintenance = to.connect("postgres", "test").await.unwrap();
    let capacity = Capacity {
        cores: 2,
        memory_bytes: 1 << 30,
        origin: String::new(),
        sessions_left: usize::MAX,
    };
    let recipient = Recipient {
        server: &to,
        maintenance: &maintenance,
        head: &head,
        name: name.clone(),
        nonce: "00".into(),
        limits: Limits::new(&capacity, None, &capacity.slots(None)),
        readers: Vec::new(),
        stall_limit: Duration::from_secs(60),
    };
    let ready = recipient.prepare().await.unwrap();
    for (number, at) in chosen.copied_tables().into_iter().enumerate() {
        let mut receiver = recipient.receive(&head.tables[number]).await.unwrap();
        receiver
            .write(copied(&chosen, at).await.into())
            .await
            .unwrap();
        receiver.finish().await.unwrap();
    }
    recipient.finish(ready).await.unwrap();

    let target = there.client(LOADER, &name).await.unwrap();
    let count = async |client: &tokio_postgres::Client, sql: &str| -> i64 {
        client.query_one(sql, &[]).await.unwrap().get(0)
    };
    let (mut rows, mut fewer, mut declared) = (0, 0, 0);
    for (schema, seed) in schemas.iter().zip(number * SCHEMAS..) {
        for reference in &schema.references {
            let sql = reference.orphans();
            let (before, after) = (count(&source, &sql).await, count(&target, &sql).await);
            assert_eq!(before, 0, "the schema of seed {seed} is wrong: {sql}");
            assert_eq!(after, 0, "seed {seed}: {sql}");
            declared += u32::from(reference.declared);
        }
        for table in &schema.names {
            let (all, some) = (
                count(&source, &format!("select count(*) from {table}")).await,
                count(&target, &format!("select count(*) from {table}")).await,
            );
            assert!(some <= all, "seed {seed}: {table}");
            rows += some;
            fewer += u32::from(some > 0 && some < all);
        }
    }
    let invalid = "select count(*) from pg_constraint where not convalidated";
    assert_eq!(count(&target, invalid).await, 0);
    let keys = "select count(*) from pg_constraint where contype = 'f' and conparentid = 0";
    assert_eq!(count(&target, keys).await, i64::from(declared));
    // Neither nothing nor everything was taken.
    assert!(
        rows > 100 && fewer > 15 && declared > 15,
        "{rows} rows, {fewer} tables, {declared} keys"
    );
    drop((source, target, chosen));
    maintenance
        .batch_execute(&format!("drop database {name} with (force)"))
        .await
        .unwrap();
    admin
        .batch_execute(&format!("drop database {name} with (force)"))
        .await
        .unwrap();
}

#[test]
fn nothing_leads_nowhere_in_subsets_of_200_random_schemas() {
    developer();
    cluster().block_on(async {
        for number in (0..DATABASES).step_by(2) {
            tokio::join!(round(number), round(number + 1));
        }
    });
}
