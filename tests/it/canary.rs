//! No value from the data and no secret in anything that is printed or kept.
//!
//! Each night plants a value where an error, a notice or a log line could pick it up, runs as loud
//! as it can, and then looks for it everywhere.

use crate::s3::{Fault, S3Server};
use crate::support::project::ended;
use crate::support::{Ended, Project};

/// What is planted: a name, and a number that is nothing else.
const NAME: &str = "zanzib";
const NUMBER: &str = "7654321";

/// Everything in the control database, as text.
fn ledger_text(project: &Project) -> String {
    let tables = project
        .cluster()
        .sql(
            &project.control,
            "select format('%I.%I', table_schema, table_name) from information_schema.tables
             where table_schema !~ '^pg_' and table_schema <> 'information_schema'",
        )
        .unwrap();
    assert!(tables.len() >= 5, "{tables:?}");
    tables
        .iter()
        .map(|table| {
            let table = table[0].as_deref().unwrap();
            project.ledger(&format!(
                "select coalesce(string_agg(t::text, E'\\n'), '') from {table} t"
            ))
        })
        .collect()
}

/// Looks for texts in what was printed, in the ledger and in the rejects file, whatever their case.
#[track_caller]
fn assert_hidden(project: &Project, ended: &Ended, hidden: &[&str]) {
    let rejects = std::fs::read_to_string(project.path("rejects.csv")).unwrap_or_default();
    let places = [
        ("stdout", ended.stdout.clone()),
        ("stderr", ended.stderr.clone()),
        ("the ledger", ledger_text(project)),
        ("the rejects", rejects),
    ];
    for (place, text) in places {
        let lower = text.to_lowercase();
        for hidden in hidden {
            let at = lower.find(&hidden.to_lowercase());
            assert!(
                at.is_none(),
                "`{hidden}` in {place}: …{}…",
                at.map_or("", |at| text.get(at.saturating_sub(200)..).unwrap_or(&text))
                    .chars()
                    .take(500)
                    .collect::<String>()
            );
        }
    }
}

/// A run as loud as it can be.
fn loud(project: &Project) -> Ended {
    project.overnight(&[
        "-vv",
        "run",
        &project.name,
        "--rejects",
        "rejects.csv",
        "--json",
    ])
}

const TABLES: &str = "create table brand (brand text primary key);
create table item (
    id integer primary key,
    brand text not null references brand,
    price numeric(8,2),
    code char(6),
    doc jsonb
);
";

const BRANDS: &str = "brand\nZanzibar & Sons\n";
const ITEMS: &str =
    "id,brand,price,code,doc\n7654321,Zanzibar & Sons,12.50,zanzib,\"{\"\"name\"\": 7654321}\"\n";

fn project(name: &str) -> Project {
    let project = Project::with_schema(name, TABLES, "table = \"item\"\nfiles = \"items*\"\n");
    project.source("brand", "table = \"brand\"\nfiles = \"brands*\"\n");
    project.input("brands.csv", BRANDS);
    project.input("items.csv", ITEMS);
    project
}

#[test]
fn a_night_that_goes_well_keeps_its_data_to_itself() {
    let project = project("canary_good");
    project.sql(
        "derive/110_notes.sql",
        "do $$ declare r record; begin for r in select * from item loop raise notice 'row %', r; raise warning 'brand %', r.brand; end loop; end $$;\n",
    );
    let told = loud(&project).code(0);
    assert!(told.stderr.len() > 1000, "{}", told.stderr);
    assert_hidden(&project, &told, &[NAME, NUMBER]);
    for arguments in [
        vec!["-vv", "status"],
        vec!["-vv", "verify", &project.name],
        vec!["-vv", "builds", &project.name],
        vec!["-vv", "plan", &project.name],
    ] {
        let told = project.overnight(&arguments).code(0);
        assert_hidden(&project, &told, &[NAME, NUMBER]);
    }
}

