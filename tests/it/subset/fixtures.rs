//! The datasets of this repository, and a shop for films as many examples have it.

use super::{forget, on_a_laptop, set_rules};
use crate::support::Project;
use crate::support::cluster::Cluster;
use crate::support::project::repository;
use std::fs;
use std::path::Path;

/// Copies the files of a folder.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// A dataset of this repository under a name of its own.
fn example(dataset: &str, name: &str) -> Project {
    let mut project = Project::with_schema(name, "", "");
    fs::remove_dir_all(project.path(&format!("sql/{name}"))).unwrap();
    fs::remove_file(project.path(&format!("sources/{name}/item.toml"))).unwrap();
    for kind in ["sources", "sql"] {
        copy(
            &repository().join(kind).join(dataset),
            &project.path(&format!("{kind}/{name}")),
        );
    }
    let file = format!("sources/{name}/dataset.toml");
    let text = fs::read_to_string(project.path(&file)).unwrap();
    let text = text.replace(&format!("{dataset}_reader"), &project.reader);
    // Golden queries run as the reader.
    let probe = format!("keep = 3\nprobe = {{ user = \"{}\" }}", project.reader);
    project.write(&file, &text.replace("keep = 3", &probe));
    let from = repository().join("fixtures/night_1").display().to_string();
    project.env.push(("OVERNIGHT_FROM".into(), from));
    project
}

/// For each declared foreign key of a database: its name, and rows that lead nowhere.
pub fn declared_orphans(server: &Cluster, database: &str) -> Vec<(String, String)> {
    let keys = server
        .sql(
            database,
            "select con.conname || ' of ' || con.conrelid::regclass,
                    format('select count(*) from %s c where %s and not exists (select from %s p where %s)',
                        con.conrelid::regclass,
                        (select string_agg(format('c.%I is not null', a.attname), ' and ')
                           from unnest(con.conkey) k join pg_attribute a on a.attrelid = con.conrelid and a.attnum = k),
                        con.confrelid::regclass,
                        (select string_agg(format('p.%I = c.%I', pa.attname, ca.attname), ' and ')
                           from unnest(con.conkey, con.confkey) k (c, p)
                           join pg_attribute ca on ca.attrelid = con.conrelid and ca.attnum = k.c
                           join pg_attribute pa on pa.attrelid = con.confrelid and pa.attnum = k.p)),
                    con.convalidated::text
             from pg_constraint con where contype = 'f' and conparentid = 0 order by 1",
        )
        .unwrap();
    keys.into_iter()
        .map(|row| {
            assert_eq!(
                row[2].as_deref(),
                Some("true"),
                "{:?} is not validated",
                row[0]
            );
            let count = server.one(database, row[1].as_ref().unwrap());
            (row[0].clone().unwrap(), count)
        })
        .collect()
}

fn none_of(orphans: &[(String, String)]) {
    for (key, rows) in orphans {
        assert_eq!(rows, "0", "{key}");
    }
}

/// The anti-join over `table(columns)` on both sides.
fn undeclared(from: &str, to: &str) -> String {
    let side = |text: &str| -> (String, Vec<String>) {
        let (table, columns) = text.strip_suffix(')').unwrap().split_once('(').unwrap();
        (
            table.to_owned(),
            columns
                .split(',')
                .map(|name| name.trim().to_owned())
                .collect(),
        )
    };
    let ((child, columns), (parent, keys)) = (side(from), side(to));
    let present: Vec<String> = columns
        .iter()
        .map(|c| format!("c.{c} is not null"))
        .collect();
    let same: Vec<String> = columns
        .iter()
        .zip(&keys)
        .map(|(c, p)| format!("c.{c} = p.{p}"))
        .collect();
    format!(
        "select count(*) from {child} c where {} and not exists (select from {parent} p where {})",
        present.join(" and "),
        same.join(" and ")
    )
}

#[test]
fn the_plan_search_works_on_its_subset() {
    let name = "subset_planinfo";
    let mut project = example("planinfo", name);
    project.run().code(0);
    let laptop = on_a_laptop(&mut project);
    // A share of a hundredth of so few rows may be nothing: a tenth.
    let file = format!("sources/{name}/dataset.toml");
    let text = fs::read_to_string(project.path(&file)).unwrap();
    project.write(&file, &text.replace("percent = 1", "percent = 10"));
    project.overnight(&["subset", name]).code(0);
    let orphans = declared_orphans(laptop, name);
    assert_eq!(orphans.len(), 3, "{orphans:?}");
    none_of(&orphans);
    let one = |sql: &str| laptop.one(name, sql);
    assert_eq!(one("select count(*) from county"), "40");
    let plans: u64 = one("select count(*) from landscape").parse().unwrap();
    assert!((3..60).contains(&plans), "{plans}");
    assert_eq!(one("select count(*) from plan_search"), plans.to_string());
    let search = fs::read_dir(repository().join("sql/planinfo/golden")).unwrap();
    let mut asked = 0;
    for file in search {
        let sql = fs::read_to_string(file.unwrap().path()).unwrap();
        laptop.sql_as(&project.reader, name, &sql).unwrap();
        asked += 1;
    }
    assert!(asked > 0);
    forget(laptop, name);
}

