use super::changes::Changes;
use super::compare::compare;
use super::shape::Shape;
use serde_json::{Value, json};

fn shape(value: Value) -> Shape {
    serde_json::from_value(value).unwrap()
}

/// A table of `public` with integer columns.
fn table(name: &str, columns: &[&str]) -> Value {
    let columns: Vec<Value> = columns.iter().map(|name| column(name, "integer")).collect();
    json!({"name": name, "schema": "public", "kind": "table", "row_security": false, "columns": columns})
}

fn column(name: &str, kind: &str) -> Value {
    json!({"name": name, "declared": kind, "wire": kind, "not_null": false, "identity": false, "collation": null})
}

fn tables(tables: &[Value]) -> Shape {
    shape(json!({"schemas": ["public"], "relations": tables}))
}

fn breaking(live: &Shape, candidate: &Shape) -> Vec<String> {
    compare(live, candidate).breaking
}

#[test]
fn an_empty_database_can_become_anything_and_nothing_can_become_empty() {
    let empty = Shape::default();
    let full = tables(&[table("plan", &["id"])]);
    assert_eq!(
        compare(&empty, &full),
        Changes {
            additions: vec!["table plan".into()],
            ..Changes::default()
        }
    );
    // With its schema a table is gone, and is not told twice.
    assert_eq!(breaking(&full, &empty), ["schema public: gone"]);
}

#[test]
fn a_new_column_at_the_end_is_an_addition_and_one_in_front_is_to_be_known() {
    let live = tables(&[table("plan", &["id", "name"])]);
    let at_the_end = compare(&live, &tables(&[table("plan", &["id", "name", "extra"])]));
    assert_eq!(at_the_end.additions, ["column plan.extra"]);
    assert!(at_the_end.breaking.is_empty() && at_the_end.notable.is_empty());
    for columns in [["extra", "id", "name"], ["id", "extra", "name"]] {
        let between = compare(&live, &tables(&[table("plan", &columns)]));
        assert_eq!(between.additions, ["column plan.extra"]);
        assert_eq!(
            between.notable,
            ["table plan: `select *` gives the columns in another order"]
        );
        assert!(between.breaking.is_empty());
    }
}

#[test]
fn a_renamed_column_is_gone_and_its_heir_is_named_only_if_it_is_of_its_type() {
    let live = tables(&[table("plan", &["id", "price"])]);
    assert_eq!(
        breaking(&live, &tables(&[table("plan", &["id", "cost"])])),
        ["column plan.price: gone; `cost` stands in its place"]
    );
    let mut other = table("plan", &["id"]);
    other["columns"]
        .as_array_mut()
        .unwrap()
        .push(column("cost", "text"));
    assert_eq!(
        breaking(&live, &tables(&[other])),
        ["column plan.price: gone"]
    );
    // A column that was there before is nobody's heir.
    let live = tables(&[table("plan", &["id", "price", "cost"])]);
    assert_eq!(
        breaking(&live, &tables(&[table("plan", &["id", "cost"])])),
        ["column plan.price: gone"]
    );
}

#[test]
fn a_domain_that_gives_way_to_its_type_is_no_change_for_a_client() {
    let with = |declared: &str, wire: &str| {
        let mut column = column("price", wire);
        column["declared"] = declared.into();
        let mut table = table("plan", &[]);
        table["columns"] = json!([column]);
        tables(&[table])
    };
    let domain = with("public.dollars", "numeric(12,2)");
    assert!(breaking(&domain, &with("numeric(12,2)", "numeric(12,2)")).is_empty());
    assert!(breaking(&domain, &with("public.euros", "numeric(14,2)")).is_empty());
    assert_eq!(
        breaking(&domain, &with("public.euros", "numeric(8,2)")),
        ["column plan.price: dollars became euros"]
    );
}

#[test]
fn a_unique_key_that_became_the_primary_key_is_kept() {
    let with = |definition: &str| {
        let mut shape = tables(&[table("plan", &["id"])]);
        shape.keys =
            serde_json::from_value(json!([{"table": "plan", "definition": definition}])).unwrap();
        shape
    };
    assert!(breaking(&with("UNIQUE (id)"), &with("PRIMARY KEY (id)")).is_empty());
    assert_eq!(
        breaking(&with("PRIMARY KEY (id)"), &with("UNIQUE (id)")),
        ["table plan: PRIMARY KEY (id) is gone or changed"]
    );
}

#[test]
fn a_right_on_a_column_is_kept_by_a_right_on_its_table_and_lost_only_with_the_column_there() {
    let with = |columns: &[&str], rights: Value| {
        let mut shape = tables(&[table("plan", columns)]);
        shape.rights = serde_json::from_value(rights).unwrap();
        shape
    };
    let on_column = json!({"role": "r", "kind": "column", "object": "plan.a", "part_of": "plan", "rights": ["SELECT"]});
    let on_table = |rights: Value| json!({"role": "r", "kind": "relation", "object": "plan", "part_of": null, "rights": rights});
    let live = with(&["a", "b"], json!([on_table(json!([])), on_column]));
    let whole = with(&["a", "b"], json!([on_table(json!(["SELECT"]))]));
    assert!(breaking(&live, &whole).is_empty());
    let none = with(&["a", "b"], json!([on_table(json!([]))]));
    assert_eq!(
        breaking(&live, &none),
        ["role r lost SELECT on column plan.a"]
    );
    let dropped = with(&["b"], json!([on_table(json!([]))]));
    assert_eq!(breaking(&live, &dropped), ["column plan.a: gone"]);
}

#[test]
fn a_table_that_became_a_partition_or_was_one_is_still_there() {
    let alone = tables(&[table("log_2026", &["id"])]);
    let mut part = tables(&[table("log", &["id"])]);
    part.partitions.insert("log_2026".into());
    assert!(breaking(&alone, &part).is_empty());
    assert!(
        compare(
            &part,
            &tables(&[table("log", &["id"]), table("log_2026", &["id"])])
        )
        .notable
        .is_empty()
    );
    assert_eq!(
        compare(&part, &tables(&[table("log", &["id"])])).notable,
        ["partition log_2026: gone"]
    );
}
