//! A subset in a database: the same schema, keys that hold, and the same rows every time.

use super::{ORPHANS, books, forget, on_a_laptop, set_rules};
use crate::support::cluster::{LOADER, developer};

const RULES: &str = r#"
[subset]
references = [
    { from = "review(isbn)", to = "book(isbn)", children = "all" },
    { from = "edition(book_id)", to = "book(id)", children = 1 },
]
[subset.tables]
book = { percent = 1 }
item = { limit = 20 }
"#;

/// Everything that a client can see of the rows, as one text.
const CONTENTS: &str = "
select md5(concat_ws('|',
  (select string_agg(x::text, ';' order by x.id) from publisher x),
  (select string_agg(x::text, ';' order by x.id) from author x),
  (select string_agg(x::text, ';' order by x.id) from book x),
  (select string_agg(x::text, ';' order by x.book_id, x.number) from edition x),
  (select string_agg(x::text, ';' order by x::text) from review x),
  (select string_agg(x::text, ';' order by x.id) from item x)))";

#[test]
fn a_service_finds_the_subset_under_the_alias_on_its_own_machine() {
    let mut project = books("subset_alias", RULES);
    project.run().code(0);
    let laptop = on_a_laptop(&mut project);
    let name = "subset_alias";
    let ended = project.overnight(&["subset", name]).code(0);
    let url = ended.stdout.trim().to_owned();
    assert!(
        ended.stderr.contains("rows in 6 tables of `subset_alias_"),
        "{}",
        ended.stderr
    );
    assert_eq!(url, laptop.url(name, LOADER));
    // Without a target, the usual command says how to connect.
    let mut here = project.command(&["url", name]);
    here.env_remove("OVERNIGHT_TARGET");
    let here = crate::support::Project::finish(&mut here).code(0).stdout;
    assert_eq!(here.trim(), url);

    let one = |sql: &str| laptop.one(name, sql);
    assert_eq!(one(ORPHANS), "0 0 0 0 0 0 0");
    assert_eq!(one("select count(*) from item"), "20");
    let books: u64 = one("select count(*) from book").parse().unwrap();
    assert!((60..2000).contains(&books), "{books}");
    assert_eq!(
        one("select count(*) from review r join book b using (isbn)"),
        one("select count(*) * 2 from book")
    );
    // As the reader, whose rights came along, and who finds the stamp.
    let as_reader = |sql: &str| laptop.sql_as(&project.reader, name, sql).unwrap()[0][0].clone();
    assert_eq!(
        as_reader("select count(*) > 0 from book").as_deref(),
        Some("t")
    );
    assert_eq!(
        as_reader("select overnight.require(1, 1)").as_deref(),
        Some("1")
    );
    assert_eq!(
        as_reader("select build from overnight.build"),
        Some(project.live())
    );
    assert!(
        laptop
            .sql_as(&project.reader, name, "delete from review")
            .is_err()
    );
    // Keys and indexes are those of the build, and valid; identities go on where they stood.
    let declared = "select string_agg(d, E'\\n' order by d) from (
        select conrelid::regclass || ' ' || pg_get_constraintdef(oid) || convalidated as d from pg_constraint
         where connamespace = 'public'::regnamespace
        union all select indexdef from pg_indexes where schemaname = 'public') x";
    assert_eq!(one(declared), project.service(declared));
    assert_eq!(one("select last_value from book_id_seq"), "10000");
    assert_eq!(
        one(
            "select count(*) from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r' and reltuples < 0"
        ),
        "0"
    );
    let told = "select table_name::text, rows_copied::text from overnight.subset_table";
    let told = laptop.sql(name, told).unwrap();
    assert_eq!(told.len(), 6);
    for row in told {
        let (table, rows) = (row[0].clone().unwrap(), row[1].clone().unwrap());
        assert_eq!(one(&format!("select count(*) from {table}")), rows);
    }

    // The same build, rules and seed: the same rows; and services find them without a gap.
    let contents = one(CONTENTS);
    let first = one("select nonce from overnight.subset");
    project.overnight(&["subset", name]).code(0);
    assert_eq!(one(CONTENTS), contents);
    assert_ne!(one("select nonce from overnight.subset"), first);
    // Another seed: others.
    set_rules(
        &project,
        &RULES.replace("[subset]\n", "[subset]\nseed = \"b\"\n"),
    );
    project.overnight(&["subset", name]).code(0);
    assert_ne!(one(CONTENTS), contents);
    assert_eq!(one(ORPHANS), "0 0 0 0 0 0 0");
    let ours = laptop.sql(
        "postgres",
        "select datname::text from pg_database where datname like 'subset_alias%' order by 1",
    );
    let ours: Vec<_> = ours
        .unwrap()
        .into_iter()
        .map(|row| row[0].clone().unwrap())
        .collect();
    assert_eq!(ours, ["subset_alias", "subset_alias_template"]);
    forget(laptop, name);
}

