//! From the names in a header to the columns of a table.

use crate::support::Project;

const PLANS: &str = "create table plan (
    plan_id integer primary key,
    contract_year integer not null,
    premium numeric(8,2),
    state text,
    nick_name text,
    starts_at timestamptz,
    loaded_by text default 'overnight'
);
";

const SOURCE: &str = "table = \"plan\"
files = \"plans/*.csv\"
ignore = [\"Internal Note\", \"name\"]
absent = [\"loaded_by\"]
[columns]
premium = { from = \"Premium ($)\", parse = \"money\" }
state = \"ST\"
nick_name = { from = \"NAME\", null = [\"none\"] }
starts_at = { zone = \"-06:00\" }
";

fn plans(dataset: &str) -> Project {
    Project::with_schema(dataset, PLANS, SOURCE)
}

#[test]
fn names_reach_their_columns_in_any_order_and_spelling() {
    let project = plans("headers_mapped");
    project.input(
        "plans/a.csv",
        "Plan ID,\"Contract  Year\",Premium ($),ST,Name,NAME,Internal Note,Starts-At\n\
         1,2027,\"$1,234.00 \",IL,wrong,Gold,n1,2026-11-21 05:10:02\n\
         2,2027,($60.80),WI,wrong,none,n2,2026-11-21T05:10:02Z\n",
    );
    // The next file has the same names in another order, and its own ends of line.
    project.input(
        "plans/b.csv",
        "NAME,internal_note,STARTS_AT,st,contract_year,PREMIUM ,plan id,name\r\n\
         Silver,n3,2026-06-01 00:00:00,IA,2028,-$5,3,wrong\r\n",
    );
    // Without an exact match, a name that folds to the same is the one.
    project.input(
        "plans/c.csv",
        "name,NAME,Premium,st,contract_year,plan_id,internal note,starts_at\nwrong,\"\",0,OH,2027,4,,\n",
    );
    project.run().code(0);
    let rows = project.service(
        "select string_agg(concat_ws('|', plan_id, contract_year, premium, state,
                coalesce(nick_name, '∅'), coalesce((starts_at at time zone 'UTC')::text, '∅'),
                coalesce(loaded_by, '∅')), E'\\n' order by plan_id) from plan",
    );
    assert_eq!(
        rows,
        "1|2027|1234.00|IL|Gold|2026-11-21 11:10:02|overnight\n\
         2|2027|-60.80|WI|∅|2026-11-21 05:10:02|overnight\n\
         3|2028|-5.00|IA|Silver|2026-06-01 06:00:00|overnight\n\
         4|2027|0.00|OH||∅|overnight"
    );
}

#[test]
fn a_header_that_does_not_fit_is_told_with_both_sides() {
    let project = Project::new("headers_unfit");
    project.items(3, "good");
    project.run().code(0);
    let live = project.live();
    // A second file that does not fit is enough, and the first one is not loaded for it.
    project.input("items_2.csv", "id,nme,cost,seen\n9,x,1,2026-11-21\n");
    project.refuses(
        1,
        &[
            "`headers_unfit/items_2.csv` does not fit table `item`",
            "columns that the file lacks: name, price",
            "names in the file that no column takes: nme, cost",
            "hint: in the source file `item.toml`",
            "`ignore`",
            "`absent`",
        ],
    );
    project.input("items_2.csv", "ID,id,name,price,seen\n9,9,x,1,2026-11-21\n");
    project.refuses(
        1,
        &[
            "`headers_unfit/items_2.csv`: 2 header names could fill column `id` of `item`",
            "hint: say which with `from`",
        ],
    );
    project.input("items_2.csv", "id,name,price,seen,\n9,x,1,2026-11-21,\n");
    project.refuses(
        1,
        &["names in the file that no column takes: \"\" (field 5)"],
    );
    assert_eq!(project.live(), live);
    assert_eq!(project.service("select count(*) from item"), "3");
}

#[test]
fn a_rule_for_a_column_that_is_not_there_is_found_before_the_load() {
    let project = Project::new("headers_rules");
    project.items(1, "x");
    for (rules, texts) in [
        (
            "[columns]\nprize = \"PRICE\"\n",
            ["names the column `prize`", "table `item` does not have"],
        ),
        (
            "absent = [\"cost\"]\n",
            ["names the column `cost`", "table `item` does not have"],
        ),
        (
            "[columns]\nname = { zone = \"UTC\" }\n",
            [
                "column `name` of `item`",
                "`zone` is for timestamptz columns",
            ],
        ),
        (
            "[columns]\nname = { parse = \"money\" }\n",
            [
                "column `name` of `item`",
                "`parse = \"money\"` is for number columns",
            ],
        ),
    ] {
        project.source(
            "item",
            &format!("table = \"item\"\nfiles = \"items*\"\n{rules}"),
        );
        project.refuses(2, &texts);
    }
    project.source("item", "table = \"itm\"\nfiles = \"items*\"\n");
    project.refuses(
        2,
        &[
            "source `item` fills table `itm`, which the schema files do not create",
            "hint: they create: ",
            "public.item",
        ],
    );
}
