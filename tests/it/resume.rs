//! A run that died while it loaded is resumed, table by table, and gives the build that a fresh
//! run gives; whatever differs starts anew.

use crate::s3::{Fault, S3Server};
use crate::support::cluster::LOADER;
use crate::support::invariants::sessions_end;
use crate::support::{Ended, Project, check_invariants};
use overnight::schema::catalog::{Catalog, snapshot};
use std::fmt::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Three tables that sources fill, the largest first: `item` in leaves, `price` and `plan`, which it
/// refers to; one that a derive file fills.
const TABLES: &str = "
create table plan (id integer primary key, name text not null, state text not null);
create index plan_state on plan (state) where state <> 'OH';
comment on index plan_state is 'By state';
create table price (id integer, plan_id integer not null references plan, amount numeric(8,2),
    constraint price_key primary key (id) deferrable);
comment on constraint price_key on price is 'One price';
create index price_plan on price (plan_id, amount desc);
create index price_amount on price (amount);
alter table price cluster on price_plan;
create table item (id integer not null, price_id integer not null, name text not null, primary key (id))
    partition by hash (id);
create table item_0 partition of item for values with (modulus 2, remainder 0);
create table item_1 partition of item for values with (modulus 2, remainder 1);
create index item_name on item (name);
create unique index item_1_more on item_1 (id, name);
create table total (state text primary key, plans bigint not null, prices numeric not null);
create index total_plans on total (plans);
";

const DERIVE: &str = "-- Sums by state.
insert into total select state, count(distinct p.id), sum(amount) from plan p join price on plan_id = p.id group by state;
";

fn project(name: &str) -> Project {
    let mut project = Project::with_schema(name, TABLES, "table = \"item\"\nfiles = \"items*\"\n");
    project.source("plan", "table = \"plan\"\nfiles = \"plans*\"\n");
    project.source("price", "table = \"price\"\nfiles = \"prices*\"\n");
    project.sql("derive/110_total.sql", DERIVE);
    for (variable, value) in [
        ("OVERNIGHT_SERVER_CORES", "1"),
        ("OVERNIGHT_CONNECTIONS", "1"),
        ("OVERNIGHT_RETIRE_AFTER", "0s"),
    ] {
        project.env.push((variable.into(), value.into()));
    }
    inputs(&project, 40);
    project
}

fn inputs(project: &Project, plans: usize) {
    for (file, text) in files(plans) {
        project.input(file, text);
    }
}