#[test]
fn a_subset_of_a_kept_build_goes_to_a_server_elsewhere_under_the_name_asked_for() {
    let project = books("subset_kept", RULES);
    project.run().code(0);
    let first = project.live();
    project.items(600, "other");
    project.run().code(0);
    assert_ne!(project.live(), first);
    let laptop = developer();
    let to = laptop.url("subset_kept_copy", LOADER);
    let take = |more: &[&str]| {
        let arguments = [&["subset", "subset_kept", "--to", &to, "--json"], more].concat();
        project.overnight(&arguments).code(0).json()
    };
    let made = take(&["--build", &first]);
    assert_eq!(made["build"], first.as_str());
    assert_eq!(
        laptop.one(
            "subset_kept_copy",
            "select count(*) from item where name like 'other%'"
        ),
        "0"
    );
    let made = take(&[]);
    assert_eq!(made["build"], project.live().as_str());
    assert_eq!(
        laptop.one(
            "subset_kept_copy",
            "select count(*) from item where name like 'other%'"
        ),
        "20"
    );
    assert_eq!(laptop.one("subset_kept_copy", ORPHANS), "0 0 0 0 0 0 0");
    forget(laptop, "subset_kept_copy");
}

#[test]
fn derived_tables_are_filled_again_from_the_rows_of_the_subset() {
    let rules = |derived: &str| {
        format!("[subset]\nderived = \"{derived}\"\n[subset.tables]\nitem = {{ limit = 30 }}\n")
    };
    let tables = "create table item (id integer primary key, name text not null, price numeric(8,2), seen date);
        create table spelling (word text primary key);
        insert into spelling values ('here from the start');
        create table total (seen date primary key, items bigint not null);
        create materialized view dearest as select max(price) as price from item;";
    let mut project = crate::support::Project::with_schema(
        "subset_derive",
        tables,
        "table = \"item\"\nfiles = \"items*\"\n",
    );
    project.sql(
        "derive/110_total.sql",
        "insert into total select seen, count(*) from item group by 1;\nrefresh materialized view dearest;\n",
    );
    project.items(300, "item");
    set_rules(&project, &rules("derive"));
    project.run().code(0);
    let laptop = on_a_laptop(&mut project);
    let one = |sql: &str| laptop.one("subset_derive", sql);
    project.overnight(&["subset", "subset_derive"]).code(0);
    assert_eq!(
        one("select sum(items) || ' ' || (select count(*) from item) from total"),
        "30 30"
    );
    assert_eq!(one("select word from spelling"), "here from the start");
    assert_eq!(
        one("select (select max(price) from item) = price from dearest"),
        "t"
    );
    // Copied, they hold what the build holds of the rows that were chosen.
    set_rules(&project, &rules("copy"));
    project.overnight(&["subset", "subset_derive"]).code(0);
    assert_eq!(one("select count(*) from total"), "0");
    assert_eq!(one("select count(*) from item"), "30");
    forget(laptop, "subset_derive");
}

#[test]
fn rows_come_of_one_picture_of_the_build_while_it_is_written_to() {
    let mut project = books("subset_picture", RULES);
    project.run().code(0);
    let laptop = on_a_laptop(&mut project);
    // The owner may write to the live build; nobody should, and a subset must not be torn by it.
    let cluster = project.cluster();
    let writer = std::thread::spawn({
        let name = project.name.clone();
        move || {
            for round in 0..40 {
                let sql = format!(
                    "begin; insert into book (isbn, title, author_id) select 'new-{round}-' || i, 'n', 1 from generate_series(1, 50) i;
                     update book set title = title || '!' where id % 97 = {round};
                     delete from review where ctid in (select ctid from review limit 100); commit"
                );
                cluster.sql_as(LOADER, &name, &sql).unwrap();
            }
        }
    });
    for _ in 0..3 {
        project.overnight(&["subset", "subset_picture"]).code(0);
        assert_eq!(laptop.one("subset_picture", ORPHANS), "0 0 0 0 0 0 0");
    }
    writer.join().unwrap();
    forget(laptop, "subset_picture");
}
