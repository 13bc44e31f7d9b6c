//! What a plan says about types and collations that cost.

use crate::support::{Project, check_invariants};

const TABLES: &str = "create domain fee as numeric(6,2);
create table item (
    id integer primary key,
    name text collate \"und-x-icu\" not null,
    code text not null,
    brand numeric(6,2),
    generic numeric(18,2),
    selected fee,
    exact numeric,
    wide numeric(19,2),
    flag char(1)
);
create unique index on item (id, name);
create index on item (code, lower(code));
create index on item using hash (code);
";

fn texts(plan: &serde_json::Value) -> Vec<&str> {
    let hints = plan["hints"].as_array().unwrap();
    hints
        .iter()
        .map(|hint| hint["hint"].as_str().unwrap())
        .collect()
}

#[test]
fn a_plan_names_columns_whose_type_costs_and_changes_nothing() {
    // A server may have been built without ICU.
    let collation =
        "select coalesce(max(collname), 'C.utf8') from pg_collation where collname = 'und-x-icu'";
    let collation = crate::support::cluster().one("postgres", collation);
    let mut project = Project::with_schema(
        "hints_costs",
        &TABLES.replace("und-x-icu", &collation),
        "table = \"item\"\nfiles = \"items*\"\n",
    );
    project.input(
        "items.csv",
        "id,name,code,brand,generic,selected,exact,wide,flag\n1,a,b,1.5,2,3,4,5,Y\n",
    );
    let plan = project
        .overnight(&["plan", "hints_costs", "--json"])
        .code(0)
        .json();
    let hints = texts(&plan);
    assert_eq!(hints.len(), 2, "{hints:?}");
    assert!(
        hints[0].starts_with("`item`: 3 columns of type numeric")
            && hints[0].contains("(brand, generic, selected)")
            && hints[0].contains("0.15 s of one core"),
        "{}",
        hints[0]
    );
    assert!(
        hints[1].contains(&format!("{collation} (name)")),
        "{}",
        hints[1]
    );
    assert_eq!(plan["hints"][0]["table"], "item");
    assert_eq!(plan["hints"][1]["columns"], serde_json::json!(["name"]));

    // A default collation is the database's.
    project
        .env
        .push(("OVERNIGHT_LOCALE".into(), "C.UTF-8".into()));
    let told = project.overnight(&["plan", "hints_costs"]).code(0).stdout;
    let lines: Vec<&str> = told
        .lines()
        .filter(|line| line.starts_with("hint: "))
        .collect();
    assert_eq!(lines.len(), 3, "{told}");
    let by_default = |line: &&str| line.contains("C.UTF-8 (an expression, code)");
    assert!(lines.iter().any(by_default), "{told}");

    // A hint is no more than that.
    project.run().code(0);
    assert_eq!(
        project.service("select string_agg(format_type(atttypid, atttypmod), ' ' order by attnum)
                         from pg_attribute where attrelid = 'item'::regclass and attnum in (3, 4, 6)"),
        "text numeric(6,2) fee"
    );
    check_invariants(&project);
}

#[test]
fn a_plan_says_nothing_about_types_that_cost_little() {
    let project = Project::new("hints_none");
    project.items(10, "item");
    let told = project.overnight(&["plan", "hints_none"]).code(0).stdout;
    assert!(!told.contains("hint:"), "{told}");
    let json = project
        .overnight(&["plan", "hints_none", "--json"])
        .code(0)
        .json();
    assert_eq!(texts(&json), Vec::<&str>::new());
}