fn files(plans: usize) -> [(&'static str, String); 3] {
    let mut plan = String::from("id,name,state\n");
    let mut price = String::from("id,plan_id,amount\n");
    let mut item = String::from("id,price_id,name\n");
    for id in 0..plans {
        writeln!(plan, "{id},plan {id},{}", ["OH", "TX", "VT"][id % 3]).unwrap();
    }
    for id in 0..plans * 3 {
        writeln!(price, "{id},{},{id}.25", id % plans).unwrap();
    }
    for id in 0..plans * 12 {
        writeln!(item, "{id},{},item {}", id % (plans * 3), id * 7 % 1000).unwrap();
    }
    [
        ("plans.csv", plan),
        ("prices.csv", price),
        ("items.csv", item),
    ]
}

/// What a build holds: its declarations, and rows whatever their order.
#[derive(Debug, PartialEq)]
struct Contents {
    catalog: Catalog,
    rows: Vec<String>,
    /// Indexes that are not valid, tables without statistics.
    unfinished: String,
    left_behind: String,
}

fn contents(project: &Project) -> Contents {
    let cluster = project.cluster();
    let one = |sql: &str| cluster.one(&project.name, sql);
    let rows = ["plan", "price", "item", "total"].map(|table| {
        one(&format!(
            "select '{table} ' || count(*) || ' ' || md5(string_agg(t::text, '|' order by t::text)) from {table} t"
        ))
    });
    let client = cluster
        .block_on(cluster.client(LOADER, &project.name))
        .unwrap();
    Contents {
        catalog: cluster.block_on(snapshot(&client)).unwrap(),
        rows: rows.into(),
        unfinished: one(
            "select coalesce(string_agg(c.relname, ' '), 'none') from pg_class c left join pg_index i on i.indexrelid = c.oid
             where c.relnamespace = 'public'::regnamespace
               and (not i.indisvalid or c.relkind in ('r', 'p') and c.reltuples < 0)",
        ),
        left_behind: one("select coalesce(to_regclass('overnight.set_aside')::text, 'nothing')"),
    }
}

fn run(project: &Project, more: &[&str]) -> Ended {
    let mut arguments = vec!["run", &project.name, "--force", "--json"];
    arguments.extend(more);
    project.overnight(&arguments)
}

/// Kills a run at a point; gives the name of its build, or `None` when it ended before.
fn kill(project: &Project, point: &str) -> Option<String> {
    let mut command = project.command(&["run", &project.name, "--force"]);
    let ended = Project::finish(command.env("OVERNIGHT_CRASHPOINT", point));
    if ended.code == 0 {
        return None;
    }
    assert_eq!(ended.code, -9, "{point}: {}", ended.stderr);
    assert!(sessions_end(project), "{point}");
    Some(project.ledger("select name from ledger.build order by id desc limit 1"))
}

fn words(value: &serde_json::Value) -> Vec<String> {
    let words = value.as_array().unwrap().iter();
    words
        .map(|word| word.as_str().unwrap().to_owned())
        .collect()
}

/// Kills a run, resumes its build and compares; says how many tables were kept. `None` when the
/// run ended before the point.
fn kill_and_resume(project: &Project, point: &str, fresh: &Contents) -> Option<usize> {
    let build = kill(project, point)?;
    let ended = run(project, &["--resume"]).code(0).json();
    let report = &ended["datasets"][0];
    assert_eq!(report["build"], build.as_str(), "{point}");
    let kept = words(&report["taken_over"]["kept"]);
    let loaded = words(&report["taken_over"]["loaded"]);
    assert_eq!(kept.len() + loaded.len(), 3, "{point}: {report}");
    assert!(!kept.is_empty(), "{point}: {report}");
    assert_eq!(report["rows"], 640, "{point}");
    assert_eq!(project.live(), build, "{point}");
    assert_eq!(&contents(project), fresh, "{point}");
    let event = format!(
        "select count(*) from ledger.event e join ledger.build b on b.id = e.build
         where b.name = '{build}' and e.kind = 'resumed' and detail like 'kept: %'"
    );
    assert_eq!(project.ledger(&event), "1", "{point}");
    check_invariants(project);
    Some(kept.len())
}

#[test]
fn a_run_killed_anywhere_in_the_load_is_resumed_and_gives_the_build_of_a_fresh_run() {
    let mut plan: Vec<String> = Vec::new();
    for point in [
        "load.before_copy",
        "load.before_commit",
        "load.before_last_commit",
    ] {
        plan.extend([2, 3].map(|nth| format!("{point}:{nth}")));
    }
    // The first two are of the leaves of the first table.
    plan.extend([3, 4].map(|nth| format!("load.in_copy:{nth}")));
    plan.extend((1..=3).map(|nth| format!("load.after_commit:{nth}")));
    plan.push("put_back.after".into());
    plan.extend((1..=24).map(|nth| format!("put_back.before:{nth}")));
    let next = AtomicUsize::new(0);
    let resumed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for worker in 0..3 {
            let (plan, next, resumed) = (&plan, &next, &resumed);
            scope.spawn(move || {
                let project = project(&format!("resume_kill_{worker}"));
                project.run().code(0);
                let fresh = contents(&project);
                assert_eq!(fresh.unfinished, "none");
                assert_eq!(fresh.left_behind, "nothing");
                while let Some(point) = plan.get(next.fetch_add(1, Ordering::SeqCst)) {
                    let kept = kill_and_resume(&project, point, &fresh);
                    resumed.lock().unwrap().push((point.clone(), kept));
                }
            });
        }
    });
    let resumed = resumed.into_inner().unwrap();
    let times = |kept: &[usize], kind: &str| {
        let of = resumed.iter().filter(|(point, _)| point.starts_with(kind));
        of.filter(|(_, found)| found.is_some_and(|found| kept.contains(&found)))
            .count()
    };
    // Each point of the load with one and with two tables there; the last one with all.
    assert_eq!(times(&[1, 2], "load."), 10, "{resumed:?}");
    assert_eq!(times(&[3], "load."), 1, "{resumed:?}");
    assert_eq!(times(&[3], "put_back.after"), 1, "{resumed:?}");
    assert!(times(&[1, 2, 3], "put_back.before") > 12, "{resumed:?}");
}