#[test]
fn what_no_key_declares_holds_in_the_subset_of_the_drugs() {
    let name = "subset_druginfo";
    let mut project = example("druginfo", name);
    project.run().code(0);
    let laptop = on_a_laptop(&mut project);
    let file = format!("sources/{name}/dataset.toml");
    let text = fs::read_to_string(project.path(&file)).unwrap();
    project.write(&file, &text.replace("limit = 20", "limit = 5"));
    project.overnight(&["subset", name]).code(0);
    none_of(&declared_orphans(laptop, name));
    let parsed: toml::Value = toml::from_str(&text).unwrap();
    let references = parsed["subset"]["references"].as_array().unwrap();
    assert_eq!(references.len(), 11);
    let mut whole = 0;
    for reference in references {
        let sql = undeclared(
            reference["from"].as_str().unwrap(),
            reference["to"].as_str().unwrap(),
        );
        let (there, here) = (project.service(&sql), laptop.one(name, &sql));
        // Where the raw files themselves name what they do not have, the subset cannot have it.
        match there.as_str() {
            "0" => {
                assert_eq!(here, "0", "{reference}");
                whole += 1;
            }
            _ => assert!(
                here.parse::<u64>().unwrap() <= there.parse::<u64>().unwrap(),
                "{reference}: {here} of {there}"
            ),
        }
    }
    assert!(whole >= 8, "only {whole} references hold in the build");
    let of = |table: &str| {
        let sql = format!("select count(*) from {table}");
        let count = |text: String| text.parse::<u64>().unwrap();
        (count(laptop.one(name, &sql)), count(project.service(&sql)))
    };
    for table in [
        "price",
        "pharmacy_network",
        "plan_drug_cost",
        "formulary_drug",
    ] {
        let (here, there) = of(table);
        assert!(here > 0 && here < there, "{table}: {here} of {there}");
    }
    forget(laptop, name);
}

/// Films, their copies in two stores, who rented them and what was paid, month by month: keys of two
/// columns, a store and its manager that need each other, a payment that may have no rental, and parts.
const SHOP: &str = "
create table country (country_id integer primary key, country text not null);
create table city (city_id integer primary key, city text not null, country_id integer not null references country);
create table address (address_id integer primary key, street text not null, city_id integer not null references city);
create table store (store_id integer primary key, manager_id integer not null, address_id integer not null references address);
create table staff (staff_id integer primary key, name text not null, address_id integer not null references address,
    store_id integer not null references store, picture bytea);
alter table store add foreign key (manager_id) references staff deferrable initially deferred;
create table language (language_id smallint primary key, name char(20) not null);
create type rating as enum ('G', 'PG', 'R');
create domain year as integer check (value between 1901 and 2155);
create table film (film_id integer primary key, title text not null, released year, language_id smallint not null references language,
    original_language_id smallint references language, sequel_of integer references film, rated rating,
    features text[], words tsvector generated always as (to_tsvector('simple', title)) stored);
create index film_words on film using gist (words);
create table actor (actor_id integer primary key, name text not null);
create table film_actor (actor_id integer references actor, film_id integer references film, primary key (actor_id, film_id));
create table category (category_id smallint primary key, name text not null unique);
create table film_category (film_id integer references film, category_id smallint references category, primary key (film_id, category_id));
create table inventory (inventory_id integer primary key, film_id integer not null references film, store_id integer not null references store);
create table customer (customer_id integer primary key, store_id integer not null references store, name text not null,
    address_id integer not null references address, active boolean not null default true);
create table rental (rental_id integer primary key, rented timestamp not null, inventory_id integer not null references inventory,
    customer_id integer not null references customer, returned timestamp, staff_id integer not null references staff,
    unique (rented, inventory_id, customer_id));
create table payment (payment_id integer not null, customer_id integer not null references customer, staff_id integer not null references staff,
    rental_id integer references rental, amount numeric(5,2) not null, paid timestamp not null, primary key (paid, payment_id))
    partition by range (paid);