#[test]
fn records_that_are_refused_are_told_without_what_they_hold() {
    let project = project("canary_rejects");
    let records = [
        "7654321",
        "7654321,Zanzibar & Sons,1,zanzib,{},Zanzibar",
        "Zanzibar,Zanzibar & Sons,1,zanzib,{}",
        "7654321765432176543217654321,Zanzibar & Sons,1,zanzib,{}",
        "7654321,Zanzibar & Sons,1.7654321,zanzib,{}",
        "7654321,Zanzibar & Sons,7654321.00,zanzib,{}",
        "7654321,Zanzibar & Sons,Zanzibar,zanzib,{}",
        "7654321,Zanzibar & Sons,1,zanzibar the long,{}",
        "7654321,Zanzibar & Sons,1,zanzib,{Zanzibar}",
        "7654321,\"Zanzibar\" & Sons,1,zanzib,{}",
        "7654321,,1,zanzib,{}",
    ];
    for record in records {
        project.input("items.csv", format!("id,brand,price,code,doc\n{record}\n"));
        let told = loud(&project).code(1);
        assert_hidden(&project, &told, &[NAME, NUMBER]);
    }
    // Collected under a budget they are in the build and in the file, and still hold nothing.
    project.source(
        "item",
        "table = \"item\"\nfiles = \"items*\"\n[expect]\nrejects = { max = \"99%\" }\n",
    );
    project.input("items.csv", format!("{ITEMS}{}\n", records.join("\n")));
    let told = loud(&project).code(0);
    assert_hidden(&project, &told, &[NAME, NUMBER]);
    let rejects = std::fs::read_to_string(project.path("rejects.csv")).unwrap();
    assert_eq!(rejects.lines().count(), records.len() + 1);
    assert_eq!(
        project.service("select count(*) || ' ' || count(*) filter (where r::text ~* 'zanzib|7654321') from overnight.reject r"),
        format!("{} 0", records.len())
    );
}

#[test]
fn a_file_that_lost_its_header_is_not_shown_as_names() {
    let project = project("canary_header");
    project.input("items.csv", "7654321,Zanzibar & Sons,1,zanzib,{}\n");
    let told = loud(&project).code(1).says(&[
        "`canary_header/items.csv` does not fit table `item`",
        "its first record holds none of the names",
        "header = false",
    ]);
    assert_hidden(&project, &told, &[NAME, NUMBER]);
}

#[test]
fn what_the_server_refuses_is_told_without_its_details() {
    let project = project("canary_server");
    project.sql(
        "schema/020_dear.sql",
        "alter table item add constraint dear check (price < 765000);\n",
    );
    for (records, code) in [
        // The failing row is in the DETAIL of the server.
        ("7654321,Zanzibar & Sons,765432.10,zanzib,{}\n", "23514"),
        (
            "7654321,Zanzibar & Sons,1,zanzib,{}\n7654321,Zanzibar & Sons,2,zanzib,{}\n",
            "23505",
        ),
        ("7654321,Zanzibar and Daughters,1,zanzib,{}\n", "23503"),
    ] {
        project.input("items.csv", format!("id,brand,price,code,doc\n{records}"));
        let told = loud(&project).code(1).says(&[code]);
        assert_hidden(&project, &told, &[NAME, NUMBER, "765432"]);
    }
}

#[test]
fn sql_files_that_fail_on_the_data_do_not_repeat_it() {
    let project = project("canary_sql");
    for sql in [
        "create table total as select brand::integer from item;\n",
        "create table total as select (code || '-01-01')::date from item;\n",
        "create table total as select id::smallint from item;\n",
        "create table total as select (doc->>'name')::integer / (id - n) from item, (select max(id) n from item) m;\n",
        "create table total (n integer, unique (n)); insert into total select id from item union all select id from item;\n",
        "do $$ declare r record; begin for r in select * from item loop raise exception 'row %', r using detail = r.brand, hint = r.brand; end loop; end $$;\n",
        "do $$ declare r record; begin for r in select * from item loop execute 'select ' || quote_literal(r.brand) || ' from ' || r.code; end loop; end $$;\n",
        "do $$ declare r record; begin for r in select * from item loop execute 'selec ' || r.code; end loop; end $$;\n",
        "do $$ declare r record; begin for r in select * from item loop perform set_config(r.code, 'x', true); end loop; end $$;\n",
        "do $$ declare r record; begin for r in select * from item loop execute format('create table %I ()', r.brand); execute format('create table %I ()', r.brand); end loop; end $$;\n",
        "create table total as select regexp_replace(brand, '(' || code, '') from item;\n",
        "create table total as select convert_to(brand, code) from item;\n",
        "create table total as select brand::text::json from item;\n",
        "create table total as select to_timestamp(code, 'YYYY') from item;\n",
        "create table total as select nextval(code::regclass) from item;\n",
        "create table total as select code::regtype from item;\n",
    ] {
        project.sql("derive/110_total.sql", sql);
        let told = loud(&project);
        assert!(
            (1..=3).contains(&told.code),
            "{sql} {}: {}",
            told.code,
            told.stderr
        );
        assert!(
            told.stderr.contains("110_total.sql"),
            "{sql}: {}",
            told.stderr
        );
        assert_hidden(&project, &told, &[NAME, NUMBER]);
    }
    project.sql("derive/110_total.sql", "select 1;\n");
    project.sql("checks/010_cast.sql", "select brand::integer from item;\n");
    let told = loud(&project).code(1).says(&["010_cast.sql"]);
    assert_hidden(&project, &told, &[NAME, NUMBER]);
    project.sql("checks/010_cast.sql", "select * from item;\n");
    let told = loud(&project).code(1).says(&["1 offending row"]);
    assert_hidden(&project, &told, &[NAME, NUMBER]);
}