#[test]
fn a_run_that_goes_on_can_be_killed_as_well_and_after_three_the_build_is_made_anew() {
    let project = project("resume_again");
    project.run().code(0);
    let fresh = contents(&project);
    let build = kill(&project, "load.after_commit:2").unwrap();
    for point in [
        "resume.before",
        "resume.before_commit",
        "resume.after",
        "load.before_commit",
    ] {
        assert_eq!(kill(&project, point).as_ref(), Some(&build), "{point}");
    }
    // Two have begun, the third may end.
    let ended = run(&project, &[]).code(0).json();
    assert_eq!(ended["datasets"][0]["build"], build.as_str());
    assert_eq!(contents(&project), fresh);

    let build = kill(&project, "load.after_commit:2").unwrap();
    for _ in 0..3 {
        assert_eq!(kill(&project, "put_back.before").as_ref(), Some(&build));
    }
    run(&project, &["--resume"])
        .code(1)
        .says(&["3 runs have resumed it already"]);
    let ended = run(&project, &[]).code(0).json();
    assert_ne!(ended["datasets"][0]["build"], build.as_str());
    assert_eq!(ended["datasets"][0]["taken_over"], serde_json::Value::Null);
    assert_eq!(contents(&project), fresh);
    check_invariants(&project);
}

#[test]
fn nothing_is_resumed_when_inputs_sql_sources_release_or_locale_are_others() {
    let mut project = project("resume_other");
    project.run().code(0);
    let mut plans = 40;
    for what in ["input", "sql", "source", "release", "locale"] {
        let build = kill(&project, "load.after_commit:2").unwrap();
        match what {
            "input" => {
                plans = 50;
                inputs(&project, plans);
            }
            "sql" => project.sql("derive/190_none.sql", "-- None.\nselect 1 where false\n"),
            "source" => project.source(
                "plan",
                "table = \"plan\"\nfiles = \"plans*\"\nheader_case = \"any\"\n"
                    .replace("header_case = \"any\"\n", "[expect]\nrows = { min = 2 }\n")
                    .as_str(),
            ),
            "release" => drop(
                project
                    .cluster()
                    .sql(&build, "update overnight.build set tool_version = '0.0.1'")
                    .unwrap(),
            ),
            _ => project
                .env
                .push(("OVERNIGHT_LOCALE".into(), "POSIX".into())),
        }
        let resume = run(&project, &["--resume"]).code(1);
        resume.says(&["nothing can be resumed", &build]);
        // One of another release is nothing that any run of this one can use.
        let stays = project.databases().contains(&build);
        assert_eq!(stays, what != "release", "{what}");
        let ended = run(&project, &[]).code(0).json();
        let report = &ended["datasets"][0];
        assert_ne!(report["build"], build.as_str(), "{what}");
        assert_eq!(report["taken_over"], serde_json::Value::Null, "{what}");
        assert_eq!(
            project.service("select count(*) from item"),
            (plans * 12).to_string(),
            "{what}"
        );
        assert!(!project.databases().contains(&build), "{what}");
        check_invariants(&project);
    }
}