create table payment_2026_01 partition of payment for values from ('2026-01-01') to ('2026-02-01');
create table payment_2026_02 partition of payment for values from ('2026-02-01') to ('2026-03-01');
create table payment_later partition of payment default;
create view customer_list as select customer_id, name, city from customer join address using (address_id) join city using (city_id);
create function touched() returns trigger language plpgsql as 'begin new.name = new.name || ''!''; return new; end';
create trigger touched before insert on actor for each row execute function touched();
";

const SHOP_ROWS: &str = "
insert into country select i, 'country ' || i from generate_series(1, 20) i;
insert into city select i, 'city ' || i, 1 + i % 20 from generate_series(1, 200) i;
insert into address select i, i || ' Street', 1 + i % 200 from generate_series(1, 700) i;
insert into language select i, 'language ' || i from generate_series(1, 6) i;
set constraints all deferred;
insert into store values (1, 1, 1), (2, 2, 2);
insert into staff select i, 'staff ' || i, i, i, decode('ff00', 'hex') from generate_series(1, 2) i;
insert into film select i, 'film ' || i, 1990 + i % 30, 1 + i % 6, nullif(i % 7, 0), nullif(i / 10, 0), (array['G', 'PG', 'R'])[1 + i % 3]::rating, array['a', null] from generate_series(1, 1000) i;
insert into actor select i, 'actor ' || i from generate_series(1, 200) i;
insert into film_actor select distinct 1 + (i * 7 + i / 1000 * 13) % 200, 1 + i % 1000 from generate_series(1, 5000) i;
insert into category select i, 'category ' || i from generate_series(1, 16) i;
insert into film_category select i, 1 + i % 16 from generate_series(1, 1000) i;
insert into inventory select i, 1 + i % 1000, 1 + i % 2 from generate_series(1, 4500) i;
insert into customer select i, 1 + i % 2, 'customer ' || i, 1 + i % 700 from generate_series(1, 600) i;
insert into rental select i, timestamp '2026-01-01' + i * interval '7 minutes', 1 + i % 4500, 1 + i % 600, null, 1 + i % 2 from generate_series(1, 16000) i;
insert into payment select i, 1 + i % 600, 1 + i % 2, case when i % 10 > 0 then i end, 2.99, timestamp '2026-01-01' + i * interval '9 minutes' from generate_series(1, 16000) i;
";

#[test]
fn a_shop_for_films_with_cycles_parts_and_triggers_is_small_and_whole() {
    let name = "subset_films";
    let tables = format!("{}{SHOP}", crate::support::project::TABLE);
    let mut project = Project::with_schema(name, &tables, "table = \"item\"\nfiles = \"items*\"\n");
    project.sql("derive/110_rows.sql", SHOP_ROWS);
    project.items(5, "item");
    set_rules(
        &project,
        r#"
[subset]
references = [
    { from = "payment(rental_id)", to = "rental(rental_id)", children = "all" },
    { from = "rental(customer_id)", to = "customer(customer_id)", children = 5 },
    { from = "film_actor(film_id)", to = "film(film_id)", children = 2 },
    { from = "film_category(film_id)", to = "film(film_id)", children = "all" },
]
[subset.tables]
customer = { percent = 2 }
category = { all = true }
"#,
    );
    project.run().code(0);
    let laptop = on_a_laptop(&mut project);
    project.overnight(&["subset", name]).code(0);
    let orphans = declared_orphans(laptop, name);
    assert_eq!(orphans.len(), 23, "{orphans:?}");
    none_of(&orphans);
    let one = |sql: &str| laptop.one(name, sql);
    // Five rentals of each customer, their payments in their parts, two actors of each film.
    assert_eq!(
        one("select count(*) = 5 * (select count(*) from customer) from rental"),
        "t"
    );
    assert_eq!(
        one("select count(*) || ' ' || count(distinct tableoid) from payment"),
        project.service(&format!(
            "select count(*) || ' ' || count(distinct tableoid) from payment where rental_id in ({})",
            one("select string_agg(rental_id::text, ',') from rental")
        ))
    );
    assert_eq!(
        one("select max(n) from (select count(*) as n from film_actor group by film_id) x"),
        "2"
    );
    assert_eq!(one("select count(*) from category"), "16");
    assert_eq!(one("select count(*) from store"), "2");
    // The trigger has done its work once, in the build.
    assert_eq!(
        one("select count(*) from actor where name !~ '^actor [0-9]+!$'"),
        "0"
    );
    assert_eq!(one("select count(*) > 0 from customer_list"), "t");
    let rows = "select md5(string_agg(x::text, ';' order by x.film_id)) from film x";
    let ids = one("select string_agg(film_id::text, ',') from film");
    assert_eq!(
        one(rows),
        project.service(&format!("{rows} where film_id in ({ids})"))
    );
    forget(laptop, name);
}
