//! Keys of several columns, trees of several levels, and what is left to the server.

use super::{Compared, KeyColumn, Texts, compare, prepared, routing};
use crate::encoders::texts;
use crate::encoders::texts::Random;
use overnight::encode::Type;
use overnight::route::Routing;
use tokio_postgres::Client;

/// Rows of each test.
const ROWS: usize = 1500;

fn columns(types: &[(&'static str, Type)]) -> Vec<KeyColumn> {
    let columns = types.iter().map(|(name, ty)| KeyColumn {
        name,
        ty: ty.clone(),
    });
    columns.collect()
}

/// Rows of texts, every sixth field a null.
fn rows(seed: u64, generators: &[fn(&mut Random) -> String]) -> Vec<Texts> {
    let mut random = Random(seed);
    let mut row = || {
        let fields = generators.iter().map(|text| {
            let null = random.below(6) == 0;
            (!null).then(|| text(&mut random))
        });
        fields.collect()
    };
    (0..ROWS).map(|_| row()).collect()
}

async fn compared(
    client: &Client,
    columns: &[KeyColumn],
    rows: &[Texts],
    schema: &str,
) -> Compared {
    client.batch_execute(schema).await.unwrap();
    let compared = compare(client, "t", columns, rows, "").await.unwrap();
    println!("{compared:?}");
    compared
}

fn small(r: &mut Random) -> String {
    (r.below(41) as i32 - 20).to_string()
}

fn letter(r: &mut Random) -> String {
    r.pick(&["", "a", "b", "ä", "z", "a ", "B"]).to_owned()
}

fn day(r: &mut Random) -> String {
    format!(
        "{}-{:02}-{:02}",
        2020 + r.below(8),
        1 + r.below(12),
        1 + r.below(28)
    )
}

#[tokio::test]
async fn several_columns_are_hashed_together_and_nulls_are_left_out() {
    let client = prepared().await;
    let columns = columns(&[
        ("a", Type::Int8),
        ("b", Type::Text),
        ("c", Type::Numeric(None)),
        ("d", Type::Timestamp(6)),
    ]);
    let mut rows = rows(
        1,
        &[
            texts::integer,
            texts::text,
            texts::decimal,
            texts::timestamp,
        ],
    );
    rows.push(vec![None; 4]);
    let mut sql = "create table t (id int, a bigint, b text, c numeric, d timestamp)
                   partition by hash (c, a, d, b);"
        .to_owned();
    for remainder in (0..16).filter(|remainder| *remainder != 11) {
        sql += &format!(
            "create table t_{remainder} partition of t for values with (modulus 16, remainder {remainder});"
        );
    }
    let compared = compared(&client, &columns, &rows, &sql).await;
    assert!(compared.routed > 500 && compared.refused > 20 && compared.leaves == 15);
}

#[tokio::test]
async fn ranges_of_several_columns_are_compared_from_left_to_right() {
    let client = prepared().await;
    let columns = columns(&[("a", Type::Int4), ("b", Type::Text), ("c", Type::Int2)]);
    let rows = rows(2, &[small, letter, small]);
    let sql = "create table t (id int, a int, b text collate \"C\", c smallint) partition by range (a, b, c);
         create table t_0 partition of t for values from (minvalue, minvalue, minvalue) to (-10, 'b', 3);
         create table t_1 partition of t for values from (-10, 'b', 3) to (-10, 'b', maxvalue);
         create table t_2 partition of t for values from (-10, 'b', maxvalue) to (-5, minvalue, minvalue);
         create table t_3 partition of t for values from (0, 'a', -2) to (0, 'a ', 5);
         create table t_4 partition of t for values from (0, 'z', minvalue) to (0, maxvalue, maxvalue);
         create table t_5 partition of t for values from (1, minvalue, minvalue) to (5, '', 0);
         create table t_6 partition of t for values from (5, '', 0) to (maxvalue, maxvalue, maxvalue);";
    let without = compared(&client, &columns, &rows, sql).await;
    assert!(without.routed > 300 && without.refused > 300, "{without:?}");
    let more = "truncate t; create table t_default partition of t default";
    let with = compared(&client, &columns, &rows, more).await;
    assert_eq!(with.routed, ROWS);
    assert!(with.leaves >= 6, "{with:?}");
}

#[tokio::test]
async fn trees_of_several_levels_and_orders_of_columns_are_followed_to_the_leaf() {
    let client = prepared().await;
    let columns = columns(&[
        ("state", Type::Text),
        ("day", Type::Date),
        ("item", Type::Int8),
    ]);
    let rows = rows(3, &[letter, day, texts::integer]);
    let compared = compared(
        &client,
        &columns,
        &rows,
        "create table t (id int, state text, day date, item bigint) partition by list (state);
         create schema other;
         create table other.a partition of t for values in ('a', null) partition by range (day);
         create table a_old partition of other.a for values from (minvalue) to ('2023-01-01');
         create table a_new (item bigint, gone int, day date, state text, id int)
             partition by hash (item);
         alter table a_new drop column gone;
         alter table other.a attach partition a_new for values from ('2023-01-01') to ('2026-01-01');
         create table other.new_0 partition of a_new for values with (modulus 4, remainder 0);
         create table a_new_1 partition of a_new for values with (modulus 4, remainder 1);
         create table a_new_2 (day date, item bigint, id int, state text);
         alter table a_new attach partition a_new_2 for values with (modulus 4, remainder 2);
         create table a_new_3 partition of a_new for values with (modulus 4, remainder 3);
         create table b partition of t for values in ('b', 'z');
         create table empty partition of t for values in ('B') partition by hash (id);
         create table rest partition of t default partition by hash (item, state);
         create table rest_0 partition of rest for values with (modulus 2, remainder 0);
         create table rest_1 partition of rest for values with (modulus 2, remainder 1)",
    )
    .await;
    assert!(
        compared.routed > 500 && compared.refused > 100,
        "{compared:?}"
    );
    assert_eq!(compared.leaves, 8);
}

#[tokio::test]
async fn leaves_are_listed_with_their_schemas_in_a_fixed_order() {
    let client = prepared().await;
    let sql = "create schema other;
         create table t (id int, v int) partition by list (v);
         create table z partition of t for values in (1) partition by hash (v);
         create table a partition of z for values with (modulus 1, remainder 0);
         create table public.y partition of t for values in (2);
         create table other.y partition of t for values in (3)";
    client.batch_execute(sql).await.unwrap();
    let columns = columns(&[("v", Type::Int4)]);
    let Routing::Leaves(router) = routing(&client, "t", &columns).await.unwrap() else {
        panic!("no router");
    };
    let leaves: Vec<String> = router
        .leaves()
        .iter()
        .map(|leaf| format!("{}.{}", leaf.schema, leaf.name))
        .collect();
    assert_eq!(leaves, ["other.y", "public.y", "public.a"]);
}

#[tokio::test]
async fn a_bound_is_read_whatever_the_session_is_set_to() {
    let client = prepared().await;
    let sql = r#"create table t (id int, v text, d date) partition by list (v);
         create table s partition of t for values in (E'\\', 'it''s', E'a\nb') partition by range (d);
         create table s_0 partition of s for values from ('2026-02-01') to ('2026-03-01')"#;
    client.batch_execute(sql).await.unwrap();
    let sql = "set standard_conforming_strings = off; set datestyle = 'SQL, DMY'; set search_path = public";
    client.batch_execute(sql).await.unwrap();
    let columns = columns(&[("v", Type::Text), ("d", Type::Date)]);
    let Routing::Leaves(router) = routing(&client, "t", &columns).await.unwrap() else {
        panic!("no router");
    };
    let leaf = |v: &str, d: &str| {
        let texts = vec![Some(v.to_owned()), Some(d.to_owned())];
        let row = super::encoded(1, &columns, &texts).unwrap();
        router.leaf(&row).map_err(|nowhere| nowhere.to_string())
    };
    for v in ["\\", "it's", "a\nb"] {
        assert_eq!(leaf(v, "2026-02-01"), Ok(0));
        assert_eq!(leaf(v, "2026-02-28"), Ok(0));
    }
    let nowhere = |table: &str| Err(format!("no partition of `public.{table}` takes it"));
    assert_eq!(leaf("\\", "2026-03-01"), nowhere("s"));
    assert_eq!(leaf("\\\\", "2026-02-01"), nowhere("t"));
    let left = crate::support::database::value(&client, "show datestyle").await;
    assert_eq!(left, "SQL, DMY");
}

#[tokio::test]
async fn what_is_not_certain_goes_through_the_parent() {
    let client = prepared().await;
    let text = || columns(&[("v", Type::Text)]);
    let int = || columns(&[("v", Type::Int4)]);
    let icu = "select exists (select from pg_collation where collname = 'en-x-icu')";
    let icu = crate::support::database::value(&client, icu).await == "t";
    match icu {
        true => client
            .batch_execute("create collation loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false)")
            .await
            .unwrap(),
        false => eprintln!("this server was built without ICU: trees with its collations are left out"),
    }
    client
        .batch_execute(
            "create foreign data wrapper nothing;
             create server nowhere foreign data wrapper nothing;
             create function ready() returns trigger language plpgsql as 'begin return null; end';
             create operator class own for type int4 using hash as
                 operator 1 =, function 1 hashint4(int4), function 2 hashint4extended(int4, int8)",
        )
        .await
        .unwrap();
    let trees = [
        (
            int(),
            "(id int, v int) partition by hash ((v + 1))",
            "",
            "the partition key of `public.t` is an expression",
        ),
        (
            int(),
            "(id int, v int, w int) partition by hash (w)",
            "",
            "which the source does not fill",
        ),
        (
            int(),
            "(id int, v int) partition by hash (v own)",
            "",
            "an operator class that is not the default",
        ),
        (
            text(),
            "(id int, v text) partition by list (v text_pattern_ops)",
            "",
            "an operator class that is not the default",
        ),
        (
            text(),
            "(id int, v text collate loose) partition by hash (v)",
            "",
            "takes different texts for equal",
        ),
        (
            text(),
            "(id int, v text collate loose) partition by list (v)",
            "",
            "takes different texts for equal",
        ),
        (
            text(),
            "(id int, v text collate \"en-x-icu\") partition by range (v)",
            "",
            "orders `v` by a collation other than C",
        ),
        (
            columns(&[("v", Type::array(Type::Int4, 23))]),
            "(id int, v int[]) partition by hash (v)",
            "",
            "the column `v` of type integer[]",
        ),
        (
            columns(&[("v", Type::Jsonb)]),
            "(id int, v jsonb) partition by hash (v)",
            "",
            "of type jsonb",
        ),
        (
            columns(&[("v", Type::Inet)]),
            "(id int, v inet) partition by list (v)",
            "",
            "of type inet",
        ),
        (
            int(),
            "(id int, v int) partition by list (v)",
            "create foreign table t_1 partition of t for values in (1) server nowhere",
            "`public.t_1` is a foreign table",
        ),
        (
            int(),
            "(id int, v int) partition by list (v)",
            "create trigger after after insert on t for each statement execute function ready()",
            "`public.t` has a trigger for each INSERT statement",
        ),
        (
            int(),
            "(id int, v int, w int default 1) partition by list (v)",
            "create table t_1 partition of t (w default 2) for values in (1)",
            "column `w` of `public.t_1` has another default than in the parent",
        ),
        (
            int(),
            "(id int, v int) partition by hash (v)",
            "create table t_1 partition of t for values with (modulus 100000, remainder 0)",
            "a modulus of `public.t` is greater than 65536",
        ),
    ];
    for (columns, table, more, wanted) in &trees {
        if !icu && (table.contains("loose") || table.contains("icu")) {
            continue;
        }
        let sql = format!("drop table if exists t; create table t {table}; {more}");
        client.batch_execute(&sql).await.unwrap();
        match routing(&client, "t", columns).await.unwrap() {
            Routing::Parent(why) => assert!(why.contains(wanted), "{table}: {why}"),
            Routing::Leaves(_) => panic!("{table}: rows are routed"),
        }
    }
    // Row triggers fire in a leaf as well, and equal defaults are none of our business.
    let sql = "drop table t; create table t (id int, v int, w int default 1) partition by list (v);
         create table t_1 partition of t for values in (1);
         create trigger each before insert on t for each row execute function ready()";
    client.batch_execute(sql).await.unwrap();
    let routing = routing(&client, "t", &int()).await.unwrap();
    assert!(matches!(routing, Routing::Leaves(_)), "{routing:?}");
}