#[test]
fn only_tables_whose_objects_changed_or_whose_rows_were_touched_are_loaded_anew() {
    let project = project("resume_tables");
    project.run().code(0);
    // The last point before derive files: every table is loaded, and its keys are back.
    let build = kill(&project, "put_back.after").unwrap();
    let plans = std::fs::read_to_string(project.path("in/resume_tables/plans.csv")).unwrap();
    project.input("plans.csv", plans.replacen("OH", "TX", 1));
    let price = "update price set amount = amount + 1 where id = (select min(id) from price)";
    project.cluster().sql(&build, price).unwrap();
    let item = "update item set name = 'evil' where id = (select min(id) from item)";
    project.cluster().sql(&build, item).unwrap();
    let ended = run(&project, &["--resume"]).code(0);
    let ended = ended.says(&[
        "`plan` is loaded anew: its objects are others now",
        "`price` is loaded anew: rows of it were changed after its load",
        "`item` is loaded anew: rows of it were changed after its load",
    ]);
    assert_eq!(ended.json()["datasets"][0]["build"], build.as_str());
    let resumed = contents(&project);
    assert_eq!(
        project.service("select count(*) from item where name = 'evil'"),
        "0"
    );
    check_invariants(&project);
    run(&project, &["--fresh"]).code(0);
    assert_eq!(contents(&project), resumed);

    let build = kill(&project, "put_back.after").unwrap();
    project.input("plans.csv", plans);
    let ended = run(&project, &["--resume"]).code(0).json();
    let report = &ended["datasets"][0];
    assert_eq!(report["build"], build.as_str());
    assert_eq!(words(&report["taken_over"]["loaded"]), ["plan"]);
    check_invariants(&project);
    // The build is of the inputs it was finished with.
    let told = project.run().code(0).stdout;
    assert!(told.contains("inputs unchanged"), "{told}");
}

#[test]
fn what_derive_files_have_begun_is_made_anew() {
    let project = project("resume_derive");
    project.run().code(0);
    let fresh = contents(&project);
    for point in ["derive.before", "derive.after", "vacuum.after"] {
        let build = kill(&project, point).unwrap();
        let refused = run(&project, &["--resume"]).code(1);
        refused.says(&["nothing can be resumed"]);
        let ended = run(&project, &[]).code(0).json();
        assert_ne!(ended["datasets"][0]["build"], build.as_str(), "{point}");
        assert_eq!(contents(&project), fresh, "{point}");
        check_invariants(&project);
    }
}

#[test]
fn a_build_that_is_filled_costs_only_its_gates_again() {
    let project = project("resume_gates");
    project.run().code(0);
    let fresh = contents(&project);
    for point in ["verify.before", "verify.after"] {
        let build = kill(&project, point).unwrap();
        let ended = run(&project, &["--resume"]).code(0).json();
        let report = &ended["datasets"][0];
        assert_eq!(report["build"], build.as_str(), "{point}");
        let stages = report["stages"].as_array().unwrap();
        let loads = stages.iter().any(|stage| stage["stage"] == "load");
        assert!(!loads, "{point}: {stages:?}");
        assert_eq!(contents(&project), fresh, "{point}");
        check_invariants(&project);
    }
}

#[test]
fn fresh_drops_what_was_left_and_unchanged_inputs_drop_it_too() {
    let project = project("resume_fresh");
    project.run().code(0);
    let build = kill(&project, "load.after_commit:2").unwrap();
    let ended = run(&project, &["--fresh"]).code(0).json();
    assert_ne!(ended["datasets"][0]["build"], build.as_str());
    assert!(!project.databases().contains(&build));
    let failed = format!("select state || ' ' || failure from ledger.build where name = '{build}'");
    assert_eq!(project.ledger(&failed), "failed --fresh was asked for");
    check_invariants(&project);

    let build = kill(&project, "load.after_commit:2").unwrap();
    project.overnight(&["plan", &project.name]).code(0);
    assert!(
        project.databases().contains(&build),
        "a plan leaves it alone"
    );
    check_invariants(&project);
    project
        .overnight(&["run", &project.name, "--resume"])
        .code(1)
        .says(&["nothing can be resumed"]);
    project.run().code(0);
    assert!(!project.databases().contains(&build));
    project
        .overnight(&["run", &project.name, "--resume", "--fresh"])
        .code(2);
    check_invariants(&project);
}