#[test]
fn secrets_appear_nowhere() {
    let mut project = project("canary_secrets");
    let target = project
        .cluster()
        .url("postgres", crate::support::cluster::LOADER);
    let with_password = target.replacen("overnight@", "overnight:canary-password@", 1);
    assert!(with_password.contains("canary-password"), "{target}");
    project
        .env
        .push(("OVERNIGHT_TARGET".into(), with_password.clone()));
    let hidden = ["canary-password"];
    let told = project
        .overnight(&["-vv", "run", &project.name, "--json"])
        .code(0);
    assert_hidden(&project, &told, &hidden);
    for arguments in [
        vec!["-vv", "status", "--json"],
        vec!["-vv", "url", &project.name],
        vec!["-vv", "--help"],
        vec!["run", "--help"],
        vec!["-vv", "plan", "nothing"],
    ] {
        let told = project.overnight(&arguments);
        assert_hidden(&project, &told, &hidden);
    }
    // Neither when the server cannot be reached or does not know the role or the database.
    for (wrong, code) in [
        (with_password.replace("overnight:", "canary_nobody:"), 3),
        (
            "postgres://overnight:canary-password@127.0.0.1:9/postgres".to_owned(),
            3,
        ),
        (
            "postgres://overnight:canary-password@127.0.0.1:x/postgres".to_owned(),
            2,
        ),
        (
            "host=127.0.0.1 port=9 password='canary-password".to_owned(),
            2,
        ),
        ("host=127.0.0.1 pasword=canary-password".to_owned(), 2),
    ] {
        let told = ended(
            project
                .command(&["-vv", "run", &project.name])
                .env("OVERNIGHT_TARGET", &wrong)
                .output()
                .unwrap(),
        )
        .code(code);
        assert_hidden(&project, &told, &hidden);
    }
    // The key of S3: used, refused, and cut off.
    let files = tempfile::TempDir::new().unwrap();
    let server = S3Server::start(files.path());
    let items = "id,brand,price,code,doc\n1,Zanzibar & Sons,1,x,{}\n";
    server.put("canary_secrets/items.csv", items);
    server.put("canary_secrets/brands.csv", BRANDS);
    server.fault("canary_secrets/items.csv", 2, Fault::Cut(10));
    for (variable, value) in [
        ("OVERNIGHT_FROM", "s3://overnight"),
        ("OVERNIGHT_S3_ENDPOINT", &server.endpoint),
        ("AWS_ACCESS_KEY_ID", &server.access_key),
        ("AWS_SECRET_ACCESS_KEY", &server.secret_key),
        ("AWS_SESSION_TOKEN", "canary-token"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ] {
        project.env.push((variable.into(), value.to_owned()));
    }
    let hidden = ["canary-password", &server.secret_key, "canary-token"];
    let told = project
        .overnight(&["-vv", "run", &project.name, "--force"])
        .code(0);
    assert_hidden(&project, &told, &hidden);
    project
        .env
        .push(("AWS_SECRET_ACCESS_KEY".into(), "canary-wrong".into()));
    let told = project
        .overnight(&["-vv", "run", &project.name, "--force"])
        .code(3);
    assert_hidden(
        &project,
        &told,
        &[hidden[0], "canary-wrong", "canary-token"],
    );
}

#[test]
fn a_password_in_a_flag_is_refused() {
    let project = project("canary_flag");
    for target in [
        "postgres://overnight:canary-password@127.0.0.1/postgres",
        "host=127.0.0.1 password=canary-password",
        "host=127.0.0.1 password = canary-password",
        "postgres://127.0.0.1/postgres?password=canary-password",
        "postgres://overnight:canary-password@/postgres?host=/tmp",
    ] {
        for arguments in [
            ["--target", target, "run", &project.name],
            ["run", "--target", target, &project.name],
        ] {
            let told = project.overnight(&arguments).code(2).says(&[
                "--target holds a password, which every user of this machine could read",
                "hint: leave it out and use PGPASSWORD",
            ]);
            assert!(!told.stderr.contains("canary-password"), "{}", told.stderr);
        }
    }
    assert!(project.databases().is_empty());
}