#[test]
fn what_several_connections_have_committed_without_a_receipt_is_loaded_anew() {
    let mut project = Project::with_schema(
        "resume_streams",
        "create table item (id integer primary key, name text not null);
         create table small (id integer primary key, name text not null);",
        "table = \"item\"\nfiles = \"items*\"\n",
    );
    project.source("small", "table = \"small\"\nfiles = \"small*\"\n");
    for (variable, value) in [
        ("OVERNIGHT_SERVER_CORES", "3"),
        ("OVERNIGHT_CONNECTIONS", "3"),
    ] {
        project.env.push((variable.into(), value.into()));
    }
    // So large that two connections load the one, and the third the other.
    let rows = |count: usize| {
        let filler = "x".repeat(2000);
        let lines = (0..count).map(|at| format!("{},{filler}\n", at * 7919 % count));
        format!("id,name\n{}", lines.collect::<String>())
    };
    project.input("items.csv", rows(17_500));
    project.input("small.csv", rows(4_000));
    let build = kill(&project, "load.before_last_commit:2").unwrap();
    let found = "select (select count(*) > 0 from item) || ' ' || (select string_agg(table_name, ' ') from overnight.loaded)";
    assert_eq!(project.cluster().one(&build, found), "true small");
    let ended = run(&project, &["--resume"]).code(0).json();
    let taken = &ended["datasets"][0]["taken_over"];
    assert_eq!(words(&taken["kept"]), ["small"]);
    assert_eq!(words(&taken["loaded"]), ["item"]);
    assert_eq!(project.live(), build);
    let counts = "select (select count(*) from item) || ' ' || (select count(*) from small)";
    assert_eq!(project.service(counts), "17500 4000");
    check_invariants(&project);
}

#[test]
fn a_build_is_kept_when_the_bucket_is_lost_and_dropped_when_the_data_are_bad() {
    let files_folder = tempfile::TempDir::new().unwrap();
    let server = S3Server::start(files_folder.path());
    let mut project = project("resume_s3");
    for (variable, value) in [
        ("OVERNIGHT_FROM", format!("s3://{}/raw", server.bucket)),
        ("OVERNIGHT_S3_ENDPOINT", server.endpoint.clone()),
        ("AWS_ACCESS_KEY_ID", server.access_key.clone()),
        ("AWS_SECRET_ACCESS_KEY", server.secret_key.clone()),
        ("AWS_REGION", "us-east-1".to_owned()),
        ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
    ] {
        project.env.push((variable.to_owned(), value));
    }
    for (file, text) in files(40) {
        server.put(&format!("raw/resume_s3/{file}"), text);
    }
    let key = "raw/resume_s3/plans.csv";
    // The first time its header is looked at.
    server.faults(key, 2..10, Fault::AccessDenied);
    let ended = project.run().code(3);
    ended.says(&["plans.csv", "the build is kept with 2 of 3 tables"]);
    let build = project.ledger("select name from ledger.build order by id desc limit 1");
    let kept = "select detail from ledger.event where kind = 'kept'";
    assert!(
        project
            .ledger(kept)
            .starts_with("2 of 3 tables are loaded: ")
    );
    check_invariants(&project);
    server.faults(key, 2..10, Fault::Flip(usize::MAX));
    let shown = project.run().code(0);
    assert!(
        shown
            .stdout
            .contains("resumed the build of an earlier run: 2 tables kept, 1 table loaded anew"),
        "{}",
        shown.stdout
    );
    assert_eq!(project.live(), build);
    assert_eq!(project.service("select count(*) from item"), "480");

    // The last table breaks its promise: that is no better the next night.
    let [_, (_, prices), _] = files(40);
    server.put("raw/resume_s3/prices.csv", format!("{prices}x,1,1\n"));
    project.refuses(1, &["prices.csv", "rejected"]);
    assert_eq!(
        project.ledger("select state from ledger.build order by id desc limit 1"),
        "failed"
    );
    check_invariants(&project);
}
